//! What an operator can set.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings of a node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Data directory.
    pub directory: PathBuf,
    /// Name of the ledger when it is created: the origin line of its checkpoints.
    pub origin: String,
    /// When a block is closed.
    pub block: BlockPolicy,
    /// Bounds of the mempool.
    pub mempool: MempoolConfig,
    /// Other validators, where the ledger has several.
    pub cluster: Option<ClusterConfig>,
    /// Connections that answer reads at the same time.
    pub readers: usize,
    /// Length at which a segment is sealed, in bytes.
    pub segment_len_max: u64,
    /// Seconds between self-checks of the whole store; 0 for none.
    pub self_check_interval_s: u64,
    /// Self-check reading rate, in MiB/s; 0 for no limit.
    pub self_check_mib_per_s: u64,
}

/// Where the validators of a ledger find each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where this node listens for others.
    pub listen: SocketAddr,
    /// Where each validator listens, by its name.
    pub peers: Vec<(String, SocketAddr)>,
}

/// A block is closed by whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPolicy {
    /// Transactions.
    pub transactions_max: usize,
    /// Bytes of encoded transactions.
    pub bytes_max: usize,
    /// Longest time the first waiting transaction waits for company, in microseconds.
    pub interval_us: u64,
}

/// Bounds of the mempool; beyond them a transaction is refused with 53300 and may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MempoolConfig {
    /// Transactions waiting.
    pub transactions_max: usize,
    /// Bytes of encoded transactions waiting.
    pub bytes_max: usize,
}

impl Default for BlockPolicy {
    fn default() -> Self {
        Self {
            transactions_max: 2_000,
            bytes_max: 900 * 1024,
            interval_us: 0,
        }
    }
}

impl Default for MempoolConfig {
    fn default() -> Self {
        Self {
            transactions_max: 20_000,
            bytes_max: 64 * 1024 * 1024,
        }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("stele-data"),
            origin: "localhost/stele".to_owned(),
            block: BlockPolicy::default(),
            mempool: MempoolConfig::default(),
            cluster: None,
            readers: 4,
            segment_len_max: 128 * 1024 * 1024,
            self_check_interval_s: 3_600,
            self_check_mib_per_s: 50,
        }
    }
}
