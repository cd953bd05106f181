//! MySQL, MariaDB and TiDB as a sink. Rows and cursor are one transaction. These servers commit each change of a
//! table's shape by itself, so a batch with such changes is taken in steps, and the cursor counts them: the
//! intent is written, the statement run (or found done after a crash), the step counted.

mod connect;
mod define;
mod foreign;
mod read;
mod rows;
mod value;

use std::sync::Arc;

use mysql::prelude::Queryable as _;
use stele_core::codec::Encode as _;
use stele_flow::{
    Batch, Cursor, Held, HeldTable, Load, Sink, SinkError, SinkErrorKind, Step, Table,
};

use crate::memory;
use crate::naming::Naming;
use crate::target::{Password, Server};
use connect::Connected;

/// Longest table name.
const NAME_CHARACTERS_MAX: usize = 64;

const MEMORY_SQL: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS stele_cursor (
        source_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, height BIGINT NOT NULL,
        block_hash VARCHAR(64) NOT NULL, `cursor` LONGBLOB NOT NULL, intent VARCHAR(128) NULL
     ) ENGINE = InnoDB CHARACTER SET utf8mb4",
    "CREATE TABLE IF NOT EXISTS stele_tables (
        source_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, id BIGINT,
        name VARCHAR(64) NOT NULL, shape LONGBLOB NOT NULL, filled_to LONGBLOB NULL, PRIMARY KEY (source_id, id)
     ) ENGINE = InnoDB CHARACTER SET utf8mb4",
];

/// What is told of a table in another engine.
fn told_engine(target: &str, engine: &str) -> String {
    format!(
        "table {target} is kept by {engine} instead of InnoDB, which knows no transactions as it does"
    )
}

/// `cursor, height, block_hash, intent`.
type CursorRow = (Vec<u8>, i64, String, Option<String>);

/// A database of MySQL, MariaDB or TiDB.
pub struct MySqlSink {
    server: Server,
    password: Option<Password>,
    naming: Naming,
    /// Whether other programs wrote it: texts are read whatever the type of their column.
    is_foreign: bool,
    connected: Option<Connected>,
    cursor: Option<Cursor>,
    tables: Vec<HeldTable>,
}

impl MySqlSink {
    /// The sink of a database.
    #[must_use]
    pub fn new(server: Server, password: Option<Password>, naming: Naming) -> Self {
        Self {
            server,
            password,
            naming,
            is_foreign: false,
            connected: None,
            cursor: None,
            tables: Vec::new(),
        }
    }

    /// A database that other programs wrote, to be read only.
    #[must_use]
    pub(crate) fn foreign(server: Server, password: Option<Password>) -> Self {
        Self {
            is_foreign: true,
            ..Self::new(server, password, Naming::default())
        }
    }

    fn connected(&mut self) -> Result<&mut Connected, SinkError> {
        if self.connected.is_none() {
            let connected = connect::connect(&self.server, self.password.as_ref())?;
            self.connected = Some(connected);
        }
        self.connected
            .as_mut()
            .ok_or_else(|| SinkError::new(SinkErrorKind::Other, "no connection"))
    }

    fn failed(&self, error: &mysql::Error) -> SinkError {
        connect::failed(&self.server, error)
    }

    fn run(&mut self, sql: &str) -> Result<(), SinkError> {
        let done = self.connected()?.conn.query_drop(sql);
        done.map_err(|error| self.failed(&error))
    }

    /// Changes a table. `InnoDB` counts columns that were dropped at once as part of a row until the table is built anew:
    /// a row that is too large for it may fit then.
    fn alter_table(&mut self, name: &str, sql: &str) -> Result<(), SinkError> {
        match self.run(sql) {
            Err(failure) if failure.kind == SinkErrorKind::Unfit => {
                self.run(&format!("ALTER TABLE {} FORCE", define::name(name)))?;
                self.run(sql)
            }
            done => done,
        }
    }

    /// Runs one transaction; on failure nothing of it stays, and the connection is made anew.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        self.run("START TRANSACTION")?;
        let done = work(self).and_then(|done| self.run("COMMIT").map(|()| done));
        if done.is_err() {
            self.connected = None;
        }
        done
    }

    /// What is held of a source; with `lock`, nobody else writes it until the transaction ends.
    fn load(&mut self, source_id: &str, lock: bool) -> Result<(Held, Option<String>), SinkError> {
        let target = self.describe();
        let lock = if lock { " FOR UPDATE" } else { "" };
        let conn = &mut self.connected()?.conn;
        let found: mysql::Result<Option<CursorRow>> = conn.exec_first(
            format!("SELECT `cursor`, height, block_hash, intent FROM stele_cursor WHERE source_id = ?{lock}"),
            (source_id,),
        );
        let found = found.map_err(|error| self.failed(&error))?;
        let found = found.map(|(cursor, height, hash, intent)| ((cursor, height, hash), intent));
        let (cursor, intent) = found.unzip();
        let cursor = cursor.map(|row| memory::cursor_shown(&target, source_id, row));
        let held = Held {
            cursor: cursor.transpose()?,
            tables: self.load_tables(source_id)?,
        };
        Ok((held, intent.flatten()))
    }

    /// What is remembered of the tables of a source.
    fn load_tables(&mut self, source_id: &str) -> Result<Vec<HeldTable>, SinkError> {
        let rows: mysql::Result<Vec<memory::TableRow>> = self.connected()?.conn.exec(
            "SELECT id, name, shape, filled_to FROM stele_tables WHERE source_id = ? ORDER BY id",
            (source_id,),
        );
        let rows = rows.map_err(|error| self.failed(&error))?;
        memory::held_tables(&self.describe(), rows, |table| self.naming.flat(table))
    }

    /// Begins a transaction's work: that nobody has taken the sink over.
    fn check_owner(&mut self) -> Result<(Cursor, Option<String>), SinkError> {
        let own = self.cursor.clone().ok_or_else(memory::unopened)?;
        let (held, intent) = self.load(&own.source_id, true)?;
        if held.cursor.as_ref() != Some(&own) {
            let found = held.cursor.as_ref();
            return Err(memory::not_own(&self.describe(), &own, found));
        }
        Ok((own, intent))
    }

    fn put_cursor(&mut self, cursor: &Cursor, intent: Option<&str>) -> Result<(), SinkError> {
        let values = (
            &cursor.source_id,
            memory::height_shown(cursor),
            cursor.block_hash.to_string(),
            cursor.encode_to_vec(),
            intent,
        );
        let done = self
            .connected()?
            .conn
            .exec_drop("REPLACE INTO stele_cursor VALUES (?, ?, ?, ?, ?)", values);
        done.map_err(|error| self.failed(&error))
    }

    fn put_table(&mut self, source_id: &str, held: &HeldTable) -> Result<(), SinkError> {
        let values = (
            source_id,
            held.table.id.0,
            &held.target,
            memory::shape_bytes(&held.table),
            memory::load_bytes(&held.load),
        );
        let done = self
            .connected()?
            .conn
            .exec_drop("REPLACE INTO stele_tables VALUES (?, ?, ?, ?, ?)", values);
        done.map_err(|error| self.failed(&error))
    }

    fn target(&self, table: &Table) -> Result<String, SinkError> {
        let target = self.naming.flat(table);
        let names = table.columns.iter().map(|column| column.name.as_str());
        let unfit = names.chain([target.as_str()]).find(|name| {
            name.ends_with(' ') || name.chars().any(|character| u32::from(character) > 0xffff)
        });
        if let Some(unfit) = unfit {
            return Err(SinkError::new(
                SinkErrorKind::Unfit,
                format!(
                    "{}: {table} has the name {unfit:?}, and names there neither end with a blank nor hold characters beyond U+FFFF",
                    self.describe()
                ),
            )
            .remedy(format!(
                "leave the table out of the replica, or, where it is the table's name, add it with another (--map {table}=NAME)"
            )));
        }
        if target.chars().count() <= NAME_CHARACTERS_MAX {
            return Ok(target);
        }
        Err(SinkError::new(
            SinkErrorKind::Unfit,
            format!(
                "{}: the name {target} is longer than {NAME_CHARACTERS_MAX} characters",
                self.describe()
            ),
        )
        .remedy(format!(
            "add the replica with another name for the table (--map {table}=NAME)"
        )))
    }

    fn exists(&mut self, target: &str) -> Result<bool, SinkError> {
        let found: Result<Option<u8>, _> = self.connected()?.conn.exec_first(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = ?",
            (target,),
        );
        Ok(found.map_err(|error| self.failed(&error))?.is_some())
    }

    /// Whether the sink remembers anything.
    fn remembers(&mut self) -> Result<bool, SinkError> {
        let (cursor, tables) = (
            self.exists(memory::CURSOR_TABLE)?,
            self.exists(memory::TABLES_TABLE)?,
        );
        if cursor && !tables && self.stands()? {
            return Err(memory::forgotten(&self.describe()));
        }
        Ok(cursor && tables)
    }

    /// The engine of a table, where it is another than `InnoDB`: a batch and its cursor would not be one transaction.
    fn other_engine(&mut self, target: &str) -> Result<Option<String>, SinkError> {
        let found: mysql::Result<Option<Option<String>>> = self.connected()?.conn.exec_first(
            "SELECT engine FROM information_schema.tables WHERE table_schema = database() AND table_name = ? AND table_type = 'BASE TABLE'",
            (target,),
        );
        let engine = found.map_err(|error| self.failed(&error))?.flatten();
        Ok(engine.filter(|engine| engine != "InnoDB"))
    }

    /// Whether there is a cursor of a source, whatever stands in it.
    fn knows(&mut self, source_id: &str) -> Result<bool, SinkError> {
        let sql = "SELECT 1 FROM stele_cursor WHERE source_id = ?";
        let found: mysql::Result<Option<u8>> = self.connected()?.conn.exec_first(sql, (source_id,));
        Ok(found.map_err(|error| self.failed(&error))?.is_some())
    }

    /// Whether there is a cursor, of whichever source.
    fn stands(&mut self) -> Result<bool, SinkError> {
        let conn = &mut self.connected()?.conn;
        let found: mysql::Result<Option<u8>> =
            conn.query_first("SELECT 1 FROM stele_cursor LIMIT 1");
        Ok(found.map_err(|error| self.failed(&error))?.is_some())
    }

    /// Names of a table's columns, in no order; empty when it is not there.
    fn column_names(&mut self, target: &str) -> Result<Vec<String>, SinkError> {
        let found: Result<Vec<String>, _> = self.connected()?.conn.exec(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = database() AND table_name = ?",
            (target,),
        );
        let mut names = found.map_err(|error| self.failed(&error))?;
        names.sort();
        Ok(names)
    }

    /// One change of a shape: intent, statement, done. Gives the tables as they are then.
    fn define(
        &mut self,
        before: Option<&Table>,
        after: Option<&Arc<Table>>,
        load: &Load,
        counted: Option<u32>,
    ) -> Result<(), SinkError> {
        let (cursor, told) = self.write(Self::check_owner)?;
        let source_id = cursor.source_id.clone();
        let mut tables = self.tables.clone();
        let mut gone = None;
        match (before, after) {
            (None, None) => {}
            (None, Some(table)) => {
                let target = self.target(table)?;
                let intent = format!("create {target}");
                let known = tables.iter().any(|held| held.table.id == table.id);
                let there = self.exists(&target)?;
                if !known {
                    // What stands there after the intent was written is this statement's own work.
                    if there && told.as_deref() != Some(&intent) {
                        let by = "another table";
                        return Err(memory::name_taken(&self.describe(), table, &target, by));
                    }
                    if !there {
                        self.intend(&cursor, &intent)?;
                        let collation = self.connected()?.collation;
                        self.run(&define::create(table, &target, collation))?;
                    }
                    tables.push(HeldTable {
                        table: table.clone(),
                        target,
                        load: load.clone(),
                    });
                }
            }
            (Some(before), None) => {
                if let Some(place) = tables.iter().position(|held| held.table.id == before.id) {
                    let held = tables.remove(place);
                    self.intend(&cursor, &format!("drop {}", held.target))?;
                    self.run(&format!(
                        "DROP TABLE IF EXISTS {}",
                        define::name(&held.target)
                    ))?;
                    gone = Some(before.id);
                }
            }
            (Some(before), Some(after)) => {
                let place = tables.iter().position(|held| held.table.id == before.id);
                let place = place.ok_or_else(|| memory::unknown(&self.describe(), before))?;
                let Some(held) = tables.get_mut(place) else {
                    return Err(memory::unknown(&self.describe(), before));
                };
                let target = self.target(after)?;
                let renamed = target != held.target && self.naming.flat(before) == held.target;
                let (old, new) = (held.target.clone(), target);
                self.intend(&cursor, &format!("alter {old}"))?;
                self.alter(before, after, &old, renamed.then_some(new.as_str()))?;
                if renamed {
                    held.target = new;
                }
                held.table = after.clone();
            }
        }
        let id = before.or(after.map(Arc::as_ref)).map(|table| table.id);
        let cursor = self.write(|sink| {
            let (mut cursor, _) = sink.check_owner()?;
            if let Some(step) = counted {
                cursor.step = step;
            }
            sink.put_cursor(&cursor, None)?;
            if let Some(gone) = gone {
                let done = sink.connected()?.conn.exec_drop(
                    "DELETE FROM stele_tables WHERE source_id = ? AND id = ?",
                    (&source_id, gone.0),
                );
                done.map_err(|error| sink.failed(&error))?;
            }
            for held in &tables {
                if Some(held.table.id) == id {
                    sink.put_table(&source_id, held)?;
                }
            }
            Ok(cursor)
        })?;
        self.cursor = Some(cursor);
        self.tables = tables;
        Ok(())
    }

    /// Writes down what is to be done next, durably.
    fn intend(&mut self, cursor: &Cursor, intent: &str) -> Result<(), SinkError> {
        let cursor = cursor.clone();
        self.write(|sink| {
            sink.check_owner()?;
            sink.put_cursor(&cursor, Some(intent))
        })
    }

    /// Brings a table from one shape to the next, unless a run before the crash did.
    fn alter(
        &mut self,
        before: &Table,
        after: &Table,
        old: &str,
        new: Option<&str>,
    ) -> Result<(), SinkError> {
        let was_renamed = match new {
            Some(new) => !self.exists(old)? && self.exists(new)?,
            None => false,
        };
        let now = new.filter(|_| was_renamed).unwrap_or(old);
        let names = |table: &Table| {
            let mut names: Vec<String> = table.columns.iter().map(|one| one.name.clone()).collect();
            names.sort();
            names
        };
        let found = self.column_names(now)?;
        let same_names = names(before) == names(after);
        // A change of types alone may be run twice.
        let done = !same_names && found == names(after);
        let collation = self.connected()?.collation;
        if !done && let Some(sql) = define::alter(before, after, now, collation) {
            self.alter_table(now, &sql)?;
        }
        // Not by DEFAULT: MariaDB keeps a text there as it prints it, which is not always what it was.
        for (sql, value) in define::fill_added(before, after, now) {
            let done = self.connected()?.conn.exec_drop(sql, (value,));
            done.map_err(|error| self.failed(&error))?;
        }
        match new {
            Some(new) if !was_renamed => self.run(&format!(
                "RENAME TABLE {} TO {}",
                define::name(old),
                define::name(new)
            )),
            _ => Ok(()),
        }
    }

    /// The last step: rows, loads and position in one transaction.
    fn finish(
        &mut self,
        rows: &[&Step],
        batch: &Batch,
        counted: Option<u32>,
    ) -> Result<(), SinkError> {
        let (cursor, tables) = self.write(|sink| {
            let (mut cursor, _) = sink.check_owner()?;
            let mut tables = sink.tables.clone();
            for step in rows {
                if let Step::Rows(table, rows) = step {
                    let held = tables.iter().find(|held| held.table.id == table.id);
                    let held = held
                        .ok_or_else(|| memory::unknown(&sink.describe(), table))?
                        .clone();
                    let server = sink.server.clone();
                    rows::apply(&server, sink.connected()?, &held, rows)?;
                }
            }
            if let Some(step) = counted {
                cursor.step = step;
            } else {
                for (id, load) in &batch.loads {
                    if let Some(held) = tables.iter_mut().find(|held| held.table.id == *id) {
                        held.load = load.clone();
                        let held = held.clone();
                        sink.put_table(&cursor.source_id, &held)?;
                    }
                }
                if let Some(position) = batch.position {
                    cursor.height = position.height;
                    cursor.block_hash = position.hash;
                    cursor.step = 0;
                }
            }
            sink.put_cursor(&cursor, None)?;
            Ok((cursor, tables))
        })?;
        self.cursor = Some(cursor);
        self.tables = tables;
        Ok(())
    }
}

impl Sink for MySqlSink {
    fn describe(&self) -> String {
        connect::describe(&self.server)
    }

    fn open(&mut self, source_id: &str) -> Result<Held, SinkError> {
        self.connected = None;
        self.remembers()?;
        for sql in MEMORY_SQL {
            self.run(sql)?;
        }
        let (held, cursor) = self.write(|sink| {
            let (held, intent) = sink.load(source_id, true)?;
            let (held, cursor) = memory::taken_over(held, source_id);
            sink.put_cursor(&cursor, intent.as_deref())?;
            Ok((held, cursor))
        })?;
        for held in &held.tables {
            if let Some(engine) = self.other_engine(&held.target)? {
                return Err(SinkError::new(
                    SinkErrorKind::Drift,
                    format!(
                        "{}: {}",
                        self.describe(),
                        told_engine(&held.target, &engine)
                    ),
                )
                .remedy(format!(
                    "ALTER TABLE {} ENGINE = InnoDB, or run `stele replica audit NAME --repair`",
                    define::name(&held.target)
                )));
            }
        }
        self.cursor = Some(cursor);
        self.tables.clone_from(&held.tables);
        Ok(held)
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let shapes = batch
            .steps
            .iter()
            .any(|step| matches!(step, Step::Table { .. }));
        if !shapes {
            let rows: Vec<&Step> = batch.steps.iter().collect();
            return self.finish(&rows, batch, None);
        }
        // Steps of a block are counted, so that they are not taken twice: rows before the first change of a shape are
        // step 1, that change is step 2, and so on, whichever tables are kept.
        let counted = batch.position.is_some();
        let taken = match &self.cursor {
            Some(cursor) if counted => cursor.step,
            _ => 0,
        };
        let mut rows: Vec<&Step> = Vec::new();
        let mut number = 1;
        for step in &batch.steps {
            let Step::Table { before, after } = step else {
                rows.push(step);
                continue;
            };
            let rows = std::mem::take(&mut rows);
            if number > taken && !rows.is_empty() {
                self.finish(&rows, batch, counted.then_some(number))?;
            }
            let is_change = before.is_some() || after.is_some();
            if number + 1 > taken && is_change {
                // With the table itself: one that is to be filled must never pass for full.
                let id = after.as_ref().map(|table| table.id);
                let load = batch.loads.iter().find(|(other, _)| Some(*other) == id);
                let load = load.map_or(&Load::Done, |(_, load)| load);
                let number = counted.then_some(number + 1);
                self.define(before.as_deref(), after.as_ref(), load, number)?;
            }
            number += 2;
        }
        self.finish(&rows, batch, None)
    }

    fn held(&self) -> &[HeldTable] {
        &self.tables
    }

    fn remove(&mut self, source_id: &str, tables: bool) -> Result<(), SinkError> {
        self.connected = None;
        if tables && !(self.remembers()? && self.knows(source_id)?) {
            return Err(memory::nothing_held(&self.describe()));
        }
        for sql in MEMORY_SQL {
            self.run(sql)?;
        }
        let own = match tables {
            true => self.load_tables(source_id)?,
            false => Vec::new(),
        };
        for held in own {
            let name = define::name(&held.target);
            self.run(&format!("DROP TABLE IF EXISTS {name}"))?;
        }
        self.write(|sink| {
            for table in [memory::TABLES_TABLE, memory::CURSOR_TABLE] {
                let sql = format!("DELETE FROM {table} WHERE source_id = ?");
                let done = sink.connected()?.conn.exec_drop(sql, (source_id,));
                done.map_err(|error| sink.failed(&error))?;
            }
            Ok(())
        })?;
        if !self.stands()? {
            self.run("DROP TABLE IF EXISTS stele_cursor, stele_tables")?;
        }
        self.connected = None;
        Ok(())
    }
}
