//! Keys, UNIQUE and CHECK.

use sqlparser::ast::{Expr, Ident, IndexColumn};
use stele_core::Type;
use stele_core::key::KEY_LEN_MAX;
use stele_core::schema::{
    CONSTRAINTS_MAX, Check, ColumnId, EXPRESSION_LEN_MAX, Index, IndexPart, Table,
};

use super::foreign_key::has_constraint;
use crate::bind::Binder;
use crate::bind::name::{folded, made_name, new_name, no_column, numbered_name};
use crate::bind::scope::{Clause, Environment, Scope};
use crate::error::SqlError;

impl Binder<'_> {
    /// Makes columns the primary key: they exist, are of types a key takes, and become NOT NULL.
    pub(super) fn set_primary_key(
        &self,
        table: &mut Table,
        name: Option<&Ident>,
        columns: Vec<ColumnId>,
    ) -> Result<(), SqlError> {
        if table.has_hidden_key() {
            table.remove_hidden_key();
        }
        if !table.primary_key.is_empty() {
            return Err(SqlError::new(
                "42P16",
                format!(
                    "multiple primary keys for table \"{}\" are not allowed",
                    table.name
                ),
            ));
        }
        let mut longest = 0;
        for id in &columns {
            if let Some(column) = table.columns.iter_mut().find(|column| column.id == *id) {
                column.not_null = true;
                longest += key_len(column.ty, &column.name)?;
            }
        }
        if longest > KEY_LEN_MAX {
            return Err(SqlError::new(
                "54000",
                format!("the primary key of \"{}\" can be {longest} bytes long, at most {KEY_LEN_MAX} are taken", table.name),
            )
            .hint("Make its VARCHAR columns shorter, or key by a digest of them."));
        }
        let wanted = match name {
            Some(name) => new_name(name)?,
            None => made_name(&[&table.name, "pkey"]),
        };
        table.primary_key_name = match name {
            Some(_) if self.name_taken(&table.schema, &wanted) => {
                return Err(already_exists(&wanted));
            }
            Some(_) => wanted,
            None => self.free_name(&table.schema, table, &wanted),
        };
        table.primary_key = columns;
        Ok(())
    }

    /// Adds a UNIQUE constraint or an index.
    pub(super) fn add_index(
        &self,
        table: &mut Table,
        name: Option<String>,
        index: Index,
        suffix: &str,
    ) -> Result<(), SqlError> {
        let columns: Vec<ColumnId> = index
            .keys
            .iter()
            .filter_map(|key| match key.part {
                IndexPart::Column(id) => Some(id),
                IndexPart::Expression(_) => None,
            })
            .collect();
        if table.indexes.len() + table.checks.len() >= CONSTRAINTS_MAX {
            return Err(too_many(&table.name));
        }
        for id in &columns {
            if let Some(column) = table.column(*id)
                && column.ty == Type::Json
            {
                return Err(SqlError::new(
                    "42704",
                    "data type json has no default operator class for access method \"btree\"",
                )
                .hint("Index a column that holds the member you look for."));
            }
        }
        let name = match name {
            Some(name)
                if self.name_taken(&table.schema, &name) || super::taken_in(table, &name) =>
            {
                return Err(already_exists(&name));
            }
            Some(name) => name,
            None => {
                let mut pieces = vec![table.name.as_str()];
                pieces.extend(
                    columns
                        .iter()
                        .filter_map(|id| table.column(*id))
                        .map(|column| column.name.as_str()),
                );
                pieces.push(suffix);
                self.free_name(&table.schema, table, &made_name(&pieces))
            }
        };
        table.indexes.push(Index { name, ..index });
        Ok(())
    }

    /// Adds a CHECK constraint after binding it once.
    pub(super) fn add_check(
        &mut self,
        table: &mut Table,
        name: Option<&Ident>,
        tree: &Expr,
        column: Option<&str>,
    ) -> Result<(), SqlError> {
        if table.indexes.len() + table.checks.len() >= CONSTRAINTS_MAX {
            return Err(too_many(&table.name));
        }
        let scope = Scope::of_bare_table(table);
        let environment = Environment::new(&scope, Clause::Check);
        self.condition(&environment, tree)?;
        let expression = normalised(tree)?;
        let taken = |name: &str| has_constraint(table, name);
        let name = match name {
            Some(name) => {
                let name = new_name(name)?;
                if taken(&name) {
                    return Err(SqlError::new(
                        "42710",
                        format!(
                            "constraint \"{name}\" for relation \"{}\" already exists",
                            table.name
                        ),
                    ));
                }
                name
            }
            None => {
                let wanted = match column {
                    Some(column) => made_name(&[&table.name, column, "check"]),
                    None => made_name(&[&table.name, "check"]),
                };
                let mut name = wanted.clone();
                let mut number = 0;
                while taken(&name) {
                    number += 1;
                    name = numbered_name(&wanted, Some(number));
                }
                name
            }
        };
        table.checks.push(Check { name, expression });
        Ok(())
    }
}

/// An expression as it is kept in the catalogue.
pub(super) fn normalised(tree: &Expr) -> Result<String, SqlError> {
    let text = tree.to_string();
    if text.len() > EXPRESSION_LEN_MAX {
        return Err(SqlError::new(
            "54000",
            format!(
                "the expression has {} bytes, at most {EXPRESSION_LEN_MAX} are kept",
                text.len()
            ),
        ));
    }
    // It is parsed anew whenever it is used.
    crate::parse::parse_expression(&text)?;
    Ok(text)
}

/// Columns of a key or index by name.
pub(super) fn columns_by_name(
    table: &Table,
    names: impl Iterator<Item = Result<String, SqlError>>,
) -> Result<Vec<ColumnId>, SqlError> {
    let mut columns = Vec::new();
    for name in names {
        let name = name?;
        let column = table.column_named(&name).ok_or_else(|| {
            let mut error = no_column(&name);
            error.message = format!("column \"{name}\" named in key does not exist");
            error
        })?;
        if columns.contains(&column.id) {
            return Err(SqlError::new(
                "42701",
                format!("column \"{name}\" appears twice in a key or index"),
            ));
        }
        columns.push(column.id);
    }
    Ok(columns)
}

/// The name of an index column; only plain columns in ascending order are taken.
pub(super) fn index_column(column: &IndexColumn) -> Result<String, SqlError> {
    let options = &column.column.options;
    let plain = matches!(options.sort, None | Some(sqlparser::ast::OrderBySort::Asc))
        && options.nulls_first.is_none()
        && column.operator_class.is_none();
    match &column.column.expr {
        Expr::Identifier(ident) if plain => Ok(folded(ident)),
        _ => Err(SqlError::unsupported(
            "an index on an expression, or with its own order",
            "Index plain columns; they serve both directions.",
        )),
    }
}

/// Most bytes a column takes in an encoded key.
fn key_len(ty: Type, name: &str) -> Result<usize, SqlError> {
    Ok(match ty {
        Type::Bool => 1,
        Type::SmallInt | Type::Integer | Type::BigInt | Type::Timestamp | Type::TimestampTz => 8,
        Type::Date => 4,
        Type::Numeric { .. } => 20,
        Type::Uuid => 16,
        // Checked when a row is written: most characters are one byte.
        Type::Varchar(_) | Type::Char(_) | Type::Bytea => 2,
        Type::Text => {
            return Err(SqlError::new(
                "0A000",
                format!("primary key column \"{name}\" is TEXT without a length"),
            )
            .hint(format!(
                "Use VARCHAR(n): an encoded primary key has at most {KEY_LEN_MAX} bytes."
            )));
        }
        Type::Double | Type::Json => {
            return Err(SqlError::new(
                "0A000",
                format!("a {ty} column, \"{name}\", cannot be in a primary key"),
            )
            .hint("Use an integer, NUMERIC, VARCHAR(n), BYTEA, DATE, TIMESTAMP or UUID."));
        }
    })
}

pub(super) fn already_exists(name: &str) -> SqlError {
    SqlError::new("42P07", format!("relation \"{name}\" already exists"))
}

pub(super) fn too_many(table: &str) -> SqlError {
    SqlError::new(
        "54000",
        format!(
            "table \"{table}\" has {CONSTRAINTS_MAX} constraints and indexes, the most there can be"
        ),
    )
}
