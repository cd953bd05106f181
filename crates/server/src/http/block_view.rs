//! Blocks as JSON, complete.

use serde::Serialize;
use stele_core::Suite;
use stele_core::block::Header;
use stele_core::leaf::BlockLeaf;
use stele_node::StoredBlock;
use utoipa::ToSchema;

use super::transaction_view::{EffectsView, TransactionView};
use super::value::iso_time;

/// A block with its effects.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BlockView {
    /// Its height.
    height: u64,
    /// Its hash.
    hash: String,
    /// Length of its canonical encoding, in bytes.
    len: u64,
    /// Header.
    header: HeaderView,
    /// Transactions in order.
    transactions: Vec<TransactionView>,
    /// What each transaction gave, in the same order.
    effects: Vec<EffectsView>,
    /// The leaf that closes it in the log.
    leaf: LeafView,
    /// Certificate over the checkpoint after it (a C2SP signed note), if known with the block; else empty.
    certificate: String,
}

/// What a block's hash is taken over.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeaderView {
    /// The ledger.
    ledger: String,
    /// Height.
    height: u64,
    /// Hash of the block before.
    parent: String,
    /// Block time.
    time: String,
    /// Block time in microseconds since 1970 UTC.
    time_us: i64,
    /// Key of the proposer.
    proposer: String,
    /// Number of transactions.
    transaction_count: u32,
    /// Merkle root over the signed transactions.
    transaction_root: String,
    /// Newest certificate the proposer knew (a C2SP signed note); empty if none.
    certificate: String,
}

/// A block's leaf in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeafView {
    /// Height.
    height: u64,
    /// The block's hash.
    block: String,
    /// Block time in microseconds since 1970 UTC.
    time_us: i64,
    /// Root of the state after it.
    state_root: String,
    /// Rules it was executed by.
    execution_version: u32,
    /// Hash of the validator set in force for the next block.
    next_validators: String,
}

impl BlockView {
    pub(super) fn new(suite: Suite, stored: &StoredBlock) -> Self {
        let transactions = stored.block.transactions.iter();
        let effects = &stored.effects;
        Self {
            height: stored.height,
            hash: stored.hash.to_hex(),
            len: stored.bytes.len() as u64,
            header: HeaderView::from(&stored.block.header),
            transactions: transactions
                .map(|signed| TransactionView::new(suite, signed))
                .collect(),
            effects: effects.transactions.iter().map(EffectsView::from).collect(),
            leaf: LeafView::from(&effects.leaf),
            certificate: String::from_utf8_lossy(&effects.certificate).into_owned(),
        }
    }
}

impl From<&Header> for HeaderView {
    fn from(header: &Header) -> Self {
        Self {
            ledger: header.ledger.to_hex(),
            height: header.height,
            parent: header.parent.to_hex(),
            time: iso_time(header.time_us),
            time_us: header.time_us,
            proposer: header.proposer.to_hex(),
            transaction_count: header.transaction_count,
            transaction_root: header.transaction_root.to_hex(),
            certificate: String::from_utf8_lossy(&header.certificate).into_owned(),
        }
    }
}

impl From<&BlockLeaf> for LeafView {
    fn from(leaf: &BlockLeaf) -> Self {
        Self {
            height: leaf.height,
            block: leaf.block.to_hex(),
            time_us: leaf.time_us,
            state_root: leaf.state_root.to_hex(),
            execution_version: leaf.execution_version,
            next_validators: leaf.next_validators.to_hex(),
        }
    }
}
