//! Failures as a client sees them: a status, and `{code, message, hint}`.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stele_core::transaction::TransactionError;
use stele_node::NodeError;
use stele_sql::SqlError;
use utoipa::{IntoResponses, ToSchema};

/// Seconds after which a refused client may try again when the node was merely busy.
const RETRY_BUSY_S: u32 = 1;
/// Seconds after which it may try again when an operator has to act first.
const RETRY_HALTED_S: u32 = 10;

/// Body of every failure.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorView {
    /// SQLSTATE, or a stable word such as `unknown_block`.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// More about where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Constraint that was violated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Place in the statement's text, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
}

/// A failure with its status.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    view: Box<ErrorView>,
    retry_after_s: Option<u32>,
}

impl ApiError {
    /// A failure.
    pub(super) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            view: Box::new(ErrorView {
                code: code.into().into_owned(),
                message: message.into(),
                hint: None,
                detail: None,
                constraint: None,
                position: None,
            }),
            retry_after_s: None,
        }
    }

    /// The request itself is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// Too much at once: to be sent again.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
            .hint("send the request again in a moment")
            .retry_after(RETRY_BUSY_S)
    }

    /// Adds what helps.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.view.hint = Some(hint.into());
        self
    }

    /// The word or SQLSTATE.
    #[cfg(test)]
    pub(super) fn code(&self) -> &str {
        &self.view.code
    }

    /// Its body.
    pub(super) fn view(&self) -> &ErrorView {
        &self.view
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

/// The status that fits a SQLSTATE best.
pub(super) fn status_of(code: &str) -> StatusCode {
    match code {
        "ST001" | "23505" | "25001" => StatusCode::CONFLICT,
        "ST002" => StatusCode::GONE,
        "42501" => StatusCode::FORBIDDEN,
        "57014" => StatusCode::GATEWAY_TIMEOUT,
        _ => match code.get(..2) {
            Some("00") => StatusCode::OK,
            Some("40") => StatusCode::CONFLICT,
            Some("53") => StatusCode::SERVICE_UNAVAILABLE,
            Some("XX" | "58") => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        },
    }
}

impl From<SqlError> for ApiError {
    fn from(error: SqlError) -> Self {
        Self {
            status: status_of(error.code.as_str()),
            retry_after_s: None,
            view: Box::new(ErrorView {
                code: error.code.as_str().to_owned(),
                message: error.message,
                hint: error.hint,
                detail: error.detail,
                constraint: error.constraint,
                position: error.position,
            }),
        }
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        let message = error.to_string();
        match error {
            NodeError::Sql(error) => error.into(),
            NodeError::Transaction(error) => {
                let (status, code) = match error {
                    TransactionError::WrongLedger { .. } => {
                        (StatusCode::UNPROCESSABLE_ENTITY, "wrong_ledger")
                    }
                    TransactionError::BadSignature => (StatusCode::FORBIDDEN, "bad_signature"),
                    TransactionError::BadExpiry => (StatusCode::UNPROCESSABLE_ENTITY, "bad_expiry"),
                };
                Self::new(status, code, message)
            }
            NodeError::Busy { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, "53300", message)
                .retry_after(RETRY_BUSY_S),
            NodeError::Duplicate { id, .. } => Self::new(StatusCode::CONFLICT, "ST001", message)
                .hint(format!("GET /v1/transactions/{id} gives its outcome")),
            NodeError::Expired => Self::new(StatusCode::GONE, "ST002", message),
            NodeError::NotFound { what, hint } => {
                let refused = Self::new(
                    StatusCode::NOT_FOUND,
                    "not_found",
                    format!("{what} not found"),
                );
                if hint.is_empty() {
                    refused
                } else {
                    refused.hint(hint)
                }
            }
            NodeError::Invalid(message) => Self::invalid(message),
            NodeError::Halted(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "halted", message)
                .hint("GET /v1/status says why; reads go on")
                .retry_after(RETRY_HALTED_S),
            NodeError::Unresolved { id, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "08007", message).hint(format!(
                    "do not send it again: it takes effect, wholly or not at all, once the node is mended and started; GET /v1/transactions/{id} gives its outcome then"
                ))
            }
            NodeError::Storage(_) | NodeError::Damaged(_) => {
                tracing::error!(%message, "a request failed in the store");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "storage", message)
                    .hint("`stele audit` finds what is damaged")
            }
            NodeError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message)
                .retry_after(RETRY_HALTED_S),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.view)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Failures any operation can give, for the description.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the OpenAPI description reads it")]
pub(super) enum Refusals {
    /// The request is malformed: `invalid`, `foreign_host`, `foreign_origin`.
    #[response(status = 400)]
    Invalid(ErrorView),
    /// Nothing of that name, height or identity: `not_found` or a word for what is unknown.
    #[response(status = 404)]
    NotFound(ErrorView),
    /// The node is busy, halted or stopping; `Retry-After` says when to try again.
    #[response(status = 503)]
    Busy(ErrorView),
    /// The store cannot be read: `storage`.
    #[response(status = 500)]
    Storage(ErrorView),
    /// It took too long: `time_out`, `outcome_pending`, `height_not_reached`.
    #[response(status = 504)]
    TimeOut(ErrorView),
}

/// Failures of operations that run statements or transactions, for the description.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the OpenAPI description reads it")]
pub(super) enum StatementRefusals {
    /// The account lacks the right (42501), or the signature does not fit.
    #[response(status = 403)]
    Forbidden(ErrorView),
    /// A duplicate, or a conflict with another transaction (23505, 40001, ST001).
    #[response(status = 409)]
    Conflict(ErrorView),
    /// The transaction or what it belongs to has expired (ST002, `expired`).
    #[response(status = 410)]
    Expired(ErrorView),
    /// The body is longer than it may be: `too_long`.
    #[response(status = 413)]
    TooLong(ErrorView),
    /// The statement failed; the code is its SQLSTATE.
    #[response(status = 422)]
    Failed(ErrorView),
}
