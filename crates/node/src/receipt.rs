//! What a submitted transaction and a read give back.

use futures::channel::oneshot;
use stele_core::Hash;
use stele_core::outcome::Outcome;
use stele_sql::{SqlError, StatementResult};

use crate::error::NodeError;

/// A transaction the node has accepted: it waits for its block.
#[derive(Debug)]
pub struct Pending {
    /// The transaction's identity.
    pub id: Hash,
    /// Resolves once the transaction is applied and its block durable.
    pub receipt: oneshot::Receiver<Result<Receipt, NodeError>>,
}

/// A transaction applied in a durable block.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The transaction's identity.
    pub id: Hash,
    /// Height of its block.
    pub height: u64,
    /// Its place in the block.
    pub index: u32,
    /// Block time, microseconds since 1970 UTC.
    pub time_us: i64,
    /// What the ledger recorded.
    pub outcome: Outcome,
    /// The failure in words, when the outcome is one.
    pub error: Option<SqlError>,
    /// Result of each statement, when it succeeded.
    pub results: Vec<StatementResult>,
}

/// The answer to a read, with the height it holds for.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The result.
    pub result: StatementResult,
    /// The block after which this was the state.
    pub height: u64,
}

/// An opaque record read back.
#[derive(Clone, Debug)]
pub struct Record {
    /// Identity of its transaction.
    pub id: Hash,
    /// Where it stands; none while it waits for its block.
    pub place: Option<(u64, u32)>,
    /// The bytes as they were given.
    pub bytes: Vec<u8>,
}
