//! The one writer over SQLite, and its read snapshots.
//!
//! An [`Engine`] executes blocks: each transaction in a savepoint, with bounds on what it may cost,
//! its row changes caught by SQLite's preupdate hook. What comes of it - outcomes, effects, the state
//! root - depends on the block and the state alone. A block is executed, then committed or rolled
//! back as a whole; a failure that is no outcome ([`EngineError`]) rolls it back by itself.
//!
//! Besides executing, the engine replays recorded effects ([`Engine::apply_effects`]), undoes them
//! ([`Engine::unapply_effects`]), tries statements without keeping them ([`Engine::preview`]),
//! compares rows and tree ([`Readers::audit`]) and serves reads and proofs ([`Readers`]).

mod account;
mod apply;
mod audit;
mod authoriser;
mod block;
mod budget;
mod builtin;
mod call;
mod cancel;
mod capture;
mod chunk;
mod config;
mod digest;
mod duplicate;
mod error;
mod explain;
mod footprint;
mod foreign_key;
mod layout;
mod meta;
mod namespace;
mod nodes;
mod open;
mod outcome;
mod policy;
mod preview;
mod prune;
mod readers;
mod replace;
mod row_log;
mod rows;
mod schema;
mod sequence;
mod snapshot;
mod state;
mod statement;
mod transaction;
mod undo;
mod wal;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use stele_core::genesis::Limits;
use stele_core::schema::TableId;
use stele_core::{AccountId, Hash, Suite, Type};

use crate::bind::{BindContext, bind};
use crate::bound::Bound;
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::function::TransactionContext;
use crate::parse::parse_single;
use authoriser::Wall;
use block::OpenBlock;
use budget::Budget;
use capture::CapturedConnection;
use preview::KeptPreview;
use row_log::{RowLog, Stamp};
use state::StateTree;
use statement::StatementCache;
use wal::WalKeeper;

pub use audit::{
    AuditProgress, DIFFERENCES_MAX, HistorySource, SECRET_LEN, StateAudit, StateDifference,
    key_text,
};
pub use block::{BlockContext, ExecutableTransaction, ExecutedBlock};
pub use builtin::{ACCOUNTS_TABLE, KV_NAMESPACES_TABLE, KV_TABLE, tables as builtin_tables};
pub use cancel::Cancel;
pub use config::{
    CHANGED_BYTES_MAX, EngineConfig, PROOF_WINDOW, READER_CACHE_KIB, READERS, WRITER_CACHE_KIB,
};
pub use digest::result_digest;
pub use error::EngineError;
pub use meta::{Meta, STATE_FORMAT};
pub use nodes::NodesAt;
pub use preview::{PreviewFailure, PreviewRequest, Previewed};
pub use readers::{READ_BYTES_MAX, READ_ROWS_MAX, ReadOptions, Readers};
pub use snapshot::{PastState, Snapshot};
pub use transaction::TransactionResult;

/// Parses and binds one statement for an account; `declared` are the types its client gave for
/// parameters, `as_of` the moment its reads are of.
fn bind_text(
    sql: &str,
    catalogue: &Catalogue,
    account: AccountId,
    declared: &[Option<Type>],
    as_of: Option<&str>,
) -> Result<Bound, SqlError> {
    let context = BindContext {
        parameters: declared.to_vec(),
        as_of: as_of.map(str::to_owned),
        ..BindContext::new(account)
    };
    bind(&parse_single(sql)?, catalogue, &context)
}

/// The state of a ledger and the only one who writes it.
pub struct Engine {
    writer: CapturedConnection<RowLog>,
    wall: Wall,
    budget: Arc<Budget>,
    statements: StatementCache,
    context: Arc<TransactionContext>,
    path: String,
    suite: Suite,
    ledger: Hash,
    limits: Limits,
    proof_window: u64,
    catalogue: Arc<Catalogue>,
    versions: BTreeMap<TableId, Stamp>,
    state: StateTree,
    meta: Meta,
    /// Whether any account has a row in `stele.accounts`; stays set when a block is undone.
    keys_rotated: bool,
    /// SQLite's count of schema changes after the newest block.
    schema_version: i64,
    /// SQLite's `data_version`: another connection's commit changes it.
    data_version: i64,
    open: Option<OpenBlock>,
    /// The preview that is open instead of a block.
    preview: Option<KeptPreview>,
    /// Whether a preview may stay open: not in memory, where readers would wait for it.
    keeps_previews: bool,
    readers: Arc<Readers>,
    wal: WalKeeper,
}

impl Engine {
    /// Where the committed state stands.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The catalogue, changes of an open block included.
    #[must_use]
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// The read connections, to be shared freely.
    #[must_use]
    pub fn readers(&self) -> Arc<Readers> {
        Arc::clone(&self.readers)
    }

    /// Copies the whole write-ahead log into the database, so that nothing is left to do at the next
    /// start. The engine may be used afterwards.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn close(&mut self) -> Result<(), EngineError> {
        self.end_preview()?;
        let copied = self
            .writer
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        copied.map_err(|error| EngineError::from(error).at(&self.path))
    }

    /// Height and place of the last success that changed a table.
    #[must_use]
    pub fn table_version(&self, table: TableId) -> Option<(u64, u32)> {
        self.versions
            .get(&table)
            .map(|stamp| (stamp.height, stamp.index))
    }
}
