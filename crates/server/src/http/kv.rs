//! The key-value state: the built-in table `stele.kv(namespace, key, value)` as paths.
//!
//! An absent key is 404 `absent`; a key with an empty value is 200 with no bytes. With the header
//! `Stele-Preview` an operation belongs to a preview ([`super::preview`]).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stele_core::Value;
use stele_core::transaction::{Payload, Statement};
use stele_node::{Node, OpenTransaction};
use stele_sql::StatementResult;
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::config::KV_VALUE_LEN_MAX;
use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals};
use super::extract::{OCTET_STREAM, Params, Segments};
use super::preview;
use super::preview_table::{PreviewView, note};
use super::receipt::{self, AcceptedView, HEIGHT, ReceiptView, Wait};
use super::sql;

/// Longest namespace, in characters.
const NAMESPACE_LEN_MAX: usize = 63;
/// Longest key, in characters.
const KEY_LEN_MAX: usize = 512;

const GET: &str = "SELECT value FROM stele.kv WHERE namespace = $1 AND key = $2";
const PUT: &str = "INSERT INTO stele.kv (namespace, key, value) VALUES ($1, $2, $3) \
                   ON CONFLICT (namespace, key) DO UPDATE SET value = EXCLUDED.value";
const DELETE: &str = "DELETE FROM stele.kv WHERE namespace = $1 AND key = $2";

/// Query parameters of a read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadParams {
    /// Waits until the state has this height.
    min_height: Option<u64>,
    /// Name of the key-store key whose account asks; the operator's when absent.
    #[serde(rename = "as")]
    as_key: Option<String>,
}

/// Query parameters of a write.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WriteParams {
    /// What to wait for; `applied` when absent. Of no use inside a preview.
    pub(super) wait: Option<Wait>,
    /// Name of the key-store key that signs; the operator's when absent. A preview has its own.
    #[serde(rename = "as")]
    pub(super) as_key: Option<String>,
}

/// What a write of the key-value state answers with.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    clippy::large_enum_variant,
    reason = "only the OpenAPI description reads it"
)]
pub(super) enum KvWritten {
    /// Outside a preview.
    Applied(ReceiptView),
    /// Inside one.
    Noted(PreviewView),
}

/// The value of a key.
#[utoipa::path(
    get,
    path = "/v1/kv/{namespace}/{key}",
    tag = "key-value",
    params(
        ("namespace" = String, Path, description = "Namespace, 1 to 63 characters"),
        ("key" = String, Path, description = "Key, 1 to 512 characters, percent-encoded"),
        ("Stele-Preview" = Option<String>, Header, description = "Name of an open preview"),
        ReadParams
    ),
    responses(
        (status = 200, description = "The value; may be empty", body = Vec<u8>, content_type = "application/octet-stream"),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    Segments((namespace, key)): Segments<(String, String)>,
    Params(params): Params<ReadParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check(&namespace, &key)?;
    app.reach(params.min_height).await?;
    let absent = format!("namespace {namespace:?} has no key {key:?}");
    let parameters = vec![Value::Text(namespace), Value::Text(key)];
    let (result, height) = run(&app, &headers, params.as_key, GET, parameters).await?;
    let mut cells = result.rows.into_iter().flatten();
    let bytes = match cells.next() {
        Some(Value::Bytes(bytes)) => bytes,
        // A NULL, which only SQL can write, is a value without bytes; the key is there.
        Some(_) => Vec::new(),
        None => return Err(ApiError::new(StatusCode::NOT_FOUND, "absent", absent)),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(OCTET_STREAM));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(HEIGHT, HeaderValue::from(height));
    Ok(response)
}

/// Sets a key to the bytes of the body; none is a value too.
#[utoipa::path(
    put,
    path = "/v1/kv/{namespace}/{key}",
    tag = "key-value",
    params(
        ("namespace" = String, Path, description = "Namespace, 1 to 63 characters"),
        ("key" = String, Path, description = "Key, 1 to 512 characters, percent-encoded"),
        ("Stele-Preview" = Option<String>, Header, description = "Name of an open preview"),
        WriteParams
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "Written, or noted in the preview", body = KvWritten),
        (status = 202, description = "Accepted, with wait=accepted", body = AcceptedView),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn put(
    State(app): State<App>,
    Segments((namespace, key)): Segments<(String, String)>,
    Params(params): Params<WriteParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    check(&namespace, &key)?;
    let value = body::read(body, KV_VALUE_LEN_MAX).await?;
    let parameters = vec![
        Value::Text(namespace),
        Value::Text(key),
        Value::Bytes(value),
    ];
    write(&app, &headers, params, PUT, parameters).await
}

/// Takes a key away. Its history stays; a key that is not there is no error, `rows_affected` tells.
#[utoipa::path(
    delete,
    path = "/v1/kv/{namespace}/{key}",
    tag = "key-value",
    params(
        ("namespace" = String, Path, description = "Namespace, 1 to 63 characters"),
        ("key" = String, Path, description = "Key, 1 to 512 characters, percent-encoded"),
        ("Stele-Preview" = Option<String>, Header, description = "Name of an open preview"),
        WriteParams
    ),
    responses(
        (status = 200, description = "Gone, or noted in the preview", body = KvWritten),
        (status = 202, description = "Accepted, with wait=accepted", body = AcceptedView),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn delete(
    State(app): State<App>,
    Segments((namespace, key)): Segments<(String, String)>,
    Params(params): Params<WriteParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check(&namespace, &key)?;
    let parameters = vec![Value::Text(namespace), Value::Text(key)];
    write(&app, &headers, params, DELETE, parameters).await
}

async fn write(
    app: &App,
    headers: &HeaderMap,
    params: WriteParams,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<Response, ApiError> {
    let statement = Statement {
        sql: sql.to_owned(),
        parameters,
        result: None,
    };
    if let Some(name) = preview::named_in(headers)? {
        let noted = move |_: &Node, open: &mut OpenTransaction| note(open, statement);
        let ((), view) = app.previews().with(app, &name, noted).await?;
        return Ok(Json(view).into_response());
    }
    let key = app.key(params.as_key)?;
    let pending = app
        .blocking(move |node| node.write(&key, Payload::Statements(vec![statement])))
        .await?;
    receipt::answer(app, pending, params.wait.unwrap_or(Wait::Applied)).await
}

/// Runs a read on the newest state, or on what a preview sees.
pub(super) async fn run(
    app: &App,
    headers: &HeaderMap,
    as_key: Option<String>,
    sql: &'static str,
    parameters: Vec<Value>,
) -> Result<(StatementResult, u64), ApiError> {
    if let Some(name) = preview::named_in(headers)? {
        let statement = Statement {
            sql: sql.to_owned(),
            parameters,
            result: None,
        };
        let read = move |node: &Node, open: &mut OpenTransaction| node.read_in(open, statement);
        let (seen, _) = app.previews().with(app, &name, read).await?;
        return Ok((seen.result, seen.height));
    }
    let account = sql::account(app, &app.key(as_key)?).await?;
    let answer = sql::read(app, account, sql, parameters).await?;
    Ok((answer.result, answer.height))
}

fn check(namespace: &str, key: &str) -> Result<(), ApiError> {
    check_text("namespace", namespace, NAMESPACE_LEN_MAX)?;
    check_text("key", key, KEY_LEN_MAX)
}

/// Refuses a namespace that cannot be.
pub(super) fn check_namespace(namespace: &str) -> Result<(), ApiError> {
    check_text("namespace", namespace, NAMESPACE_LEN_MAX)
}

/// Refuses a part of a key that no key can have.
pub(super) fn check_part(what: &str, part: &str) -> Result<(), ApiError> {
    if part.is_empty() {
        return Ok(());
    }
    check_text(what, part, KEY_LEN_MAX)
}

fn check_text(what: &str, text: &str, len_max: usize) -> Result<(), ApiError> {
    let len = text.chars().count();
    if len == 0 || len > len_max {
        return Err(ApiError::invalid(format!(
            "a {what} has 1 to {len_max} characters, this one has {len}"
        )));
    }
    if text.contains('\0') {
        return Err(ApiError::invalid(format!("a {what} cannot hold NUL")));
    }
    Ok(())
}
