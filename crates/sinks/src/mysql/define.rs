//! Tables in MySQL and MariaDB: a primary key and no other constraint, each change of a shape one statement.

use stele_flow::{Column, Table};

use super::value::{Types, to_mysql};
use crate::alteration::{Alteration, alterations};
use crate::naming::quoted;

pub(super) fn name(name: &str) -> String {
    quoted(name, '`')
}

/// A list of column names.
pub(super) fn names<'c>(columns: impl Iterator<Item = &'c Column>) -> String {
    let names: Vec<String> = columns.map(|column| name(&column.name)).collect();
    names.join(", ")
}

/// CREATE TABLE.
pub(super) fn create(table: &Table, target: &str, collation: &'static str) -> String {
    let types = Types::of(table, collation);
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("{} {}", name(&column.name), types.definition(table, column)))
        .collect();
    format!(
        "CREATE TABLE {} ({}, PRIMARY KEY ({})) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE {collation}",
        name(target),
        columns.join(", "),
        names(table.key_columns())
    )
}

/// The statement from one shape to the next, if one is needed.
pub(super) fn alter(
    before: &Table,
    after: &Table,
    target: &str,
    collation: &'static str,
) -> Option<String> {
    let (old, new) = (Types::of(before, collation), Types::of(after, collation));
    let mut parts = Vec::new();
    let mut renamed = Vec::new();
    for step in alterations(before, after) {
        match step {
            Alteration::Drop(gone) => parts.push(format!("DROP COLUMN {}", name(&gone.name))),
            Alteration::Rename { from, to } => {
                renamed.push(to.id);
                parts.push(format!(
                    "CHANGE COLUMN {} {} {}",
                    name(&from.name),
                    name(&to.name),
                    new.definition(after, to)
                ));
            }
            Alteration::Add(column) => parts.push(format!(
                "ADD COLUMN {} {}",
                name(&column.name),
                new.definition(after, column)
            )),
            // Below: another column's type may follow from the key's length.
            Alteration::Retype { .. } => {}
        }
    }
    for column in &after.columns {
        let Some(held) = before.column(column.id) else {
            continue;
        };
        let changed = old.definition(before, held) != new.definition(after, column);
        if changed && !renamed.contains(&column.id) {
            parts.push(format!(
                "MODIFY COLUMN {} {}",
                name(&column.name),
                new.definition(after, column)
            ));
        }
    }
    (!parts.is_empty()).then(|| format!("ALTER TABLE {} {}", name(target), parts.join(", ")))
}

/// Statements, and their one parameter, that give the rows that are there the values of columns that came. They may be run
/// twice: no other rows have come meanwhile.
pub(super) fn fill_added(
    before: &Table,
    after: &Table,
    target: &str,
) -> Vec<(String, mysql::Value)> {
    let added = |step| match step {
        Alteration::Add(column) if !column.missing.is_null() => Some(column),
        _ => None,
    };
    let columns = alterations(before, after).into_iter().filter_map(added);
    columns
        .map(|column| {
            let (table, name) = (name(target), name(&column.name));
            let sql = format!("UPDATE {table} SET {name} = ? WHERE {name} IS NULL");
            (sql, to_mysql(column.ty, &column.missing))
        })
        .collect()
}
