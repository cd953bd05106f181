//! Reading mirrored rows back from MySQL and MariaDB, and mending them.

use std::sync::Arc;

use mysql::Params;
use mysql::prelude::Queryable as _;
use stele_core::{Type, Value};
use stele_flow::sink::EachRead;
use stele_flow::{
    Column, Cursor, Held, HeldTable, KeyRange, Load, Mirror, ReadRow, RowChange, Sink as _,
    SinkError, SinkErrorKind, Table,
};

use super::value::{Types, from_mysql, to_mysql};
use super::{MySqlSink, define, rows};
use crate::memory;
use crate::readback::{self, FoundColumn};

/// A column as the server describes it: name, type, collation, place in the primary key.
type ColumnRow = (String, String, Option<String>, Option<u64>);

impl MySqlSink {
    /// What is read: the columns; of others' tables, whatever is taken as text is written as text by the server.
    fn selected(&self, table: &Table) -> String {
        let columns = table.columns.iter().map(|column| {
            let name = define::name(&column.name);
            match self.is_foreign && column.ty == Type::Text {
                true => format!("CAST({name} AS CHAR)"),
                false => name,
            }
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    fn check_reading(&self) -> Result<(), SinkError> {
        match self.connected {
            Some(_) => Ok(()),
            None => Err(SinkError::new(SinkErrorKind::Other, "no read was begun")),
        }
    }
}

/// `key >= bound` or `key < bound`, column by column: so the server can use the primary key.
fn condition(
    table: &Table,
    bound: &[Value],
    strict_sign: &str,
    with_equal: bool,
    values: &mut Vec<mysql::Value>,
) -> String {
    let columns: Vec<_> = table.key_columns().zip(bound).collect();
    let mut parts = Vec::new();
    for last in 0..columns.len() {
        let mut equal = Vec::new();
        for (at, (column, value)) in columns.iter().enumerate().take(last + 1) {
            let sign = match at {
                _ if at < last => "=",
                _ if with_equal && last + 1 == columns.len() => {
                    if strict_sign == ">" {
                        ">="
                    } else {
                        "<="
                    }
                }
                _ => strict_sign,
            };
            equal.push(format!("{} {sign} ?", define::name(&column.name)));
            values.push(to_mysql(column.ty, value));
        }
        parts.push(format!("({})", equal.join(" AND ")));
    }
    format!("({})", parts.join(" OR "))
}

fn read_row(table: &Table, row: mysql::Row) -> ReadRow {
    let columns = table.columns.iter().zip(row.unwrap());
    readback::row(
        table,
        columns.map(|(column, found)| from_mysql(column.ty, found)),
    )
}

impl Mirror for MySqlSink {
    fn begin_read(&mut self, source_id: &str) -> Result<Held, SinkError> {
        self.connected = None;
        self.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")?;
        if !self.remembers()? {
            return Ok(Held::default());
        }
        Ok(self.load(source_id, false)?.0)
    }

    fn end_read(&mut self) {
        self.connected = None;
    }

    fn drift(&mut self, held: &HeldTable) -> Result<Vec<String>, SinkError> {
        self.check_reading()?;
        let target = &held.target;
        let connected = self.connected()?;
        let types = Types::of(&held.table, connected.collation);
        let collation = connected.collation;
        let found: mysql::Result<Vec<ColumnRow>> = connected.conn.exec(
            "SELECT c.column_name, c.column_type, c.collation_name, k.ordinal_position
             FROM information_schema.columns AS c LEFT JOIN information_schema.key_column_usage AS k
               ON k.table_schema = c.table_schema AND k.table_name = c.table_name
              AND k.column_name = c.column_name AND k.constraint_name = 'PRIMARY'
             WHERE c.table_schema = database() AND c.table_name = ?",
            (target,),
        );
        let found = found.map_err(|error| self.failed(&error))?;
        if found.is_empty() {
            return Ok(vec!["it is not there".to_owned()]);
        }
        let found: Vec<FoundColumn> = found
            .into_iter()
            .map(|(name, ty, collation, place)| FoundColumn {
                name,
                ty: plain_type(&ty),
                collation,
                key: place
                    .and_then(|place| usize::try_from(place).ok())
                    .and_then(|place| place.checked_sub(1)),
            })
            .collect();
        let wanted = |column: &Column| types.name(&held.table, column);
        let mut told = readback::differences(&held.table, &found, wanted, collation);
        if let Some(engine) = self.other_engine(target)? {
            told.push(super::told_engine(target, &engine));
        }
        Ok(told)
    }

    fn read(
        &mut self,
        held: &HeldTable,
        range: &KeyRange,
        each: EachRead<'_>,
    ) -> Result<(), SinkError> {
        self.check_reading()?;
        let table = &*held.table;
        let mut values = Vec::new();
        let mut conditions = Vec::new();
        if let Some(from) = &range.from {
            conditions.push(condition(table, from, ">", true, &mut values));
        }
        if let Some(to) = &range.to {
            conditions.push(condition(table, to, "<", false, &mut values));
        }
        let condition = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let sql = format!(
            "SELECT {} FROM {}{condition} ORDER BY {}",
            self.selected(table),
            define::name(&held.target),
            define::names(table.key_columns())
        );
        let params = match values.is_empty() {
            true => Params::Empty,
            false => Params::Positional(values),
        };
        let conn = &mut self.connected()?.conn;
        let read = (|| {
            let rows = conn.exec_iter(&sql, params)?;
            for row in rows {
                if !each(read_row(table, row?)) {
                    break;
                }
            }
            Ok(())
        })();
        read.map_err(|error| self.failed(&error))
    }

    fn mend(
        &mut self,
        held: &HeldTable,
        at: &Cursor,
        rows: &[RowChange],
    ) -> Result<bool, SinkError> {
        self.connected = None;
        let server = self.server.clone();
        self.write(|sink| {
            if sink.load(&at.source_id, true)?.0.cursor.as_ref() != Some(at) {
                return Ok(false);
            }
            let all: Vec<&RowChange> = rows.iter().collect();
            rows::delete(&server, sink.connected()?, held, &all, false)?;
            rows::insert(&server, sink.connected()?, held, rows)?;
            Ok(true)
        })
    }

    fn renew(&mut self, source_id: &str, table: &Arc<Table>) -> Result<(), SinkError> {
        let empty = HeldTable {
            target: self.target(table)?,
            table: table.clone(),
            load: Load::UpTo(Vec::new()),
        };
        self.connected = None;
        let name = define::name(&empty.target);
        // The owner must see it: what it remembers of the table is no longer so.
        self.write(|sink| {
            let (there, _) = sink.load(source_id, true)?;
            let cursor = there.cursor;
            let mut cursor = cursor.ok_or_else(|| memory::nothing_held(&sink.describe()))?;
            cursor.owner_epoch += 1;
            sink.put_cursor(&cursor, Some(&format!("create {}", empty.target)))?;
            sink.put_table(source_id, &empty)
        })?;
        self.run(&format!("DROP VIEW IF EXISTS {name}"))
            .or_else(|error| match error.kind {
                SinkErrorKind::Other => Ok(()),
                _ => Err(error),
            })?;
        self.run(&format!("DROP TABLE IF EXISTS {name}"))?;
        let collation = self.connected()?.collation;
        self.run(&define::create(table, &empty.target, collation))
    }
}

/// A type as the server shows it, without what it says of integers' display width.
fn plain_type(ty: &str) -> String {
    for integer in ["smallint", "int", "bigint"] {
        if let Some(rest) = ty.strip_prefix(integer)
            && rest.starts_with('(')
        {
            return integer.to_owned();
        }
    }
    ty.to_owned()
}
