//! Transactions over the key-value state that stay open between requests.
//!
//! An open transaction is a list of statements held here and nowhere else: others see nothing of it.
//! A read replays the list on the newest state, adds itself and undoes all (a *preview*), so it sees its own
//! writes. It is added to the list with the digest of what was seen; commit sends the list as one signed
//! transaction, which fails with 40001 if by then a read gives something else. So transactions that
//! both commit are as if one had run after the other. One left alone for its idle time is undone.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stele_core::transaction::Payload;
use utoipa::{IntoParams, ToSchema};

use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals};
use super::extract::{Params, Segments};
use super::kv_open::{End, OpenView, Token};
use super::receipt::{self, AcceptedView, ReceiptView, Wait};
use super::sql;

/// Header that carries the token of an open transaction.
pub(super) const TRANSACTION: HeaderName = HeaderName::from_static("stele-transaction");

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

/// Makes all writes of a transaction final, or none.
///
/// It is closed then, also when the writes fail; only when the node does not take them at all (it is
/// busy, say) it stays open, and the commit can be sent again.
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
        let open = open.lock();
        (open.key.clone(), open.statements.clone(), open.writes)
    };
    if writes == 0 {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let handed_in = app
        .blocking(move |node| node.write(&key, Payload::Statements(statements)))
        .await;
    let pending = match handed_in {
        Ok(pending) => pending,
        Err(refused) => {
            app.transactions().reopen(token, open);
            return Err(refused);
        }
    };
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
