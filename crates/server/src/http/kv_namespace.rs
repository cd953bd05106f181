//! Namespaces of the key-value state: each belongs to the account that wrote to it first.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use stele_core::Value;
use stele_core::transaction::{Payload, Statement};
use utoipa::ToSchema;

use super::body;
use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals};
use super::extract::{Params, Segments};
use super::kv::{WriteParams, check_namespace};
use super::receipt::{self, AcceptedView, ReceiptView, Wait};

const SET: &str = "INSERT INTO stele.kv_namespaces (namespace, owner, append_only) VALUES ($1, $2, $3) \
                   ON CONFLICT (namespace) DO UPDATE SET append_only = EXCLUDED.append_only";

/// What a namespace is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NamespaceRequest {
    /// Whether it takes new keys and nothing else, for ever.
    append_only: bool,
}

/// Creates a namespace, or makes one of one's own append-only. That cannot be taken back.
#[utoipa::path(
    put,
    path = "/v1/kv/{namespace}",
    tag = "key-value",
    params(("namespace" = String, Path, description = "Namespace, 1 to 63 characters"), WriteParams),
    request_body = NamespaceRequest,
    responses(
        (status = 200, description = "Set", body = ReceiptView),
        (status = 202, description = "Accepted, with wait=accepted", body = AcceptedView),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn set(
    State(app): State<App>,
    Segments(namespace): Segments<String>,
    Params(params): Params<WriteParams>,
    body: Body,
) -> Result<Response, ApiError> {
    check_namespace(&namespace)?;
    let request: NamespaceRequest = body::json(body).await?;
    let key = app.key(params.as_key)?;
    let pending = app
        .blocking(move |node| {
            let owner = node.keys().find(&key)?.account;
            let statement = Statement {
                sql: SET.to_owned(),
                parameters: vec![
                    Value::Text(namespace),
                    Value::Bytes(owner.0.to_vec()),
                    Value::Bool(request.append_only),
                ],
                result: None,
            };
            node.write(&key, Payload::Statements(vec![statement]))
        })
        .await?;
    receipt::answer(&app, pending, params.wait.unwrap_or(Wait::Applied)).await
}
