//! Previews over HTTP: transactions that stay open between requests, each under a name.
//!
//! A preview is a list of statements held here and nowhere else: others see nothing of it. What it is
//! asked for runs on the newest state after its own statements, and is taken back; commit sends the
//! list as one signed transaction, which fails with 40001 if by then a read gives something else
//! ([`stele_node::OpenTransaction`]). One left alone for its idle time is undone. The key-value state
//! takes part by the header `Stele-Preview`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals};
use super::extract::{Params, Segments};
use super::preview_table::{End, PreviewView};
use super::receipt::{self, AcceptedView, ReceiptView, Wait};
use super::sql;
use super::value::ResultView;

/// Header that carries the name of a preview.
pub(super) const PREVIEW: HeaderName = HeaderName::from_static("stele-preview");

/// Query parameters of a begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BeginParams {
    /// Its name: letters, digits, dots, hyphens, underscores. One nobody can guess when absent.
    name: Option<String>,
    /// Name of the key-store key that reads and signs; the operator's when absent.
    key: Option<String>,
}

/// Query parameters of a commit.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CommitParams {
    /// What to wait for; `applied` when absent.
    wait: Option<Wait>,
    /// Strict mode: `table:height:index` of tables that must not have changed, with commas between.
    expected_versions: Option<String>,
}

/// Statements to run in a preview.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewRequest {
    /// One or more statements in PostgreSQL's dialect. They run one after the other; the first that
    /// fails ends the request, those before it stay.
    sql: String,
    /// Values for `$1`…, of a single statement.
    #[serde(default)]
    #[schema(value_type = Vec<serde_json::Value>)]
    parameters: Vec<Box<RawValue>>,
}

/// What statements gave in a preview.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PreviewResults {
    /// The block on whose state they ran.
    height: u64,
    /// A result each.
    results: Vec<ResultView>,
    /// The preview afterwards.
    preview: PreviewView,
}

/// All previews.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PreviewList {
    /// By name.
    previews: Vec<PreviewView>,
}

/// A preview that was undone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FreedView {
    /// Its name, free again.
    name: String,
    /// Whether it is open: always false here.
    in_transaction: bool,
    /// Writes that were undone.
    writes: usize,
}

/// The preview a request belongs to, if any.
pub(super) fn named_in(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(&PREVIEW) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(name) => Ok(Some(name.to_owned())),
        Err(_) => Err(ApiError::invalid("the header Stele-Preview holds no name")),
    }
}

/// Opens a preview. There is none inside another.
#[utoipa::path(
    post,
    path = "/v1/previews",
    tag = "previews",
    params(
        BeginParams,
        ("Stele-Preview" = Option<String>, Header, description = "Must be absent: a nested begin is the error 25001")
    ),
    responses((status = 201, description = "Open", body = PreviewView), Refusals, StatementRefusals)
)]
pub(super) async fn begin(
    State(app): State<App>,
    Params(params): Params<BeginParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if headers.contains_key(&PREVIEW) {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "25001",
            "there is already a transaction in progress: one cannot begin inside another",
        )
        .hint("leave the header Stele-Preview out, or commit the open one first"));
    }
    let key = app.key(params.key)?;
    let account = sql::account(&app, &key).await?;
    let view = app
        .previews()
        .begin(app.node(), params.name, key, account)?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// All previews that are open.
#[utoipa::path(
    get,
    path = "/v1/previews",
    tag = "previews",
    responses((status = 200, description = "By name", body = PreviewList), Refusals)
)]
pub(super) async fn list(State(app): State<App>) -> Json<PreviewList> {
    let previews = app.previews().list();
    Json(PreviewList { previews })
}

/// Whether a preview is open, and what it holds. Asking counts as use.
#[utoipa::path(
    get,
    path = "/v1/previews/{name}",
    tag = "previews",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "Open", body = PreviewView), Refusals)
)]
pub(super) async fn find(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<PreviewView>, ApiError> {
    let ((), view) = app.previews().with(&app, &name, |_, _| Ok(())).await?;
    Ok(Json(view))
}

/// Runs SQL in a preview: reads see its writes, writes stay in it.
#[utoipa::path(
    post,
    path = "/v1/previews/{name}/sql",
    tag = "previews",
    params(("name" = String, Path, description = "Name")),
    request_body = PreviewRequest,
    responses(
        (status = 200, description = "What they gave", body = PreviewResults),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn run(
    State(app): State<App>,
    Segments(name): Segments<String>,
    body: Body,
) -> Result<Json<PreviewResults>, ApiError> {
    let request: PreviewRequest = body::json(body).await?;
    let statements = sql::statements(&request.sql, &request.parameters)?;
    let ((results, height), preview) = app
        .previews()
        .with(&app, &name, move |node, open| {
            let mut results = Vec::with_capacity(statements.len());
            let mut height = 0;
            for statement in statements {
                let seen = node.run_in(open, statement)?;
                height = seen.height;
                results.push(ResultView::from(seen.result));
            }
            Ok((results, height))
        })
        .await?;
    Ok(Json(PreviewResults {
        height,
        results,
        preview,
    }))
}

/// Makes all writes of a preview final, or none.
///
/// It is closed then, also when the writes fail; only when the node does not take them at all (it is
/// busy, say) it stays open, and the commit can be sent again.
#[utoipa::path(
    post,
    path = "/v1/previews/{name}/commit",
    tag = "previews",
    params(("name" = String, Path, description = "Name"), CommitParams),
    responses(
        (status = 200, description = "Applied", body = ReceiptView),
        (status = 202, description = "Accepted, with wait=accepted", body = AcceptedView),
        (status = 204, description = "There was nothing to write"),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn commit(
    State(app): State<App>,
    Segments(name): Segments<String>,
    Params(params): Params<CommitParams>,
) -> Result<Response, ApiError> {
    let versions = params.expected_versions.unwrap_or_default();
    let expected = app
        .blocking(move |node| node.expected_versions(&versions))
        .await?;
    let open = app.previews().end(&app, &name, End::Committed).await?;
    if open.transaction.writes() == 0 {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (key, mut transaction) = (open.key.clone(), open.transaction.clone());
    transaction.expect(expected);
    let handed_in = app
        .blocking(move |node| node.commit(&key, transaction))
        .await;
    let pending = match handed_in {
        Ok(pending) => pending,
        Err(refused) => {
            app.previews().reopen(name, open);
            return Err(refused);
        }
    };
    receipt::answer(&app, pending, params.wait.unwrap_or(Wait::Applied)).await
}

/// Frees a preview: its writes are undone.
#[utoipa::path(
    delete,
    path = "/v1/previews/{name}",
    tag = "previews",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "Freed", body = FreedView), Refusals)
)]
pub(super) async fn free(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<FreedView>, ApiError> {
    let open = app.previews().end(&app, &name, End::Freed).await?;
    let writes = open.transaction.writes();
    app.blocking(move |node| {
        node.forget(&open.transaction);
        Ok::<_, ApiError>(())
    })
    .await?;
    Ok(Json(FreedView {
        name,
        in_transaction: false,
        writes,
    }))
}
