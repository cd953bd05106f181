//! What a client gets for a write, and how long it waits for it.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stele_node::{Pending, Receipt};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::context::App;
use super::error::{ApiError, ErrorView, status_of};
use super::value::{ResultView, iso_time};

/// Header that carries the height an answer holds for; given back as `min_height` on any node, a
/// read sees at least that state.
pub(super) const HEIGHT: HeaderName = HeaderName::from_static("stele-height");

/// What a writing client waits for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Wait {
    /// The node has the transaction in its mempool: it is lost if the node stops now.
    Accepted,
    /// Its block is durable. With a single node that is the same moment as `applied`.
    Committed,
    /// Its block is durable and in the state.
    Applied,
    /// `replica:NAME`: applied, and written into the database of that replica.
    Replica(String),
}

impl PartialSchema for Wait {
    fn schema() -> RefOr<Schema> {
        String::schema()
    }
}

impl ToSchema for Wait {}

impl TryFrom<String> for Wait {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "accepted" => Ok(Self::Accepted),
            "committed" => Ok(Self::Committed),
            "applied" => Ok(Self::Applied),
            other => match other.strip_prefix("replica:") {
                Some(name) if !name.is_empty() => Ok(Self::Replica(name.to_owned())),
                _ => Err(format!(
                    "{other:?} is nothing to wait for: accepted, committed, applied and replica:NAME are"
                )),
            },
        }
    }
}

/// A transaction the node has accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AcceptedView {
    /// The transaction's identity.
    id: String,
    /// Always true: it waits for its block.
    pending: bool,
}

/// A transaction applied in a durable block.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptView {
    /// The transaction's identity.
    id: String,
    /// Height of its block.
    height: u64,
    /// Its place in the block, from 0.
    index: u32,
    /// Block time.
    time: String,
    /// Block time in microseconds since 1970 UTC.
    time_us: i64,
    /// `00000`, or the SQLSTATE of the recorded failure.
    code: String,
    /// Rows inserted, updated and deleted.
    rows_affected: u64,
    /// Digest of the row changes.
    changes: String,
    /// The failure in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The failure in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    /// Result of each statement.
    results: Vec<ResultView>,
}

impl From<Receipt> for ReceiptView {
    fn from(receipt: Receipt) -> Self {
        let error = receipt
            .error
            .map(|error| ApiError::from(error).view().clone());
        Self {
            id: receipt.id.to_hex(),
            height: receipt.height,
            index: receipt.index,
            time: iso_time(receipt.time_us),
            time_us: receipt.time_us,
            code: receipt.outcome.code.as_str().to_owned(),
            rows_affected: receipt.outcome.rows_affected,
            changes: receipt.outcome.changes.to_hex(),
            message: error.as_ref().map(|error| error.message.clone()),
            hint: error.as_ref().and_then(|error| error.hint.clone()),
            error,
            results: receipt.results.into_iter().map(ResultView::from).collect(),
        }
    }
}

/// Waits for a receipt, but not for ever.
pub(super) async fn applied(app: &App, pending: Pending) -> Result<Receipt, ApiError> {
    let id = pending.id;
    match tokio::time::timeout(app.config().wait_max, pending.receipt).await {
        Ok(Ok(receipt)) => Ok(receipt?),
        Ok(Err(_)) => Err(unknown_outcome(
            StatusCode::SERVICE_UNAVAILABLE,
            id,
            "the node is stopping",
        )),
        Err(_) => Err(unknown_outcome(
            StatusCode::GATEWAY_TIMEOUT,
            id,
            "the transaction is not in a block yet",
        )),
    }
}

/// Answers a write at the moment the client asked for. A recorded failure is the receipt with the
/// status that fits its code.
pub(super) async fn answer(app: &App, pending: Pending, wait: Wait) -> Result<Response, ApiError> {
    if wait == Wait::Accepted {
        let accepted = AcceptedView {
            id: pending.id.to_hex(),
            pending: true,
        };
        return Ok((StatusCode::ACCEPTED, Json(accepted)).into_response());
    }
    let receipt = applied(app, pending).await?;
    if let Wait::Replica(name) = wait {
        replicated(app, &name, &receipt).await?;
    }
    let status = status_of(receipt.outcome.code.as_str());
    let height = [(HEIGHT, HeaderValue::from(receipt.height))];
    Ok((status, height, Json(ReceiptView::from(receipt))).into_response())
}

/// Waits until a replica has what was written. That it has not is no failure of the write, and says so.
async fn replicated(app: &App, name: &str, receipt: &Receipt) -> Result<(), ApiError> {
    let (height, id) = (receipt.height, receipt.id);
    let written = format!("transaction {id} is applied in block {height}");
    let Some(replicas) = app.config().replicas.clone() else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_replica",
            format!("{written}, but this node keeps no replicas"),
        ));
    };
    let (longest, sought) = (app.config().wait_max, name.to_owned());
    let reached = app
        .blocking(move |_| replicas.reach(&sought, height, longest))
        .await;
    match reached {
        Ok(true) => Ok(()),
        Ok(false) => Err(ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "height_not_reached",
            format!("{written}, but not yet in replica {name:?}"),
        )
        .hint(format!("GET /v1/replicas/{name} tells what is in its way"))),
        Err(error) => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_replica",
            format!("{written}, but {}", error.view().message),
        )),
    }
}

fn unknown_outcome(status: StatusCode, id: stele_core::Hash, why: &str) -> ApiError {
    ApiError::new(
        status,
        "outcome_pending",
        format!("transaction {id}: {why}"),
    )
    .hint(format!("GET /v1/transactions/{id} tells its outcome"))
}
