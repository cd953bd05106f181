//! Transactions over the key-value state that stay open between requests.
//!
//! An open transaction is a list of statements held here and nowhere else: others see nothing of it.
//! A read replays the list on the newest state, adds itself and undoes all (a *preview*), so it sees its own
//! writes. It is added to the list with the digest of what was seen; commit sends the list as one signed
//! transaction, which fails with 40001 if by then a read gives something else. So transactions that
//! both commit are as if one had run after the other. One left alone for its idle time is undone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stele_core::transaction::{Payload, Statement, TRANSACTION_LEN_MAX};
use stele_core::{AccountId, Encode};
use stele_sql::StatementResult;
use stele_sql::engine::result_digest;
use utoipa::{IntoParams, ToSchema};

use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals};
use super::extract::{Params, Segments};
use super::receipt::{self, AcceptedView, ReceiptView, Wait};
use super::sql;

/// Header that carries the token of an open transaction.
pub(super) const TRANSACTION: HeaderName = HeaderName::from_static("stele-transaction");

/// Most reads and writes of one open transaction.
const STATEMENTS_MAX: usize = 1_000;
/// Room in a transaction for all but its statements, in bytes.
const ENVELOPE_LEN: usize = 4 * 1024;
/// Ended transactions whose end is remembered, so that late use gets a fitting error.
const ENDED_KEPT_MAX: usize = 10_000;

/// A random name only its owner knows.
type Token = [u8; 16];

/// All open transactions of the node.
pub(super) struct OpenTransactions {
    open_max: usize,
    idle_max: Duration,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: HashMap<Token, Arc<Mutex<Open>>>,
    ended: HashMap<Token, End>,
    ended_order: VecDeque<Token>,
}

struct Open {
    key: String,
    account: AccountId,
    statements: Vec<Statement>,
    /// How many of the statements write.
    writes: usize,
    bytes: usize,
    used: Instant,
}

impl Open {
    /// Adds a statement, unless the transaction would become too long.
    fn push(&mut self, statement: Statement) -> Result<(), ApiError> {
        let bytes = self.bytes + statement.encode_to_vec().len();
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
        // A read insists on what was seen; a write takes what comes.
        self.writes += usize::from(statement.result.is_none());
        self.statements.push(statement);
        self.bytes = bytes;
        self.used = Instant::now();
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum End {
    Expired,
    Committed,
    RolledBack,
}

/// Query parameters of a begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BeginParams {
    /// Name of the key-store key that reads and signs; the operator's when absent.
    key: Option<String>,
}

/// Query parameters of a commit.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CommitParams {
    /// What to wait for; `applied` when absent.
    wait: Option<Wait>,
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

/// A transaction that was undone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UndoneView {
    /// Its token, of no use any more.
    transaction: String,
    /// Whether it is open: always false here.
    in_transaction: bool,
    /// Writes that were undone.
    writes: usize,
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
            table: Mutex::new(Table::default()),
        }
    }

    fn begin(&self, key: String, account: AccountId) -> Result<OpenView, ApiError> {
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
            used: Instant::now(),
        };
        let view = self.view(&token, &open);
        table.open.insert(token, Arc::new(Mutex::new(open)));
        Ok(view)
    }

    fn find(&self, token: &Token) -> Result<Arc<Mutex<Open>>, ApiError> {
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

    fn end(&self, token: &Token, end: End) -> Result<Arc<Mutex<Open>>, ApiError> {
        let mut table = self.table.lock();
        table.expire(self.idle_max);
        let open = table.end(*token, end);
        open.ok_or_else(|| self.no_longer_open(table.ended.get(token).copied()))
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
                Ok::<_, stele_node::NodeError>((result, height, digest))
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

    fn view(&self, token: &Token, open: &Open) -> OpenView {
        OpenView {
            transaction: hex::encode(token),
            in_transaction: true,
            key: open.key.clone(),
            writes: open.writes,
            idle_ms_max: u64::try_from(self.idle_max.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The token a request carries, if any.
pub(super) fn token_in(headers: &HeaderMap) -> Result<Option<Token>, ApiError> {
    headers
        .get(TRANSACTION)
        .map(|value| token_of(value.to_str().unwrap_or_default()))
        .transpose()
}

fn token_of(text: &str) -> Result<Token, ApiError> {
    let mut token = Token::default();
    hex::decode_to_slice(text, &mut token).map_err(|_| {
        ApiError::invalid("the transaction's token is not 32 hexadecimal characters")
    })?;
    Ok(token)
}

/// Begins a transaction. There is none inside another.
#[utoipa::path(
    post,
    path = "/v1/kv-transactions",
    tag = "key-value",
    params(
        BeginParams,
        ("Stele-Transaction" = Option<String>, Header, description = "Must be absent: a nested begin is the error 25001")
    ),
    responses((status = 201, description = "Open", body = OpenView), Refusals, StatementRefusals)
)]
pub(super) async fn begin(
    State(app): State<App>,
    Params(params): Params<BeginParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if headers.contains_key(&TRANSACTION) {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "25001",
            "there is already a transaction in progress: one cannot begin inside another",
        )
        .hint("leave the header Stele-Transaction out, or commit the open one first"));
    }
    let key = app.key(params.key);
    let account = sql::account(&app, &key).await?;
    let view = app.transactions().begin(key, account)?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// Whether a transaction is open, and how many writes it holds.
#[utoipa::path(
    get,
    path = "/v1/kv-transactions/{token}",
    tag = "key-value",
    params(("token" = String, Path, description = "Token")),
    responses((status = 200, description = "Open", body = OpenView), Refusals, StatementRefusals)
)]
pub(super) async fn state(
    State(app): State<App>,
    Segments(token): Segments<String>,
) -> Result<Json<OpenView>, ApiError> {
    let token = token_of(&token)?;
    let open = app.transactions().find(&token)?;
    let view = app.transactions().view(&token, &open.lock());
    Ok(Json(view))
}

/// Makes all writes of a transaction final, or none. It is closed either way.
#[utoipa::path(
    post,
    path = "/v1/kv-transactions/{token}/commit",
    tag = "key-value",
    params(("token" = String, Path, description = "Token"), CommitParams),
    responses(
        (status = 200, description = "Applied", body = ReceiptView),
        (status = 202, description = "Accepted, with wait=accepted", body = AcceptedView),
        (status = 204, description = "There was nothing to write"),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn commit(
    State(app): State<App>,
    Segments(token): Segments<String>,
    Params(params): Params<CommitParams>,
) -> Result<Response, ApiError> {
    let token = token_of(&token)?;
    let open = app.transactions().end(&token, End::Committed)?;
    let (key, statements, writes) = {
        let mut open = open.lock();
        let statements = std::mem::take(&mut open.statements);
        (open.key.clone(), statements, open.writes)
    };
    if writes == 0 {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let pending = app
        .blocking(move |node| node.write(&key, Payload::Statements(statements)))
        .await?;
    receipt::answer(&app, pending, params.wait.unwrap_or(Wait::Applied)).await
}

/// Undoes a transaction.
#[utoipa::path(
    post,
    path = "/v1/kv-transactions/{token}/rollback",
    tag = "key-value",
    params(("token" = String, Path, description = "Token")),
    responses((status = 200, description = "Undone", body = UndoneView), Refusals, StatementRefusals)
)]
pub(super) async fn rollback(
    State(app): State<App>,
    Segments(text): Segments<String>,
) -> Result<Json<UndoneView>, ApiError> {
    let token = token_of(&text)?;
    let open = app.transactions().end(&token, End::RolledBack)?;
    let writes = open.lock().writes;
    Ok(Json(UndoneView {
        transaction: text,
        in_transaction: false,
        writes,
    }))
}

#[cfg(test)]
mod tests;
