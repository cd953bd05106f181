//! Opaque records: any bytes, appended and read back exactly.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stele_node::{NodeError, Record};
use utoipa::{IntoParams, ToSchema};

use super::block::check_height;
use super::body;
use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals, status_of};
use super::extract::{OCTET_STREAM, Params, Segments, hash};
use super::receipt::{self, AcceptedView, HEIGHT, ReceiptView, Wait};

/// Header that is `true` while a record waits for its block.
const PENDING: HeaderName = HeaderName::from_static("stele-pending");
/// Header that names a record's identity.
const RECORD: HeaderName = HeaderName::from_static("stele-record");
/// Header that names a record's place in its block.
const INDEX: HeaderName = HeaderName::from_static("stele-index");

/// Query parameters of an append.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AppendParams {
    /// What to wait for; `accepted` when absent.
    wait: Option<Wait>,
    /// Name of the key-store key that signs; the operator's when absent.
    key: Option<String>,
}

/// A record's place.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlaceView {
    /// The record's identity.
    id: String,
    /// Height of its block.
    height: u64,
    /// Its place in the block.
    index: u32,
}

/// Appends a record of any bytes, up to 64 MiB; also none.
///
/// Answers 202 with the record's identity at once; with `wait=applied` its place.
#[utoipa::path(
    post,
    path = "/v1/records",
    tag = "records",
    params(AppendParams),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "In a block, with wait=applied or committed", body = PlaceView),
        (status = 202, description = "Accepted; the record can be read at once", body = AcceptedView),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn append(
    State(app): State<App>,
    Params(params): Params<AppendParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let key = app.key(params.key)?;
    let pending = {
        let record = body::record(&app, &headers, body).await?;
        let bytes = record.bytes;
        app.blocking(move |node| node.append_record(&key, &bytes))
            .await?
    };
    let wait = params.wait.unwrap_or(Wait::Accepted);
    if wait == Wait::Accepted {
        return receipt::answer(&app, pending, wait).await;
    }
    let receipt = receipt::applied(&app, pending).await?;
    let height = [(HEIGHT, HeaderValue::from(receipt.height))];
    if !receipt.outcome.code.is_success() {
        let status = status_of(receipt.outcome.code.as_str());
        return Ok((status, height, Json(ReceiptView::from(receipt))).into_response());
    }
    let place = PlaceView {
        id: receipt.id.to_hex(),
        height: receipt.height,
        index: receipt.index,
    };
    Ok((height, Json(place)).into_response())
}

/// A record by its identity. The header `Stele-Pending` is `true` while it waits for its block.
#[utoipa::path(
    get,
    path = "/v1/records/{id}",
    tag = "records",
    params(("id" = String, Path, description = "Identity, hexadecimal or base64url")),
    responses(
        (status = 200, description = "Its bytes", body = Vec<u8>, content_type = "application/octet-stream",
            headers(("Stele-Pending" = bool), ("Stele-Height" = u64), ("Stele-Index" = u32))),
        Refusals
    )
)]
pub(super) async fn find(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let id = hash("record identity", &id)?;
    let record = app
        .blocking(move |node| {
            node.record(&id).map_err(|error| match error {
                NodeError::NotFound { hint, .. } => ApiError::new(
                    StatusCode::NOT_FOUND,
                    "unknown_record",
                    format!("no record {id} is known here"),
                )
                .hint(if hint.is_empty() {
                    "it never arrived, or it was accepted and lost with the node; append it again"
                        .to_owned()
                } else {
                    hint
                }),
                other => other.into(),
            })
        })
        .await?;
    Ok(found(record))
}

/// A record by its place. An unknown block and an unknown index are different errors.
#[utoipa::path(
    get,
    path = "/v1/records/{height}/{index}",
    tag = "records",
    params(
        ("height" = u64, Path, description = "Height of the block"),
        ("index" = u32, Path, description = "Place in the block, from 0")
    ),
    responses(
        (status = 200, description = "Its bytes", body = Vec<u8>, content_type = "application/octet-stream"),
        Refusals
    )
)]
pub(super) async fn find_at(
    State(app): State<App>,
    Segments((height, index)): Segments<(u64, u32)>,
) -> Result<Response, ApiError> {
    let record = app
        .blocking(move |node| {
            check_height(node, height)?;
            node.record_at(height, index).map_err(|error| match error {
                NodeError::NotFound { hint, .. } => {
                    let refused = ApiError::new(
                        StatusCode::NOT_FOUND,
                        "unknown_index",
                        format!("block {height} has no record at index {index}"),
                    );
                    if hint.is_empty() {
                        refused
                    } else {
                        refused.hint(hint)
                    }
                }
                other => other.into(),
            })
        })
        .await?;
    Ok(found(record))
}

fn found(record: Record) -> Response {
    let pending = if record.place.is_none() {
        "true"
    } else {
        "false"
    };
    let mut response = record.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(OCTET_STREAM));
    // The bytes are anyone's: a browser must never take them for a page of this origin.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(PENDING, HeaderValue::from_static(pending));
    if let Ok(id) = HeaderValue::from_str(&record.id.to_hex()) {
        headers.insert(RECORD, id);
    }
    if let Some((height, index)) = record.place {
        headers.insert(HEIGHT, HeaderValue::from(height));
        headers.insert(INDEX, HeaderValue::from(index));
    }
    response
}
