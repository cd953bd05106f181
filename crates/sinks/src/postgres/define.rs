//! Tables in PostgreSQL: a primary key and no other constraint.

use stele_flow::{Column, Table};

use super::value::{literal, type_name};
use crate::alteration::{Alteration, alterations};
use crate::naming::quoted;

pub(super) fn name(name: &str) -> String {
    quoted(name, '"')
}

/// A list of column names.
pub(super) fn names<'c>(columns: impl Iterator<Item = &'c Column>) -> String {
    let names: Vec<String> = columns.map(|column| name(&column.name)).collect();
    names.join(", ")
}

fn column(table: &Table, column: &Column) -> String {
    let in_key = table.key.contains(&column.id);
    format!("{} {}", name(&column.name), type_name(column.ty, in_key))
}

/// CREATE TABLE; `target` is quoted.
pub(super) fn create(table: &Table, target: &str) -> String {
    let columns = table.columns.iter();
    let columns: Vec<String> = columns.map(|one| column(table, one)).collect();
    format!(
        "CREATE TABLE {target} ({}, PRIMARY KEY ({}))",
        columns.join(", "),
        names(table.key_columns())
    )
}

/// Statements from one shape to the next; `target` is quoted.
pub(super) fn alter(before: &Table, after: &Table, target: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut add = |what: String| statements.push(format!("ALTER TABLE {target} {what}"));
    for step in alterations(before, after) {
        match step {
            Alteration::Drop(gone) => add(format!("DROP COLUMN {}", name(&gone.name))),
            Alteration::Rename { from, to } => add(format!(
                "RENAME COLUMN {} TO {}",
                name(&from.name),
                name(&to.name)
            )),
            Alteration::Retype { to, .. } => {
                let (column, ty) = (name(&to.name), type_name(to.ty, after.key.contains(&to.id)));
                let plain = type_name(to.ty, false);
                add(format!(
                    "ALTER COLUMN {column} TYPE {ty} USING {column}::{plain}"
                ));
            }
            Alteration::Add(new) if new.missing.is_null() => {
                add(format!("ADD COLUMN {}", column(after, new)));
            }
            Alteration::Add(new) => {
                let value = literal(new.ty, &new.missing);
                add(format!("ADD COLUMN {} DEFAULT {value}", column(after, new)));
                add(format!("ALTER COLUMN {} DROP DEFAULT", name(&new.name)));
            }
        }
    }
    statements
}
