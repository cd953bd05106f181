//! The handle on a running node.

use std::ops::Range;
use std::sync::Arc;

use stele_core::block::Block;
use stele_core::genesis::Genesis;
use stele_core::transaction::{Payload, SignedTransaction, Statement};
use stele_core::{AccountId, Hash, Suite, Type, Value};
use stele_flow::Runtime;
use stele_sql::{Bound, SqlError, StatementResult};

use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::keys::KeyStore;
use crate::receipt::{Answer, Pending, Record};
use crate::status::{AuditReport, Status};

/// A running node. Cheap to clone; all clones are one node. All methods may block for disk reads
/// unless they say otherwise; none needs an async runtime.
#[derive(Clone)]
pub struct Node {}

/// Where a block lies (row C3 of the block store).
#[derive(Clone, Debug, serde::Serialize)]
pub struct BlockLocation {
    /// Segment file number.
    pub segment: u64,
    /// Offset of the record in the file, bytes.
    pub offset: u64,
    /// Length of the record, bytes.
    pub len: u64,
    /// Length of the segment file, bytes.
    pub segment_len: u64,
}

/// A block as stored: raw bytes and decoded.
#[derive(Clone, Debug)]
pub struct StoredBlock {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: Hash,
    /// Canonical encoding.
    pub bytes: Vec<u8>,
    /// Decoded.
    pub block: Block,
    /// Effects, decoded.
    pub effects: stele_core::outcome::BlockEffects,
}

#[allow(unused_variables, clippy::todo)]
impl Node {
    /// Opens or creates the ledger of a data directory and starts the node.
    pub fn start(config: NodeConfig, runtime: Runtime) -> Result<Self, NodeError> {
        todo!()
    }
    /// Stops cleanly: applies what is ordered, answers the rest with `Stopping`. Idempotent.
    pub fn stop(&self) {
        todo!()
    }
    /// The ledger's identity document.
    pub fn genesis(&self) -> &Genesis {
        todo!()
    }
    /// Its id.
    pub fn ledger(&self) -> Hash {
        todo!()
    }
    /// Its suite.
    pub fn suite(&self) -> Suite {
        todo!()
    }
    /// The key store.
    pub fn keys(&self) -> &KeyStore {
        todo!()
    }
    /// The node at a glance.
    pub fn status(&self) -> Status {
        todo!()
    }
    /// Wall clock of the node, microseconds.
    pub fn now_us(&self) -> i64 {
        todo!()
    }

    /// Makes and signs a transaction for a key of the key store: fresh nonce and seed, time now, expiry in a minute.
    pub fn sign(&self, key: &str, payload: Payload) -> Result<SignedTransaction, NodeError> {
        todo!()
    }
    /// Takes a transaction signed elsewhere: verified, bounded, put in the mempool. Does not wait.
    pub fn submit(&self, transaction: SignedTransaction) -> Result<Pending, NodeError> {
        todo!()
    }
    /// `sign` and `submit` in one; the node's own signature is not checked again. Does not wait.
    pub fn write(&self, key: &str, payload: Payload) -> Result<Pending, NodeError> {
        todo!()
    }

    /// Binds a statement as of the newest state without running it.
    pub fn describe(
        &self,
        account: AccountId,
        sql: &str,
        declared: &[Option<Type>],
    ) -> Result<Arc<Bound>, SqlError> {
        todo!()
    }
    /// Runs a read on the newest committed state.
    pub fn query(
        &self,
        account: AccountId,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Answer, NodeError> {
        todo!()
    }
    /// Runs statements on the newest state and undoes them: what an open interactive transaction sees.
    /// Gives the result of each. `time_us` and `seed` are those the transaction will carry.
    pub fn preview(
        &self,
        account: AccountId,
        statements: &[Statement],
        time_us: i64,
        seed: [u8; 16],
    ) -> Result<Vec<StatementResult>, NodeError> {
        todo!()
    }

    /// Proof file (text) that a transaction and its outcome are in the log.
    pub fn prove_transaction(&self, id: &Hash) -> Result<String, NodeError> {
        todo!()
    }
    /// Proof file (text) of a row or of its absence, by primary key values in key order, as text.
    pub fn prove_row(
        &self,
        schema: &str,
        table: &str,
        key: &[String],
    ) -> Result<String, NodeError> {
        todo!()
    }
    /// Proof file (text) of all rows from `from` (included) to `to` (excluded), complete; open where none.
    pub fn prove_range(
        &self,
        schema: &str,
        table: &str,
        from: Option<&[String]>,
        to: Option<&[String]>,
    ) -> Result<String, NodeError> {
        todo!()
    }

    /// Newest checkpoint: a C2SP signed note.
    pub fn checkpoint(&self) -> Result<String, NodeError> {
        todo!()
    }
    /// A C2SP tile or entry bundle by its path below the log's prefix, such as `tile/0/x001/067`.
    pub fn tile(&self, path: &str) -> Result<Vec<u8>, NodeError> {
        todo!()
    }

    /// A block by height (from 1).
    pub fn block(&self, height: u64) -> Result<StoredBlock, NodeError> {
        todo!()
    }
    /// Height of the block with that hash.
    pub fn height_of_block(&self, hash: &Hash) -> Result<u64, NodeError> {
        todo!()
    }
    /// Place of a transaction by its identity.
    pub fn place_of_transaction(&self, id: &Hash) -> Result<(u64, u32), NodeError> {
        todo!()
    }
    /// Whether a transaction waits in the mempool.
    pub fn is_pending(&self, id: &Hash) -> bool {
        todo!()
    }
    /// Blocks from a height (0 or less is an error) with limit (0: up to 1,000), at most `bytes_max`
    /// of encodings but at least one; and the height to go on from.
    pub fn blocks(
        &self,
        from: i64,
        limit: u64,
        bytes_max: usize,
    ) -> Result<(Vec<StoredBlock>, Option<u64>), NodeError> {
        todo!()
    }
    /// Where a block lies.
    pub fn block_location(&self, height: u64) -> Result<BlockLocation, NodeError> {
        todo!()
    }

    /// Appends an opaque record (any bytes, up to 64 MiB; large ones travel in chunks).
    /// The identity is known at once; the receipt comes with the block of its last transaction.
    pub fn append_record(&self, key: &str, bytes: &[u8]) -> Result<Pending, NodeError> {
        todo!()
    }
    /// Reads a record by identity, pending or placed.
    pub fn record(&self, id: &Hash) -> Result<Record, NodeError> {
        todo!()
    }
    /// Reads a record by place.
    pub fn record_at(&self, height: u64, index: u32) -> Result<Record, NodeError> {
        todo!()
    }

    /// Checks blocks of a height range (all: `1..u64::MAX`) and, if wanted, every row of the state.
    /// `progress` is given (done, total) bytes.
    pub fn audit(
        &self,
        heights: Range<u64>,
        state: bool,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<AuditReport, NodeError> {
        todo!()
    }
}
