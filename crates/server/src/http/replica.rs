//! Replicas: databases that mirror the ledger's tables. Only the node's own user manages them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stele_pipeline::{AuditRequest, ReplicaError, ReplicaSpec, ReplicaView, Replicas};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::config::JSON_LEN_MAX;
use super::context::App;
use super::error::{ApiError, ErrorView, Refusals};
use super::extract::{Params, Segments};
use super::job::Job;

/// Where comparisons are watched.
const AUDITS: &str = "/v1/replica-audits";

/// A replica to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewReplica {
    /// Its name: of a-z, 0-9, - and _.
    name: String,
    /// Which database, as a URL without password.
    #[schema(example = "postgres://app@127.0.0.1:5432/copy")]
    target: String,
    /// Tables: `schema.name`, `name` or `schema.*`; all tables of users when absent.
    #[serde(default)]
    tables: Vec<String>,
    /// Names in the target, by `schema.name` in the ledger.
    #[serde(default)]
    map: BTreeMap<String, String>,
    /// Password of the database's user.
    password: Option<String>,
    /// Seconds between audits that run by themselves; none when absent.
    #[serde(default)]
    audit_interval_s: u64,
    /// Rows such an audit reads a second; no limit when absent.
    #[serde(default)]
    audit_rows_per_s: u64,
}

/// A replica.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplicaAnswer {
    /// Its name.
    name: String,
    /// Which database.
    target: String,
    /// The tables it was told to keep; empty: all tables of users.
    selection: Vec<String>,
    /// Whether it stands in the configuration file.
    configured: bool,
    /// Height of the ledger.
    ledger_height: u64,
    /// Height of the last block applied, what it is doing, what is in its way.
    #[serde(flatten)]
    #[schema(value_type = serde_json::Value)]
    status: stele_pipeline::ReplicaStatus,
    /// What the last audit since the node started found.
    #[schema(value_type = Option<serde_json::Value>)]
    last_audit: Option<stele_pipeline::replica::LastAudit>,
}

/// All replicas.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplicaList {
    /// In order of name.
    replicas: Vec<ReplicaAnswer>,
}

/// How a replica is removed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemoveParams {
    /// Whether its tables are dropped; they stay when absent.
    #[serde(default)]
    tables: bool,
    /// Whether it is only forgotten here: its database need not answer.
    #[serde(default)]
    forget: bool,
}

/// What is waited for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitParams {
    /// A height.
    height: u64,
}

/// A replica that has applied a height.
#[derive(Serialize, ToSchema)]
pub(super) struct WaitAnswer {
    /// The height waited for.
    height: u64,
}

/// A password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordBody {
    /// The new one.
    password: String,
}

/// Tables to be filled anew.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RefillBody {
    /// `schema.name`, `name` or `schema.*`; all when absent.
    tables: Vec<String>,
}

/// The tables that are filled anew.
#[derive(Serialize, ToSchema)]
pub(super) struct RefillAnswer {
    /// `schema.name` each.
    tables: Vec<String>,
}

/// What to compare.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReplicaAuditBody {
    /// `schema.name`, `name` or `schema.*`; all when absent.
    tables: Vec<String>,
    /// Whether what differs is mended.
    repair: bool,
    /// Rows read a second at most; no limit when absent.
    rows_per_s: u64,
}

/// A comparison.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplicaAuditView {
    /// Its number.
    job: u64,
    /// `running`, `done` or `failed`.
    state: &'static str,
    /// Rows compared so far.
    rows: u64,
    /// What was found, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<serde_json::Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
}

impl ReplicaAuditView {
    fn of(job: &Job) -> Self {
        let state = job.state();
        Self {
            job: state.job,
            state: state.state,
            rows: state.done,
            report: state.report,
            error: state.error,
        }
    }
}

impl From<ReplicaError> for ApiError {
    fn from(error: ReplicaError) -> Self {
        let (status, code) = match &error {
            ReplicaError::Unknown { .. } => (StatusCode::NOT_FOUND, "unknown_replica"),
            ReplicaError::Taken(_) => (StatusCode::CONFLICT, "replica_exists"),
            ReplicaError::Configured(_) => (StatusCode::CONFLICT, "replica_configured"),
            ReplicaError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            ReplicaError::Sink(_) => (StatusCode::BAD_GATEWAY, "target"),
            ReplicaError::Audit(_) => (StatusCode::CONFLICT, "not_comparable"),
            ReplicaError::File(_) | ReplicaError::Spawn(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "58030")
            }
        };
        Self::new(status, code, error.to_string())
    }
}

fn answer(view: ReplicaView, ledger_height: u64) -> ReplicaAnswer {
    ReplicaAnswer {
        name: view.name,
        target: view.spec.target,
        selection: view.spec.tables,
        configured: view.configured,
        ledger_height,
        status: view.status,
        last_audit: view.last_audit,
    }
}

/// Does what may wait for a database.
async fn with<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Replicas) -> Result<T, ReplicaError> + Send + 'static,
) -> Result<T, ApiError> {
    let replicas = app.replicas()?;
    app.blocking(move |_| work(&replicas)).await
}

async fn json_or_default<T: Default + serde::de::DeserializeOwned>(
    body: Body,
) -> Result<T, ApiError> {
    let bytes = body::read(body, JSON_LEN_MAX).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    body::json(bytes.into()).await
}

/// All replicas and how they are doing.
#[utoipa::path(
    get,
    path = "/v1/replicas",
    tag = "replicas",
    responses((status = 200, description = "Replicas", body = ReplicaList), Refusals)
)]
pub(super) async fn list(State(app): State<App>) -> Result<Json<ReplicaList>, ApiError> {
    let height = app.node().height();
    let views = app.replicas()?.list().into_iter();
    Ok(Json(ReplicaList {
        replicas: views.map(|view| answer(view, height)).collect(),
    }))
}

/// Adds a replica: its database is looked at first, then filled and followed.
#[utoipa::path(
    post,
    path = "/v1/replicas",
    tag = "replicas",
    request_body = NewReplica,
    responses(
        (status = 201, description = "Added", body = ReplicaAnswer),
        (status = 409, description = "The name is taken: `replica_exists`", body = ErrorView),
        (status = 502, description = "The database does not answer or refuses: `target`", body = ErrorView),
        Refusals
    )
)]
pub(super) async fn add(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    app.replicas()?;
    let new: NewReplica = body::json(body).await?;
    let spec = ReplicaSpec {
        target: new.target,
        tables: new.tables,
        map: new.map,
        paused: false,
        audit_interval_s: new.audit_interval_s,
        audit_rows_per_s: new.audit_rows_per_s,
    };
    let view = with(&app, move |all| all.add(&new.name, spec, new.password)).await?;
    let height = app.node().height();
    Ok((StatusCode::CREATED, Json(answer(view, height))).into_response())
}

/// One replica.
#[utoipa::path(
    get,
    path = "/v1/replicas/{name}",
    tag = "replicas",
    params(("name" = String, Path, description = "Name of the replica")),
    responses((status = 200, description = "The replica", body = ReplicaAnswer), Refusals)
)]
pub(super) async fn find(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<ReplicaAnswer>, ApiError> {
    let view = app.replicas()?.find(&name)?;
    Ok(Json(answer(view, app.node().height())))
}

/// Removes a replica: the cursor in its database goes, its tables if that is asked for.
#[utoipa::path(
    delete,
    path = "/v1/replicas/{name}",
    tag = "replicas",
    params(("name" = String, Path, description = "Name of the replica"), RemoveParams),
    responses((status = 204, description = "Removed"), Refusals)
)]
pub(super) async fn remove(
    State(app): State<App>,
    Segments(name): Segments<String>,
    Params(params): Params<RemoveParams>,
) -> Result<StatusCode, ApiError> {
    with(&app, move |all| {
        all.remove(&name, params.tables, params.forget)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a replica rest.
#[utoipa::path(
    post,
    path = "/v1/replicas/{name}/pause",
    tag = "replicas",
    params(("name" = String, Path, description = "Name of the replica")),
    responses((status = 200, description = "It rests", body = ReplicaAnswer), Refusals)
)]
pub(super) async fn pause(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<ReplicaAnswer>, ApiError> {
    let view = with(&app, move |all| all.pause(&name, true)).await?;
    Ok(Json(answer(view, app.node().height())))
}

/// Lets a replica go on.
#[utoipa::path(
    post,
    path = "/v1/replicas/{name}/resume",
    tag = "replicas",
    params(("name" = String, Path, description = "Name of the replica")),
    responses((status = 200, description = "It goes on", body = ReplicaAnswer), Refusals)
)]
pub(super) async fn resume(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<ReplicaAnswer>, ApiError> {
    let view = with(&app, move |all| all.pause(&name, false)).await?;
    Ok(Json(answer(view, app.node().height())))
}

/// Gives a replica another password for its database.
#[utoipa::path(
    post,
    path = "/v1/replicas/{name}/password",
    tag = "replicas",
    params(("name" = String, Path, description = "Name of the replica")),
    request_body = PasswordBody,
    responses((status = 200, description = "It goes on with it", body = ReplicaAnswer), Refusals)
)]
pub(super) async fn password(
    State(app): State<App>,
    Segments(name): Segments<String>,
    body: Body,
) -> Result<Json<ReplicaAnswer>, ApiError> {
    app.replicas()?;
    let given: PasswordBody = body::json(body).await?;
    let view = with(&app, move |all| all.set_password(&name, given.password)).await?;
    Ok(Json(answer(view, app.node().height())))
}

/// Empties tables of a replica and fills them anew.
#[utoipa::path(
    post,
    path = "/v1/replicas/{name}/refill",
    tag = "replicas",
    params(("name" = String, Path, description = "Name of the replica")),
    request_body(content = RefillBody, description = "May be empty: all tables"),
    responses((status = 200, description = "They are being filled", body = RefillAnswer), Refusals)
)]
pub(super) async fn refill(
    State(app): State<App>,
    Segments(name): Segments<String>,
    body: Body,
) -> Result<Json<RefillAnswer>, ApiError> {
    app.replicas()?;
    let wanted: RefillBody = json_or_default(body).await?;
    let tables = with(&app, move |all| all.refill(&name, &wanted.tables)).await?;
    Ok(Json(RefillAnswer { tables }))
}

/// Waits until a replica has applied a height, so that its database can be read for what was written there.
#[utoipa::path(
    get,
    path = "/v1/replicas/{name}/wait",
    tag = "replicas",
    params(("name" = String, Path, description = "Name of the replica"), WaitParams),
    responses(
        (status = 200, description = "It has", body = WaitAnswer),
        (status = 504, description = "Not yet: `height_not_reached`", body = ErrorView),
        Refusals
    )
)]
pub(super) async fn wait(
    State(app): State<App>,
    Segments(name): Segments<String>,
    Params(params): Params<WaitParams>,
) -> Result<Json<WaitAnswer>, ApiError> {
    let longest: Duration = app.config().wait_max;
    let height = params.height;
    let shown = name.clone();
    let reached = with(&app, move |all| all.reach(&name, height, longest)).await?;
    if reached {
        return Ok(Json(WaitAnswer { height }));
    }
    Err(ApiError::new(
        StatusCode::GATEWAY_TIMEOUT,
        "height_not_reached",
        format!("replica {shown:?} has not applied block {height} yet"),
    )
    .hint(format!("GET /v1/replicas/{shown} tells what is in its way")))
}

/// Starts a comparison of a replica's rows with what is certified about them.
#[utoipa::path(
    post,
    path = "/v1/replicas/{name}/audit",
    tag = "replicas",
    params(("name" = String, Path, description = "Name of the replica")),
    request_body(content = ReplicaAuditBody, description = "May be empty: all tables are compared"),
    responses(
        (status = 202, description = "Started", body = ReplicaAuditView),
        (status = 409, description = "One of this replica is running: `audit_running`", body = ErrorView),
        Refusals
    )
)]
pub(super) async fn audit(
    State(app): State<App>,
    Segments(name): Segments<String>,
    body: Body,
) -> Result<Response, ApiError> {
    let replicas = app.replicas()?;
    replicas.find(&name)?;
    let wanted: ReplicaAuditBody = json_or_default(body).await?;
    let request = AuditRequest {
        tables: wanted.tables,
        repair: wanted.repair,
        rows_per_s: wanted.rows_per_s,
    };
    let job = app.replica_audits().begin(AUDITS, &name)?;
    let view = ReplicaAuditView::of(&job);
    job.run(move |job| {
        let report = replicas.audit(&name, &request, &mut |progress| {
            job.progress(progress.rows, 0);
            true
        })?;
        serde_json::to_value(report).map_err(|error| ApiError::invalid(error.to_string()))
    });
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

/// How far a comparison is, and what it found.
#[utoipa::path(
    get,
    path = "/v1/replica-audits/{job}",
    tag = "replicas",
    params(("job" = u64, Path, description = "Number of the comparison")),
    responses((status = 200, description = "The comparison", body = ReplicaAuditView), Refusals)
)]
pub(super) async fn audit_progress(
    State(app): State<App>,
    Segments(number): Segments<u64>,
) -> Result<Json<ReplicaAuditView>, ApiError> {
    app.replicas()?;
    let job = app.replica_audits().find(number, AUDITS)?;
    Ok(Json(ReplicaAuditView::of(&job)))
}
