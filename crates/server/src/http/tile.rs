//! The log at its C2SP `tlog-tiles` paths.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use stele_core::log::{TILE_WIDTH, TilePath};

use super::context::App;
use super::error::{ApiError, Refusals};
use super::extract::{OCTET_STREAM, Params, Segments};

/// A full tile never changes; a partial one neither, but it gives way to the full one.
const CACHE_FULL: &str = "public, max-age=31536000, immutable";
const CACHE_PARTIAL: &str = "public, max-age=600";
/// A checkpoint is only of use fresh.
const CACHE_CHECKPOINT: &str = "no-cache";

/// The newest checkpoint: a C2SP signed note.
#[utoipa::path(
    get,
    path = "/checkpoint",
    tag = "log",
    responses((status = 200, description = "Signed note", body = String, content_type = "text/plain"), Refusals)
)]
pub(super) async fn checkpoint(State(app): State<App>) -> Result<Response, ApiError> {
    let note = app.blocking(|node| node.checkpoint()).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE_CHECKPOINT),
    ];
    Ok((headers, note).into_response())
}

/// Query of [`growth`].
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    from: u64,
}

/// Proof that nothing before an older checkpoint has changed: from its size to the newest checkpoint, in
/// the form of C2SP tlog-witness. `stele verify --since` checks it offline.
#[utoipa::path(
    get,
    path = "/v1/checkpoint/proof",
    tag = "log",
    params(("from" = u64, Query, description = "Size of the older checkpoint: its second line")),
    responses((status = 200, description = "Consistency proof", body = String, content_type = "text/plain"), Refusals)
)]
pub(super) async fn growth(
    State(app): State<App>,
    Params(From { from }): Params<From>,
) -> Result<String, ApiError> {
    app.blocking(move |node| node.prove_growth(from)).await
}

/// A tile of hashes (`tile/<level>/<index>[.p/<width>]`) or a bundle of entries (`tile/entries/…`).
#[utoipa::path(
    get,
    path = "/tile/{path}",
    tag = "log",
    params(("path" = String, Path, description = "Path of the tile as C2SP tlog-tiles has it, such as 0/x001/067; slashes as they are")),
    responses((status = 200, description = "The tile", body = Vec<u8>, content_type = "application/octet-stream"), Refusals)
)]
pub(super) async fn tile(
    State(app): State<App>,
    Segments(path): Segments<String>,
) -> Result<Response, ApiError> {
    let path = format!("tile/{path}");
    let tile: TilePath = path.parse().map_err(|error| {
        ApiError::new(StatusCode::NOT_FOUND, "unknown_tile", format!("{error}"))
    })?;
    let bytes = app.blocking(move |node| node.tile(&path)).await?;
    let cache = if u64::from(tile.width()) == TILE_WIDTH {
        CACHE_FULL
    } else {
        CACHE_PARTIAL
    };
    let headers = [
        (header::CONTENT_TYPE, OCTET_STREAM),
        (header::CACHE_CONTROL, cache),
    ];
    Ok((headers, bytes).into_response())
}
