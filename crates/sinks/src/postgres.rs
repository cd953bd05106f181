//! PostgreSQL as a sink. A batch and its cursor are one transaction, changes of shapes among it. Rows come by
//! COPY and go by their keys; a row that changes goes and comes.

mod connect;
mod define;
mod foreign;
mod read;
mod value;

use std::io::Write as _;
use std::sync::Arc;

use postgres::{Client, Transaction};
use stele_core::codec::Encode as _;
use stele_flow::{
    Batch, Cursor, Held, HeldTable, Load, RowChange, Sink, SinkError, SinkErrorKind, Step, Table,
};

use crate::memory;
use crate::naming::Naming;
use crate::target::{Password, Server};
pub(crate) use value::put_copy;
use value::to_text;

/// Bytes of COPY data sent at once.
const COPY_PIECE_LEN: usize = 256 * 1024;
/// Keys deleted by one statement.
const KEYS_AT_ONCE: usize = 10_000;

const MEMORY_SQL: &str = "
CREATE SCHEMA IF NOT EXISTS stele;
CREATE TABLE IF NOT EXISTS stele.stele_cursor (
    source_id text PRIMARY KEY, height bigint NOT NULL, block_hash text NOT NULL, cursor bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS stele.stele_tables (
    source_id text, id bigint, name text NOT NULL, shape bytea NOT NULL, filled_to bytea,
    PRIMARY KEY (source_id, id)
);";

/// A PostgreSQL database.
pub struct PostgresSink {
    server: Server,
    password: Option<Password>,
    naming: Naming,
    client: Option<Client>,
    cursor: Option<Cursor>,
    tables: Vec<HeldTable>,
}

/// The transaction under way, and what its errors mean.
struct Work<'w, 'c> {
    server: &'w Server,
    naming: &'w Naming,
    transaction: Transaction<'c>,
}

impl PostgresSink {
    /// The sink of a database.
    #[must_use]
    pub fn new(server: Server, password: Option<Password>, naming: Naming) -> Self {
        Self {
            server,
            password,
            naming,
            client: None,
            cursor: None,
            tables: Vec::new(),
        }
    }

    /// Runs one transaction; on failure nothing of it stays, and the connection is made anew.
    fn write<T>(
        &mut self,
        run: impl FnOnce(&mut Work<'_, '_>) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        let mut client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => connect::connect(&self.server, self.password.as_ref())?,
        };
        let done = self.in_transaction(&mut client, run)?;
        self.client = Some(client);
        Ok(done)
    }

    fn in_transaction<T>(
        &self,
        client: &mut Client,
        run: impl FnOnce(&mut Work<'_, '_>) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        let failed = |error| connect::failed(&self.server, &error);
        let mut work = Work {
            transaction: client.transaction().map_err(failed)?,
            server: &self.server,
            naming: &self.naming,
        };
        let done = run(&mut work)?;
        work.transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

/// A table's name in SQL, from the one remembered: `schema.name`, the schema without a dot in it.
fn qualified(target: &str) -> String {
    match target.split_once('.') {
        Some((schema, name)) => format!("{}.{}", define::name(schema), define::name(name)),
        None => define::name(target),
    }
}

impl Work<'_, '_> {
    fn describe(&self) -> String {
        connect::describe(self.server)
    }

    fn failed(&self, error: &postgres::Error) -> SinkError {
        connect::failed(self.server, error)
    }

    fn run(&mut self, sql: &str) -> Result<(), SinkError> {
        self.transaction
            .batch_execute(sql)
            .map_err(|error| connect::failed(self.server, &error))
    }

    /// What is held of a source; nobody else writes it until the transaction ends.
    fn load_locked(&mut self, source_id: &str) -> Result<Held, SinkError> {
        let found = self
            .transaction
            .query_opt(
                "SELECT cursor, height, block_hash FROM stele.stele_cursor WHERE source_id = $1 FOR UPDATE",
                &[&source_id],
            )
            .map_err(|error| self.failed(&error))?;
        read::held(
            &mut self.transaction,
            (self.server, self.naming),
            source_id,
            found.map(|row| read::cursor_row(&row)),
        )
    }

    /// Whether there is a cursor of a source, whatever stands in it.
    fn knows(&mut self, source_id: &str) -> Result<bool, SinkError> {
        let sql = "SELECT 1 FROM stele.stele_cursor WHERE source_id = $1";
        let found = self.transaction.query_opt(sql, &[&source_id]);
        Ok(found.map_err(|error| self.failed(&error))?.is_some())
    }

    fn put_cursor(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        let height = memory::height_shown(cursor);
        self.transaction
            .execute(
                "INSERT INTO stele.stele_cursor VALUES ($1, $2, $3, $4) ON CONFLICT (source_id)
                 DO UPDATE SET height = excluded.height, block_hash = excluded.block_hash, cursor = excluded.cursor",
                &[
                    &cursor.source_id,
                    &height,
                    &cursor.block_hash.to_string(),
                    &cursor.encode_to_vec(),
                ],
            )
            .map(drop)
            .map_err(|error| self.failed(&error))
    }

    fn put_table(&mut self, source_id: &str, held: &HeldTable) -> Result<(), SinkError> {
        self.transaction
            .execute(
                "INSERT INTO stele.stele_tables VALUES ($1, $2, $3, $4, $5) ON CONFLICT (source_id, id)
                 DO UPDATE SET name = excluded.name, shape = excluded.shape, filled_to = excluded.filled_to",
                &[
                    &source_id,
                    &i64::from(held.table.id.0),
                    &held.target,
                    &memory::shape_bytes(&held.table),
                    &memory::load_bytes(&held.load),
                ],
            )
            .map(drop)
            .map_err(|error| self.failed(&error))
    }

    fn check_free(&mut self, table: &Table, target: &str) -> Result<(), SinkError> {
        let taken = self
            .transaction
            .query_opt(
                "SELECT 1 WHERE to_regclass($1) IS NOT NULL",
                &[&qualified(target)],
            )
            .map_err(|error| self.failed(&error))?;
        match taken {
            None => Ok(()),
            Some(_) => Err(memory::name_taken(
                &self.describe(),
                table,
                target,
                "another relation",
            )),
        }
    }

    /// The name a table is to have, remembered as `schema.name`; makes the schema.
    fn target(&mut self, table: &Table) -> Result<String, SinkError> {
        let (schema, name) = self.naming.in_schema(table);
        if schema.contains('.') {
            return Err(SinkError::new(
                SinkErrorKind::Unfit,
                format!(
                    "{}: the schema {schema} has a dot in its name",
                    self.describe()
                ),
            )
            .remedy(format!(
                "add the replica with another name for the table (--map {table}=SCHEMA.NAME)"
            )));
        }
        self.run(&format!(
            "CREATE SCHEMA IF NOT EXISTS {}",
            define::name(&schema)
        ))?;
        Ok(format!("{schema}.{name}"))
    }

    fn define(
        &mut self,
        source_id: &str,
        before: Option<&Table>,
        after: Option<&Arc<Table>>,
        tables: &mut Vec<HeldTable>,
    ) -> Result<(), SinkError> {
        match (before, after) {
            (None, None) => {}
            (None, Some(table)) => {
                let target = self.target(table)?;
                self.check_free(table, &target)?;
                self.run(&define::create(table, &qualified(&target)))?;
                let held = HeldTable {
                    table: table.clone(),
                    target,
                    load: Load::Done,
                };
                self.put_table(source_id, &held)?;
                tables.push(held);
            }
            (Some(before), None) => {
                let place = tables.iter().position(|held| held.table.id == before.id);
                let held =
                    tables.remove(place.ok_or_else(|| memory::unknown(&self.describe(), before))?);
                self.run(&format!("DROP TABLE {}", qualified(&held.target)))?;
                self.transaction
                    .execute(
                        "DELETE FROM stele.stele_tables WHERE source_id = $1 AND id = $2",
                        &[&source_id, &i64::from(before.id.0)],
                    )
                    .map_err(|error| self.failed(&error))?;
            }
            (Some(before), Some(after)) => {
                let held = tables.iter_mut().find(|held| held.table.id == before.id);
                let held = held.ok_or_else(|| memory::unknown(&self.describe(), before))?;
                for sql in define::alter(before, after, &qualified(&held.target)) {
                    self.run(&sql)?;
                }
                let (old, new) = (self.naming.in_schema(before), self.naming.in_schema(after));
                if old != new && format!("{}.{}", old.0, old.1) == held.target {
                    let target = self.target(after)?;
                    self.check_free(after, &target)?;
                    self.rename(&held.target, &old, &new)?;
                    held.target = target;
                }
                held.table = after.clone();
                self.put_table(source_id, held)?;
            }
        }
        Ok(())
    }

    fn rename(
        &mut self,
        target: &str,
        old: &(String, String),
        new: &(String, String),
    ) -> Result<(), SinkError> {
        if old.0 != new.0 {
            self.run(&format!(
                "ALTER TABLE {} SET SCHEMA {}",
                qualified(target),
                define::name(&new.0)
            ))?;
        }
        if old.1 != new.1 {
            self.run(&format!(
                "ALTER TABLE {}.{} RENAME TO {}",
                define::name(&new.0),
                define::name(&old.1),
                define::name(&new.1)
            ))?;
        }
        Ok(())
    }

    fn rows(&mut self, held: &HeldTable, rows: &[RowChange]) -> Result<(), SinkError> {
        let gone: Vec<&RowChange> = rows.iter().filter(|row| row.before.is_some()).collect();
        for some in gone.chunks(KEYS_AT_ONCE) {
            let deleted = self.delete(held, some)?;
            if deleted != some.len() as u64 {
                return Err(self.missing(held, some));
            }
        }
        self.insert(held, rows)
    }

    /// Deletes rows by key; says how many there were.
    fn delete(&mut self, held: &HeldTable, rows: &[&RowChange]) -> Result<u64, SinkError> {
        let (keys, columns) = Self::keys(held, rows);
        let sql = format!(
            "DELETE FROM ONLY {} AS t USING {} WHERE {}",
            qualified(&held.target),
            keys_from(&held.table),
            keys_equal(&held.table)
        );
        let parameters: Vec<&(dyn postgres::types::ToSql + Sync)> =
            keys.iter().map(|key| key as _).collect();
        debug_assert_eq!(parameters.len(), columns);
        self.transaction
            .execute(&sql, &parameters)
            .map_err(|error| self.failed(&error))
    }

    /// The key's columns as arrays of texts.
    fn keys(held: &HeldTable, rows: &[&RowChange]) -> (Vec<Vec<Option<String>>>, usize) {
        let columns: Vec<_> = held.table.key_columns().collect();
        let mut keys = vec![Vec::with_capacity(rows.len()); columns.len()];
        for row in rows {
            let key = row.key_of(&held.table);
            for ((column, value), texts) in columns.iter().zip(key).zip(&mut keys) {
                texts.push(to_text(column.ty, value));
            }
        }
        (keys, columns.len())
    }

    /// Names a row that was to change and is not there. The transaction is over then.
    fn missing(&self, held: &HeldTable, rows: &[&RowChange]) -> SinkError {
        // Deleted rows are gone from this transaction's sight, so what was there before is not known
        // any more: one key stands for all of them when only one was asked for.
        let table = &held.table;
        let key = match rows {
            [row] => table.key_text(&row.key_of(table)),
            rows => {
                let shown = |row: Option<&&RowChange>| {
                    row.map_or(String::new(), |row| table.key_text(&row.key_of(table)))
                };
                format!(
                    "among {} from {} to {}",
                    rows.len(),
                    shown(rows.first()),
                    shown(rows.last())
                )
            }
        };
        memory::missing_row(&self.describe(), &held.target, &key)
    }

    fn insert(&mut self, held: &HeldTable, rows: &[RowChange]) -> Result<(), SinkError> {
        if rows.iter().all(|row| row.after.is_none()) {
            return Ok(());
        }
        let server = self.server;
        let columns = &held.table.columns;
        let sql = format!(
            "COPY {} ({}) FROM STDIN",
            qualified(&held.target),
            define::names(columns.iter())
        );
        let failed = |error: &postgres::Error| connect::failed(server, error);
        let mut writer = self
            .transaction
            .copy_in(&sql)
            .map_err(|error| failed(&error))?;
        let mut piece = Vec::with_capacity(COPY_PIECE_LEN + COPY_PIECE_LEN / 4);
        let mut sent = Ok(());
        for values in rows.iter().filter_map(|row| row.after.as_ref()) {
            for (place, (column, value)) in columns.iter().zip(values).enumerate() {
                if place > 0 {
                    piece.push(b'\t');
                }
                put_copy(&mut piece, column.ty, value);
            }
            piece.push(b'\n');
            if piece.len() >= COPY_PIECE_LEN {
                sent = writer.write_all(&piece);
                piece.clear();
                if sent.is_err() {
                    break;
                }
            }
        }
        if sent.is_ok() {
            sent = writer.write_all(&piece);
        }
        // The server's own word, if it broke off, comes with the end.
        match (sent, writer.finish()) {
            (_, Err(error)) => Err(failed(&error)),
            (Err(error), Ok(_)) => Err(SinkError::new(
                SinkErrorKind::Unreachable,
                format!("{}: {error}", connect::describe(server)),
            )),
            (Ok(()), Ok(_)) => Ok(()),
        }
    }
}

/// `unnest` of arrays of texts, read as the key's types.
fn keys_from(table: &Table) -> String {
    let mut arrays = Vec::new();
    let mut plain = Vec::new();
    let mut typed = Vec::new();
    for (at, column) in (1..).zip(table.key_columns()) {
        arrays.push(format!("${at}::text[]"));
        plain.push(format!("k{at}"));
        typed.push(format!(
            "k{at}::{} AS k{at}",
            value::type_name(column.ty, false)
        ));
    }
    format!(
        "(SELECT {} FROM unnest({}) AS given({})) AS k",
        typed.join(", "),
        arrays.join(", "),
        plain.join(", ")
    )
}

fn keys_equal(table: &Table) -> String {
    let columns = (1..).zip(table.key_columns());
    let equal: Vec<String> = columns
        .map(|(at, column)| format!("t.{} = k.k{at}", define::name(&column.name)))
        .collect();
    equal.join(" AND ")
}

impl Sink for PostgresSink {
    fn describe(&self) -> String {
        connect::describe(&self.server)
    }

    fn open(&mut self, source_id: &str) -> Result<Held, SinkError> {
        self.client = None;
        let (held, cursor) = self.write(|work| {
            if !read::remembers(&mut work.transaction, work.server)? {
                work.run(MEMORY_SQL)?;
            }
            let held = work.load_locked(source_id)?;
            let (held, cursor) = memory::taken_over(held, source_id);
            work.put_cursor(&cursor)?;
            Ok((held, cursor))
        })?;
        self.cursor = Some(cursor);
        self.tables.clone_from(&held.tables);
        Ok(held)
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let own = self.cursor.clone().ok_or_else(memory::unopened)?;
        let mut tables = self.tables.clone();
        let (cursor, tables) = self.write(|work| {
            let held = work.load_locked(&own.source_id)?;
            if held.cursor.as_ref() != Some(&own) {
                let found = held.cursor.as_ref();
                return Err(memory::not_own(&work.describe(), &own, found));
            }
            let mut cursor = own;
            for step in &batch.steps {
                match step {
                    Step::Table { before, after } => {
                        let before = before.as_deref();
                        work.define(&cursor.source_id, before, after.as_ref(), &mut tables)?;
                    }
                    Step::Rows(table, rows) => {
                        let held = tables.iter().find(|held| held.table.id == table.id);
                        work.rows(
                            held.ok_or_else(|| memory::unknown(&work.describe(), table))?,
                            rows,
                        )?;
                    }
                }
            }
            for (id, load) in &batch.loads {
                if let Some(held) = tables.iter_mut().find(|held| held.table.id == *id) {
                    held.load = load.clone();
                    work.put_table(&cursor.source_id, held)?;
                }
            }
            if let Some(position) = batch.position {
                cursor.height = position.height;
                cursor.block_hash = position.hash;
            }
            work.put_cursor(&cursor)?;
            Ok((cursor, tables))
        })?;
        self.cursor = Some(cursor);
        self.tables = tables;
        Ok(())
    }

    fn held(&self) -> &[HeldTable] {
        &self.tables
    }

    fn remove(&mut self, source_id: &str, tables: bool) -> Result<(), SinkError> {
        self.write(|work| {
            if tables {
                let there = read::remembers(&mut work.transaction, work.server)?;
                if !there || !work.knows(source_id)? {
                    return Err(memory::nothing_held(&work.describe()));
                }
            }
            work.run(MEMORY_SQL)?;
            let own = match tables {
                true => {
                    read::held_tables(&mut work.transaction, (work.server, work.naming), source_id)?
                }
                false => Vec::new(),
            };
            for held in own {
                work.run(&format!("DROP TABLE IF EXISTS {}", qualified(&held.target)))?;
            }
            for table in [memory::TABLES_TABLE, memory::CURSOR_TABLE] {
                let sql = format!("DELETE FROM stele.{table} WHERE source_id = $1");
                work.transaction
                    .execute(&sql, &[&source_id])
                    .map_err(|error| work.failed(&error))?;
            }
            let others = work
                .transaction
                .query_opt("SELECT 1 FROM stele.stele_cursor LIMIT 1", &[])
                .map_err(|error| work.failed(&error))?;
            if others.is_none() {
                work.run("DROP TABLE stele.stele_cursor, stele.stele_tables")?;
                let empty = work
                    .transaction
                    .query_opt(
                        "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'stele'::regnamespace) AND pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = 'stele'), 'MEMBER')",
                        &[],
                    )
                    .map_err(|error| work.failed(&error))?;
                if empty.is_some() {
                    work.run("DROP SCHEMA stele")?;
                }
            }
            Ok(())
        })?;
        self.client = None;
        Ok(())
    }
}
