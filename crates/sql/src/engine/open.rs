//! Opening a state, and making a new one.

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use stele_core::Hash;
use stele_core::codec::BYTES_LEN_MAX;
use stele_core::schema::Table;

use super::Engine;
use super::authoriser::Wall;
use super::budget::Budget;
use super::builtin;
use super::capture::CapturedConnection;
use super::config::EngineConfig;
use super::error::EngineError;
use super::layout::Layout;
use super::meta::{self, APPLICATION_ID, Meta, STATE_FORMAT, StoredMeta};
use super::readers::{Published, Readers};
use super::row_log::RowLog;
use super::schema::create_physical;
use super::state::StateTree;
use super::statement::StatementCache;
use super::wal::WalKeeper;
use crate::catalogue::Catalogue;
use crate::function::{self, PastSlot, TransactionContext};
use crate::spill;

/// Prepared statements kept on a connection.
const PREPARED_MAX: usize = 1_024;
/// Wait for another connection's lock: only in memory, where there is no write-ahead log, milliseconds.
const BUSY_WAIT_MS: u64 = 5_000;
/// Longest lowered text, in bytes.
const LOWERED_LEN_MAX: i32 = 16 * 1024 * 1024;

/// What the engine relies on in SQLite's build.
const COMPILE_OPTIONS: [&str; 4] = [
    "ENABLE_PREUPDATE_HOOK",
    "DQS=0",
    "OMIT_LOAD_EXTENSION",
    "MAX_VARIABLE_NUMBER=65537",
];

/// Rights of the database and the files beside it.
const OWNER_ONLY: u32 = 0o600;
const GROUP_AND_OTHERS: u32 = 0o077;

static IN_MEMORY: AtomicU64 = AtomicU64::new(0);

/// Where a database lies, as SQLite names it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    uri: String,
    pub(super) shown: String,
    pub(super) in_memory: bool,
}

impl Place {
    pub(super) fn of(config: &EngineConfig) -> Self {
        match &config.path {
            Some(path) => Self {
                uri: path.to_string_lossy().into_owned(),
                shown: path.display().to_string(),
                in_memory: false,
            },
            None => {
                let number = IN_MEMORY.fetch_add(1, Ordering::Relaxed);
                Self {
                    uri: format!("file:/stele-{number}?vfs=memdb"),
                    shown: "in memory".to_owned(),
                    in_memory: true,
                }
            }
        }
    }

    /// Makes the file, if it is not there, and lets its owner alone read it; SQLite gives the files
    /// beside it the same rights.
    fn make_private(&self) -> Result<(), EngineError> {
        if self.in_memory {
            return Ok(());
        }
        let failed = |error: std::io::Error| EngineError::Io {
            path: self.shown.clone(),
            cause: error.to_string(),
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(OWNER_ONLY)
            .open(&self.uri);
        // SQLite has words for what cannot be opened.
        if let Ok(file) = file
            && file.metadata().map_err(failed)?.mode() & GROUP_AND_OTHERS != 0
        {
            file.set_permissions(Permissions::from_mode(OWNER_ONLY))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Opens a connection with the settings all of them share.
    pub(super) fn connect(&self, cache_kib: u32) -> Result<Connection, EngineError> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if self.in_memory {
            flags |= OpenFlags::SQLITE_OPEN_URI;
        }
        spill::register().map_err(|code| EngineError::Internal {
            cause: format!("SQLite does not take the counting VFS: code {code}"),
        })?;
        let connection = Connection::open_with_flags_and_vfs(&self.uri, flags, spill::VFS)?;
        connection.busy_timeout(std::time::Duration::from_millis(BUSY_WAIT_MS))?;
        connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
        // A statement's plan, and so its step count, must not depend on the values bound to it; nor is
        // it planned again for each of them.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.execute_batch(&format!(
            "PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = FILE; PRAGMA trusted_schema = ON;
             PRAGMA foreign_keys = OFF; PRAGMA recursive_triggers = OFF;"
        ))?;
        // Plans, and so step counts, must not depend on what is bound to parameters.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let longest = i32::try_from(BYTES_LEN_MAX).unwrap_or(i32::MAX);
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest.saturating_mul(2))?;
        connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, LOWERED_LEN_MAX)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
        Ok(connection)
    }
}

impl Engine {
    /// Opens a ledger's state, or makes the state of its genesis.
    ///
    /// # Errors
    /// When the database cannot be opened, was written by another version of the program or belongs
    /// to another ledger, or SQLite lacks something. Each says what to do.
    pub fn open(config: EngineConfig) -> Result<Self, EngineError> {
        let place = Place::of(&config);
        Self::open_at(&config, &place).map_err(|error| error.at(&place.shown))
    }

    fn open_at(config: &EngineConfig, place: &Place) -> Result<Self, EngineError> {
        place.make_private()?;
        let mut connection = place.connect(super::config::WRITER_CACHE_KIB)?;
        check_build(&connection)?;
        prepare_file(&connection, place)?;
        let budget = Budget::install(&mut connection)?;
        let wall = Wall::install(&mut connection)?;
        let past = Arc::new(PastSlot::default());
        let context = Arc::new(TransactionContext::new(Arc::clone(&past)));
        function::register(&connection, &context)?;
        let wal = WalKeeper::start(&mut connection, place)?;
        let catalogue = Arc::new(Catalogue::default());
        let published = Published {
            height: 0,
            catalogue: Arc::clone(&catalogue),
            tables: Arc::new(Vec::new()),
        };
        let log = RowLog::new(config.limits, Arc::clone(&budget));
        let mut engine = Self {
            writer: CapturedConnection::new(connection, log),
            wall,
            budget,
            statements: StatementCache::default(),
            context,
            path: place.shown.clone(),
            suite: config.suite,
            ledger: config.ledger,
            limits: config.limits,
            proof_window: config.proof_window,
            catalogue,
            versions: BTreeMap::new(),
            state: StateTree::new(config.suite),
            meta: Meta {
                height: 0,
                block: config.ledger,
                state_root: Hash::ZERO,
                cursor: Vec::new(),
            },
            keys_rotated: false,
            schema_version: 0,
            data_version: 0,
            open: None,
            preview: None,
            keeps_previews: config.path.is_some(),
            readers: Arc::new(Readers::open(config, place, published, &past)?),
            wal,
        };
        if engine.has_meta()? {
            engine.load()?;
        } else {
            engine.create()?;
        }
        engine.schema_version = engine.read_version("PRAGMA schema_version")?;
        engine.data_version = engine.read_version("PRAGMA data_version")?;
        engine.publish();
        Ok(engine)
    }

    fn has_meta(&self) -> Result<bool, EngineError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_meta')";
        Ok(self.writer.query_row(sql, [], |row| row.get(0))?)
    }

    pub(super) fn load(&mut self) -> Result<(), EngineError> {
        let Some(stored) = meta::read_meta(&self.writer)? else {
            return Err(EngineError::Corrupt {
                path: String::new(),
                cause: "it says nothing about itself".to_owned(),
            });
        };
        if stored.format != STATE_FORMAT {
            return Err(EngineError::Format {
                path: String::new(),
                expected: STATE_FORMAT,
                found: stored.format,
            });
        }
        if stored.ledger != self.ledger {
            return Err(EngineError::WrongLedger {
                path: String::new(),
                expected: self.ledger,
                found: stored.ledger,
            });
        }
        self.meta = stored.meta;
        self.catalogue = Arc::new(meta::read_catalogue(&self.writer)?);
        meta::check_things(&self.writer, &self.catalogue)?;
        self.versions = meta::read_versions(&self.writer)?.into_iter().collect();
        self.load_layouts()?;
        self.load_accounts()?;
        self.state.load(&self.writer, &self.catalogue)?;
        if self.state.root()? != self.meta.state_root {
            return Err(EngineError::Corrupt {
                path: String::new(),
                cause: "its definitions and trees give another root than it keeps".to_owned(),
            });
        }
        Ok(())
    }

    /// Makes the state of genesis: the built-in tables, empty.
    fn create(&mut self) -> Result<(), EngineError> {
        self.writer.execute_batch("BEGIN IMMEDIATE")?;
        self.writer.execute_batch(meta::CREATE)?;
        self.writer
            .execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
        let mut catalogue = Catalogue::default();
        for table in builtin::tables() {
            create_physical(&self.writer, &table)?;
            meta::write_definition(&self.writer, table.id, Some(&table), 0)?;
            catalogue.put(table);
        }
        self.catalogue = Arc::new(catalogue);
        self.load_layouts()?;
        self.state.load(&self.writer, &self.catalogue)?;
        self.meta.state_root = self.state.root()?;
        let meta = self.meta.clone();
        self.store_meta(meta)?;
        self.writer.execute_batch("COMMIT")?;
        Ok(())
    }

    /// Reads the places of all tables' columns anew.
    pub(super) fn load_layouts(&self) -> Result<(), EngineError> {
        self.writer.sink(RowLog::forget_layouts);
        for table in self.catalogue.definitions() {
            self.load_layout(table)?;
        }
        Ok(())
    }

    /// Reads the places of one table's columns, if it has any.
    pub(super) fn load_layout(&self, table: &Arc<Table>) -> Result<(), EngineError> {
        if table.kind.has_rows() {
            let layout = Arc::new(Layout::load(&self.writer, table)?);
            self.writer.sink(|log| log.set_layout(layout));
        }
        Ok(())
    }

    /// Tells the readers what is committed.
    pub(super) fn publish(&self) {
        self.readers.publish(Published {
            height: self.meta.height,
            catalogue: Arc::clone(&self.catalogue),
            tables: Arc::new(self.state.entries()),
        });
    }

    pub(super) fn store_meta(&self, meta: Meta) -> Result<(), EngineError> {
        let stored = StoredMeta {
            format: STATE_FORMAT,
            ledger: self.ledger,
            meta,
            catalogue: self.catalogue.version(),
            next_table: self.catalogue.next_table(),
        };
        Ok(meta::write_meta(&self.writer, &stored)?)
    }
}

fn check_build(connection: &Connection) -> Result<(), EngineError> {
    let mut statement = connection.prepare("SELECT compile_options FROM pragma_compile_options")?;
    let options = statement
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    for option in COMPILE_OPTIONS {
        if !options.iter().any(|held| held == option) {
            return Err(EngineError::CompileOption { option });
        }
    }
    Ok(())
}

fn prepare_file(connection: &Connection, place: &Place) -> Result<(), EngineError> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(EngineError::Format {
            path: String::new(),
            expected: STATE_FORMAT,
            found: 0,
        });
    }
    // Without a write-ahead log (in memory), a spilling writer would shut readers out.
    connection.execute_batch(if place.in_memory {
        "PRAGMA journal_mode = MEMORY; PRAGMA cache_spill = OFF; PRAGMA synchronous = OFF;"
    } else {
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;"
    })?;
    Ok(())
}
