//! Executing a block, and keeping or undoing it.

use std::collections::BTreeMap;
use std::sync::Arc;

use stele_core::Hash;
use stele_core::outcome::{Code, TransactionEffects};
use stele_core::schema::TableId;
use stele_core::transaction::SignedTransaction;

use super::Engine;
use super::error::EngineError;
use super::meta::{self, Meta};
use super::outcome::Failure;
use super::row_log::Stamp;
use super::state::{StateError, StateMark};
use super::transaction::TransactionResult;
use crate::catalogue::Catalogue;
use crate::error::SqlError;

/// What executing needs to know of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// Height: one more than the state's.
    pub height: u64,
    /// Block time, microseconds since 1970 UTC.
    pub time_us: i64,
}

/// A transaction of a block.
#[derive(Clone, Copy, Debug)]
pub struct ExecutableTransaction<'a> {
    /// Its identity.
    pub id: Hash,
    /// The transaction; its signature was verified.
    pub signed: &'a SignedTransaction,
    /// The code of a failure the node has already decided (duplicate, expired).
    pub refused: Option<Code>,
}

/// What executing a block gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutedBlock {
    /// Outcome and changes of each transaction: bound by the log.
    pub effects: Vec<TransactionEffects>,
    /// What each transaction's client gets; not bound by the log.
    pub results: Vec<TransactionResult>,
    /// Root of the state after the block.
    pub state_root: Hash,
}

/// A block executed and neither committed nor rolled back.
#[derive(Debug)]
pub(super) struct OpenBlock {
    /// Height of the state once it is committed.
    pub(super) height: u64,
    catalogue: Arc<Catalogue>,
    versions: BTreeMap<TableId, Stamp>,
    state: StateMark,
    /// Whether the tree has written nodes: only then must it forget what it remembers.
    touched_tree: bool,
}

/// When the state tree learns of row changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TreeUpdates {
    /// Once, after the last transaction.
    ByBlock,
    /// After each transaction, so that one which would overfill a group fails by itself.
    ByTransaction,
}

/// Why a round of executing a block did not end it.
enum Setback {
    /// SQLite undid the block with the transaction at this place.
    Swept(u32, SqlError),
    /// A group of the tree would overfill.
    Overfull,
    /// This node's own trouble.
    Engine(EngineError),
}

impl From<EngineError> for Setback {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Engine {
    /// Executes a block on the committed state and leaves it open: [`Engine::commit`] keeps it,
    /// [`Engine::rollback`] undoes it.
    ///
    /// # Errors
    /// Failures of this node, never of a transaction. The block is undone; after
    /// [`EngineError::NoSpace`] the engine stays usable and **the same block gives the same result
    /// when there is room**.
    pub fn execute(
        &mut self,
        context: &BlockContext,
        transactions: &[ExecutableTransaction<'_>],
    ) -> Result<ExecutedBlock, EngineError> {
        let mut updates = TreeUpdates::ByBlock;
        let mut swept = BTreeMap::new();
        // Each round takes one more transaction out, or is the last.
        loop {
            match self.try_execute(context, transactions, updates, &swept) {
                Ok(executed) => return Ok(executed),
                Err(Setback::Swept(index, error)) => {
                    self.rollback()?;
                    swept.insert(index, error);
                }
                Err(Setback::Overfull) if updates == TreeUpdates::ByBlock => {
                    self.rollback()?;
                    updates = TreeUpdates::ByTransaction;
                }
                Err(Setback::Overfull) => {
                    return Err(self.undone(EngineError::Internal {
                        cause: "the state tree refused a block whose transactions it took"
                            .to_owned(),
                    }));
                }
                Err(Setback::Engine(error)) => return Err(self.undone(error)),
            }
        }
    }

    /// One round. Transactions in `swept` fail as they did before, without being run.
    fn try_execute(
        &mut self,
        context: &BlockContext,
        transactions: &[ExecutableTransaction<'_>],
        updates: TreeUpdates,
        swept: &BTreeMap<u32, SqlError>,
    ) -> Result<ExecutedBlock, Setback> {
        self.begin(context.height)?;
        let mut effects = Vec::with_capacity(transactions.len());
        let mut results = Vec::with_capacity(transactions.len());
        for (transaction, index) in transactions.iter().zip(0u32..) {
            let stamp = Stamp {
                height: context.height,
                index,
            };
            let by_transaction = updates == TreeUpdates::ByTransaction;
            let known = swept.get(&index);
            let (effect, result) = self
                .run_transaction(transaction, stamp, by_transaction, known)
                .map_err(|failure| match failure {
                    Failure::Swept(error) => Setback::Swept(index, error),
                    Failure::Outcome(error) => Setback::Engine(error.into()),
                    Failure::Engine(error) => Setback::Engine(error),
                })?;
            effects.push(effect);
            results.push(result);
        }
        if updates == TreeUpdates::ByBlock {
            let keep = self.proof_window > 0;
            self.touch_tree();
            match self
                .state
                .update(&self.writer, context.height, keep, effects.iter())
            {
                Ok(()) => {}
                Err(StateError::GroupTooLarge(_)) => return Err(Setback::Overfull),
                Err(other) => return Err(self.tree_failure(other).into()),
            }
        }
        self.store_versions(context.height)?;
        self.prune(context.height)?;
        Ok(ExecutedBlock {
            effects,
            results,
            state_root: self.state.root()?,
        })
    }

    /// Opens the block of a height.
    pub(super) fn begin(&mut self, height: u64) -> Result<(), EngineError> {
        self.end_preview()?;
        if self.open.is_some() {
            return Err(EngineError::Order(
                "a block is open: commit it or roll it back first",
            ));
        }
        if height != self.meta.height + 1 {
            return Err(EngineError::WrongHeight {
                height: self.meta.height,
                found: height,
            });
        }
        self.begin_at(height)
    }

    /// Opens a change of the state that ends at `height`.
    pub(super) fn begin_at(&mut self, height: u64) -> Result<(), EngineError> {
        self.end_preview()?;
        self.writer.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        if let Some(cause) = self.changed_behind()? {
            self.writer.execute_batch("ROLLBACK")?;
            return Err(EngineError::Corrupt {
                path: String::new(),
                cause: format!("{cause} changed behind the ledger's back while the node ran"),
            }
            .at(&self.path));
        }
        self.open = Some(OpenBlock {
            height,
            catalogue: Arc::clone(&self.catalogue),
            versions: self.versions.clone(),
            state: self.state.mark(),
            touched_tree: false,
        });
        Ok(())
    }

    /// Notes that the open block writes to the state tree.
    pub(super) fn touch_tree(&mut self) {
        if let Some(open) = &mut self.open {
            open.touched_tree = true;
        }
    }

    pub(super) fn store_versions(&self, height: u64) -> Result<(), EngineError> {
        for (table, stamp) in &self.versions {
            if stamp.height == height {
                meta::write_version(&self.writer, *table, *stamp)?;
            }
        }
        Ok(())
    }

    /// Keeps the open block. `cursor` is stored with it and given back by [`Engine::meta`] after a
    /// restart. **Not** durable against power loss by itself: the block is in the segments.
    ///
    /// # Errors
    /// When the commit fails; the block is undone.
    pub fn commit(&mut self, cursor: &[u8], block: Hash) -> Result<(), EngineError> {
        let (Some(open), None) = (&self.open, &self.preview) else {
            return Err(EngineError::Order("no block is open"));
        };
        let height = open.height;
        if let Err(error) = self.try_commit(height, cursor, block) {
            return Err(self.undone(error));
        }
        self.open = None;
        self.publish();
        self.wal.committed(&self.writer);
        Ok(())
    }

    fn try_commit(&mut self, height: u64, cursor: &[u8], block: Hash) -> Result<(), EngineError> {
        let meta = Meta {
            height,
            block,
            state_root: self.state.root()?,
            cursor: cursor.to_vec(),
        };
        self.store_meta(meta.clone())?;
        let schema_version = self.read_version("PRAGMA schema_version")?;
        self.writer.prepare_cached("COMMIT")?.execute([])?;
        self.meta = meta;
        self.schema_version = schema_version;
        Ok(())
    }

    /// What another program changed in the database, as far as SQLite tells. Only this connection writes.
    fn changed_behind(&self) -> Result<Option<&'static str>, EngineError> {
        // Our own statements change it, too; those were counted when their block was committed.
        if self.read_version("PRAGMA schema_version")? != self.schema_version {
            return Ok(Some("its tables, indexes or triggers were"));
        }
        let same = self.read_version("PRAGMA data_version")? == self.data_version;
        Ok((!same).then_some("its content was"))
    }

    pub(super) fn read_version(&self, pragma: &str) -> Result<i64, EngineError> {
        let mut statement = self.writer.prepare_cached(pragma)?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Undoes the open block, if there is one.
    ///
    /// # Errors
    /// When the database cannot be read any more.
    pub fn rollback(&mut self) -> Result<(), EngineError> {
        self.preview = None;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        // After a full disk SQLite may have rolled back by itself.
        if !self.writer.is_autocommit() {
            self.writer.execute_batch("ROLLBACK")?;
        }
        self.writer.sink(super::row_log::RowLog::clear);
        self.versions = open.versions;
        if open.touched_tree || !Arc::ptr_eq(&self.catalogue, &open.catalogue) {
            self.state.reset(open.state);
        }
        if !Arc::ptr_eq(&self.catalogue, &open.catalogue) {
            self.catalogue = open.catalogue;
            self.forget_schema()?;
        }
        Ok(())
    }

    /// Rolls back after a failure and names the database in it.
    pub(super) fn undone(&mut self, error: EngineError) -> EngineError {
        let error = error.at(&self.path);
        match self.rollback() {
            Ok(()) => error,
            Err(second) => {
                tracing::error!(%error, "the block failed, and rolling it back failed too");
                second.at(&self.path)
            }
        }
    }
}
