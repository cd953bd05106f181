//! Transactions: submitted, looked up, proven.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use stele_core::Decode;
use stele_core::transaction::SignedTransaction;
use stele_node::{Node, NodeError};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::config::RAW_TRANSACTION_LEN_MAX;
use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals};
use super::extract::{OCTET_STREAM, Params, Segments, hash, is_media};
use super::receipt::{self, AcceptedView, HEIGHT, ReceiptView, Wait};
use super::transaction_view::{EffectsView, TransactionView};
use super::value::iso_time;

/// Query parameters of a submission.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SubmitParams {
    /// What to wait for; `applied` when absent.
    wait: Option<Wait>,
}

/// A signed transaction as JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitRequest {
    /// Its canonical bytes, base64.
    transaction: String,
}

/// A transaction that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FoundView {
    /// Its identity.
    id: String,
    /// Whether it still waits for its block; then nothing else is known.
    pending: bool,
    /// Height of its block.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    /// Its place in the block.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// Hash of its block.
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<String>,
    /// Block time.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    /// The transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<TransactionView>,
    /// What it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    effects: Option<EffectsView>,
}

/// Takes a transaction signed elsewhere.
///
/// `wait=accepted` answers 202 at once with its identity; `committed` and `applied` answer with the
/// receipt. On a ledger of a single node these two are the same moment: blocks are executed before
/// their fate is told.
#[utoipa::path(
    post,
    path = "/v1/transactions",
    tag = "transactions",
    params(SubmitParams),
    request_body(content(
        (SubmitRequest = "application/json"),
        (Vec<u8> = "application/octet-stream")
    ), description = "The canonical bytes of the signed transaction, raw or in JSON"),
    responses(
        (status = 200, description = "Applied", body = ReceiptView),
        (status = 202, description = "Accepted, with wait=accepted", body = AcceptedView),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn submit(
    State(app): State<App>,
    Params(params): Params<SubmitParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let bytes = if is_media(&headers, OCTET_STREAM) {
        body::read(body, RAW_TRANSACTION_LEN_MAX).await?
    } else {
        let request: SubmitRequest = body::json(body).await?;
        STANDARD
            .decode(&request.transaction)
            .map_err(|error| ApiError::invalid(format!("the transaction is not base64: {error}")))?
    };
    if bytes.len() > RAW_TRANSACTION_LEN_MAX {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_long",
            format!("a transaction has at most {RAW_TRANSACTION_LEN_MAX} bytes"),
        ));
    }
    let signed = SignedTransaction::decode_all(&bytes).map_err(|error| {
        ApiError::invalid(format!("the bytes are no signed transaction: {error}"))
            .hint("docs/formats.md describes the encoding; JSON takes {\"transaction\": base64}")
    })?;
    let pending = app.blocking(move |node| node.submit(signed)).await?;
    receipt::answer(&app, pending, params.wait.unwrap_or(Wait::Applied)).await
}

/// A transaction by its identity, decoded, with its outcome and place; or that it still waits.
#[utoipa::path(
    get,
    path = "/v1/transactions/{id}",
    tag = "transactions",
    params(("id" = String, Path, description = "Identity, hexadecimal or base64url")),
    responses((status = 200, description = "Found, in a block or waiting", body = FoundView), Refusals)
)]
pub(super) async fn find(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let id = hash("transaction identity", &id)?;
    let found = app.blocking(move |node| look_up(node, &id)).await?;
    let height = found.height;
    let mut response = Json(found).into_response();
    if let Some(height) = height {
        response
            .headers_mut()
            .insert(HEIGHT, HeaderValue::from(height));
    }
    Ok(response)
}

fn look_up(node: &Node, id: &stele_core::Hash) -> Result<FoundView, ApiError> {
    let mut view = FoundView {
        id: id.to_hex(),
        pending: true,
        height: None,
        index: None,
        block: None,
        time: None,
        transaction: None,
        effects: None,
    };
    let waits = node.is_pending(id);
    let (height, index) = match node.place_of_transaction(id) {
        Ok(place) => place,
        Err(_) if waits => return Ok(view),
        Err(NodeError::NotFound { .. }) => {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "unknown_transaction",
                format!("no transaction {id} is known here"),
            )
            .hint("it never arrived, or it was accepted and lost with the node; submit it again"));
        }
        Err(error) => return Err(error.into()),
    };
    let stored = node.block(height)?;
    let place = index as usize;
    let (Some(signed), Some(effects)) = (
        stored.block.transactions.get(place),
        stored.effects.transactions.get(place),
    ) else {
        return Err(NodeError::Storage(format!(
            "block {height} has no transaction {index}, which the index says it has: `stele audit` finds which is wrong"
        ))
        .into());
    };
    view.pending = false;
    view.height = Some(height);
    view.index = Some(index);
    view.block = Some(stored.hash.to_hex());
    view.time = Some(iso_time(stored.block.header.time_us));
    view.transaction = Some(TransactionView::new(node.suite(), signed));
    view.effects = Some(EffectsView::from(effects));
    Ok(view)
}

/// A proof file that a transaction and its outcome are in the log. `stele verify` checks it offline.
#[utoipa::path(
    get,
    path = "/v1/transactions/{id}/proof",
    tag = "proofs",
    params(("id" = String, Path, description = "Identity, hexadecimal or base64url")),
    responses((status = 200, description = "Proof file", body = String, content_type = "text/plain"), Refusals)
)]
pub(super) async fn prove(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<String, ApiError> {
    let id = hash("transaction identity", &id)?;
    app.blocking(move |node| node.prove_transaction(&id)).await
}
