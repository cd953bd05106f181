//! Errors of the node, as its callers see them.

use stele_core::Hash;
use stele_core::transaction::TransactionError;
use stele_sql::SqlError;
use stele_store::{Damage, StoreError};
use thiserror::Error;

/// Why the node refused or failed.
#[derive(Debug, Error)]
pub enum NodeError {
    /// A statement or transaction failed; the client's to mend.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A signed transaction is not believed.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The mempool is full.
    #[error("the mempool is full ({waiting} transactions wait): send again in a moment")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// A transaction of this identity is known already.
    #[error("transaction {id} was submitted before{}", known.map(|(height, index)| format!(": block {height}, index {index}")).unwrap_or_default())]
    Duplicate {
        /// Its identity.
        id: Hash,
        /// Where it stands, once it is in a block.
        known: Option<(u64, u32)>,
    },
    /// The transaction's time is out of bounds.
    #[error(
        "the transaction has expired or its time is more than 30 s from the node's clock: make a new one"
    )]
    Expired,
    /// Nothing of that name, height or identity.
    #[error("{what} not found{}", if hint.is_empty() { String::new() } else { format!(": {hint}") })]
    NotFound {
        /// What was asked for.
        what: String,
        /// What helps.
        hint: String,
    },
    /// A request that cannot be taken.
    #[error("{0}")]
    Invalid(String),
    /// The node takes no writes now, and why.
    #[error("the node takes no writes: {0}")]
    Halted(String),
    /// A transaction stands in a stored block that could not be applied.
    #[error(
        "transaction {id} stands in block {height}, which is stored and could not be applied: {reason}"
    )]
    Unresolved {
        /// Its identity.
        id: Hash,
        /// The block.
        height: u64,
        /// What was in the way.
        reason: String,
    },
    /// A part of the block store that is needed is damaged.
    #[error("{}", StoreError::Damaged(.0.clone()))]
    Damaged(Damage),
    /// The store or the state cannot be read or written.
    #[error("{0}")]
    Storage(String),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}
