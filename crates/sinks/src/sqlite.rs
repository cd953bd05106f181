//! A SQLite file as a sink. A batch and its cursor are one transaction of SQLite, changes of shapes among it.

mod connect;
mod define;
mod foreign;
mod read;
mod value;

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior};
use stele_core::codec::Encode as _;
use stele_flow::{
    Batch, Cursor, Held, HeldTable, Load, RowChange, Sink, SinkError, SinkErrorKind, Step, Table,
};

use crate::memory;
use crate::naming::Naming;
use value::to_sqlite;

const MEMORY_SQL: &str = "
CREATE TABLE IF NOT EXISTS stele_cursor (
    source_id TEXT PRIMARY KEY, height INTEGER NOT NULL, block_hash TEXT NOT NULL, cursor BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS stele_tables (
    source_id TEXT, id INTEGER, name TEXT NOT NULL, shape BLOB NOT NULL, filled_to BLOB,
    PRIMARY KEY (source_id, id)
) STRICT;";

/// A SQLite file.
pub struct SqliteSink {
    path: PathBuf,
    naming: Naming,
    /// Whether other programs wrote it: values are read in whatever form they have.
    is_foreign: bool,
    connection: Option<Connection>,
    /// Device and number of the file that is open.
    opened: Option<(u64, u64)>,
    cursor: Option<Cursor>,
    tables: Vec<HeldTable>,
}

/// What is remembered of the tables of a source.
fn table_rows(connection: &Connection, source_id: &str) -> rusqlite::Result<Vec<memory::TableRow>> {
    let mut statement = connection.prepare(
        "SELECT id, name, shape, filled_to FROM stele_tables WHERE source_id = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([source_id], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.collect()
}

impl SqliteSink {
    /// The sink of a file, which is made if it is not there.
    #[must_use]
    pub fn new(path: PathBuf, naming: Naming) -> Self {
        Self {
            path,
            naming,
            is_foreign: false,
            connection: None,
            opened: None,
            cursor: None,
            tables: Vec::new(),
        }
    }

    /// A file that other programs wrote, to be read only.
    #[must_use]
    pub(crate) fn foreign(path: PathBuf) -> Self {
        Self {
            is_foreign: true,
            ..Self::new(path, Naming::default())
        }
    }

    /// Tables that a ledger wrote into the file, whichever it was.
    fn mirrored(&self, connection: &Connection) -> Result<Vec<HeldTable>, SinkError> {
        let read = || {
            let there: bool = connection.query_row(
                "SELECT count(*) = 1 FROM sqlite_schema WHERE name = 'stele_tables'",
                [],
                |row| row.get(0),
            )?;
            if !there {
                return Ok(Vec::new());
            }
            let mut statement = connection.prepare("SELECT name, shape FROM stele_tables")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, Vec<u8>)>>>()
        };
        let tables = read().map_err(|error| self.failed(&error))?;
        let target = self.describe();
        tables
            .into_iter()
            .map(|(name, shape)| memory::held_table(&target, name, &shape, None))
            .collect()
    }

    /// What is held of a source, read from the file.
    fn load(&self, connection: &Connection, source_id: &str) -> Result<Held, SinkError> {
        let target = self.describe();
        let read = || {
            let cursor: Option<memory::CursorRow> = connection
                .query_row(
                    "SELECT cursor, height, block_hash FROM stele_cursor WHERE source_id = ?1",
                    [source_id],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()?;
            Ok((cursor, table_rows(connection, source_id)?))
        };
        if !self.remembers(connection)? {
            return Ok(Held::default());
        }
        let (cursor, tables) = read().map_err(|error| self.failed(&error))?;
        let cursor = cursor.map(|row| memory::cursor_shown(&target, source_id, row));
        Ok(Held {
            cursor: cursor.transpose()?,
            tables: self.own_tables(tables)?,
        })
    }

    /// Whether the sink remembers anything.
    fn remembers(&self, connection: &Connection) -> Result<bool, SinkError> {
        let is_there = |name: &str| {
            let sql = "SELECT count(*) = 1 FROM sqlite_schema WHERE name = ?1";
            connection.query_row(sql, [name], |row| row.get(0))
        };
        let read = || {
            let there: (bool, bool) = (
                is_there(memory::CURSOR_TABLE)?,
                is_there(memory::TABLES_TABLE)?,
            );
            let stands = match there {
                (true, false) => {
                    let sql = "SELECT count(*) > 0 FROM stele_cursor";
                    connection.query_row(sql, [], |row| row.get(0))?
                }
                _ => false,
            };
            Ok((there.0 && there.1, stands))
        };
        match read().map_err(|error| self.failed(&error))? {
            (_, true) => Err(memory::forgotten(&self.describe())),
            (there, false) => Ok(there),
        }
    }

    fn own_tables(&self, rows: Vec<memory::TableRow>) -> Result<Vec<HeldTable>, SinkError> {
        memory::held_tables(&self.describe(), rows, |table| self.naming.flat(table))
    }

    /// Runs one write transaction; on failure nothing of it stays.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &Transaction<'_>) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => {
                if self.identity() != self.opened {
                    drop(connection);
                    let moved = format!("{}: the file was moved or replaced", self.describe());
                    return Err(SinkError::new(SinkErrorKind::Refused, moved)
                        .remedy("move it back; else it is made anew and filled"));
                }
                connection
            }
            None => {
                let connection = self.connect()?;
                self.opened = self.identity();
                connection
            }
        };
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| self.failed(&error))?;
        let done = work(self, &transaction)?;
        transaction.commit().map_err(|error| self.failed(&error))?;
        self.connection = Some(connection);
        Ok(done)
    }

    /// That nobody has taken the sink over since it was opened.
    fn check_owner(&self, connection: &Connection) -> Result<Cursor, SinkError> {
        let own = self.cursor.clone().ok_or_else(memory::unopened)?;
        let held = self.load(connection, &own.source_id)?.cursor;
        if held.as_ref() != Some(&own) {
            return Err(memory::not_own(&self.describe(), &own, held.as_ref()));
        }
        Ok(own)
    }

    fn put_cursor(&self, connection: &Connection, cursor: &Cursor) -> Result<(), SinkError> {
        let put = || {
            connection
                .prepare_cached(
                    "INSERT INTO stele_cursor VALUES (?1, ?2, ?3, ?4) ON CONFLICT (source_id)
                     DO UPDATE SET height = ?2, block_hash = ?3, cursor = ?4",
                )?
                .execute((
                    &cursor.source_id,
                    memory::height_shown(cursor),
                    cursor.block_hash.to_string(),
                    cursor.encode_to_vec(),
                ))
        };
        put().map(drop).map_err(|error| self.failed(&error))
    }

    fn put_table(
        &self,
        connection: &Connection,
        source_id: &str,
        held: &HeldTable,
    ) -> Result<(), SinkError> {
        let put = || {
            connection
                .prepare_cached("INSERT OR REPLACE INTO stele_tables VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute((
                    source_id,
                    held.table.id.0,
                    &held.target,
                    memory::shape_bytes(&held.table),
                    memory::load_bytes(&held.load),
                ))
        };
        put().map(drop).map_err(|error| self.failed(&error))
    }

    fn step(
        &self,
        transaction: &Transaction<'_>,
        source_id: &str,
        step: &Step,
        tables: &mut Vec<HeldTable>,
    ) -> Result<(), SinkError> {
        match step {
            Step::Table { before, after } => self.define(
                transaction,
                source_id,
                before.as_deref(),
                after.as_ref(),
                tables,
            ),
            Step::Rows(table, rows) => {
                let held = tables.iter().find(|held| held.table.id == table.id);
                let held = held.ok_or_else(|| memory::unknown(&self.describe(), table))?;
                rows.iter()
                    .try_for_each(|row| self.row(transaction, held, row))
            }
        }
    }

    fn define(
        &self,
        transaction: &Transaction<'_>,
        source_id: &str,
        before: Option<&Table>,
        after: Option<&Arc<Table>>,
        tables: &mut Vec<HeldTable>,
    ) -> Result<(), SinkError> {
        let run = |sql: &str| {
            let done = transaction.execute_batch(sql);
            done.map_err(|error| self.refused_shape(sql, &error))
        };
        match (before, after) {
            (None, None) => {}
            (None, Some(table)) => {
                let target = self.naming.flat(table);
                self.check_free(transaction, table, &target)?;
                run(&define::create(table, &target))?;
                let held = HeldTable {
                    table: table.clone(),
                    target,
                    load: Load::Done,
                };
                self.put_table(transaction, source_id, &held)?;
                tables.push(held);
            }
            (Some(before), None) => {
                let place = tables.iter().position(|held| held.table.id == before.id);
                let place = place.ok_or_else(|| memory::unknown(&self.describe(), before))?;
                let held = tables.remove(place);
                run(&format!("DROP TABLE {}", define::name(&held.target)))?;
                transaction
                    .execute(
                        "DELETE FROM stele_tables WHERE source_id = ?1 AND id = ?2",
                        (source_id, before.id.0),
                    )
                    .map_err(|error| self.failed(&error))?;
            }
            (Some(before), Some(after)) => {
                let held = tables.iter_mut().find(|held| held.table.id == before.id);
                let held = held.ok_or_else(|| memory::unknown(&self.describe(), before))?;
                for sql in define::alter(before, after, &held.target) {
                    run(&sql)?;
                }
                let target = self.naming.flat(after);
                if target != held.target && self.naming.flat(before) == held.target {
                    self.check_free(transaction, after, &target)?;
                    run(&format!(
                        "ALTER TABLE {} RENAME TO {}",
                        define::name(&held.target),
                        define::name(&target)
                    ))?;
                    held.target = target;
                }
                held.table = after.clone();
                self.put_table(transaction, source_id, held)?;
            }
        }
        Ok(())
    }

    fn refused_shape(&self, sql: &str, error: &rusqlite::Error) -> SinkError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => self.failed(error),
            _ => SinkError::new(
                SinkErrorKind::Drift,
                format!("{}: SQLite refuses {sql}: {error}", self.describe()),
            )
            .remedy("the table was changed by hand, or its names clash in SQLite (which ignores case); `stele replica audit NAME --repair` makes changed tables anew"),
        }
    }

    fn check_free(
        &self,
        connection: &Connection,
        table: &Table,
        target: &str,
    ) -> Result<(), SinkError> {
        let own = [memory::CURSOR_TABLE, memory::TABLES_TABLE];
        if own.iter().any(|name| name.eq_ignore_ascii_case(target)) {
            let by = "a table of the replica's own";
            return Err(memory::name_taken(&self.describe(), table, target, by));
        }
        let taken: Option<String> = connection
            .query_row(
                "SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE",
                [target],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| self.failed(&error))?;
        match taken {
            None => Ok(()),
            Some(kind) => {
                let by = format!("another {kind}");
                Err(memory::name_taken(&self.describe(), table, target, &by))
            }
        }
    }

    fn row(
        &self,
        connection: &Connection,
        held: &HeldTable,
        row: &RowChange,
    ) -> Result<(), SinkError> {
        let table = &*held.table;
        let name = define::name(&held.target);
        let key = row.key_of(table);
        let key_text = || table.key_text(&key);
        let equal = |first: usize| {
            let parts: Vec<String> = (first..)
                .zip(table.key_columns())
                .map(|(at, column)| format!("{} = ?{at}", define::name(&column.name)))
                .collect();
            parts.join(" AND ")
        };
        let changed = match (&row.before, &row.after) {
            (None, None) => return Ok(()),
            (None, Some(values)) => {
                let marks = vec!["?"; table.columns.len()].join(", ");
                let sql = format!(
                    "INSERT INTO {name} ({}) VALUES ({marks})",
                    define::names(table.columns.iter())
                );
                let columns = table.columns.iter().zip(values);
                let values = columns.map(|(column, value)| to_sqlite(column.ty, value));
                run_row(connection, &sql, values)
            }
            (Some(_), Some(values)) => {
                let set: Vec<String> = (1..)
                    .zip(&table.columns)
                    .map(|(at, column)| format!("{} = ?{at}", define::name(&column.name)))
                    .collect();
                let sql = format!(
                    "UPDATE {name} SET {} WHERE {}",
                    set.join(", "),
                    equal(table.columns.len() + 1)
                );
                let columns = table.columns.iter().zip(values);
                let values = columns.map(|(column, value)| to_sqlite(column.ty, value));
                run_row(connection, &sql, values.chain(key_values(table, &key)))
            }
            (Some(_), None) => {
                let sql = format!("DELETE FROM {name} WHERE {}", equal(1));
                run_row(connection, &sql, key_values(table, &key))
            }
        };
        match changed {
            Ok(1) => Ok(()),
            Ok(_) => Err(memory::missing_row(
                &self.describe(),
                &held.target,
                &key_text(),
            )),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Err(
                memory::foreign_row(&self.describe(), &held.target, &key_text()),
            ),
            Err(error @ rusqlite::Error::SqliteFailure(..)) if is_shape(&error) => {
                Err(self.refused_shape(&format!("rows of {}", held.target), &error))
            }
            Err(error) => Err(self.failed(&error)),
        }
    }
}

/// Whether a statement was refused because the table is another than expected.
fn is_shape(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

fn key_values<'v>(
    table: &'v Table,
    key: &'v [&'v stele_core::Value],
) -> impl Iterator<Item = rusqlite::types::ToSqlOutput<'v>> {
    let columns = table.key_columns().zip(key);
    columns.map(|(column, value)| to_sqlite(column.ty, value))
}

fn run_row<'v>(
    connection: &Connection,
    sql: &str,
    values: impl Iterator<Item = rusqlite::types::ToSqlOutput<'v>>,
) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(sql)?;
    for (at, value) in (1..).zip(values) {
        statement.raw_bind_parameter(at, value)?;
    }
    statement.raw_execute()
}

impl Sink for SqliteSink {
    fn describe(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn open(&mut self, source_id: &str) -> Result<Held, SinkError> {
        self.connection = None;
        let held = self.write(|sink, transaction| {
            sink.remembers(transaction)?;
            transaction
                .execute_batch(MEMORY_SQL)
                .map_err(|error| sink.failed(&error))?;
            let held = sink.load(transaction, source_id)?;
            let (held, cursor) = memory::taken_over(held, source_id);
            sink.put_cursor(transaction, &cursor)?;
            Ok((held, cursor))
        });
        let (held, cursor) = held?;
        self.cursor = Some(cursor);
        self.tables.clone_from(&held.tables);
        Ok(held)
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let (cursor, tables) = self.write(|sink, transaction| {
            let mut cursor = sink.check_owner(transaction)?;
            let mut tables = sink.tables.clone();
            for step in &batch.steps {
                sink.step(transaction, &cursor.source_id, step, &mut tables)?;
            }
            for (id, load) in &batch.loads {
                if let Some(held) = tables.iter_mut().find(|held| held.table.id == *id) {
                    held.load = load.clone();
                    sink.put_table(transaction, &cursor.source_id, held)?;
                }
            }
            if let Some(position) = batch.position {
                cursor.height = position.height;
                cursor.block_hash = position.hash;
            }
            sink.put_cursor(transaction, &cursor)?;
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
        self.connection = None;
        self.connect_there()?;
        self.write(|sink, transaction| {
            if tables {
                let sql = "SELECT count(*) > 0 FROM stele_cursor WHERE source_id = ?1";
                let known = sink.remembers(transaction)?
                    && transaction
                        .query_row(sql, [source_id], |row| row.get(0))
                        .map_err(|error| sink.failed(&error))?;
                if !known {
                    return Err(memory::nothing_held(&sink.describe()));
                }
            }
            let rows = transaction
                .execute_batch(MEMORY_SQL)
                .and_then(|()| table_rows(transaction, source_id))
                .map_err(|error| sink.failed(&error))?;
            let own = match tables {
                true => sink.own_tables(rows)?,
                false => Vec::new(),
            };
            own.iter()
                .try_for_each(|held| {
                    let sql = format!("DROP TABLE IF EXISTS {}", define::name(&held.target));
                    transaction.execute_batch(&sql)
                })
                .and_then(|()| {
                    transaction
                        .execute("DELETE FROM stele_tables WHERE source_id = ?1", [source_id])?;
                    transaction
                        .execute("DELETE FROM stele_cursor WHERE source_id = ?1", [source_id])
                })
                .map_err(|error| sink.failed(&error))?;
            let empty: bool = transaction
                .query_row("SELECT count(*) = 0 FROM stele_cursor", [], |row| {
                    row.get(0)
                })
                .map_err(|error| sink.failed(&error))?;
            if empty {
                transaction
                    .execute_batch("DROP TABLE stele_cursor; DROP TABLE stele_tables;")
                    .map_err(|error| sink.failed(&error))?;
            }
            Ok(())
        })?;
        self.connection = None;
        Ok(())
    }
}
