//! SQL over HTTP.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stele_core::transaction::{PARAMETERS_MAX, Payload, Statement};
use stele_core::{AccountId, Value};
use stele_node::{Answer, NodeError};
use stele_sql::parse::StatementKind;
use stele_sql::{SqlError, parse};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals};
use super::extract::Params;
use super::receipt::{self, HEIGHT, ReceiptView, Wait};
use super::value::{ResultView, parameter};

/// Query parameters of `POST /v1/sql`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SqlParams {
    /// What a write waits for; `applied` when absent.
    wait: Option<Wait>,
    /// A read waits until the state has this height.
    min_height: Option<u64>,
}

/// Statements to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SqlRequest {
    /// One statement in PostgreSQL's dialect; or several that write, which take effect together or not at all.
    #[schema(example = "SELECT * FROM orders WHERE id = $1")]
    sql: String,
    /// Values for `$1`…, of a single statement. Strings are read by the type they meet.
    #[serde(default)]
    #[schema(value_type = Vec<serde_json::Value>)]
    parameters: Vec<Box<RawValue>>,
    /// Name of the key-store key whose account asks; the operator's when absent.
    key: Option<String>,
    /// Strict mode, for writes: `table:height:index` of tables that must not have changed, with commas
    /// between. `SELECT stele_table_version('orders')` gives `height:index`.
    #[schema(example = "orders:12:0")]
    expected_versions: Option<String>,
}

/// Answer to a read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnswerView {
    /// The block after which this was the state.
    height: u64,
    /// The result.
    #[serde(flatten)]
    result: ResultView,
}

/// What `POST /v1/sql` answers with.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    clippy::large_enum_variant,
    reason = "only the OpenAPI description reads it"
)]
pub(super) enum SqlAnswer {
    /// To a read.
    Read(AnswerView),
    /// To a write.
    Write(ReceiptView),
}

enum Request {
    Read(Statement),
    Write(Vec<Statement>),
}

/// Runs SQL: one read, or one or more statements as one signed transaction.
///
/// A read answers 200 with its result and the header `Stele-Height`. A write answers with its
/// receipt; a failure that is recorded in the ledger answers with the receipt too, and the status
/// that fits its SQLSTATE.
#[utoipa::path(
    post,
    path = "/v1/sql",
    tag = "sql",
    params(SqlParams),
    request_body = SqlRequest,
    responses(
        (status = 200, description = "The result of a read, or the receipt of a write", body = SqlAnswer),
        (status = 202, description = "Accepted, with wait=accepted", body = super::receipt::AcceptedView),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn run(
    State(app): State<App>,
    Params(params): Params<SqlParams>,
    body: Body,
) -> Result<Response, ApiError> {
    let request: SqlRequest = body::json(body).await?;
    let key = app.key(request.key)?;
    match sort(&request.sql, &request.parameters)? {
        Request::Read(statement) => {
            app.reach(params.min_height).await?;
            let answer = app
                .blocking(move |node| {
                    let account = node.keys().find(&key)?.account;
                    node.query(account, &statement.sql, &statement.parameters)
                })
                .await?;
            Ok(answered(answer))
        }
        Request::Write(mut statements) => {
            let pending = app
                .blocking(move |node| {
                    for statement in &mut statements {
                        statement.sql = node.with_accounts(&statement.sql)?.into_owned();
                    }
                    let versions = request.expected_versions.unwrap_or_default();
                    let expected = node.expected_versions(&versions)?;
                    node.write_expecting(&key, Payload::Statements(statements), expected)
                })
                .await?;
            receipt::answer(&app, pending, params.wait.unwrap_or(Wait::Applied)).await
        }
    }
}

fn answered(answer: Answer) -> Response {
    let height = [(HEIGHT, HeaderValue::from(answer.height))];
    let view = AnswerView {
        height: answer.height,
        result: answer.result.into(),
    };
    (height, Json(view)).into_response()
}

fn sort(sql: &str, parameters: &[Box<RawValue>]) -> Result<Request, ApiError> {
    let parsed = parse::parse(sql)?;
    let reads = parsed
        .iter()
        .filter(|statement| statement.kind() == StatementKind::Query)
        .count();
    let mut statements = statements(sql, parameters)?;
    let all_read = reads == statements.len();
    match (statements.len(), all_read) {
        (1, true) => Ok(Request::Read(statements.remove(0))),
        (_, true) => {
            Err(ApiError::invalid("the text holds several reads").hint("send one read a request"))
        }
        _ => Ok(Request::Write(statements)),
    }
}

/// The statements of a text, at least one, with their parameters.
pub(super) fn statements(
    sql: &str,
    parameters: &[Box<RawValue>],
) -> Result<Vec<Statement>, ApiError> {
    if parameters.len() > PARAMETERS_MAX {
        return Err(ApiError::invalid(format!(
            "more than {PARAMETERS_MAX} parameters"
        )));
    }
    let values = parameters
        .iter()
        .zip(1..)
        .map(|(raw, place)| parameter(place, raw))
        .collect::<Result<Vec<Value>, _>>()?;
    let parsed = parse::parse(sql)?;
    if parsed.is_empty() {
        return Err(SqlError::new("42601", "the text holds no statement").into());
    }
    if parsed.iter().any(|statement| statement.kind().is_session()) {
        return Err(SqlError::unsupported(
            "a statement of the session (BEGIN, SET, COPY, …) over HTTP",
            "the statements of one request are one transaction already, and /v1/previews holds one open over several; for the rest use the PostgreSQL port",
        )
        .into());
    }
    if parsed.len() > 1 && !values.is_empty() {
        return Err(ApiError::invalid(
            "parameters belong to a single statement, the text holds several",
        )
        .hint("send one statement a request, or write the values into the text"));
    }
    Ok(parsed
        .iter()
        .map(|statement| Statement {
            sql: statement.text().to_owned(),
            parameters: values.clone(),
            result: None,
        })
        .collect())
}

/// Runs a read for an account.
pub(super) async fn read(
    app: &App,
    account: AccountId,
    sql: &'static str,
    parameters: Vec<Value>,
) -> Result<Answer, ApiError> {
    app.blocking(move |node| node.query(account, sql, &parameters))
        .await
}

/// The account of a key-store key.
pub(super) async fn account(app: &App, key: &str) -> Result<AccountId, ApiError> {
    let key = key.to_owned();
    app.blocking(move |node| Ok::<_, NodeError>(node.keys().find(&key)?.account))
        .await
}
