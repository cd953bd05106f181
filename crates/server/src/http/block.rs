//! Blocks: by height, hash or transaction, a range of them, and where they lie.
//!
//! With `Accept: application/octet-stream` a block comes as its canonical bytes, and a range as such
//! blocks one after another, each after its length in four bytes, big-endian.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stele_core::block::FIRST_HEIGHT;
use stele_node::StoredBlock;
use stele_node::{Node, NodeError};
use utoipa::{IntoParams, ToSchema};

use super::block_view::BlockView;
use super::config::BLOCKS_BYTES_MAX;
use super::context::App;
use super::error::{ApiError, Refusals};
use super::extract::{OCTET_STREAM, Params, Segments, hash, wants_bytes};

/// Header that names the height to go on from, in answers of raw bytes.
const NEXT: HeaderName = HeaderName::from_static("stele-next");
/// Header that names the hash of a raw block.
const BLOCK_HASH: HeaderName = HeaderName::from_static("stele-block-hash");

/// Query parameters of a range.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RangeParams {
    /// First height, from 1; 1 when absent.
    from: Option<i64>,
    /// Most blocks; 0 or absent for up to 1,000. Long ranges come in pages, see `next`.
    limit: Option<u64>,
}

/// A page of blocks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BlocksView {
    /// The blocks, in order.
    blocks: Vec<BlockView>,
    /// The height to go on from; null when the page ends where the request or the chain does.
    next: Option<u64>,
}

/// Where a block lies.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LocationView {
    /// Its height.
    height: u64,
    /// Number of the segment file.
    segment: u64,
    /// Offset of the record in the file, in bytes.
    offset: u64,
    /// Length of the record, in bytes.
    len: u64,
    /// Length of the segment file, in bytes.
    segment_len: u64,
}

/// Blocks from a height on, decoded or raw.
#[utoipa::path(
    get,
    path = "/v1/blocks",
    tag = "blocks",
    params(RangeParams),
    responses(
        (status = 200, description = "A page of blocks", content(
            (BlocksView = "application/json"),
            (Vec<u8> = "application/octet-stream")
        )),
        Refusals
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    Params(params): Params<RangeParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let from = params.from.unwrap_or(FIRST_HEIGHT as i64);
    if from < FIRST_HEIGHT as i64 {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid_height",
            format!("from is {from}: the first block has height {FIRST_HEIGHT}"),
        ));
    }
    let raw = wants_bytes(&headers);
    let limit = params.limit.unwrap_or(0);
    app.blocking(move |node| {
        let (blocks, next) = node.blocks(from, limit, BLOCKS_BYTES_MAX)?;
        if raw {
            return raw_page(&blocks, next);
        }
        let suite = node.suite();
        let blocks = blocks.iter().map(|block| BlockView::new(suite, block));
        let page = BlocksView {
            blocks: blocks.collect(),
            next,
        };
        Ok(Json(page).into_response())
    })
    .await
}

fn raw_page(blocks: &[StoredBlock], next: Option<u64>) -> Result<Response, ApiError> {
    let mut bytes = Vec::new();
    for block in blocks {
        let len = u32::try_from(block.bytes.len()).map_err(|_| {
            NodeError::Storage(format!(
                "block {} is longer than any block can be",
                block.height
            ))
        })?;
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&block.bytes);
    }
    let mut response = ([(header::CONTENT_TYPE, OCTET_STREAM)], bytes).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(NEXT, HeaderValue::from(next));
    }
    Ok(response)
}

/// A block by its height.
#[utoipa::path(
    get,
    path = "/v1/blocks/{height}",
    tag = "blocks",
    params(("height" = u64, Path, description = "Height, from 1")),
    responses(
        (status = 200, description = "The block", content(
            (BlockView = "application/json"),
            (Vec<u8> = "application/octet-stream")
        )),
        Refusals
    )
)]
pub(super) async fn by_height(
    State(app): State<App>,
    Segments(height): Segments<u64>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    one(app, headers, move |_| Ok(height)).await
}

/// A block by its hash.
#[utoipa::path(
    get,
    path = "/v1/blocks/by-hash/{hash}",
    tag = "blocks",
    params(("hash" = String, Path, description = "Hash, hexadecimal or base64url")),
    responses(
        (status = 200, description = "The block", content(
            (BlockView = "application/json"),
            (Vec<u8> = "application/octet-stream")
        )),
        Refusals
    )
)]
pub(super) async fn by_hash(
    State(app): State<App>,
    Segments(text): Segments<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = hash("block hash", &text)?;
    one(app, headers, move |node| {
        node.height_of_block(&wanted).map_err(|error| {
            unknown(
                error,
                "unknown_block",
                &format!("no block has hash {wanted}"),
            )
        })
    })
    .await
}

/// The block a transaction is in.
#[utoipa::path(
    get,
    path = "/v1/blocks/by-transaction/{id}",
    tag = "blocks",
    params(("id" = String, Path, description = "Identity of the transaction, hexadecimal or base64url")),
    responses(
        (status = 200, description = "The block", content(
            (BlockView = "application/json"),
            (Vec<u8> = "application/octet-stream")
        )),
        Refusals
    )
)]
pub(super) async fn by_transaction(
    State(app): State<App>,
    Segments(text): Segments<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = hash("transaction identity", &text)?;
    one(app, headers, move |node| {
        match node.place_of_transaction(&id) {
            Ok((height, _)) => Ok(height),
            Err(error) => Err(unknown(
                error,
                "unknown_transaction",
                &format!("no block holds transaction {id}"),
            )),
        }
    })
    .await
}

/// Where a block lies: segment file, offset and lengths.
#[utoipa::path(
    get,
    path = "/v1/blocks/{height}/location",
    tag = "blocks",
    params(("height" = u64, Path, description = "Height, from 1")),
    responses((status = 200, description = "Its place", body = LocationView), Refusals)
)]
pub(super) async fn location(
    State(app): State<App>,
    Segments(height): Segments<u64>,
) -> Result<Json<LocationView>, ApiError> {
    app.blocking(move |node| {
        check_height(node, height)?;
        let place = node.block_location(height)?;
        Ok::<_, ApiError>(Json(LocationView {
            height,
            segment: place.segment,
            offset: place.offset,
            len: place.len,
            segment_len: place.segment_len,
        }))
    })
    .await
}

async fn one(
    app: App,
    headers: HeaderMap,
    find: impl FnOnce(&Node) -> Result<u64, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let raw = wants_bytes(&headers);
    app.blocking(move |node| {
        let height = find(node)?;
        check_height(node, height)?;
        let stored = node.block(height)?;
        if !raw {
            return Ok::<_, ApiError>(Json(BlockView::new(node.suite(), &stored)).into_response());
        }
        let mut response = stored.bytes.into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(OCTET_STREAM));
        if let Ok(hash) = HeaderValue::from_str(&stored.hash.to_hex()) {
            response.headers_mut().insert(BLOCK_HASH, hash);
        }
        Ok(response)
    })
    .await
}

/// Refuses a height no block has.
pub(super) fn check_height(node: &Node, height: u64) -> Result<(), ApiError> {
    let tip = node.status().height;
    if (FIRST_HEIGHT..=tip).contains(&height) {
        return Ok(());
    }
    let there = match tip {
        0 => "the chain has no block yet".to_owned(),
        _ => format!("the chain has blocks {FIRST_HEIGHT} to {tip}"),
    };
    Err(ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_block",
        format!("there is no block {height}"),
    )
    .hint(there))
}

/// A typed error in place of the node's general one for what is not there.
fn unknown(error: NodeError, code: &'static str, message: &str) -> ApiError {
    match error {
        NodeError::NotFound { .. } => ApiError::new(StatusCode::NOT_FOUND, code, message),
        other => other.into(),
    }
}
