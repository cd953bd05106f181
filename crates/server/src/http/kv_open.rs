//! The table of open key-value transactions: bounded in number, bytes and idle time.
//!
//! Nothing outside this process knows of them; they end with it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;
use stele_core::transaction::{Statement, TRANSACTION_LEN_MAX};
use stele_core::{AccountId, Encode};
use stele_node::NodeError;
use stele_sql::StatementResult;
use stele_sql::engine::result_digest;
use utoipa::ToSchema;

use super::context::App;
use super::error::ApiError;

/// Most reads and writes of one open transaction.
const STATEMENTS_MAX: usize = 1_000;
/// Most bytes of statements in all open transactions together (64 MiB).
const OPEN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Room in a transaction for all but its statements, in bytes.
const ENVELOPE_LEN: usize = 4 * 1024;
/// Ended transactions whose end is remembered, so that late use gets a fitting error.
const ENDED_KEPT_MAX: usize = 10_000;

/// A random name only its owner knows.
pub(super) type Token = [u8; 16];

/// All open transactions of the node.
pub(super) struct OpenTransactions {
    open_max: usize,
    idle_max: Duration,
    /// Bytes of statements in all open transactions.
    bytes_held: Arc<AtomicUsize>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: HashMap<Token, Arc<Mutex<Open>>>,
    ended: HashMap<Token, End>,
    ended_order: VecDeque<Token>,
}

pub(super) struct Open {
    pub(super) key: String,
    account: AccountId,
    pub(super) statements: Vec<Statement>,
    /// How many of the statements write.
    pub(super) writes: usize,
    bytes: usize,
    bytes_held: Arc<AtomicUsize>,
    used: Instant,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.bytes_held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Open {
    /// Adds a statement, unless the transaction would become too long.
    fn push(&mut self, statement: Statement) -> Result<(), ApiError> {
        let added = statement.encode_to_vec().len();
        let bytes = self.bytes + added;
        if self.statements.len() >= STATEMENTS_MAX || bytes > TRANSACTION_LEN_MAX - ENVELOPE_LEN {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "54000",
                format!(
                    "a transaction has at most {STATEMENTS_MAX} reads and writes and {TRANSACTION_LEN_MAX} bytes"
                ),
            )
            .hint("commit it and begin another"));
        }
        if self.bytes_held.load(Ordering::Relaxed) + added > OPEN_BYTES_MAX {
            return Err(ApiError::busy("the open transactions hold too many bytes"));
        }
        self.bytes_held.fetch_add(added, Ordering::Relaxed);
        // A read insists on what was seen; a write takes what comes.
        self.writes += usize::from(statement.result.is_none());
        self.statements.push(statement);
        self.bytes = bytes;
        self.used = Instant::now();
        Ok(())
    }
}

#[derive(Clone, Copy)]
pub(super) enum End {
    Expired,
    Committed,
    RolledBack,
}

/// An open transaction.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OpenView {
    /// Its token, to be sent as the header `Stele-Transaction`.
    transaction: String,
    /// Whether it is open: always true here.
    in_transaction: bool,
    /// Key that signs.
    key: String,
    /// Writes so far.
    writes: usize,
    /// Milliseconds without use after which it is undone.
    idle_ms_max: u64,
}

impl Table {
    fn end(&mut self, token: Token, end: End) -> Option<Arc<Mutex<Open>>> {
        let open = self.open.remove(&token)?;
        if self.ended_order.len() == ENDED_KEPT_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        self.ended.insert(token, end);
        self.ended_order.push_back(token);
        Some(open)
    }

    fn expire(&mut self, idle_max: Duration) {
        let idle: Vec<Token> = self
            .open
            .iter()
            // One that is in use right now is not idle.
            .filter(|(_, open)| {
                open.try_lock()
                    .is_some_and(|open| open.used.elapsed() > idle_max)
            })
            .map(|(token, _)| *token)
            .collect();
        for token in idle {
            self.end(token, End::Expired);
        }
    }
}

impl OpenTransactions {
    pub(super) fn new(open_max: usize, idle_max: Duration) -> Self {
        Self {
            open_max,
            idle_max,
            bytes_held: Arc::default(),
            table: Mutex::new(Table::default()),
        }
    }

    pub(super) fn begin(&self, key: String, account: AccountId) -> Result<OpenView, ApiError> {
        let mut token = Token::default();
        getrandom::fill(&mut token).map_err(|error| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                format!("the system gives no random bytes: {error}"),
            )
        })?;
        let mut table = self.table.lock();
        table.expire(self.idle_max);
        if table.open.len() >= self.open_max {
            return Err(ApiError::busy(format!(
                "{} transactions are open",
                table.open.len()
            )));
        }
        let open = Open {
            key,
            account,
            statements: Vec::new(),
            writes: 0,
            bytes: 0,
            bytes_held: self.bytes_held.clone(),
            used: Instant::now(),
        };
        let view = self.view(&token, &open);
        table.open.insert(token, Arc::new(Mutex::new(open)));
        Ok(view)
    }

    pub(super) fn find(&self, token: &Token) -> Result<Arc<Mutex<Open>>, ApiError> {
        let mut table = self.table.lock();
        table.expire(self.idle_max);
        match table.open.get(token) {
            Some(open) => {
                let found = open.clone();
                if let Some(mut open) = found.try_lock() {
                    open.used = Instant::now();
                }
                Ok(found)
            }
            None => Err(self.no_longer_open(table.ended.get(token).copied())),
        }
    }

    pub(super) fn end(&self, token: &Token, end: End) -> Result<Arc<Mutex<Open>>, ApiError> {
        let mut table = self.table.lock();
        table.expire(self.idle_max);
        let open = table.end(*token, end);
        open.ok_or_else(|| self.no_longer_open(table.ended.get(token).copied()))
    }

    /// Opens again what was taken to be committed and could not be handed in.
    pub(super) fn reopen(&self, token: Token, open: Arc<Mutex<Open>>) {
        open.lock().used = Instant::now();
        let mut table = self.table.lock();
        table.ended.remove(&token);
        table.ended_order.retain(|ended| *ended != token);
        table.open.insert(token, open);
    }

    fn no_longer_open(&self, end: Option<End>) -> ApiError {
        match end {
            Some(End::Expired) => ApiError::new(
                StatusCode::GONE,
                "expired",
                format!(
                    "the transaction was not used for {} s and is undone",
                    self.idle_max.as_secs()
                ),
            )
            .hint("begin a new one with POST /v1/kv-transactions"),
            Some(End::Committed) => ApiError::new(
                StatusCode::CONFLICT,
                "ended",
                "the transaction was committed already",
            ),
            Some(End::RolledBack) => ApiError::new(
                StatusCode::CONFLICT,
                "ended",
                "the transaction was rolled back already",
            ),
            None => ApiError::new(
                StatusCode::NOT_FOUND,
                "unknown_transaction",
                "no transaction with this token is open",
            )
            .hint("POST /v1/kv-transactions begins one; tokens end with the node"),
        }
    }

    /// Notes a write.
    pub(super) async fn write(
        &self,
        token: &Token,
        statement: Statement,
    ) -> Result<OpenView, ApiError> {
        let open = self.find(token)?;
        let mut open = open.lock();
        open.push(statement)?;
        Ok(self.view(token, &open))
    }

    /// Runs a read on what the transaction sees; and the height it was seen on.
    pub(super) async fn read(
        &self,
        app: &App,
        token: &Token,
        statement: Statement,
    ) -> Result<(StatementResult, u64), ApiError> {
        let open = self.find(token)?;
        let (account, mut statements) = {
            let open = open.lock();
            (open.account, open.statements.clone())
        };
        let seen_after = statements.len();
        statements.push(statement.clone());
        let (result, height, digest) = app
            .blocking(move |node| {
                let height = node.status().height;
                // The statements of this table take neither time nor chance.
                let results = node.preview(account, &statements, node.now_us(), [0; 16])?;
                let result = results.into_iter().next_back().unwrap_or_default();
                let digest = result_digest(node.suite(), &result);
                Ok::<_, NodeError>((result, height, digest))
            })
            .await?;
        let mut open = open.lock();
        // What was added meanwhile was not seen; the digest holds for this place alone.
        if open.statements.len() != seen_after {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "concurrent_use",
                "another request used the transaction at the same time",
            )
            .hint("send the requests of one transaction one after another; send this one again"));
        }
        open.push(Statement {
            result: Some(digest),
            ..statement
        })?;
        Ok((result, height))
    }

    pub(super) fn view(&self, token: &Token, open: &Open) -> OpenView {
        OpenView {
            transaction: hex::encode(token),
            in_transaction: true,
            key: open.key.clone(),
            writes: open.writes,
            idle_ms_max: u64::try_from(self.idle_max.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests;
