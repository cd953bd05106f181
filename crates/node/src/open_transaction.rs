//! A transaction that is still open: the statements it will submit, and what its client has seen.
//!
//! Nothing of it is on the ledger before it is committed. Each answer is a *preview*: all its
//! statements run on the newest state and are taken back. What the client has seen of a statement is
//! kept as a digest; the ledger runs the statements anew and refuses the transaction with 40001 when
//! one gives something else. So transactions that write and are both taken are as if one had run after
//! the other. A transaction that only reads submits nothing, and may see one state after the other.
//!
//! Not compared is what has no single answer: reads that name no table, sums of DOUBLE PRECISION, reads
//! of the system catalogue, and reads of the past, of which nodes may keep different parts.

use std::sync::atomic::{AtomicU64, Ordering};

use stele_core::transaction::{ExpectedVersion, Payload, Statement, TRANSACTION_LEN_MAX};
use stele_core::{AccountId, Encode, Value};
use stele_sql::engine::{
    Cancel, PreviewFailure, PreviewRequest, Previewed, ReadOptions, result_digest,
};
use stele_sql::{Bound, Reliance, SqlError, StatementResult};

use crate::error::NodeError;
use crate::node::Node;
use crate::receipt::Pending;

/// Room in a transaction for all but its statements, in bytes.
const ENVELOPE_LEN: usize = 8 * 1024;

/// Names of lists of statements, for the executor to know one again.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What an open transaction needs to know of one of its statements.
#[derive(Clone, Copy, Debug, Default)]
struct Traits {
    writes: bool,
    changes_schema: bool,
    /// Its result is not compared: it can only be one, or nobody is shown it.
    is_taken: bool,
    /// Bytes, encoded.
    len: usize,
}

impl Traits {
    /// Of a bound statement; one that cannot be bound yet may do anything.
    fn of(bound: Option<&Bound>) -> Self {
        Self {
            writes: bound.is_none_or(|bound| !bound.is_read_only()),
            changes_schema: bound.is_none_or(|bound| matches!(bound, Bound::Schema(_))),
            is_taken: bound.is_some_and(Bound::is_result_certain),
            len: 0,
        }
    }
}

/// An open transaction of an account.
#[derive(Clone, Debug)]
pub struct OpenTransaction {
    account: AccountId,
    time_us: i64,
    seed: [u8; 16],
    id: u64,
    statements_max: usize,
    statements: Vec<Statement>,
    traits: Vec<Traits>,
    bytes: usize,
    answered: usize,
    /// Rows of kept reads that needed no preview.
    rows: u64,
    expected: Vec<ExpectedVersion>,
    /// Set when a read could not be kept for comparison: writes are refused from then on.
    overread: bool,
    /// Stops what is under way.
    cancel: Option<Cancel>,
    /// The moment reads are of, if not the newest state.
    as_of: Option<String>,
}

/// A result, and the height of the state it was seen on.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The result.
    pub result: StatementResult,
    /// The height.
    pub height: u64,
}

impl OpenTransaction {
    /// Opens one of at most so many statements.
    #[must_use]
    pub fn new(account: AccountId, time_us: i64, seed: [u8; 16], statements_max: usize) -> Self {
        Self {
            account,
            time_us,
            seed,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            statements_max,
            statements: Vec::new(),
            traits: Vec::new(),
            bytes: 0,
            answered: 0,
            rows: 0,
            expected: Vec::new(),
            overread: false,
            cancel: None,
            as_of: None,
        }
    }

    /// Reads and previews are stopped from now on with 57014 when that is asked for.
    pub fn watch(&mut self, cancel: Cancel) {
        self.cancel = Some(cancel);
    }

    /// Reads are from now on as of a height or time, or of the newest state again.
    pub fn set_as_of(&mut self, as_of: Option<&str>) {
        self.as_of = as_of.map(str::to_owned);
    }

    /// Whose it is.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Statements so far: those that write, and reads to be compared.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Their bytes, encoded.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many of them the client has been given a result of.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// How many of them write.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.traits.iter().filter(|traits| traits.writes).count()
    }

    /// Whether it changes the catalogue, so that binding as of the newest state can be wrong.
    #[must_use]
    pub fn changes_schema(&self) -> bool {
        self.traits.iter().any(|traits| traits.changes_schema)
    }

    /// Insists on table versions (strict mode): it fails with 40001 unless they still hold when the
    /// ledger executes it.
    pub fn expect(&mut self, expected: Vec<ExpectedVersion>) {
        self.expected = expected;
    }

    /// Adds a statement that writes; its result is still to come. `bound` is none when it cannot be
    /// bound yet.
    ///
    /// # Errors
    /// 54000 when there are too many or they are too long, or the reads before were.
    pub fn push(&mut self, statement: Statement, bound: Option<&Bound>) -> Result<(), SqlError> {
        if self.overread {
            return Err(SqlError::new(
                "54000",
                "the transaction has read more than can be compared at COMMIT",
            )
            .hint("ROLLBACK, and write in a transaction that reads less; or BEGIN READ ONLY for long reading."));
        }
        self.add(statement, Traits::of(bound))
    }

    /// Adds a statement that writes and whose result nobody is shown.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn note(&mut self, statement: Statement) -> Result<(), SqlError> {
        self.push(statement, None)?;
        if let Some(traits) = self.traits.last_mut() {
            traits.is_taken = true;
            traits.changes_schema = false;
        }
        Ok(())
    }

    fn add(&mut self, statement: Statement, traits: Traits) -> Result<(), SqlError> {
        if self.statements.len() >= self.statements_max {
            return Err(SqlError::new(
                "54000",
                format!(
                    "more than {} statements in one transaction",
                    self.statements_max
                ),
            )
            .hint("COMMIT more often, or put more rows into one statement."));
        }
        let len = len_of(&statement);
        if self.bytes.saturating_add(len) > TRANSACTION_LEN_MAX - ENVELOPE_LEN {
            return Err(SqlError::new(
                "54000",
                format!("the transaction has more than {TRANSACTION_LEN_MAX} bytes"),
            )
            .hint("COMMIT more often, or append large data as records over HTTP."));
        }
        self.bytes += len;
        self.statements.push(statement);
        self.traits.push(Traits { len, ..traits });
        Ok(())
    }

    /// Keeps a read that needed no preview. One too many ends writing, not reading.
    fn keep_read(&mut self, statement: Statement, rows: usize, rows_max: u64) {
        if self.overread || self.answered != self.statements.len() {
            return;
        }
        self.rows = self.rows.saturating_add(rows as u64);
        // The ledger would refuse to read more in one transaction.
        if self.rows <= rows_max && self.add(statement, Traits::default()).is_ok() {
            self.answered += 1;
        } else {
            self.stop_comparing();
        }
    }

    /// Keeps no more reads, and refuses writes from then on.
    pub fn stop_comparing(&mut self) {
        if self.writes() == 0 {
            self.truncate(0);
            self.overread = true;
        }
    }

    /// Forgets all statements but the first so many.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.statements.len() {
            return;
        }
        self.statements.truncate(len);
        for dropped in self.traits.drain(len..) {
            self.bytes -= dropped.len;
        }
        self.answered = self.answered.min(len);
        self.id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    }

    /// The statements, to be submitted at once.
    #[must_use]
    pub fn into_statements(self) -> Vec<Statement> {
        self.statements
    }

    fn request<'a>(&'a self, extra: Option<&'a Statement>) -> PreviewRequest<'a> {
        PreviewRequest {
            id: self.id,
            account: self.account,
            statements: &self.statements,
            from: self.answered,
            extra,
            now_us: self.time_us,
            seed: self.seed,
            cancel: self.cancel.as_ref(),
        }
    }
}

impl Node {
    /// Runs an open transaction's statements on the newest state and takes them back; gives the
    /// results the client has not seen yet, which count as seen from then on, up to the first that
    /// failed. `extra` leaves no trace.
    ///
    /// # Errors
    /// When the state cannot be read. What is wrong with a statement is [`Previewed::failure`].
    pub fn preview(
        &self,
        open: &mut OpenTransaction,
        extra: Option<&Statement>,
    ) -> Result<Previewed, NodeError> {
        let previewed = self.with_engine(|engine| engine.preview(&open.request(extra)))?;
        let suite = self.suite();
        let places = open.answered..open.statements.len();
        for (place, result) in places.zip(&previewed.results) {
            let is_taken = open.traits.get(place).is_some_and(|traits| traits.is_taken);
            if let Some(statement) = open.statements.get_mut(place).filter(|_| !is_taken) {
                statement.result = Some(result_digest(suite, result));
            }
            open.answered = place + 1;
        }
        Ok(previewed)
    }

    /// Runs a read as an open transaction sees it, and keeps it to be compared at COMMIT.
    ///
    /// # Errors
    /// What is wrong with it: the transaction is as it was. Writes whose result is still to come must
    /// have been previewed.
    pub fn read_in(
        &self,
        open: &mut OpenTransaction,
        statement: Statement,
    ) -> Result<Seen, NodeError> {
        if open.as_of.is_some() {
            // The past does not change: there is nothing to compare at COMMIT.
            let (result, height) = self.read_beside(open, &statement)?;
            return Ok(Seen { result, height });
        }
        let bound = self.describe(open.account, &statement.sql, &[]);
        let bound = match bound {
            Ok(bound) => Some(bound),
            // It may need what only this transaction knows.
            Err(_) if open.changes_schema() => None,
            Err(error) => return Err(error.into()),
        };
        let (reads, past, reliance) = match bound.as_deref() {
            Some(Bound::Query(query)) => (!query.reads.is_empty(), query.past, query.reliance),
            _ => (true, false, Reliance::default()),
        };
        let writes = open.writes() > 0;
        let compared = (reads || reliance.assertion)
            && !reliance.row_order
            && !reliance.state_root
            && !reliance.catalogue
            && !past;
        if compared && (writes || reliance.chance) && !open.overread {
            open.add(statement, Traits::default())?;
            return self.last_of(open);
        }
        if writes && (reads || reliance.state_root || open.changes_schema()) {
            let previewed = self.preview(open, Some(&statement))?;
            return seen(previewed);
        }
        let (result, height) = self.read_beside(open, &statement)?;
        if compared {
            let digest = result_digest(self.suite(), &result);
            let kept = Statement {
                result: Some(digest),
                ..statement
            };
            let rows_max = self.genesis().limits.result_rows_max;
            open.keep_read(kept, result.rows.len(), rows_max);
        }
        Ok(Seen { result, height })
    }

    /// Runs one more statement of an open transaction, a read or a write, and gives its result.
    ///
    /// # Errors
    /// What is wrong with it: the transaction is as it was. Writes whose result is still to come must
    /// have been previewed.
    pub fn run_in(
        &self,
        open: &mut OpenTransaction,
        statement: Statement,
    ) -> Result<Seen, NodeError> {
        let bound = self.describe(open.account, &statement.sql, &[]);
        match bound {
            Ok(bound) if bound.is_read_only() => self.read_in(open, statement),
            Err(error) if !open.changes_schema() => Err(error.into()),
            bound => {
                open.push(statement, bound.ok().as_deref())?;
                self.last_of(open)
            }
        }
    }

    /// Runs a read on the committed state, or as of a moment.
    fn read_beside(
        &self,
        open: &OpenTransaction,
        statement: &Statement,
    ) -> Result<(StatementResult, u64), NodeError> {
        // What it draws is drawn by no other statement.
        let seed = self.fresh_seed();
        let options = ReadOptions {
            cancel: open.cancel.as_ref(),
            as_of: open.as_of.as_deref(),
        };
        let readers = &self.inner.readers;
        Ok(readers.query_at(
            open.account,
            &statement.sql,
            &statement.parameters,
            open.time_us,
            seed,
            options,
        )?)
    }

    /// Previews a statement that was just added; takes it out again when it fails.
    fn last_of(&self, open: &mut OpenTransaction) -> Result<Seen, NodeError> {
        let before = open.statements.len().saturating_sub(1);
        let done = self.preview(open, None).and_then(seen);
        if done.is_err() {
            open.truncate(before);
        }
        done
    }

    /// Tells the executor that an open transaction will not go on.
    pub fn forget(&self, open: &OpenTransaction) {
        let forgotten = self.with_engine(|engine| engine.forget_preview(open.id));
        if let Err(error) = forgotten {
            tracing::warn!(%error, "a preview could not be undone");
        }
    }

    /// Signs and submits an open transaction. Does not wait. The ledger refuses it with 40001 when a
    /// result is no longer what the client saw.
    ///
    /// A transaction whose time has grown too old to be taken ([`Node::own_time_age_max_us`]) gets the
    /// clock's, and fails with 40001, too, if what its client saw depends on the time.
    ///
    /// # Errors
    /// As [`Node::write`], and 40001 already here.
    pub fn commit(&self, key: &str, mut open: OpenTransaction) -> Result<Pending, NodeError> {
        if open.answered == 0 {
            (open.time_us, open.seed) = (self.now_us(), self.fresh_seed());
        } else if self.now_us().saturating_sub(open.time_us) > self.own_time_age_max_us() {
            self.date_anew(&mut open)?;
        }
        let payload = Payload::Statements(open.statements);
        self.sign_and_submit(key, payload, open.expected, open.time_us, open.seed)
    }

    /// Puts the clock's time in place of an open transaction's own.
    fn date_anew(&self, open: &mut OpenTransaction) -> Result<(), NodeError> {
        let (old_us, now_us) = (open.time_us, self.now_us());
        open.time_us = now_us;
        // Another statement may read what one with a time wrote: one is enough for all.
        let relies_on_time = open.statements.iter().any(|statement| {
            self.describe(open.account, &statement.sql, &[])
                .map_or(true, |bound| bound.reliance().time)
        });
        if !relies_on_time {
            return Ok(());
        }
        // The ledger compares the results at the new time. What it will find is foretold here to say
        // why, and to tell it from a change by others.
        let whole = |time_us: i64| PreviewRequest {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            from: 0,
            now_us: time_us,
            ..open.request(None)
        };
        let (held, again) = self.with_engine(|engine| {
            let held = engine.preview(&whole(old_us))?;
            Ok((held, engine.preview(&whole(now_us))?))
        })?;
        if let Some(PreviewFailure { error, .. }) = held.failure {
            return Err(error.into());
        }
        match again.failure {
            Some(PreviewFailure { error, .. }) if error.code.as_str() == "40001" => {
                let seconds = now_us.saturating_sub(old_us) / 1_000_000;
                let message = format!(
                    "could not serialize access: the transaction is {seconds} s old, and what it has shown depends on now()"
                );
                Err(SqlError::new("40001", message)
                    .hint("Run it again and COMMIT sooner, or give the time as a parameter.")
                    .into())
            }
            Some(PreviewFailure { error, .. }) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// The last result of a preview.
fn seen(previewed: Previewed) -> Result<Seen, NodeError> {
    if let Some(PreviewFailure { error, .. }) = previewed.failure {
        return Err(error.into());
    }
    let height = previewed.height;
    match previewed.results.into_iter().next_back() {
        Some(result) => Ok(Seen { result, height }),
        None => Err(SqlError::new("XX000", "the preview gave no result").into()),
    }
}

/// How long a statement is when encoded, with the digest of its result, in bytes.
fn len_of(statement: &Statement) -> usize {
    const DIGEST_LEN: usize = 32;
    let values: usize = statement
        .parameters
        .iter()
        .map(|value| match value {
            Value::Text(text) | Value::Json(text) => text.len() + 5,
            Value::Bytes(bytes) => bytes.len() + 5,
            other => other.encode_to_vec().len(),
        })
        .sum();
    statement.sql.len() + values + 16 + DIGEST_LEN
}
