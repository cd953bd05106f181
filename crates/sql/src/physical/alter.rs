//! Statements that bring the SQLite tables from one definition to the next.

use stele_core::schema::{Column, ColumnId, Table};
use stele_core::{Type, Value};

use super::{
    column_definition, column_list, column_name, create_index_sql, create_indexes, create_rows_sql,
    history_name, index_name, is_long, literal, long_index_name, long_index_sql, storage,
    table_name, to_sqlite,
};
use crate::error::SqlError;

/// Statements that turn the table of `before` into that of `after`, in order. Renaming needs none.
/// Some copy all rows: capture of row changes must be off while they run.
///
/// # Errors
/// Those of [`super::create_table_sql`].
pub fn alter_table_sql(before: &Table, after: &Table) -> Result<Vec<String>, SqlError> {
    let mut statements = Vec::new();
    if !after.kind.has_rows() {
        return Ok(statements);
    }
    for index in &before.indexes {
        if !after.indexes.contains(index) {
            statements.push(format!("DROP INDEX {}", index_name(before.id, index)));
        }
    }
    let added: Vec<&Column> = after
        .columns
        .iter()
        .filter(|column| before.column(column.id).is_none())
        .collect();
    let rebuilt = before.checks != after.checks
        || before.columns.iter().any(|old| {
            after.column(old.id).is_none_or(|new| {
                new.not_null != old.not_null || storage(new.ty) != storage(old.ty)
            })
        })
        || added.iter().any(|column| {
            column.ty == Type::Double
                || column.missing == Value::Int(i64::MIN)
                || column.not_null && column.missing.is_null()
        });
    let long =
        |table: &Table, id: ColumnId| table.column(id).is_some_and(|column| is_long(column.ty));
    if rebuilt {
        rebuild(before, after, &mut statements)?;
    } else {
        for column in &before.columns {
            if is_long(column.ty) && !long(after, column.id) {
                let name = long_index_name(before.id, column.id);
                statements.push(format!("DROP INDEX {name}"));
            }
        }
        for column in &added {
            statements.push(add_column(&table_name(after.id), column, column.not_null)?);
        }
        for index in &after.indexes {
            if !before.indexes.contains(index) {
                statements.push(create_index_sql(after, index)?);
            }
        }
        for column in &after.columns {
            if is_long(column.ty) && !long(before, column.id) {
                statements.push(long_index_sql(after.id, column.id));
            }
        }
    }
    alter_history(before, after, &added, &mut statements)?;
    Ok(statements)
}

fn add_column(table: &str, column: &Column, not_null: bool) -> Result<String, SqlError> {
    let definition = column_definition(column, not_null);
    let value = missing_literal(column)?;
    Ok(format!(
        "ALTER TABLE {table} ADD COLUMN {definition} DEFAULT {value}"
    ))
}

fn missing_literal(column: &Column) -> Result<String, SqlError> {
    Ok(literal(&to_sqlite(column.ty, &column.missing)?))
}

/// Copies all rows into a table of the new definition: SQLite cannot alter constraints in place.
fn rebuild(before: &Table, after: &Table, statements: &mut Vec<String>) -> Result<(), SqlError> {
    let rows = table_name(after.id);
    let scratch = format!("{rows}_new");
    let mut into = Vec::new();
    let mut from = Vec::new();
    for column in &after.columns {
        into.push(column_name(column.id));
        from.push(match before.column(column.id) {
            Some(_) => column_name(column.id),
            None => missing_literal(column)?,
        });
    }
    statements.push(create_rows_sql(after, &scratch)?);
    statements.push(format!(
        "INSERT INTO {scratch}({},_h,_x) SELECT {},_h,_x FROM {rows} ORDER BY {}",
        into.join(","),
        from.join(","),
        column_list(&after.primary_key)
    ));
    statements.push(format!("DROP TABLE {rows}"));
    statements.push(format!("ALTER TABLE {scratch} RENAME TO {rows}"));
    create_indexes(after, statements)
}

fn alter_history(
    before: &Table,
    after: &Table,
    added: &[&Column],
    statements: &mut Vec<String>,
) -> Result<(), SqlError> {
    let history = history_name(after.id);
    for column in added {
        if column.ty == Type::Double {
            let definition = column_definition(column, false);
            statements.push(format!("ALTER TABLE {history} ADD COLUMN {definition}"));
            if !column.missing.is_null() {
                let name = column_name(column.id);
                let value = missing_literal(column)?;
                statements.push(format!("UPDATE {history} SET {name}={value}"));
            }
        } else {
            statements.push(add_column(&history, column, false)?);
        }
    }
    for column in &before.columns {
        if after.column(column.id).is_none() {
            let name = column_name(column.id);
            statements.push(format!("ALTER TABLE {history} DROP COLUMN {name}"));
        }
    }
    Ok(())
}
