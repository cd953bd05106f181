//! What a node needs that follows this one: the genesis, and blocks with their certificates.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::time::Duration;
use stele_core::Encode;
use stele_core::peer::Ask;
use stele_node::NodeError;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::config::BLOCKS_BYTES_MAX;
use super::context::{App, HEIGHT_POLL};
use super::error::{ApiError, Refusals};
use super::extract::{OCTET_STREAM, Params};

/// Longest wait for a block, in milliseconds.
const WAIT_MS_MAX: u64 = 10_000;

/// Query parameters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FollowParams {
    /// Blocks after this height; 0 when absent.
    after: Option<u64>,
    /// How long to wait for a block while there is none, in milliseconds, at most 10,000; 0 when absent.
    wait_ms: Option<u64>,
}

/// The ledger's genesis, encoded: its hash is the ledger id.
#[utoipa::path(
    get,
    path = "/v1/genesis",
    tag = "blocks",
    responses((status = 200, description = "Genesis", body = Vec<u8>, content_type = "application/octet-stream"), Refusals)
)]
pub(super) async fn genesis(State(app): State<App>) -> Response {
    let bytes = app.node().genesis().encode_to_vec();
    ([(header::CONTENT_TYPE, OCTET_STREAM)], bytes).into_response()
}

/// Blocks after a height, each with the certificate of the checkpoint after it (docs/formats.md, 9.1).
#[utoipa::path(
    get,
    path = "/v1/certified-blocks",
    tag = "blocks",
    params(FollowParams),
    responses((status = 200, description = "Blocks; none when there is none after that height", body = Vec<u8>, content_type = "application/octet-stream"), Refusals)
)]
pub(super) async fn certified_blocks(
    State(app): State<App>,
    Params(params): Params<FollowParams>,
) -> Result<Response, ApiError> {
    let after = params.after.unwrap_or(0);
    let wait = Duration::from_millis(params.wait_ms.unwrap_or(0).min(WAIT_MS_MAX));
    let end = Instant::now() + wait;
    while app.node().height() <= after && Instant::now() < end {
        tokio::time::sleep(HEIGHT_POLL).await;
    }
    let bytes = app
        .blocking(move |node| {
            let blocks = node.certified_blocks(after, BLOCKS_BYTES_MAX)?;
            Ok::<_, NodeError>(blocks.encode_to_vec())
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, OCTET_STREAM)], bytes).into_response())
}

/// Query parameters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeptParams {
    /// First height.
    from: u64,
    /// Last height; the newest when absent.
    to: Option<u64>,
    /// Bytes at the beginning that are there already: less than the first block takes; 0 when absent.
    skip: Option<u64>,
}

/// A piece of the stream of blocks with their effects (docs/formats.md, 9.3), for a node whose store is damaged.
#[utoipa::path(
    get,
    path = "/v1/kept-blocks",
    tag = "blocks",
    params(KeptParams),
    responses((status = 200, description = "The stream from there on, as much as fits into a piece; nothing where there is none", body = Vec<u8>, content_type = "application/octet-stream"), Refusals)
)]
pub(super) async fn kept_blocks(
    State(app): State<App>,
    Params(params): Params<KeptParams>,
) -> Result<Response, ApiError> {
    let ask = Ask {
        from: params.from,
        to: params.to.unwrap_or(u64::MAX),
        skip: params.skip.unwrap_or(0),
    };
    let bytes = app
        .blocking(move |node| node.piece(&ask, "a follower"))
        .await?;
    Ok(([(header::CONTENT_TYPE, OCTET_STREAM)], bytes).into_response())
}
