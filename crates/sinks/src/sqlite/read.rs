//! Reading mirrored rows back from SQLite, and mending them.

use std::sync::Arc;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use rusqlite::{Connection, OptionalExtension as _};
use stele_core::key::encode_key;

use stele_core::value::NUMERIC_PRECISION_MAX;
use stele_core::{Type, Value};
use stele_flow::sink::EachRead;
use stele_flow::{
    Column, Cursor, Held, HeldTable, KeyRange, Load, Mirror, ReadRow, RowChange, Sink as _,
    SinkError, Table,
};

use super::foreign::from_foreign;
use super::value::{from_sqlite, storage, to_sqlite};
use super::{SqliteSink, define};
use crate::memory;
use crate::readback::{self, FoundColumn};

/// Name of the function that gives a NUMERIC's place in the order of keys.
const ORDER: &str = "stele_numeric_order";

/// Adds what statements of this module need.
pub(super) fn add_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(ORDER, 1, flags, |context| {
        let ValueRef::Text(bytes) = context.get_raw(0) else {
            return Ok(SqliteValue::Null);
        };
        let digits = std::str::from_utf8(bytes).unwrap_or_default();
        let value = stele_core::Numeric::parse(digits).map(stele_core::Numeric::normalized);
        // The place of a value does not depend on the precision and scale of its type.
        let key = value.ok().and_then(|value| {
            let ty = Type::Numeric {
                precision: NUMERIC_PRECISION_MAX,
                scale: value.scale(),
            };
            encode_key(&[(ty, &Value::Numeric(value))]).ok()
        });
        // What is no number comes first, and is named there.
        Ok(key.map_or(SqliteValue::Null, SqliteValue::Blob))
    })
}

/// What rows are put in order by: the key's columns, NUMERIC by its value.
fn order(column: &Column) -> String {
    let name = define::name(&column.name);
    match column.ty {
        Type::Numeric { .. } => format!("{ORDER}({name})"),
        _ => name,
    }
}

fn order_value(column: &Column, value: &Value) -> ToSqlOutput<'static> {
    let owned = match (column.ty, value) {
        (Type::Numeric { .. }, value) => {
            let key = encode_key(&[(column.ty, value)]);
            key.map_or(SqliteValue::Null, SqliteValue::Blob)
        }
        (ty, value) => match to_sqlite(ty, value) {
            ToSqlOutput::Owned(owned) => owned,
            ToSqlOutput::Borrowed(borrowed) => {
                SqliteValue::try_from(borrowed).unwrap_or(SqliteValue::Null)
            }
            _ => SqliteValue::Null,
        },
    };
    ToSqlOutput::Owned(owned)
}

impl SqliteSink {
    pub(super) fn reading(&self) -> Result<&Connection, SinkError> {
        self.connection
            .as_ref()
            .ok_or_else(|| SinkError::new(stele_flow::SinkErrorKind::Other, "no read was begun"))
    }

    fn read_rows(
        &self,
        held: &HeldTable,
        range: &KeyRange,
        each: EachRead<'_>,
    ) -> rusqlite::Result<()> {
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        let table = &*held.table;
        let orders: Vec<String> = table.key_columns().map(order).collect();
        let orders = orders.join(", ");
        let mut conditions = Vec::new();
        let mut values = Vec::new();
        for (sign, bound) in [(">=", &range.from), ("<", &range.to)] {
            if let Some(bound) = bound {
                let marks = vec!["?"; bound.len()].join(", ");
                conditions.push(format!("({orders}) {sign} ({marks})"));
                let columns = table.key_columns().zip(bound);
                values.extend(columns.map(|(column, value)| order_value(column, value)));
            }
        }
        let condition = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let sql = format!(
            "SELECT {} FROM {}{condition} ORDER BY {orders}",
            define::names(table.columns.iter()),
            define::name(&held.target)
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if !each(read_row(table, row, self.is_foreign)?) {
                break;
            }
        }
        Ok(())
    }

    fn differences(&self, held: &HeldTable) -> rusqlite::Result<Vec<String>> {
        let Some(connection) = &self.connection else {
            return Ok(Vec::new());
        };
        let form: Option<(String, bool, bool)> = connection
            .query_row(
                "SELECT type, strict, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1",
                [&held.target],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        match form {
            None => return Ok(vec!["it is not there".to_owned()]),
            Some((kind, ..)) if kind != "table" => return Ok(vec![format!("it is a {kind}")]),
            Some((_, true, true)) => {}
            Some(_) => return Ok(vec!["it was made anew by somebody else".to_owned()]),
        }
        let mut statement =
            connection.prepare("SELECT name, type, pk FROM pragma_table_info(?1)")?;
        let found = statement
            .query_map([&held.target], |row| {
                Ok(FoundColumn {
                    name: row.get(0)?,
                    ty: row.get(1)?,
                    key: row.get::<_, usize>(2)?.checked_sub(1),
                    collation: None,
                })
            })?
            .collect::<rusqlite::Result<Vec<FoundColumn>>>()?;
        let wanted = |column: &Column| storage(column.ty).to_owned();
        Ok(readback::differences(&held.table, &found, wanted, ""))
    }
}

fn read_row(table: &Table, row: &rusqlite::Row<'_>, is_foreign: bool) -> rusqlite::Result<ReadRow> {
    let read = |(at, column): (usize, &Column)| {
        let found = row.get_ref(at)?;
        Ok(match is_foreign {
            true => from_foreign(column.ty, found),
            false => from_sqlite(column.ty, found),
        })
    };
    let columns = table.columns.iter().enumerate().map(read);
    let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(readback::row(table, columns.into_iter()))
}

impl Mirror for SqliteSink {
    fn begin_read(&mut self, source_id: &str) -> Result<Held, SinkError> {
        let connection = self.connect_there()?;
        connection
            .execute_batch("BEGIN")
            .map_err(|error| self.failed(&error))?;
        let held = self.load(&connection, source_id)?;
        self.connection = Some(connection);
        Ok(held)
    }

    fn end_read(&mut self) {
        self.connection = None;
    }

    fn drift(&mut self, held: &HeldTable) -> Result<Vec<String>, SinkError> {
        self.reading()?;
        self.differences(held).map_err(|error| self.failed(&error))
    }

    fn read(
        &mut self,
        held: &HeldTable,
        range: &KeyRange,
        each: EachRead<'_>,
    ) -> Result<(), SinkError> {
        self.reading()?;
        self.read_rows(held, range, each)
            .map_err(|error| self.failed(&error))
    }

    fn mend(
        &mut self,
        held: &HeldTable,
        at: &Cursor,
        rows: &[RowChange],
    ) -> Result<bool, SinkError> {
        self.connection = None;
        self.write(|sink, transaction| {
            let there = sink.load(transaction, &at.source_id)?.cursor;
            if there.as_ref() != Some(at) {
                return Ok(false);
            }
            for row in rows {
                let gone = RowChange {
                    before: row.before.clone().or_else(|| row.after.clone()),
                    after: None,
                    ..row.clone()
                };
                match sink.row(transaction, held, &gone) {
                    Err(error) if error.kind == stele_flow::SinkErrorKind::MissingRow => {}
                    done => done?,
                }
                let come = RowChange {
                    before: None,
                    ..row.clone()
                };
                sink.row(transaction, held, &come)?;
            }
            Ok(true)
        })
    }

    fn renew(&mut self, source_id: &str, table: &Arc<Table>) -> Result<(), SinkError> {
        let empty = HeldTable {
            target: self.naming.flat(table),
            table: table.clone(),
            load: Load::UpTo(Vec::new()),
        };
        self.connection = None;
        self.write(|sink, transaction| {
            let kind: Option<String> = transaction
                .query_row(
                    "SELECT type FROM sqlite_schema WHERE name = ?1",
                    [&empty.target],
                    |row| row.get(0),
                )
                .optional()
                .map_err(|error| sink.failed(&error))?;
            let name = define::name(&empty.target);
            let drop = kind.map_or(String::new(), |kind| format!("DROP {kind} {name};"));
            let sql = format!("{drop}{}", define::create(table, &empty.target));
            transaction
                .execute_batch(&sql)
                .map_err(|error| sink.refused_shape(&sql, &error))?;
            sink.put_table(transaction, source_id, &empty)?;
            // The owner must see it: what it remembers of the table is no longer so.
            let cursor = sink.load(transaction, source_id)?.cursor;
            let mut cursor = cursor.ok_or_else(|| memory::nothing_held(&sink.describe()))?;
            cursor.owner_epoch += 1;
            sink.put_cursor(transaction, &cursor)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_keys_are_read_by_value() {
        let connection = Connection::open_in_memory().unwrap();
        add_functions(&connection).unwrap();
        let sql = format!(
            "SELECT group_concat(v, ' ') FROM (SELECT column1 AS v FROM (VALUES ('10.00'), ('9.50'), ('-1.00'), ('0.00'), ('-12345678901234567890123456789012345678'), ('100000000.0')) ORDER BY {ORDER}(column1))"
        );
        let sorted: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(
            sorted,
            "-12345678901234567890123456789012345678 -1.00 0.00 9.50 10.00 100000000.0"
        );
    }
}
