//! The newest applied block, as everyone else in the node sees it.

use stele_core::Hash;

/// A value; replaced as a whole after each block.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    /// Height; 0 before the first block.
    pub(crate) height: u64,
    /// Hash of the block; the ledger id before the first.
    pub(crate) hash: Hash,
    /// Block time; the ledger's creation before the first.
    pub(crate) time_us: i64,
    /// Root of the state.
    pub(crate) state_root: Hash,
    /// Leaves in the log.
    pub(crate) log_size: u64,
    /// Transactions in all blocks.
    pub(crate) transactions: u64,
    /// Checkpoint over the log with the validators' signatures; empty before the first block.
    pub(crate) certificate: String,
}
