//! What an operator sees.

use serde::Serialize;

/// State of the block store. Only `valid` answers reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreStatus {
    /// Checked or believed good.
    Valid,
    /// A self-check is running.
    Verifying,
    /// A check found damage.
    Invalid,
    /// Sends ranges to a peer.
    Sending,
    /// Receives ranges from a peer.
    Receiving,
}

/// The node at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Ledger id, hexadecimal.
    pub ledger: String,
    /// Origin of its checkpoints.
    pub origin: String,
    /// Program version.
    pub version: String,
    /// Height of the last applied block; 0 before the first.
    pub height: u64,
    /// Hash of that block, hexadecimal.
    pub block: String,
    /// State root after it, hexadecimal.
    pub state_root: String,
    /// Leaves in the log.
    pub log_size: u64,
    /// Transactions in all blocks.
    pub transactions: u64,
    /// Time of the last block, microseconds since 1970 UTC.
    pub time_us: i64,
    /// Transactions that wait for a block.
    pub mempool: usize,
    /// State of the block store.
    pub store: StoreStatus,
    /// Why the node takes no writes, if so.
    pub halted: Option<String>,
    /// First bad height the last check found.
    pub first_bad_height: Option<u64>,
    /// What was wrong there.
    pub damage: Option<String>,
    /// Bytes in all segments.
    pub segment_bytes: u64,
    /// Number of the newest segment.
    pub segment: u64,
    /// Seconds since the node started.
    pub uptime_s: u64,
}

/// What a self-check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditReport {
    /// Height up to which blocks were checked.
    pub height: u64,
    /// Blocks checked.
    pub blocks: u64,
    /// Transactions checked.
    pub transactions: u64,
    /// Bytes of segments read.
    pub bytes: u64,
    /// Rows of the state read and hashed.
    pub rows: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Everything that was wrong; empty if all is well.
    pub findings: Vec<Finding>,
}

/// One thing that was wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// `block`, `segment`, `state` or `log`.
    pub part: &'static str,
    /// The first height concerned, if it can be told.
    pub height: Option<u64>,
    /// File or table.
    pub place: String,
    /// Key of the row or offset in the file.
    pub item: String,
    /// What is wrong and what helps.
    pub reason: String,
}
