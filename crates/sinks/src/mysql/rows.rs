//! Rows into MySQL and MariaDB: many a statement, prepared, with the values beside the text.

use mysql::prelude::Queryable as _;
use mysql::{Params, Value as MySqlValue};
use stele_flow::{HeldTable, RowChange, SinkError, Table};

use super::connect::Connected;
use super::value::to_mysql;
use super::{connect, define};
use crate::memory;
use crate::target::Server;

/// Rows of one statement, the largest that fits first: few forms, so that each is prepared once.
const ROWS_AT_ONCE: [usize; 4] = [1_000, 100, 10, 1];
/// Most parameters of a statement (the protocol's bound is 65,535).
const PARAMETERS_MAX: usize = 60_000;
/// Most bytes of values of a statement of several rows; servers take 16 MiB at least.
const STATEMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Keys deleted by one statement: a longer list is made into a table by MariaDB.
const KEYS_AT_ONCE: [usize; 4] = [500, 50, 5, 1];

/// Applies changes of a table's rows.
pub(super) fn apply(
    server: &Server,
    connected: &mut Connected,
    held: &HeldTable,
    rows: &[RowChange],
) -> Result<(), SinkError> {
    let gone: Vec<&RowChange> = rows.iter().filter(|row| row.before.is_some()).collect();
    delete(server, connected, held, &gone, true)?;
    insert(server, connected, held, rows)
}

/// Deletes rows by key; with `all`, each must be there.
pub(super) fn delete(
    server: &Server,
    connected: &mut Connected,
    held: &HeldTable,
    rows: &[&RowChange],
    all: bool,
) -> Result<(), SinkError> {
    let table = &*held.table;
    let mut rest = rows;
    while !rest.is_empty() {
        let fits = |count: &&usize| **count <= rest.len();
        let count = *KEYS_AT_ONCE.iter().find(fits).unwrap_or(&1);
        let (some, later) = rest.split_at(count.min(rest.len()));
        let sql = format!(
            "DELETE FROM {} WHERE {}",
            define::name(&held.target),
            keys_condition(table, some.len())
        );
        let mut values = Vec::with_capacity(some.len() * table.key.len());
        for row in some {
            let key = row.key_of(table);
            let columns = table.key_columns().zip(key);
            values.extend(columns.map(|(column, value)| to_mysql(column.ty, value)));
        }
        let conn = &mut connected.conn;
        conn.exec_drop(&sql, Params::Positional(values))
            .map_err(|error| connect::failed(server, &error))?;
        if all && conn.affected_rows() != some.len() as u64 {
            return Err(missing(server, held, some));
        }
        rest = later;
    }
    Ok(())
}

fn keys_condition(table: &Table, count: usize) -> String {
    let names: Vec<String> = table
        .key_columns()
        .map(|column| define::name(&column.name))
        .collect();
    match names.as_slice() {
        [name] => format!("{name} IN ({})", vec!["?"; count].join(", ")),
        names => {
            let equal: Vec<String> = names.iter().map(|name| format!("{name} = ?")).collect();
            let one = format!("({})", equal.join(" AND "));
            vec![one; count].join(" OR ")
        }
    }
}

fn missing(server: &Server, held: &HeldTable, rows: &[&RowChange]) -> SinkError {
    let table = &*held.table;
    let shown = |row: &&RowChange| table.key_text(&row.key_of(table));
    let key = match rows {
        [row] => shown(row),
        rows => format!(
            "among {} from {} to {}",
            rows.len(),
            rows.first().map(shown).unwrap_or_default(),
            rows.last().map(shown).unwrap_or_default()
        ),
    };
    memory::missing_row(&connect::describe(server), &held.target, &key)
}

/// Inserts rows as they are after their changes.
pub(super) fn insert(
    server: &Server,
    connected: &mut Connected,
    held: &HeldTable,
    rows: &[RowChange],
) -> Result<(), SinkError> {
    let table = &*held.table;
    let width = table.columns.len();
    let head = format!(
        "INSERT INTO {} ({}) VALUES ",
        define::name(&held.target),
        define::names(table.columns.iter())
    );
    let one = format!("({})", vec!["?"; width].join(", "));
    let after: Vec<_> = rows.iter().filter_map(|row| row.after.as_ref()).collect();
    let mut rest = after.as_slice();
    let mut at_once = ROWS_AT_ONCE.as_slice();
    while !rest.is_empty() {
        let fits = |count: &&usize| **count <= rest.len() && **count * width <= PARAMETERS_MAX;
        let count = *at_once.iter().find(fits).unwrap_or(&1);
        let (some, later) = rest.split_at(count.min(rest.len()));
        let mut values: Vec<MySqlValue> = Vec::with_capacity(some.len() * width);
        let mut bytes = 0;
        for row in some {
            for (column, value) in table.columns.iter().zip(row.iter()) {
                let value = to_mysql(column.ty, value);
                if let MySqlValue::Bytes(held) = &value {
                    bytes += held.len();
                }
                values.push(value);
            }
        }
        if bytes > STATEMENT_BYTES_MAX && some.len() > 1 {
            // Long values: fewer rows a statement from here on.
            at_once = at_once.get(1..).unwrap_or_default();
            continue;
        }
        let sql = format!("{head}{}", vec![one.as_str(); some.len()].join(", "));
        connected
            .conn
            .exec_drop(&sql, Params::Positional(values))
            .map_err(|error| connect::failed(server, &error))?;
        rest = later;
    }
    Ok(())
}
