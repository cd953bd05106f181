//! The node at a glance: health, status, chain information, state root.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stele_core::transaction::Statement;
use stele_core::{Hash, Value};
use stele_node::{Node, NodeError, OpenTransaction, StoreStatus};
use utoipa::ToSchema;

use super::context::App;
use super::error::{ApiError, Refusals};
use super::extract::{OCTET_STREAM, wants_bytes};
use super::preview;
use super::receipt::HEIGHT;

/// Whether the node serves reads and writes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthView {
    /// Whether all is well.
    healthy: bool,
    /// State of the block store.
    #[schema(value_type = String, example = "valid")]
    store: StoreStatus,
    /// Why it takes no writes, if so.
    halted: Option<String>,
    /// Height of the last applied block.
    height: u64,
}

/// The chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChainView {
    /// Ledger id.
    ledger: String,
    /// Origin of its checkpoints: the ledger's name.
    origin: String,
    /// The node's name.
    node: String,
    /// Height of the last block; 0 before the first.
    height: u64,
    /// Transactions in all blocks.
    transactions: u64,
    /// Hash of the last block.
    block: String,
    /// Hash of the block before it; the ledger id for the first.
    parent: Option<String>,
    /// State root after the last block.
    state_root: String,
    /// Leaves in the log.
    log_size: u64,
    /// Highest segment file number.
    segment: u64,
    /// Length of that file, in bytes; null before the first block.
    segment_len: Option<u64>,
    /// Bytes in all segment files.
    segment_bytes: u64,
}

/// The root of the state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StateView {
    /// The block after which this was the state.
    height: u64,
    /// Its root.
    root: String,
}

/// 200 while the node serves reads and writes, else 503; made for load balancers and supervisors.
#[utoipa::path(
    get,
    path = "/v1/health",
    tag = "node",
    responses(
        (status = 200, description = "All is well", body = HealthView),
        (status = 503, description = "The node is halted, or its store is not valid", body = HealthView)
    )
)]
pub(super) async fn health(State(app): State<App>) -> Result<Response, ApiError> {
    let status = app
        .blocking(|node| Ok::<_, NodeError>(node.status()))
        .await?;
    let serves = !matches!(status.store, StoreStatus::Invalid | StoreStatus::Receiving);
    let healthy = serves && status.halted.is_none();
    let code = if healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let view = HealthView {
        healthy,
        store: status.store,
        halted: status.halted,
        height: status.height,
    };
    Ok((code, Json(view)).into_response())
}

/// Everything an operator wants to see of the node.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "node",
    responses((status = 200, description = "Status", body = serde_json::Value), Refusals)
)]
pub(super) async fn status(State(app): State<App>) -> Result<Response, ApiError> {
    let status = app
        .blocking(|node| Ok::<_, NodeError>(node.status()))
        .await?;
    Ok(([(HEIGHT, HeaderValue::from(status.height))], Json(status)).into_response())
}

/// What validators signed that contradicts itself, oldest first: two checkpoints of one height, or two votes for one view.
#[utoipa::path(
    get,
    path = "/v1/evidence",
    tag = "node",
    responses((status = 200, description = "Evidence: validator, what, number, time_us, signed", body = serde_json::Value), Refusals)
)]
pub(super) async fn evidence(State(app): State<App>) -> Result<Response, ApiError> {
    let evidence = app
        .blocking(|node| Ok::<_, NodeError>(node.evidence()))
        .await?;
    Ok(Json(evidence).into_response())
}

/// The chain: names, height, totals, hashes, root and files.
#[utoipa::path(
    get,
    path = "/v1/chain",
    tag = "blocks",
    responses((status = 200, description = "Chain information", body = ChainView), Refusals)
)]
pub(super) async fn chain(State(app): State<App>) -> Result<Json<ChainView>, ApiError> {
    let name = app.config().node_name.clone();
    app.blocking(move |node| {
        let status = node.status();
        let (parent, segment_len) = match status.height {
            0 => (None, None),
            tip => (
                Some(node.block(tip)?.block.header.parent.to_hex()),
                Some(node.block_location(tip)?.segment_len),
            ),
        };
        Ok::<_, NodeError>(Json(ChainView {
            ledger: status.ledger,
            origin: status.origin,
            node: name,
            height: status.height,
            transactions: status.transactions,
            block: status.block,
            parent,
            state_root: status.state_root,
            log_size: status.log_size,
            segment: status.segment,
            segment_len,
            segment_bytes: status.segment_bytes,
        }))
    })
    .await
}

/// The root of the newest state, or of what a preview would make of it, as hexadecimal in JSON or as
/// 32 bytes.
#[utoipa::path(
    get,
    path = "/v1/state",
    tag = "key-value",
    params(("Stele-Preview" = Option<String>, Header, description = "Name of an open preview")),
    responses(
        (status = 200, description = "The root", content(
            (StateView = "application/json"),
            (Vec<u8> = "application/octet-stream")
        )),
        Refusals
    )
)]
pub(super) async fn state_root(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(name) = preview::named_in(&headers)? {
        let read = |node: &Node, open: &mut OpenTransaction| {
            let statement = Statement {
                sql: "SELECT stele_state_root()".to_owned(),
                parameters: Vec::new(),
                result: None,
            };
            node.read_in(open, statement)
        };
        let (seen, _) = app.previews().with(&app, &name, read).await?;
        let root = seen.result.rows.into_iter().flatten().next();
        let Some(Value::Bytes(root)) = root else {
            return Err(NodeError::Storage("the state has no root".to_owned()).into());
        };
        return Ok(root_answer(&headers, seen.height, root));
    }
    let status = app
        .blocking(|node| Ok::<_, NodeError>(node.status()))
        .await?;
    let root = Hash::from_hex(&status.state_root)
        .ok_or_else(|| NodeError::Storage("the state has no root".to_owned()))?;
    Ok(root_answer(&headers, status.height, root.0.to_vec()))
}

fn root_answer(headers: &HeaderMap, height: u64, root: Vec<u8>) -> Response {
    let of_height = [(HEIGHT, HeaderValue::from(height))];
    if wants_bytes(headers) {
        let kind = [(header::CONTENT_TYPE, OCTET_STREAM)];
        return (of_height, kind, root).into_response();
    }
    let root = hex::encode(root);
    (of_height, Json(StateView { height, root })).into_response()
}
