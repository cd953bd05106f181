//! Tables in SQLite: STRICT, clustered by the primary key, no other constraint.

use stele_flow::{Column, Table};

use super::value::{literal, storage};
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

fn column(column: &Column) -> String {
    format!("{} {}", name(&column.name), storage(column.ty))
}

/// CREATE TABLE.
pub(super) fn create(table: &Table, target: &str) -> String {
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    format!(
        "CREATE TABLE {} ({}, PRIMARY KEY ({})) STRICT, WITHOUT ROWID",
        name(target),
        columns.join(", "),
        names(table.key_columns())
    )
}

/// Statements from one shape to the next, under the old target name.
pub(super) fn alter(before: &Table, after: &Table, target: &str) -> Vec<String> {
    let steps = alterations(before, after);
    let stored_otherwise = steps.iter().any(|step| match step {
        Alteration::Retype { from, to } => storage(from.ty) != storage(to.ty),
        _ => false,
    });
    if stored_otherwise {
        return rebuild(before, after, target);
    }
    let table = name(target);
    let statement = |step: Alteration<'_>| match step {
        Alteration::Drop(gone) => Some(format!(
            "ALTER TABLE {table} DROP COLUMN {}",
            name(&gone.name)
        )),
        Alteration::Rename { from, to } => Some(format!(
            "ALTER TABLE {table} RENAME COLUMN {} TO {}",
            name(&from.name),
            name(&to.name)
        )),
        Alteration::Retype { .. } => None,
        Alteration::Add(new) => Some(format!(
            "ALTER TABLE {table} ADD COLUMN {} DEFAULT {}",
            column(new),
            literal(new.ty, &new.missing)
        )),
    };
    steps.into_iter().filter_map(statement).collect()
}

/// Makes the table anew and copies its rows: SQLite cannot change how a column is stored.
fn rebuild(before: &Table, after: &Table, target: &str) -> Vec<String> {
    let spare = format!("stele_new_{target}");
    let value = |column: &Column| match before.column(column.id) {
        Some(old) => format!("CAST({} AS {})", name(&old.name), storage(column.ty)),
        None => literal(column.ty, &column.missing),
    };
    let values: Vec<String> = after.columns.iter().map(value).collect();
    vec![
        create(after, &spare),
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {}",
            name(&spare),
            names(after.columns.iter()),
            values.join(", "),
            name(target)
        ),
        format!("DROP TABLE {}", name(target)),
        format!("ALTER TABLE {} RENAME TO {}", name(&spare), name(target)),
    ]
}
