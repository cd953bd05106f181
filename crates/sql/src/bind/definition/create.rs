//! CREATE TABLE.

use sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, DataType, Expr, ForeignKeyConstraint, GeneratedAs, Ident,
    TableConstraint,
};
use stele_core::Type;
use stele_core::schema::{COLUMNS_MAX, Column, ColumnId, Index, ROW_ID_NAME, Table};

use super::constraint::{already_exists, columns_by_name, index_column, normalised};
use crate::bind::Binder;
use crate::bind::name::{folded, made_name, new_name};
use crate::bind::scope::{Clause, Environment, Scope};
use crate::bind::type_name::column_type;
use crate::bound::{Definition, SchemaChange};
use crate::error::SqlError;

/// Names of columns we add to every table or history ourselves.
const OWN_COLUMNS: &[&str] = &[
    "_from_height",
    "_from_index",
    "_to_height",
    "_to_index",
    ROW_ID_NAME,
];

/// A column option that makes a constraint of the table, kept until all columns are known.
pub(super) enum Pending<'t> {
    PrimaryKey(Option<&'t Ident>),
    Unique(Option<&'t Ident>),
    Check(Option<&'t Ident>, &'t Expr),
    References(Option<&'t Ident>, &'t ForeignKeyConstraint),
}

impl Binder<'_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<SchemaChange, SqlError> {
        refuse_extras(create)?;
        let (schema, name) = self.new_place(&create.name)?;
        if self.name_taken(&schema, &name) {
            if create.if_not_exists {
                return Ok(SchemaChange::Nothing {
                    tag: "CREATE TABLE",
                    notice: format!("relation \"{name}\" already exists, skipping"),
                });
            }
            return Err(already_exists(&name));
        }
        let (id, owner) = (self.new_id(), self.context.account);
        let mut table = Table::plain(id, (&schema, &name), owner, Vec::new(), Vec::new());
        table.primary_key_name.clear();
        let mut pending = Vec::new();
        for definition in &create.columns {
            let (column, options) = self.column(&table, definition)?;
            pending.extend(options.into_iter().map(|option| (column.id, option)));
            table.next_column = ColumnId(column.id.0 + 1);
            table.columns.push(column);
        }
        for (column, option) in pending {
            self.column_constraint(&mut table, column, &option)?;
        }
        for constraint in &create.constraints {
            self.table_constraint(&mut table, constraint)?;
        }
        self.check_referenced(&table)?;
        if table.primary_key.is_empty() {
            let wanted = made_name(&[&table.name, "rowid"]);
            let constraint = self.free_name(&table.schema, &table, &wanted);
            table.add_hidden_key(constraint);
        }
        let mut definitions = vec![Definition::put(table)];
        definitions.append(&mut self.made);
        Ok(SchemaChange::Define {
            definitions,
            tag: "CREATE TABLE",
            restart: None,
        })
    }

    /// A column as CREATE TABLE and ADD COLUMN define it.
    pub(super) fn column<'t>(
        &mut self,
        table: &Table,
        definition: &'t ColumnDef,
    ) -> Result<(Column, Vec<Pending<'t>>), SqlError> {
        let name = new_name(&definition.name)?;
        if table.column_named(&name).is_some() {
            return Err(SqlError::new(
                "42701",
                format!("column \"{name}\" specified more than once"),
            ));
        }
        check_free(&name)?;
        if usize::from(table.next_column.0) > COLUMNS_MAX || table.columns.len() >= COLUMNS_MAX {
            return Err(SqlError::new(
                "54011",
                format!("tables can have at most {COLUMNS_MAX} columns"),
            ));
        }
        let serial = serial(&definition.data_type);
        let ty = serial.map_or_else(|| column_type(&definition.data_type), Ok)?;
        let mut column = Column::plain(table.next_column, name, ty);
        if serial.is_some() {
            self.make_identity(table, &mut column, false, &[])?;
        }
        let mut pending = Vec::new();
        for option in &definition.options {
            let constraint = option.name.as_ref();
            match &option.option {
                ColumnOption::Null => {}
                ColumnOption::NotNull => column.not_null = true,
                ColumnOption::Default(_) if column.identity.is_some() => {
                    return Err(SqlError::new(
                        "42601",
                        format!(
                            "multiple default values specified for column \"{}\" of table \"{}\"",
                            column.name, table.name
                        ),
                    ));
                }
                ColumnOption::Default(tree) => column.default = self.default(&column, tree)?,
                ColumnOption::Generated {
                    generated_as: generated_as @ (GeneratedAs::Always | GeneratedAs::ByDefault),
                    sequence_options,
                    generation_expr: None,
                    ..
                } => {
                    let always = *generated_as == GeneratedAs::Always;
                    let options = sequence_options.as_deref().unwrap_or_default();
                    self.make_identity(table, &mut column, always, options)?;
                }
                ColumnOption::PrimaryKey(_) => pending.push(Pending::PrimaryKey(constraint)),
                ColumnOption::Unique(_) => pending.push(Pending::Unique(constraint)),
                ColumnOption::Check(check) => {
                    pending.push(Pending::Check(
                        constraint.or(check.name.as_ref()),
                        &check.expr,
                    ));
                }
                ColumnOption::ForeignKey(key) => {
                    pending.push(Pending::References(constraint.or(key.name.as_ref()), key));
                }
                ColumnOption::Generated { .. } | ColumnOption::Identity(_) => {
                    return Err(SqlError::unsupported(
                        "GENERATED ALWAYS AS (…)",
                        "Give the value in INSERT, or compute it when reading.",
                    ));
                }
                ColumnOption::Collation(name) if is_bytewise(&name.to_string()) => {}
                other => {
                    return Err(SqlError::unsupported(
                        format!("the column option {other}"),
                        "Columns take NOT NULL, DEFAULT, PRIMARY KEY, UNIQUE and CHECK.",
                    ));
                }
            }
        }
        Ok((column, pending))
    }

    /// A DEFAULT as the catalogue keeps it, after binding it once.
    pub(super) fn default(
        &mut self,
        column: &Column,
        tree: &Expr,
    ) -> Result<Option<String>, SqlError> {
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Default);
        let value = self.expression(&environment, tree).map_err(|error| {
            if error.code.as_str() == "42703" {
                return SqlError::new("0A000", "cannot use column reference in DEFAULT expression");
            }
            error
        })?;
        self.assign(value, column)?;
        normalised(tree).map(Some)
    }

    pub(super) fn column_constraint(
        &mut self,
        table: &mut Table,
        column: ColumnId,
        option: &Pending<'_>,
    ) -> Result<(), SqlError> {
        match option {
            Pending::PrimaryKey(name) => self.set_primary_key(table, *name, vec![column]),
            Pending::Unique(name) => {
                let name = name.map(new_name).transpose()?;
                let index = Index::plain(String::new(), &[column], true, true);
                self.add_index(table, name, index, "key")
            }
            Pending::References(name, key) => self.add_foreign_key(table, *name, vec![column], key),
            Pending::Check(name, tree) => {
                let of = table.column(column).map(|column| column.name.clone());
                self.add_check(table, *name, tree, of.as_deref())
            }
        }
    }

    pub(super) fn table_constraint(
        &mut self,
        table: &mut Table,
        constraint: &TableConstraint,
    ) -> Result<(), SqlError> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                let columns = columns_by_name(table, key.columns.iter().map(index_column))?;
                self.set_primary_key(table, key.name.as_ref(), columns)
            }
            TableConstraint::Unique(unique) => {
                if unique.nulls_distinct == sqlparser::ast::NullsDistinctOption::NotDistinct {
                    return Err(SqlError::unsupported(
                        "UNIQUE NULLS NOT DISTINCT",
                        "Make the column NOT NULL.",
                    ));
                }
                let columns = columns_by_name(table, unique.columns.iter().map(index_column))?;
                let name = unique.name.as_ref().map(new_name).transpose()?;
                let index = Index::plain(String::new(), &columns, true, true);
                self.add_index(table, name, index, "key")
            }
            TableConstraint::Check(check) => {
                let column = single_column(table, &check.expr);
                self.add_check(table, check.name.as_ref(), &check.expr, column.as_deref())
            }
            TableConstraint::ForeignKey(key) => {
                let names = key.columns.iter().map(|name| Ok(folded(name)));
                let columns = columns_by_name(table, names)?;
                self.add_foreign_key(table, key.name.as_ref(), columns, key)
            }
            other => Err(SqlError::unsupported(
                format!("the constraint {other}"),
                "Tables take PRIMARY KEY, UNIQUE and CHECK.",
            )),
        }
    }
}

/// Refuses names of columns that tables or histories have anyway.
pub(super) fn check_free(name: &str) -> Result<(), SqlError> {
    if OWN_COLUMNS.contains(&name) {
        return Err(
            SqlError::new("42939", format!("the column name \"{name}\" is reserved"))
                .hint("Rows and their histories have columns of these names already."),
        );
    }
    Ok(())
}

/// PostgreSQL names a table's CHECK after its column when it uses just one.
fn single_column(table: &Table, tree: &Expr) -> Option<String> {
    let text = tree.to_string();
    let mut used = table.columns.iter().filter(|column| {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .any(|word| word.eq_ignore_ascii_case(&column.name))
    });
    match (used.next(), used.next()) {
        (Some(one), None) => Some(one.name.clone()),
        _ => None,
    }
}

/// The integer type of SERIAL and its like.
fn serial(name: &DataType) -> Option<Type> {
    let DataType::Custom(name, _) = name else {
        return None;
    };
    Some(match name.to_string().to_lowercase().as_str() {
        "smallserial" | "serial2" => Type::SmallInt,
        "serial" | "serial4" => Type::Integer,
        "bigserial" | "serial8" => Type::BigInt,
        _ => return None,
    })
}

fn is_bytewise(collation: &str) -> bool {
    matches!(
        collation.trim_matches('"').rsplit('.').next(),
        Some("C" | "POSIX" | "default" | "\"C\"" | "\"default\"")
    )
}

fn refuse_extras(create: &CreateTable) -> Result<(), SqlError> {
    if create.temporary {
        return Err(SqlError::unsupported(
            "a temporary table",
            "Use WITH or sub-selects.",
        ));
    }
    if create.query.is_some() {
        return Err(SqlError::unsupported(
            "CREATE TABLE … AS",
            "Create the table with its primary key, then INSERT … SELECT.",
        ));
    }
    if create.like.is_some()
        || create.inherits.is_some()
        || create.partition_by.is_some()
        || create.partition_of.is_some()
    {
        return Err(SqlError::unsupported(
            "LIKE, INHERITS and PARTITION",
            "Write the columns out.",
        ));
    }
    if create.or_replace || create.external || create.without_rowid || create.strict {
        return Err(SqlError::new("42601", "syntax error in CREATE TABLE"));
    }
    Ok(())
}
