//! What every operation works with.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use stele_node::Node;
use stele_pipeline::Replicas;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::caller;
use super::config::{HttpConfig, RECORD_BYTES_HELD_MAX};
use super::error::ApiError;
use super::job::Jobs;
use super::preview_table::Previews;
use crate::access::Access;

/// How often the height is looked at while a client waits for one.
pub(super) const HEIGHT_POLL: Duration = Duration::from_millis(5);
/// Record bodies are accounted for in pieces of this size, in bytes.
pub(super) const BODY_PERMIT_LEN: usize = 64 * 1024;

/// The node, the settings and the open work of all requests. Cheap to clone.
#[derive(Clone)]
pub(super) struct App(Arc<Inner>);

struct Inner {
    node: Node,
    access: Access,
    config: HttpConfig,
    requests: Semaphore,
    record_bytes: Semaphore,
    previews: Previews,
    audits: Jobs,
    replica_audits: Jobs,
    snapshots: Jobs,
}

impl App {
    pub(super) fn new(node: Node, config: HttpConfig) -> Self {
        Self(Arc::new(Inner {
            requests: Semaphore::new(config.requests_max),
            record_bytes: Semaphore::new(RECORD_BYTES_HELD_MAX / BODY_PERMIT_LEN),
            previews: Previews::new(config.previews_max, config.preview_idle),
            audits: Jobs::default(),
            replica_audits: Jobs::default(),
            snapshots: Jobs::default(),
            access: Access::new(node.keys().clone(), config.access.clone()),
            node,
            config,
        }))
    }

    pub(super) fn node(&self) -> &Node {
        &self.0.node
    }

    pub(super) fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    /// One permit a request.
    pub(super) fn requests(&self) -> &Semaphore {
        &self.0.requests
    }

    /// One permit for each [`BODY_PERMIT_LEN`] of a record body.
    pub(super) fn record_bytes(&self) -> &Semaphore {
        &self.0.record_bytes
    }

    pub(super) fn previews(&self) -> &Previews {
        &self.0.previews
    }

    pub(super) fn audits(&self) -> &Jobs {
        &self.0.audits
    }

    /// Comparisons of replicas.
    pub(super) fn replica_audits(&self) -> &Jobs {
        &self.0.replica_audits
    }

    /// Snapshots being written.
    pub(super) fn snapshots(&self) -> &Jobs {
        &self.0.snapshots
    }

    /// Refuses a caller who may not manage the node: only the user it signs for when nobody is named may.
    pub(super) fn check_manager(&self, what: &str) -> Result<(), ApiError> {
        match caller::current() {
            Some(own) if *own != *self.0.config.key => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "42501",
                format!("user {own:?} may not manage {what}"),
            )
            .hint(format!("the node's user {:?} may", self.0.config.key))),
            _ => self.check_key(&self.0.config.key),
        }
    }

    /// The node's replicas, for whom may manage them.
    pub(super) fn replicas(&self) -> Result<Replicas, ApiError> {
        self.check_manager("replicas")?;
        self.0.config.replicas.clone().ok_or_else(|| {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "no_replicas",
                "this node keeps no replicas",
            )
        })
    }

    /// Decides who is let in.
    pub(super) fn access(&self) -> &Access {
        &self.0.access
    }

    /// The key that signs: the caller's own, or, for an unnamed local caller, the one a request names
    /// or the configured one.
    pub(super) fn key(&self, named: Option<String>) -> Result<String, ApiError> {
        match caller::current() {
            Some(own) => match named {
                Some(other) if other != *own => Err(caller::not_own(&own, &other)),
                _ => Ok(own.to_string()),
            },
            None => {
                let key = named.unwrap_or_else(|| self.0.config.key.clone());
                self.check_key(&key)?;
                Ok(key)
            }
        }
    }

    /// Refuses a key that the caller may not use.
    pub(super) fn check_key(&self, key: &str) -> Result<(), ApiError> {
        match caller::current() {
            Some(own) if *own == *key => Ok(()),
            Some(own) => Err(caller::not_own(&own, key)),
            None if self.0.access.has_password(key)? => Err(caller::password_needed(key)),
            None => Ok(()),
        }
    }

    /// Runs what may block for disk reads on a thread where it may.
    pub(super) async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Node) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let node = self.0.node.clone();
        match tokio::task::spawn_blocking(move || work(&node)).await {
            Ok(done) => done.map_err(Into::into),
            Err(error) => {
                tracing::error!(%error, "a request's work ended early");
                Err(ApiError::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the request failed inside the node",
                )
                .hint("the node's log has the cause; please report it"))
            }
        }
    }

    /// Waits until the state has the height a client has seen before: its read-your-writes token.
    pub(super) async fn reach(&self, height: Option<u64>) -> Result<(), ApiError> {
        let Some(wanted) = height else {
            return Ok(());
        };
        let end = Instant::now() + self.0.config.wait_max;
        loop {
            let reached = self.node().height();
            if reached >= wanted {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(ApiError::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    "height_not_reached",
                    format!("the state has height {reached}, the request wants {wanted}"),
                )
                .hint("send the request again, or leave min_height out to read what there is"));
            }
            sleep(HEIGHT_POLL).await;
        }
    }
}
