//! Reading mirrored rows back from PostgreSQL, and mending them.

use std::sync::Arc;

use postgres::GenericClient;
use postgres::fallible_iterator::FallibleIterator as _;
use stele_flow::sink::EachRead;
use stele_flow::{
    Column, Cursor, Held, HeldTable, KeyRange, Load, Mirror, ReadRow, RowChange, SinkError,
    SinkErrorKind, Table,
};

use super::value::{from_text, to_text, type_name};
use super::{PostgresSink, connect, define, qualified};
use crate::memory;
use crate::naming::Naming;
use crate::readback::{self, FoundColumn};
use crate::target::Server;

/// What is remembered of the tables of a source.
pub(super) fn held_tables(
    client: &mut impl GenericClient,
    (server, naming): (&Server, &Naming),
    source_id: &str,
) -> Result<Vec<HeldTable>, SinkError> {
    let rows = client
        .query(
            "SELECT id, name, shape, filled_to FROM stele.stele_tables WHERE source_id = $1 ORDER BY id",
            &[&source_id],
        )
        .map_err(|error| connect::failed(server, &error))?;
    let rows = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)));
    memory::held_tables(&connect::describe(server), rows.collect(), |table| {
        naming.dotted(table)
    })
}

/// Whether the sink remembers anything.
pub(super) fn remembers(
    client: &mut impl GenericClient,
    server: &Server,
) -> Result<bool, SinkError> {
    let failed = |error: postgres::Error| connect::failed(server, &error);
    let there = client
        .query_one(
            "SELECT to_regclass('stele.stele_cursor') IS NOT NULL, to_regclass('stele.stele_tables') IS NOT NULL",
            &[],
        )
        .map_err(failed)?;
    let (cursor, tables): (bool, bool) = (there.get(0), there.get(1));
    if cursor && !tables {
        let stands = client.query_opt("SELECT 1 FROM stele.stele_cursor LIMIT 1", &[]);
        if stands.map_err(failed)?.is_some() {
            return Err(memory::forgotten(&connect::describe(server)));
        }
    }
    Ok(cursor && tables)
}

/// A cursor as it was read: `cursor, height, block_hash`.
pub(super) fn cursor_row(row: &postgres::Row) -> memory::CursorRow {
    (row.get(0), row.get(1), row.get(2))
}

/// What is held of a source whose cursor's row was read.
pub(super) fn held(
    client: &mut impl GenericClient,
    (server, naming): (&Server, &Naming),
    source_id: &str,
    cursor: Option<memory::CursorRow>,
) -> Result<Held, SinkError> {
    let target = connect::describe(server);
    let tables = held_tables(client, (server, naming), source_id)?;
    let cursor = cursor.map(|row| memory::cursor_shown(&target, source_id, row));
    Ok(Held {
        cursor: cursor.transpose()?,
        tables,
    })
}

impl PostgresSink {
    pub(super) fn reading(&mut self) -> Result<&mut postgres::Client, SinkError> {
        self.client
            .as_mut()
            .ok_or_else(|| SinkError::new(SinkErrorKind::Other, "no read was begun"))
    }

    fn read_rows(
        &mut self,
        held: &HeldTable,
        range: &KeyRange,
        each: EachRead<'_>,
    ) -> Result<(), postgres::Error> {
        let table = &*held.table;
        let Some(client) = self.client.as_mut() else {
            return Ok(());
        };
        let mut conditions = Vec::new();
        let mut texts = Vec::new();
        // Of the table: bare names in ORDER BY are those of the texts read.
        let keys: Vec<String> = table
            .key_columns()
            .map(|column| format!("t.{}", define::name(&column.name)))
            .collect();
        let keys = keys.join(", ");
        for (sign, bound) in [(">=", &range.from), ("<", &range.to)] {
            let Some(bound) = bound else { continue };
            let mut marks = Vec::new();
            for (column, value) in table.key_columns().zip(bound) {
                texts.push(to_text(column.ty, value));
                marks.push(format!(
                    "${}::text::{}",
                    texts.len(),
                    type_name(column.ty, true)
                ));
            }
            conditions.push(format!("({keys}) {sign} ({})", marks.join(", ")));
        }
        let condition = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| format!("t.{}::text", define::name(&column.name)))
            .collect();
        let sql = format!(
            "SELECT {} FROM ONLY {} AS t{condition} ORDER BY {keys}",
            columns.join(", "),
            qualified(&held.target)
        );
        let mut rows = client.query_raw(&sql, texts)?;
        while let Some(row) = rows.next()? {
            if !each(read_row(table, &row)?) {
                break;
            }
        }
        Ok(())
    }

    fn differences(&mut self, held: &HeldTable) -> Result<Vec<String>, postgres::Error> {
        let Some(client) = self.client.as_mut() else {
            return Ok(Vec::new());
        };
        let name = qualified(&held.target);
        let kind = client.query_opt(
            "SELECT relkind::text FROM pg_class WHERE oid = to_regclass($1)",
            &[&name],
        )?;
        match kind.map(|row| row.get::<_, String>(0)).as_deref() {
            None => return Ok(vec!["it is not there".to_owned()]),
            Some("r") => {}
            Some(_) => return Ok(vec!["it is no table".to_owned()]),
        }
        let columns = client.query(
            "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod),
                    coalesce((SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index AS i
                              WHERE i.indrelid = a.attrelid AND i.indisprimary), -1)::int4,
                    coalesce((SELECT c.collname::text FROM pg_collation AS c WHERE c.oid = a.attcollation), '')
             FROM pg_attribute AS a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
            &[&name],
        )?;
        let found: Vec<FoundColumn> = columns
            .iter()
            .map(|row| {
                let collation: String = row.get(3);
                let key = usize::try_from(row.get::<_, i32>(2)).ok();
                FoundColumn {
                    name: row.get(0),
                    ty: row.get(1),
                    // Only the order of keys depends on it.
                    collation: Some(collation).filter(|name| key.is_some() && !name.is_empty()),
                    // `indkey` counts from 0.
                    key,
                }
            })
            .collect();
        let wanted = |column: &Column| type_name(column.ty, false);
        let mut told = readback::differences(&held.table, &found, wanted, "C");
        let heirs = client.query(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass($1) ORDER BY 1",
            &[&name],
        )?;
        told.extend(heirs.iter().map(|row| {
            let heir: String = row.get(0);
            format!("table {heir} inherits from it: readers see its rows here")
        }));
        Ok(told)
    }
}

fn read_row(table: &Table, row: &postgres::Row) -> Result<ReadRow, postgres::Error> {
    let read = |(at, column): (usize, &Column)| {
        let found = row.try_get::<_, Option<&str>>(at)?;
        Ok(from_text(column.ty, found))
    };
    let columns = table.columns.iter().enumerate().map(read);
    let columns = columns.collect::<Result<Vec<_>, postgres::Error>>()?;
    Ok(readback::row(table, columns.into_iter()))
}

impl Mirror for PostgresSink {
    fn begin_read(&mut self, source_id: &str) -> Result<Held, SinkError> {
        self.client = None;
        let mut client = connect::connect(&self.server, self.password.as_ref())?;
        let failed = |error| connect::failed(&self.server, &error);
        client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .map_err(failed)?;
        let held = match remembers(&mut client, &self.server)? {
            false => Held::default(),
            true => {
                let found = client
                    .query_opt(
                        "SELECT cursor, height, block_hash FROM stele.stele_cursor WHERE source_id = $1",
                        &[&source_id],
                    )
                    .map_err(failed)?;
                let cursor = found.map(|row| cursor_row(&row));
                held(&mut client, (&self.server, &self.naming), source_id, cursor)?
            }
        };
        self.client = Some(client);
        Ok(held)
    }

    fn end_read(&mut self) {
        self.client = None;
    }

    fn drift(&mut self, held: &HeldTable) -> Result<Vec<String>, SinkError> {
        self.reading()?;
        self.differences(held)
            .map_err(|error| connect::failed(&self.server, &error))
    }

    fn read(
        &mut self,
        held: &HeldTable,
        range: &KeyRange,
        each: EachRead<'_>,
    ) -> Result<(), SinkError> {
        self.reading()?;
        self.read_rows(held, range, each)
            .map_err(|error| connect::failed(&self.server, &error))
    }

    fn mend(
        &mut self,
        held: &HeldTable,
        at: &Cursor,
        rows: &[RowChange],
    ) -> Result<bool, SinkError> {
        self.client = None;
        self.write(|work| {
            if work.load_locked(&at.source_id)?.cursor.as_ref() != Some(at) {
                return Ok(false);
            }
            let all: Vec<&RowChange> = rows.iter().collect();
            for some in all.chunks(super::KEYS_AT_ONCE) {
                work.delete(held, some)?;
            }
            work.insert(held, rows)?;
            Ok(true)
        })
    }

    fn renew(&mut self, source_id: &str, table: &Arc<Table>) -> Result<(), SinkError> {
        let empty = HeldTable {
            target: self.naming.dotted(table),
            table: table.clone(),
            load: Load::UpTo(Vec::new()),
        };
        self.client = None;
        self.write(|work| {
            let cursor = work.load_locked(source_id)?.cursor;
            let name = qualified(&empty.target);
            let kind = work
                .transaction
                .query_opt(
                    "SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END FROM pg_class WHERE oid = to_regclass($1)",
                    &[&name],
                )
                .map_err(|error| work.failed(&error))?;
            if let Some(kind) = kind {
                work.run(&format!("DROP {} {name}", kind.get::<_, String>(0)))?;
            }
            if let Some((schema, _)) = empty.target.split_once('.') {
                work.run(&format!("CREATE SCHEMA IF NOT EXISTS {}", define::name(schema)))?;
            }
            work.run(&define::create(table, &name))?;
            work.put_table(source_id, &empty)?;
            // The owner must see it: what it remembers of the table is no longer so.
            let mut cursor = cursor.ok_or_else(|| memory::nothing_held(&work.describe()))?;
            cursor.owner_epoch += 1;
            work.put_cursor(&cursor)
        })
    }
}
