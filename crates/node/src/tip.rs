//! The newest applied block, as everyone else in the node sees it.

use stele_core::Hash;
use stele_core::leaf::BlockLeaf;

/// A value; replaced as a whole after each block.
#[derive(Clone, Debug)]
pub struct Tip {
    /// Height; 0 before the first block.
    pub height: u64,
    /// Hash of the block; the ledger id before the first.
    pub hash: Hash,
    /// Block time; the ledger's creation before the first.
    pub time_us: i64,
    /// The leaf that closes the block; none before the first.
    pub leaf: Option<BlockLeaf>,
    /// Root of the state.
    pub state_root: Hash,
    /// Leaves in the log.
    pub log_size: u64,
    /// Transactions in all blocks.
    pub transactions: u64,
    /// Checkpoint over the log with the validators' signatures; empty before the first block.
    pub certificate: String,
}
