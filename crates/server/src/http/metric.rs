//! Prometheus metrics: the node's, and those of this API.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use stele_node::{NodeError, Status};
use stele_pipeline::{Phase, Replicas};

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
    let status = app
        .blocking(|node| Ok::<_, NodeError>(node.status()))
        .await?;
    tell_store(&status);
    if let Some(replicas) = &app.config().replicas {
        tell_replicas(replicas, app.node().height());
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    Ok((kind, handle.render()).into_response())
}

/// Sets the gauges of the block store: one of its statuses is 1, and the first bad height is 0 where there is none.
fn tell_store(status: &Status) {
    let now = format!("{:?}", status.store).to_lowercase();
    for one in ["valid", "verifying", "invalid", "sending", "receiving"] {
        let is_now = f64::from(u8::from(one == now));
        metrics::gauge!("stele_store_status", "status" => one).set(is_now);
    }
    metrics::gauge!("stele_store_first_bad_height")
        .set(status.first_bad_height.unwrap_or(0) as f64);
    metrics::gauge!("stele_evidence").set(status.evidence as f64);
}

/// Sets the gauges of replicas: where each stands, how far behind, whether something is in its way, and whether its
/// last audit found all as it should be.
fn tell_replicas(replicas: &Replicas, ledger_height: u64) {
    for view in replicas.list() {
        let labels = [("replica", view.name.clone())];
        let height = view.status.height;
        let waits = matches!(view.status.phase, Phase::Waiting(_));
        metrics::gauge!("stele_replica_height", &labels).set(height as f64);
        metrics::gauge!("stele_replica_lag_blocks", &labels)
            .set(ledger_height.saturating_sub(height) as f64);
        metrics::gauge!("stele_replica_waiting", &labels).set(f64::from(u8::from(waits)));
        if let Some(last) = &view.last_audit {
            metrics::gauge!("stele_replica_audit_clean", &labels)
                .set(f64::from(u8::from(last.clean)));
            metrics::gauge!("stele_replica_audit_height", &labels).set(last.height as f64);
        }
    }
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
