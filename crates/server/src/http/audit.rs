//! Self-checks on demand: one at a time, in the background, watched by their number.

use std::ops::RangeInclusive;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stele_core::block::FIRST_HEIGHT;
use stele_node::NodeError;
use utoipa::ToSchema;

use super::body;
use super::config::JSON_LEN_MAX;
use super::context::App;
use super::error::{ApiError, ErrorView, Refusals};
use super::extract::Segments;
use super::job::Job;

/// Where checks are watched.
const PATH: &str = "/v1/audit";

/// What to check.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuditRequest {
    /// First height; 1 when absent.
    from: Option<u64>,
    /// Last height, included; the tip when absent.
    to: Option<u64>,
    /// Whether to check every row of the state and its history too; true when absent.
    state: Option<bool>,
}

impl AuditRequest {
    fn heights(&self) -> RangeInclusive<u64> {
        self.from.unwrap_or(FIRST_HEIGHT)..=self.to.unwrap_or(u64::MAX)
    }
}

/// A check.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditView {
    /// Its number.
    job: u64,
    /// `running`, `done` or `failed`.
    state: &'static str,
    /// Bytes checked so far.
    done_bytes: u64,
    /// Bytes to check.
    total_bytes: u64,
    /// What was found, once it is done: no findings means all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<serde_json::Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
}

impl AuditView {
    fn of(job: &Job) -> Self {
        let state = job.state();
        Self {
            job: state.job,
            state: state.state,
            done_bytes: state.done,
            total_bytes: state.total,
            report: state.report,
            error: state.error,
        }
    }
}

/// Starts a check of blocks and state. The node goes on serving.
#[utoipa::path(
    post,
    path = "/v1/audit",
    tag = "node",
    request_body(content = AuditRequest, description = "May be empty: everything is checked"),
    responses(
        (status = 202, description = "Started", body = AuditView),
        (status = 409, description = "One is running: `audit_running`", body = ErrorView),
        Refusals
    )
)]
pub(super) async fn start(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    let bytes = body::read(body, JSON_LEN_MAX).await?;
    let request: AuditRequest = if bytes.trim_ascii().is_empty() {
        AuditRequest::default()
    } else {
        body::json(bytes.into()).await?
    };
    app.node()
        .check_heights(&request.heights())
        .map_err(|error| {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_height", error.to_string())
        })?;
    let job = app.audits().begin(PATH, "")?;
    let view = AuditView::of(&job);
    let node = app.node().clone();
    job.run(move |job| {
        let progress = |done, total| job.progress(done, total);
        let report = node.audit(request.heights(), request.state.unwrap_or(true), &progress)?;
        serde_json::to_value(report).map_err(|error| NodeError::Storage(error.to_string()).into())
    });
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

/// How far a check is, and what it found.
#[utoipa::path(
    get,
    path = "/v1/audit/{job}",
    tag = "node",
    params(("job" = u64, Path, description = "Number of the check")),
    responses((status = 200, description = "The check", body = AuditView), Refusals)
)]
pub(super) async fn progress(
    State(app): State<App>,
    Segments(number): Segments<u64>,
) -> Result<Json<AuditView>, ApiError> {
    let job = app.audits().find(number, PATH)?;
    Ok(Json(AuditView::of(&job)))
}
