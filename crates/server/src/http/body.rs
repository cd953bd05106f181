//! Bodies, read piece by piece up to a bound.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use stele_core::transaction::RECORD_LEN_MAX;
use tokio::sync::SemaphorePermit;

use super::config::JSON_LEN_MAX;
use super::context::{App, BODY_PERMIT_LEN};
use super::error::ApiError;

/// Reads a body of at most `len_max` bytes.
pub(super) async fn read(body: Body, len_max: usize) -> Result<Vec<u8>, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece =
            piece.map_err(|error| ApiError::invalid(format!("the body ended early: {error}")))?;
        if bytes.len() + piece.len() > len_max {
            return Err(too_long(len_max));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Reads a JSON body.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let bytes = read(body, JSON_LEN_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::invalid(format!("the body is not the JSON this path takes: {error}"))
            .hint("/openapi.json describes it")
    })
}

/// A record's bytes and the share of memory they are counted against.
pub(super) struct RecordBody<'a> {
    pub(super) bytes: Vec<u8>,
    pub(super) _held: SemaphorePermit<'a>,
}

/// Reads a record. Memory for all records under way is bounded: as much as the client announced, or
/// the longest record when it announced nothing.
pub(super) async fn record<'a>(
    app: &'a App,
    headers: &HeaderMap,
    body: Body,
) -> Result<RecordBody<'a>, ApiError> {
    let len_max = RECORD_LEN_MAX as usize;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|len| len > len_max) {
        return Err(too_long(len_max));
    }
    let len_max = announced.unwrap_or(len_max);
    let permits = u32::try_from(len_max.div_ceil(BODY_PERMIT_LEN)).unwrap_or(u32::MAX);
    let held = app
        .record_bytes()
        .try_acquire_many(permits)
        .map_err(|_| ApiError::busy("too many bytes of records are under way"))?;
    Ok(RecordBody {
        bytes: read(body, len_max).await?,
        _held: held,
    })
}

fn too_long(len_max: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_long",
        format!("the body is longer than {len_max} bytes"),
    )
    .hint("records up to 64 MiB go to POST /v1/records; split what is longer")
}
