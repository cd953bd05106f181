//! Taking blocks from elsewhere: another node, a backup, a stash (row C10).

use stele_core::Decode;
use stele_core::block::BlockView;
use stele_core::outcome::BlockEffects;
use thiserror::Error;

use super::BlockStore;
use crate::error::StoreError;
use crate::record::BlockRecord;

/// A block from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct IncomingBlock<'a> {
    /// The block's encoding.
    pub block: &'a [u8],
    /// The encoding of its effects, if they come with it.
    pub effects: Option<&'a [u8]>,
    /// A certificate over the checkpoint after this block, if one comes with it.
    pub certificate: Option<&'a [u8]>,
}

/// What is handed to the verifier: a block whose link, transaction root and effects fit together.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedLink<'a> {
    /// The block.
    pub block: &'a BlockRecord<'a>,
    /// Its effects, if they came with it.
    pub effects: Option<&'a BlockEffects>,
    /// A certificate over the checkpoint after this block, if one came with it.
    pub certificate: Option<&'a [u8]>,
}

/// Checks what the store cannot: signatures of certificates, the log root, the state root. An error
/// says why the block is not believed.
pub type Verifier<'a> = dyn FnMut(&VerifiedLink<'_>) -> Result<(), String> + 'a;

/// How far a batch came.
#[derive(Debug, Default)]
pub struct RestoreReport {
    /// Blocks appended, durably.
    pub taken: u64,
    /// Blocks that were stored already and changed nothing.
    pub repeated: u64,
    /// Why the batch ended before its end.
    pub stopped: Option<RestoreStop>,
}

/// Where and why a batch ended.
#[derive(Debug, Error)]
#[error("block number {position} of the batch (height {height}) was not taken: {reason}")]
pub struct RestoreStop {
    /// Which block of the batch, from 0.
    pub position: u64,
    /// The height it names; 0 if it could not be read.
    pub height: u64,
    /// Why it was not taken.
    pub reason: RestoreError,
}

/// Why a block from elsewhere is not taken.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// It or its effects do not decode.
    #[error("it does not decode: {0}")]
    Undecodable(stele_core::DecodeError),
    /// Another block of this height is stored.
    #[error("another block of this height is stored")]
    Differs,
    /// The transactions are not those of the header.
    #[error("its transactions do not have the root its header states")]
    TransactionRoot,
    /// The effects are not those of the block.
    #[error("its effects are not those of this block: {0}")]
    Effects(&'static str),
    /// A certificate came without the effects it is about.
    #[error("a certificate came for a block without effects")]
    EffectsMissing,
    /// The verifier does not believe it.
    #[error("{0}")]
    Refused(String),
    /// It does not follow the tip, or cannot be stored.
    #[error(transparent)]
    Store(StoreError),
}

impl From<stele_core::DecodeError> for RestoreError {
    fn from(error: stele_core::DecodeError) -> Self {
        Self::Undecodable(error)
    }
}

impl From<StoreError> for RestoreError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl BlockStore {
    /// Appends blocks from elsewhere, in order, each after checking ledger, link, transaction root,
    /// effects, and whatever `verifier` checks. A block stored already changes nothing. Ends at the
    /// first that is not taken; those before it are durable when the call returns.
    ///
    /// # Errors
    /// When what was appended could not be made durable.
    pub fn restore_blocks<'a>(
        &self,
        blocks: impl IntoIterator<Item = IncomingBlock<'a>>,
        verifier: &mut Verifier<'_>,
    ) -> Result<RestoreReport, StoreError> {
        let mut report = RestoreReport::default();
        for (incoming, position) in blocks.into_iter().zip(0..) {
            match self.restore_one(&incoming, verifier) {
                Ok(true) => report.taken += 1,
                Ok(false) => report.repeated += 1,
                Err(reason) => {
                    let height = BlockView::parse(incoming.block).map(|view| view.header.height);
                    report.stopped = Some(RestoreStop {
                        position,
                        height: height.unwrap_or(0),
                        reason,
                    });
                    break;
                }
            }
        }
        if report.taken > 0 {
            self.flush()?;
        }
        Ok(report)
    }

    /// Whether the block was new.
    fn restore_one(
        &self,
        incoming: &IncomingBlock<'_>,
        verifier: &mut Verifier<'_>,
    ) -> Result<bool, RestoreError> {
        let suite = self.inner.config.suite;
        let view = BlockView::parse(incoming.block)?;
        let record = BlockRecord::parse(incoming.block, suite)?;
        let height = record.header.height;
        if view.transaction_root(suite) != record.header.transaction_root {
            return Err(RestoreError::TransactionRoot);
        }
        if height >= 1 && height <= self.appended_height() {
            self.inner.sync()?;
            return match self.meta(height)? {
                Some(meta) if meta.hash == record.hash => Ok(false),
                _ => Err(RestoreError::Differs),
            };
        }
        self.inner
            .check_link(&self.inner.writer.lock(), &record.header)?;
        let effects = match incoming.effects {
            Some(bytes) => Some((bytes, BlockEffects::decode_all(bytes)?)),
            None => None,
        };
        if let Some((_, effects)) = &effects {
            check_effects(&record, effects, suite)?;
            // Effects stand without gaps.
            if self.effects_height() + 1 != height {
                return Err(RestoreError::Effects(
                    "those of the block before are not stored",
                ));
            }
        } else if incoming.certificate.is_some() {
            return Err(RestoreError::EffectsMissing);
        }
        verifier(&VerifiedLink {
            block: &record,
            effects: effects.as_ref().map(|(_, effects)| effects),
            certificate: incoming.certificate,
        })
        .map_err(RestoreError::Refused)?;
        self.append_block(&record)?;
        if let Some((bytes, effects)) = &effects {
            self.append_effects(bytes, &effects.leaf)?;
        }
        if let Some(note) = incoming.certificate {
            self.append_certificate(height, note)?;
        }
        Ok(true)
    }
}

/// Checks that effects belong to a block and that each outcome commits to its changes.
pub(super) fn check_effects(
    block: &BlockRecord<'_>,
    effects: &BlockEffects,
    suite: stele_core::Suite,
) -> Result<(), RestoreError> {
    let leaf = &effects.leaf;
    if leaf.block != block.hash || leaf.height != block.header.height {
        return Err(RestoreError::Effects("the block leaf names another block"));
    }
    if leaf.time_us != block.header.time_us {
        return Err(RestoreError::Effects("the block leaf has another time"));
    }
    if effects.transactions.len() != block.transaction_ids.len() {
        return Err(RestoreError::Effects("they count other transactions"));
    }
    let is_bound = effects
        .transactions
        .iter()
        .all(|one| stele_core::outcome::changes_digest(suite, &one.changes) == one.outcome.changes);
    if !is_bound {
        return Err(RestoreError::Effects(
            "an outcome does not commit to its changes",
        ));
    }
    Ok(())
}
