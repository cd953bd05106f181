//! What an operator can set, and the bounds that are fixed.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use stele_core::transaction::TRANSACTION_LEN_MAX;
use stele_pipeline::Replicas;

use crate::access::AccessConfig;

/// Longest JSON body, in bytes (2 MiB).
pub const JSON_LEN_MAX: usize = 2 * 1024 * 1024;
/// Longest raw signed transaction, in bytes.
pub const RAW_TRANSACTION_LEN_MAX: usize = TRANSACTION_LEN_MAX;
/// Longest value of the key-value state, in bytes: it must fit one transaction with its envelope.
pub const KV_VALUE_LEN_MAX: usize = TRANSACTION_LEN_MAX - 8 * 1024;
/// Bytes of record bodies held at the same time (256 MiB); beyond it records are refused with 503.
pub(super) const RECORD_BYTES_HELD_MAX: usize = 256 * 1024 * 1024;
/// Bytes of blocks in one answer to a range look-up (8 MiB).
pub(super) const BLOCKS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Settings of the HTTP API.
#[derive(Clone)]
pub struct HttpConfig {
    /// How clients are let in.
    pub access: AccessConfig,
    /// Names besides the loopback ones under which clients reach the API, such as a reverse proxy's:
    /// accepted in the `Host` header.
    pub hosts: Vec<String>,
    /// Web origins (`https://app.example.org`) whose pages may write, besides the API's own.
    pub origins: Vec<String>,
    /// The node's name, as shown to clients.
    pub node_name: String,
    /// Key of the key store that signs when a request names none.
    pub key: String,
    /// Requests at the same time; beyond it 503 with `Retry-After`.
    pub requests_max: usize,
    /// Connections at the same time; beyond it they wait to be accepted.
    pub connections_max: usize,
    /// A connection that moves no byte for so long is closed.
    pub idle_timeout: Duration,
    /// Longest time for one request, body included.
    pub request_timeout: Duration,
    /// Longest wait for a transaction to be applied, or a height to be reached.
    pub wait_max: Duration,
    /// Previews open at the same time.
    pub previews_max: usize,
    /// A preview not used for so long is undone.
    pub preview_idle: Duration,
    /// Where `/metrics` comes from; without it the path answers 404.
    pub metrics: Option<PrometheusHandle>,
    /// The node's replicas; without them their paths answer 404.
    pub replicas: Option<Replicas>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            access: AccessConfig::default(),
            hosts: Vec::new(),
            origins: Vec::new(),
            node_name: "stele".to_owned(),
            key: stele_node::keys::OPERATOR.to_owned(),
            requests_max: 256,
            connections_max: 1_024,
            idle_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(60),
            wait_max: Duration::from_secs(30),
            previews_max: 1_000,
            preview_idle: Duration::from_secs(60),
            metrics: None,
            replicas: None,
        }
    }
}
