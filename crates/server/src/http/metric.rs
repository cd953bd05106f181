//! Prometheus metrics: the node's, and those of this API.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::context::App;
use super::error::{ApiError, Refusals};

/// Metrics in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "node",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain"), Refusals)
)]
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let Some(handle) = &app.config().metrics else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_metrics",
            "this node records no metrics",
        ));
    };
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    Ok((kind, handle.render()).into_response())
}

/// Counts and times every request by its route, never by its path: routes are few.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("stele_http_requests_total", "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("stele_http_request_seconds", "route" => route)
        .record(started.elapsed().as_secs_f64());
    response
}
