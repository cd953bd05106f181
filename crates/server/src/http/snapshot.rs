//! Snapshots of the state, written in the background. Only the node's own user has them written.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stele_node::NodeError;
use utoipa::ToSchema;

use super::context::App;
use super::error::{ApiError, ErrorView, Refusals};
use super::extract::Segments;
use super::job::Job;

/// Where snapshots under way are watched.
const PATH: &str = "/v1/snapshots";

/// A snapshot under way, or written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SnapshotView {
    /// Its number.
    job: u64,
    /// `running`, `done` or `failed`.
    state: &'static str,
    /// Rows written so far.
    rows: u64,
    /// Rows in all.
    total_rows: u64,
    /// File, height and content, once it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<serde_json::Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
}

impl SnapshotView {
    fn of(job: &Job) -> Self {
        let state = job.state();
        Self {
            job: state.job,
            state: state.state,
            rows: state.done,
            total_rows: state.total,
            report: state.report,
            error: state.error,
        }
    }
}

/// Starts a snapshot of the newest state, in the data directory. The node goes on serving.
#[utoipa::path(
    post,
    path = "/v1/snapshots",
    tag = "node",
    responses(
        (status = 202, description = "Started", body = SnapshotView),
        (status = 409, description = "One is being written: `audit_running`", body = ErrorView),
        Refusals
    )
)]
pub(super) async fn create(State(app): State<App>) -> Result<Response, ApiError> {
    app.check_manager("snapshots")?;
    let job = app.snapshots().begin(PATH, "")?;
    let view = SnapshotView::of(&job);
    let node = app.node().clone();
    job.run(move |job| {
        let written = node.write_snapshot(&|done, total| job.progress(done, total))?;
        serde_json::to_value(written).map_err(|error| NodeError::Storage(error.to_string()).into())
    });
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

/// How far a snapshot is, and where it lies.
#[utoipa::path(
    get,
    path = "/v1/snapshots/{job}",
    tag = "node",
    params(("job" = u64, Path, description = "Number it was started with")),
    responses((status = 200, description = "The snapshot", body = SnapshotView), Refusals)
)]
pub(super) async fn progress(
    State(app): State<App>,
    Segments(number): Segments<u64>,
) -> Result<Json<SnapshotView>, ApiError> {
    app.check_manager("snapshots")?;
    let job = app.snapshots().find(number, PATH)?;
    Ok(Json(SnapshotView::of(&job)))
}
