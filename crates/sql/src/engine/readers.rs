//! Reads beside the writer: a pool of read-only connections, each on the newest committed state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex, RwLock};
use rusqlite::Connection;
use stele_core::genesis::Limits;
use stele_core::tree::TableEntry;
use stele_core::{AccountId, Hash, Suite, Type, Value};

use super::authoriser::Wall;
use super::bind_text;
use super::budget::Budget;
use super::cancel::{Cancel, Stop};
use super::config::EngineConfig;
use super::error::EngineError;
use super::meta;
use super::open::Place;
use super::outcome::Failure;
use super::snapshot::Snapshot;
use super::statement::{Allowance, Lowered, StatementCache, step};
use crate::bound::Bound;
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::function::{self, Past, PastSlot, TransactionContext};
use crate::result::StatementResult;
use crate::spill::{READ_BYTES_HELD_MAX, READ_WORK_MAX};

/// Most rows of one read's result.
pub const READ_ROWS_MAX: u64 = 1_000_000;
/// Most bytes of one read's result.
pub const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest wait for a free read connection.
const READER_WAIT: Duration = Duration::from_secs(30);
/// Longest time of a read.
const READ_TIME_MAX: Duration = Duration::from_secs(60);
/// How long one waits before the read that has taken longest is stopped, if it has taken as long.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a read is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions<'o> {
    /// Stops it with 57014.
    pub cancel: Option<&'o Cancel>,
    /// The height or time as of which every table is read that names none of its own.
    pub as_of: Option<&'o str>,
}

/// One read-only connection.
pub(super) struct Reader {
    pub(super) connection: Connection,
    wall: Wall,
    budget: Arc<Budget>,
    context: Arc<TransactionContext>,
}

/// What the writer tells readers after each commit.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) height: u64,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) tables: Arc<Vec<TableEntry>>,
}

/// Read connections and what they share. Get one with [`Engine::readers`](super::Engine::readers).
pub struct Readers {
    idle: Mutex<Vec<Reader>>,
    /// Reads under way: since when, and how to stop them.
    under_way: Mutex<Vec<(Instant, Cancel)>>,
    stopping: AtomicBool,
    freed: Condvar,
    published: RwLock<Published>,
    statements: Mutex<(u64, StatementCache)>,
    limits: Limits,
    past: Arc<PastSlot>,
    pub(super) suite: Suite,
    pub(super) ledger: Hash,
    pub(super) proof_window: u64,
    pub(super) path: String,
}

impl Readers {
    pub(super) fn open(
        config: &EngineConfig,
        place: &Place,
        published: Published,
        past: &Arc<PastSlot>,
    ) -> Result<Self, EngineError> {
        let idle = (0..config.readers.max(1))
            .map(|_| Reader::open(place, past))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            idle: Mutex::new(idle),
            under_way: Mutex::new(Vec::new()),
            stopping: AtomicBool::new(false),
            freed: Condvar::new(),
            statements: Mutex::new((published.catalogue.version(), StatementCache::default())),
            published: RwLock::new(published),
            past: Arc::clone(past),
            limits: Limits {
                result_rows_max: READ_ROWS_MAX,
                result_bytes_max: READ_BYTES_MAX,
                ..config.limits
            },
            suite: config.suite,
            ledger: config.ledger,
            proof_window: config.proof_window,
            path: place.shown.clone(),
        })
    }

    pub(super) fn publish(&self, published: Published) {
        *self.published.write() = published;
    }

    /// Forgets what was bound, as after the state was replaced.
    pub(super) fn forget_statements(&self) {
        self.statements.lock().1 = StatementCache::default();
    }

    pub(super) fn published(&self) -> Published {
        self.published.read().clone()
    }

    /// Says where the ledger's blocks are, for reads of the past. The first word counts.
    pub fn set_past(&self, past: Arc<dyn Past>) {
        self.past.set(past);
    }

    /// The newest committed catalogue.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.published.read().catalogue)
    }

    /// Binds a statement against the newest committed catalogue without running it. `declared` are
    /// the types the client gave for parameters.
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub fn describe(
        &self,
        account: AccountId,
        sql: &str,
        declared: &[Option<Type>],
    ) -> Result<Arc<Bound>, SqlError> {
        self.describe_as_of(account, sql, declared, None)
    }

    /// As [`Self::describe`], of a statement whose reads are as of a moment (see [`ReadOptions`]).
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub fn describe_as_of(
        &self,
        account: AccountId,
        sql: &str,
        declared: &[Option<Type>],
        as_of: Option<&str>,
    ) -> Result<Arc<Bound>, SqlError> {
        self.bind(&self.catalogue(), account, sql, declared, as_of)
    }

    fn bind(
        &self,
        catalogue: &Catalogue,
        account: AccountId,
        sql: &str,
        declared: &[Option<Type>],
        as_of: Option<&str>,
    ) -> Result<Arc<Bound>, SqlError> {
        if as_of.is_some() {
            let bound = bind_text(sql, catalogue, account, declared, as_of)?;
            return Ok(Arc::new(bound));
        }
        {
            let mut statements = self.statements.lock();
            if statements.0 == catalogue.version() {
                if let Some(bound) = statements.1.get(account, sql, declared) {
                    return Ok(bound);
                }
            } else if statements.0 < catalogue.version() {
                *statements = (catalogue.version(), StatementCache::default());
            }
        }
        let bound = Arc::new(bind_text(sql, catalogue, account, declared, None)?);
        let mut statements = self.statements.lock();
        if statements.0 == catalogue.version() {
            statements.1.put(account, sql, declared, Arc::clone(&bound));
        }
        Ok(bound)
    }

    /// Runs a read on the newest committed state, `now()` being the system's clock. Gives the result
    /// and the height it is of.
    ///
    /// # Errors
    /// [`EngineError::Sql`] for what is wrong with the statement, a write among that; else the node's
    /// own trouble.
    pub fn query(
        &self,
        account: AccountId,
        sql: &str,
        parameters: &[Value],
    ) -> Result<(StatementResult, u64), EngineError> {
        self.query_with(account, sql, parameters, ReadOptions::default())
    }

    /// As [`Self::query`], with options.
    ///
    /// # Errors
    /// As [`Self::query`]; 57014 when it was stopped.
    pub fn query_with(
        &self,
        account: AccountId,
        sql: &str,
        parameters: &[Value],
        options: ReadOptions<'_>,
    ) -> Result<(StatementResult, u64), EngineError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let mut seed = [0; 16];
        seed.copy_from_slice(&now.as_nanos().to_be_bytes());
        self.query_at(account, sql, parameters, now_us, seed, options)
    }

    /// As [`Self::query`], with time and seed given.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn query_at(
        &self,
        account: AccountId,
        sql: &str,
        parameters: &[Value],
        now_us: i64,
        seed: [u8; 16],
        options: ReadOptions<'_>,
    ) -> Result<(StatementResult, u64), EngineError> {
        let reader = self.take()?;
        let own = Cancel::default();
        own.limit(Some(READ_TIME_MAX));
        self.under_way.lock().push((Instant::now(), own.clone()));
        reader.budget.watch(options.cancel);
        reader.budget.manage(Some(&own));
        let done = self.run(&reader, account, sql, parameters, (now_us, seed), options);
        reader.budget.watch(None);
        reader.budget.manage(None);
        self.under_way.lock().retain(|(_, other)| !other.is(&own));
        self.give_back(reader);
        done.map_err(|error| error.at(&self.path))
    }

    fn run(
        &self,
        reader: &Reader,
        account: AccountId,
        sql: &str,
        parameters: &[Value],
        (now_us, seed): (i64, [u8; 16]),
        options: ReadOptions<'_>,
    ) -> Result<(StatementResult, u64), EngineError> {
        reader.begin()?;
        let (height, version) = meta::read_position(&reader.connection)?;
        let mut catalogue = self.catalogue();
        if catalogue.version() != version {
            // A commit lies between the snapshot and what was published.
            catalogue = Arc::new(meta::read_catalogue(&reader.connection)?);
        }
        let bound = self.bind(&catalogue, account, sql, &[], options.as_of)?;
        let Bound::Query(query) = bound.as_ref() else {
            return Err(SqlError::new(
                "25006",
                "cannot execute a write in a read-only transaction",
            )
            .into());
        };
        if query.sequences.changes {
            return Err(SqlError::new(
                "25006",
                "cannot execute nextval() in a read-only transaction",
            )
            .into());
        }
        reader.context.begin_read(now_us, seed, height);
        if query.reliance.state_root {
            let root = meta::read_root(&reader.connection)?;
            reader.context.set_root(root);
        }
        if query.reliance.table_versions {
            let versions = meta::read_versions(&reader.connection)?.into_iter();
            let versions = versions.map(|(id, stamp)| (id, (stamp.height, stamp.index)));
            reader.context.set_versions(versions.collect());
        }
        let lowered = Lowered {
            types: &query.parameters,
            columns: &query.columns,
            reach: None,
            writer: None,
            rows_once: false,
        };
        let mut allowance = Allowance::of(&self.limits);
        allowance.held_bytes = READ_BYTES_HELD_MAX;
        allowance.work = READ_WORK_MAX;
        reader.wall.raise();
        let prepared = reader.connection.prepare_cached(&query.sqlite);
        let rows = prepared
            .map_err(|error| Failure::of_statement(error, &catalogue))
            .and_then(|mut prepared| {
                step(
                    &mut prepared,
                    &reader.budget,
                    &lowered,
                    parameters,
                    0,
                    &mut allowance,
                    &catalogue,
                )
            });
        reader.wall.lower();
        let rows = rows.map_err(|failure| match failure {
            Failure::Outcome(error) | Failure::Swept(error) => EngineError::Sql(error),
            Failure::Engine(error) => error,
        })?;
        let result = StatementResult {
            tag: query.tag(rows.len()),
            columns: query.columns.clone(),
            rows,
            rows_affected: 0,
        };
        Ok((result, height))
    }

    /// Works with one connection.
    pub(super) fn with_connection<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        let reader = self.take()?;
        let done = work(&reader.connection);
        self.give_back(reader);
        done.map_err(|error| EngineError::from(error).at(&self.path))
    }

    /// The newest committed state, held still until it is dropped. **Hold it shortly**: the
    /// write-ahead log grows as long as it is held.
    ///
    /// # Errors
    /// When no connection gets free or the database cannot be read.
    pub fn snapshot(self: &Arc<Self>) -> Result<Snapshot, EngineError> {
        let reader = self.take()?;
        Snapshot::new(Arc::clone(self), reader).map_err(|error| error.at(&self.path))
    }

    fn take(&self) -> Result<Reader, EngineError> {
        let begin = Instant::now();
        let mut idle = self.idle.lock();
        loop {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(Stop::Stopping.error().into());
            }
            if let Some(reader) = idle.pop() {
                return Ok(reader);
            }
            if self.freed.wait_for(&mut idle, PATIENCE).timed_out() {
                if begin.elapsed() >= READER_WAIT {
                    return Err(EngineError::ReadersBusy);
                }
                self.make_room();
            }
        }
    }

    /// Stops the read that has taken longest, if that is long.
    fn make_room(&self) {
        let under_way = self.under_way.lock();
        let longest = under_way.iter().min_by_key(|(since, _)| *since);
        if let Some((since, cancel)) = longest
            && since.elapsed() >= PATIENCE
        {
            cancel.make_room();
        }
    }

    /// Stops all reads, now and from now on (57P01).
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        for (_, cancel) in self.under_way.lock().iter() {
            cancel.end();
        }
    }

    pub(super) fn give_back(&self, reader: Reader) {
        reader.end();
        self.idle.lock().push(reader);
        self.freed.notify_one();
    }
}

impl Reader {
    fn open(place: &Place, past: &Arc<PastSlot>) -> Result<Self, EngineError> {
        let mut connection = place.connect(super::config::READER_CACHE_KIB)?;
        connection.execute_batch("PRAGMA query_only = ON")?;
        let budget = Budget::install(&mut connection)?;
        let wall = Wall::install(&mut connection)?;
        let context = Arc::new(TransactionContext::new(Arc::clone(past)));
        function::register(&connection, &context)?;
        Ok(Self {
            connection,
            wall,
            budget,
            context,
        })
    }

    pub(super) fn begin(&self) -> Result<(), EngineError> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(())
    }

    /// Ends the snapshot. What cannot be ended is not worth an error: the next use tells.
    fn end(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        let ended = self
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut end| end.execute([]));
        if let Err(error) = ended {
            tracing::warn!(%error, "a read snapshot did not end");
        }
    }
}
