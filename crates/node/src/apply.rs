//! Applying one final block: the only place where the ledger moves.
//!
//! Order of steps, and what is durable when:
//!
//! 1. The block is appended to its segment; making it durable begins on another thread.
//! 2. It is executed inside an open SQLite transaction.
//! 3. The log grows by its entries and leaf; the checkpoint is signed.
//! 4. The sync of step 1 has ended: **the block is durable**, and with it its outcome, because
//!    executing it again from the state before gives the same.
//! 5. Its effects are appended (made durable by the next block's sync), the state is committed
//!    (rebuilt from segments after a power loss), tiles and index follow.
//! 6. Clients are answered.
//!
//! Where others order, or with others, steps 1 and 4 come after step 3: nothing is kept that the validators did not sign.
//!
//! A failure before step 5 undoes everything but the appended block; the same block is then tried
//! again, or the node halts. A failed sync poisons the store: the node halts and says so.

use std::sync::Arc;

use stele_consensus::{DeliverError, OrderedBlock};
use stele_core::block::Header;
use stele_core::genesis::Genesis;
use stele_core::leaf::BlockLeaf;
use stele_core::note::{Checkpoint, SignedNote};
use stele_core::outcome::{BlockEffects, Code};
use stele_core::transaction::{SignedTransaction, TIME_SKEW_MAX_US};
use stele_core::{Encode, Hash};
use stele_sql::engine::{BlockContext, Engine, EngineError, ExecutableTransaction, ExecutedBlock};
use stele_store::{BlockRecord, StoreError};

use crate::followed::Role;
use crate::ledger_log::LedgerLog;
use crate::node::Inner;
use crate::receipt::Receipt;
use crate::recent::RecentIds;
use crate::syncer::Syncer;
use crate::tip::Tip;

/// What only the apply loop touches.
pub(crate) struct Applier {
    pub(crate) log: LedgerLog,
    /// Of a node that orders alone.
    pub(crate) syncer: Option<Syncer>,
}

/// A transaction of a block under way.
pub(crate) struct BlockTransaction {
    pub(crate) id: Hash,
    pub(crate) signed: Arc<SignedTransaction>,
}

/// What applying a block gave.
pub(crate) struct Applied {
    pub(crate) receipts: Vec<Receipt>,
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace(_) => DeliverError::Later(error.to_string()).into(),
            _ => DeliverError::Halt(error.to_string()).into(),
        }
    }
}

impl From<EngineError> for ApplyError {
    fn from(error: EngineError) -> Self {
        if error.is_transient() {
            return DeliverError::Later(error.to_string()).into();
        }
        let is_suspect = matches!(
            error,
            EngineError::Corrupt { .. } | EngineError::Internal { .. } | EngineError::Decode { .. }
        );
        Self {
            cause: DeliverError::Halt(error.to_string()),
            is_suspect,
        }
    }
}

/// Why a block was not applied.
#[derive(Debug)]
pub(crate) struct ApplyError {
    pub(crate) cause: DeliverError,
    /// Whether the state may be damaged: it does not read, or executing gives another result than the validators
    /// signed.
    pub(crate) is_suspect: bool,
}

impl ApplyError {
    /// Executing gives another result than the validators signed.
    pub(crate) fn suspect(reason: String) -> Self {
        Self {
            cause: DeliverError::Halt(reason),
            is_suspect: true,
        }
    }
}

impl From<DeliverError> for ApplyError {
    fn from(cause: DeliverError) -> Self {
        Self {
            cause,
            is_suspect: false,
        }
    }
}

impl Inner {
    /// Applies the block after the tip. Steps are in the module's text.
    pub(crate) fn apply(
        &self,
        block: &OrderedBlock,
        transactions: &[BlockTransaction],
    ) -> Result<Applied, ApplyError> {
        let tip = self.tip();
        let mut applier = self.applier.lock();
        let mut engine = self.engine.lock();
        let record = BlockRecord {
            bytes: &block.bytes,
            header: block.header.clone(),
            hash: block.hash,
            transaction_ids: transactions.iter().map(|tx| tx.id).collect(),
        };
        // A block that others ordered is kept only once it is known to be what they signed.
        let alone = applier.syncer.is_some();
        if let Some(syncer) = &applier.syncer {
            self.keep(&record)?;
            let handle = self.store.sync_handle();
            syncer.begin(Box::new(move || {
                handle.sync().map_err(|error| error.to_string())
            }));
        }
        let executed = self.execute(&mut engine, block, transactions);
        let synced = applier.syncer.as_ref().map_or(Ok(()), Syncer::wait);
        let executed = match (executed, synced) {
            (Ok(executed), Ok(())) => executed,
            (executed, synced) => {
                engine.rollback()?;
                synced.map_err(DeliverError::Halt)?;
                return Err(executed.err().map_or_else(
                    || DeliverError::Halt("execution gave nothing".to_owned()).into(),
                    Into::into,
                ));
            }
        };
        let leaf = self.leaf(block, executed.state_root);
        let mut effects = BlockEffects {
            transactions: executed.effects,
            leaf,
            certificate: Vec::new(),
        };
        let grown = applier
            .log
            .grow(&effects.log_leaves(self.suite, &record.transaction_ids));
        let certificate = match self.certify(block, grown.size(), grown.root()) {
            Ok(certificate) => certificate,
            Err(error) => {
                engine.rollback()?;
                return Err(error);
            }
        };
        effects.certificate = certificate.clone().into_bytes();
        let finish = || -> Result<(), ApplyError> {
            self.keep(&record)?;
            if self.store.effects_height() < block.header.height {
                self.store
                    .append_effects(&effects.encode_to_vec(), &effects.leaf)?;
            }
            if !alone {
                self.store.sync()?;
            }
            Ok(())
        };
        if let Err(error) = finish() {
            engine.rollback()?;
            return Err(error);
        }
        if let Err(error) = engine.commit(&[], block.hash) {
            engine.rollback()?;
            return Err(error.into());
        }
        drop(engine);
        self.extend_tiles(grown.new_hashes());
        let log_size = grown.size();
        applier.log = grown.into_log();
        self.remember(block.header.time_us, transactions);
        let receipts = receipts(block, transactions, &effects, executed.results);
        self.set_tip(Tip {
            height: block.header.height,
            hash: block.hash,
            time_us: block.header.time_us,
            state_root: leaf.state_root,
            log_size,
            transactions: tip.transactions + transactions.len() as u64,
            certificate,
        });
        Ok(Applied { receipts })
    }

    fn keep(&self, record: &BlockRecord<'_>) -> Result<(), StoreError> {
        if self.store.appended_height() < record.header.height {
            self.store.append_block(record)?;
        }
        Ok(())
    }

    /// Tile files follow the block, which is committed by now: what cannot be written stays in
    /// memory, is tried again with the next block, and computed anew at the next start if need be.
    fn extend_tiles(&self, new_hashes: &[(u8, Hash)]) {
        let mut extended = self.tiles.append(new_hashes);
        if extended.is_ok() && self.tiles.is_checkpoint_due() {
            extended = self.tiles.checkpoint();
        }
        if let Err(error) = extended {
            tracing::warn!(%error, "tile files lag behind the blocks");
        }
    }

    pub(crate) fn execute(
        &self,
        engine: &mut Engine,
        block: &OrderedBlock,
        transactions: &[BlockTransaction],
    ) -> Result<ExecutedBlock, EngineError> {
        execute(engine, &self.recent.read(), &block.header, transactions)
    }

    pub(crate) fn leaf(&self, block: &OrderedBlock, state_root: Hash) -> BlockLeaf {
        leaf(&self.genesis, block, state_root)
    }

    /// The checkpoint over the log after a block, with this validator's signature; or, where others
    /// order, the certificate that came with the block, if it is over the same log.
    pub(crate) fn certify(
        &self,
        block: &OrderedBlock,
        size: u64,
        root: Hash,
    ) -> Result<String, ApplyError> {
        let signer = match &self.role {
            Role::Orders(signer) => signer,
            Role::Follows(followed) => {
                return followed.certified(block, size, root);
            }
            Role::Votes(voting) => {
                return voting.certified(block, size, root);
            }
        };
        let halt = |error: String| ApplyError::from(DeliverError::Halt(error));
        let checkpoint = Checkpoint::new(&self.genesis.origin, size, root)
            .map_err(|error| halt(error.to_string()))?;
        let note = SignedNote::sign(checkpoint.to_string(), &[signer])
            .map_err(|error| halt(error.to_string()))?;
        Ok(note.to_string())
    }

    /// Keeps the identities of a block's transactions until they have expired.
    pub(crate) fn remember(&self, block_time_us: i64, transactions: &[BlockTransaction]) {
        remember(&mut self.recent.write(), block_time_us, transactions);
    }
}

/// Executes a block on the state before it; what was seen before or has expired is refused.
pub(crate) fn execute(
    engine: &mut Engine,
    recent: &RecentIds,
    header: &Header,
    transactions: &[BlockTransaction],
) -> Result<ExecutedBlock, EngineError> {
    let time_us = header.time_us;
    let mut seen = std::collections::HashSet::new();
    let executable: Vec<ExecutableTransaction<'_>> = transactions
        .iter()
        .map(|tx| {
            let body = &tx.signed.transaction;
            let skewed = body.time_us.abs_diff(time_us) > TIME_SKEW_MAX_US.unsigned_abs();
            let refused = if recent.contains(&tx.id) || !seen.insert(tx.id) {
                Some(Code::DUPLICATE)
            } else if body.expiry_us <= time_us || skewed {
                Some(Code::EXPIRED)
            } else {
                None
            };
            ExecutableTransaction {
                id: tx.id,
                signed: &tx.signed,
                refused,
            }
        })
        .collect();
    let context = BlockContext {
        height: header.height,
        time_us,
    };
    engine.execute(&context, &executable)
}

/// The leaf that closes a block in the log.
pub(crate) fn leaf(genesis: &Genesis, block: &OrderedBlock, state_root: Hash) -> BlockLeaf {
    BlockLeaf {
        height: block.header.height,
        block: block.hash,
        time_us: block.header.time_us,
        state_root,
        execution_version: genesis.execution_version,
        next_validators: genesis.validators.hash(genesis.suite),
    }
}

/// Keeps the identities of a block's transactions until they have expired.
pub(crate) fn remember(
    recent: &mut RecentIds,
    block_time_us: i64,
    transactions: &[BlockTransaction],
) {
    for transaction in transactions {
        let expiry_us = transaction.signed.transaction.expiry_us;
        if expiry_us > block_time_us {
            recent.insert(transaction.id, expiry_us);
        }
    }
    recent.expire(block_time_us);
}

fn receipts(
    block: &OrderedBlock,
    transactions: &[BlockTransaction],
    effects: &BlockEffects,
    results: Vec<Result<Vec<stele_sql::StatementResult>, stele_sql::SqlError>>,
) -> Vec<Receipt> {
    transactions
        .iter()
        .zip(&effects.transactions)
        .zip(results)
        .zip(0u32..)
        .map(|(((transaction, effects), result), index)| {
            let (error, results) = match result {
                Ok(results) => (None, results),
                Err(error) => (Some(error), Vec::new()),
            };
            Receipt {
                id: transaction.id,
                height: block.header.height,
                index,
                time_us: block.header.time_us,
                outcome: effects.outcome,
                error,
                results,
            }
        })
        .collect()
}
