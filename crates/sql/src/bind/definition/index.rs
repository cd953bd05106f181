//! Indexes.

use sqlparser::ast::{
    AlterIndexOperation, CreateIndex, Expr, ObjectName, ObjectNamePart, OrderBySort,
};
use stele_core::schema::{Index, IndexKey, IndexPart, Table};

use super::constraint::{already_exists, columns_by_name, normalised};
use crate::bind::Binder;
use crate::bind::name::{folded, new_name, qualified};
use crate::bind::scope::{Clause, Environment, Scope};
use crate::bound::SchemaChange;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Result<SchemaChange, SqlError> {
        if !create.include.is_empty() || !create.with.is_empty() {
            return Err(SqlError::unsupported(
                "a covering index",
                "Index the columns to look up by.",
            ));
        }
        if create.nulls_distinct == Some(false) {
            return Err(SqlError::unsupported(
                "NULLS NOT DISTINCT",
                "Make the column NOT NULL.",
            ));
        }
        let table = self.table(&create.table_name)?;
        self.check_owned(&table)?;
        let mut table = Table::clone(&table);
        let name = match &create.name {
            None => None,
            Some(name) => {
                let ident = name.0.last().and_then(ObjectNamePart::as_ident);
                let ident =
                    ident.ok_or_else(|| SqlError::new("42601", "syntax error in CREATE INDEX"))?;
                Some(new_name(ident)?)
            }
        };
        if let Some(name) = &name
            && self.name_taken(&table.schema, name)
        {
            if create.if_not_exists {
                return Ok(SchemaChange::Nothing {
                    tag: "CREATE INDEX",
                    notice: format!("relation \"{name}\" already exists, skipping"),
                });
            }
            return Err(already_exists(name));
        }
        let index = self.index(&table, create)?;
        self.add_index(&mut table, name, index, "idx")?;
        Ok(SchemaChange::put(table, "CREATE INDEX"))
    }

    /// What an index is made of: columns, expressions over them, and the rows it holds.
    fn index(&mut self, table: &Table, create: &CreateIndex) -> Result<Index, SqlError> {
        let mut keys = Vec::with_capacity(create.columns.len());
        for column in &create.columns {
            let options = &column.column.options;
            if let Some(class) = &column.operator_class {
                check_operator_class(class)?;
            }
            let part = match super::super::walk::bare_ref(&column.column.expr) {
                Expr::Identifier(_) => {
                    let names = std::iter::once(Ok(folded_column(&column.column.expr)));
                    let ids = columns_by_name(table, names)?;
                    ids.into_iter().next().map(IndexPart::Column)
                }
                tree => {
                    let scope = Scope::of_bare_table(table);
                    let environment = Environment::new(&scope, Clause::Check);
                    let bound = self.expression(&environment, tree)?;
                    self.settled(bound)?;
                    Some(IndexPart::Expression(normalised(tree)?))
                }
            };
            keys.extend(part.map(|part| IndexKey {
                part,
                descending: matches!(options.sort, Some(OrderBySort::Desc)),
            }));
        }
        let predicate = match &create.predicate {
            None => None,
            Some(tree) => {
                let scope = Scope::of_bare_table(table);
                let environment = Environment::new(&scope, Clause::Check);
                self.condition(&environment, tree)?;
                Some(normalised(tree)?)
            }
        };
        Ok(Index {
            name: String::new(),
            keys,
            unique: create.unique,
            constraint: false,
            predicate,
        })
    }

    pub(super) fn drop_index(
        &mut self,
        names: &[ObjectName],
        if_exists: bool,
    ) -> Result<SchemaChange, SqlError> {
        let [name] = names else {
            return Err(SqlError::unsupported(
                "DROP INDEX of several indexes",
                "Drop them one by one.",
            ));
        };
        let (_, bare) = qualified(name)?;
        let Some(mut table) = self.table_of_index(&bare) else {
            if if_exists {
                return Ok(SchemaChange::Nothing {
                    tag: "DROP INDEX",
                    notice: format!("index \"{bare}\" does not exist, skipping"),
                });
            }
            return Err(no_index(&bare));
        };
        self.check_owned(&table)?;
        if table
            .indexes
            .iter()
            .any(|index| index.constraint && index.name == bare)
            || table.primary_key_name == bare
        {
            return Err(SqlError::new(
                "2BP01",
                format!(
                    "cannot drop index {bare} because constraint {bare} on table {} requires it",
                    table.name
                ),
            )
            .hint(format!(
                "You can drop constraint {bare} on table {} instead.",
                table.name
            )));
        }
        table.indexes.retain(|index| index.name != bare);
        self.check_referenced(&table)?;
        Ok(SchemaChange::put(table, "DROP INDEX"))
    }

    pub(super) fn alter_index(
        &mut self,
        name: &ObjectName,
        operation: &AlterIndexOperation,
    ) -> Result<SchemaChange, SqlError> {
        let (_, bare) = qualified(name)?;
        let AlterIndexOperation::RenameIndex { index_name } = operation;
        let ident = index_name.0.last().and_then(ObjectNamePart::as_ident);
        let ident = ident.ok_or_else(|| SqlError::new("42601", "syntax error in ALTER INDEX"))?;
        let new = new_name(ident)?;
        let mut table = self.table_of_index(&bare).ok_or_else(|| no_index(&bare))?;
        self.check_owned(&table)?;
        if self.name_taken(&table.schema, &new) {
            return Err(already_exists(&new));
        }
        for index in &mut table.indexes {
            if index.name == bare {
                index.name.clone_from(&new);
            }
        }
        if table.primary_key_name == bare {
            table.primary_key_name = new;
        }
        Ok(SchemaChange::put(table, "ALTER INDEX"))
    }

    fn table_of_index(&self, name: &str) -> Option<Table> {
        self.catalogue
            .tables()
            .find(|table| {
                table.primary_key_name == name
                    || table.indexes.iter().any(|index| index.name == name)
            })
            .map(|table| Table::clone(table))
    }
}

/// Refuses an operator class that PostgreSQL's btree has not. Those it has mean nothing here: text
/// compares by its bytes, as the `pattern_ops` ask for.
fn check_operator_class(name: &ObjectName) -> Result<(), SqlError> {
    let (schema, bare) = qualified(name)?;
    let stem = bare.strip_suffix("_ops").unwrap_or_default();
    let stem = stem.strip_suffix("_pattern").unwrap_or(stem);
    let known = [
        "bool",
        "bpchar",
        "bytea",
        "date",
        "float8",
        "int2",
        "int4",
        "int8",
        "name",
        "numeric",
        "text",
        "timestamp",
        "timestamptz",
        "uuid",
        "varchar",
    ];
    if known.contains(&stem) && schema.is_none_or(|schema| schema == "pg_catalog") {
        return Ok(());
    }
    Err(SqlError::new(
        "42704",
        format!("operator class \"{bare}\" does not exist for access method \"btree\""),
    )
    .hint("Leave it out: text compares by its bytes."))
}

fn folded_column(tree: &Expr) -> String {
    match tree {
        Expr::Identifier(ident) => folded(ident),
        Expr::Nested(inner) => folded_column(inner),
        _ => String::new(),
    }
}

fn no_index(name: &str) -> SqlError {
    SqlError::new("42704", format!("index \"{name}\" does not exist"))
}
