//! Self-checks on demand: one at a time, in the background, watched by their number.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stele_core::block::FIRST_HEIGHT;
use stele_node::{AuditReport, Node, NodeError};
use utoipa::ToSchema;

use super::body;
use super::config::JSON_LEN_MAX;
use super::context::App;
use super::error::{ApiError, ErrorView, Refusals};
use super::extract::Segments;

/// Finished checks whose reports are kept.
const REPORTS_KEPT_MAX: usize = 16;

/// The checks of this node since it started.
#[derive(Default)]
pub(super) struct Audits(Mutex<Jobs>);

#[derive(Default)]
struct Jobs {
    last: u64,
    kept: VecDeque<Arc<Job>>,
}

struct Job {
    number: u64,
    done_bytes: AtomicU64,
    total_bytes: AtomicU64,
    end: Mutex<Option<Result<AuditReport, ErrorView>>>,
}

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
    #[schema(value_type = Option<serde_json::Value>)]
    report: Option<AuditReport>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
}

impl Audits {
    fn begin(&self) -> Result<Arc<Job>, ApiError> {
        let mut jobs = self.0.lock();
        if let Some(running) = jobs.kept.iter().find(|job| job.end.lock().is_none()) {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "audit_running",
                format!("check {} is running", running.number),
            )
            .hint(format!(
                "GET /v1/audit/{} shows how far it is",
                running.number
            )));
        }
        jobs.last += 1;
        let job = Arc::new(Job {
            number: jobs.last,
            done_bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            end: Mutex::new(None),
        });
        if jobs.kept.len() == REPORTS_KEPT_MAX {
            jobs.kept.pop_front();
        }
        jobs.kept.push_back(job.clone());
        Ok(job)
    }

    fn find(&self, number: u64) -> Option<Arc<Job>> {
        let jobs = self.0.lock();
        jobs.kept.iter().find(|job| job.number == number).cloned()
    }
}

impl Job {
    fn run(&self, node: &Node, request: &AuditRequest) {
        let progress = |done, total| {
            self.done_bytes.store(done, Ordering::Relaxed);
            self.total_bytes.store(total, Ordering::Relaxed);
        };
        let report = node.audit(request.heights(), request.state.unwrap_or(true), &progress);
        *self.end.lock() = Some(report.map_err(view_of));
    }

    fn view(&self) -> AuditView {
        let end = self.end.lock().clone();
        let (state, report, error) = match end {
            None => ("running", None, None),
            Some(Ok(report)) => ("done", Some(report), None),
            Some(Err(error)) => ("failed", None, Some(error)),
        };
        AuditView {
            job: self.number,
            state,
            done_bytes: self.done_bytes.load(Ordering::Relaxed),
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
            report,
            error,
        }
    }
}

fn view_of(error: NodeError) -> ErrorView {
    ApiError::from(error).view().clone()
}

/// A job that ended without an end of its own must not stay `running`.
struct EndGuard(Arc<Job>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        let mut end = self.0.end.lock();
        if end.is_none() {
            *end = Some(Err(view_of(NodeError::Storage(
                "the check ended early inside the node: its log has the cause".to_owned(),
            ))));
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
    let job = app.audits().begin()?;
    let view = job.view();
    let node = app.node().clone();
    tokio::task::spawn_blocking(move || {
        let guard = EndGuard(job);
        guard.0.run(&node, &request);
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
    match app.audits().find(number) {
        Some(job) => Ok(Json(job.view())),
        None => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_audit",
            format!("no check {number} is known"),
        )
        .hint(format!(
            "the last {REPORTS_KEPT_MAX} since the node started are kept; POST /v1/audit starts one"
        ))),
    }
}
