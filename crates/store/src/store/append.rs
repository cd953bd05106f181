//! Adding blocks, effects and certificates.

use stele_core::Hash;
use stele_core::leaf::BlockLeaf;

use super::tail::TAIL_BLOCKS_MAX;
use super::writer::{NewRecord, WriteFailure, Writer};
use super::{BlockStore, Inner};
use crate::config::Access;
use crate::error::StoreError;
use crate::index::BlockMeta;
use crate::location::{Location, Position};
use crate::record::BlockRecord;
use crate::segment::Kind;

impl Inner {
    /// Refuses what must not be written to.
    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        if self.config.access == Access::ReadOnly {
            return Err(StoreError::ReadOnly);
        }
        self.durable.check()?;
        match &*self.damage.read() {
            Some(damage) => Err(StoreError::Damaged(damage.clone())),
            None => Ok(()),
        }
    }

    /// Adds one record, in a new segment if the open one is full.
    pub(super) fn append(
        &self,
        writer: &mut Writer,
        record: &NewRecord<'_>,
    ) -> Result<(Location, Position), StoreError> {
        self.append_or_fail(writer, record)
            .map_err(|failure| self.failed(failure))
    }

    /// What a failed write means for the store.
    pub(super) fn failed(&self, failure: WriteFailure) -> StoreError {
        match failure {
            WriteFailure::Undone(error) => error,
            WriteFailure::Unknown(error) => {
                self.durable.poison(&error);
                error
            }
        }
    }

    fn append_or_fail(
        &self,
        writer: &mut Writer,
        record: &NewRecord<'_>,
    ) -> Result<(Location, Position), WriteFailure> {
        if writer.is_full(record.payload.len(), self.config.segment_len) {
            let height = writer.tip.height;
            if let Some(end) = writer.seal()? {
                self.durable.advance(end, height);
            }
        }
        if writer.open.is_none() {
            writer.create(
                &*self.files,
                &self.directory,
                self.ledger,
                self.config.suite,
            )?;
        }
        writer.append(record)
    }

    /// Gives the index what has become durable.
    pub(super) fn index_durable(&self) -> Result<(), StoreError> {
        // Whoever holds it is indexing already, or rebuilding; the rest is taken the next time.
        let Some(_indexing) = self.indexing.try_lock() else {
            return Ok(());
        };
        loop {
            let batch = self.tail.read().ready(self.durable.position());
            if batch.blocks.is_empty() && batch.certificates.is_empty() {
                return Ok(());
            }
            self.index.add(&batch.blocks, &batch.certificates)?;
            self.tail.write().remove(&batch);
        }
    }
}

impl BlockStore {
    /// Stores the ledger's genesis as the first record, durably.
    ///
    /// # Errors
    /// When something is stored already, or it cannot be written.
    pub fn append_genesis(&self, genesis: &[u8]) -> Result<(), StoreError> {
        let inner = &*self.inner;
        inner.check_writable()?;
        {
            let mut writer = inner.writer.lock();
            if writer.has_genesis || writer.tip.height > 0 {
                return Err(StoreError::GenesisStored);
            }
            let record = NewRecord {
                kind: Kind::Genesis,
                height: 0,
                payload: genesis,
                digest: inner.digest(Kind::Genesis, 0, genesis),
            };
            inner.append(&mut writer, &record)?;
            writer.has_genesis = true;
        }
        inner.sync()
    }

    /// Appends the next block, with one write. **Not** durable before [`BlockStore::sync`].
    ///
    /// Checks ledger, height and parent, and believes the rest of `block`.
    ///
    /// # Errors
    /// When the block does not follow the tip, or nothing was written: [`StoreError::NoSpace`] may
    /// be tried again.
    pub fn append_block(&self, block: &BlockRecord<'_>) -> Result<BlockMeta, StoreError> {
        let inner = &*self.inner;
        inner.check_writable()?;
        let waiting = inner.tail.read().blocks.len();
        if waiting >= TAIL_BLOCKS_MAX {
            return Err(StoreError::IndexBehind {
                waiting,
                max: TAIL_BLOCKS_MAX,
            });
        }
        let mut writer = inner.writer.lock();
        let header = &block.header;
        inner.check_link(&writer, header)?;
        let record = NewRecord {
            kind: Kind::Block,
            height: header.height,
            payload: block.bytes,
            digest: inner.digest(Kind::Block, header.height, &block.hash.0),
        };
        let (location, _) = inner.append(&mut writer, &record)?;
        let meta = BlockMeta {
            height: header.height,
            hash: block.hash,
            time_us: header.time_us,
            block: location,
            effects: None,
            transaction_count: header.transaction_count,
            transactions_before: writer.tip.transactions,
        };
        writer.tip.height = header.height;
        writer.tip.hash = block.hash;
        writer.tip.transactions = meta.transactions_through();
        // Under the writer's lock, so that a sync that sees the new tip finds the block in the tail.
        inner
            .tail
            .write()
            .add_block(meta, block.transaction_ids.clone());
        Ok(meta)
    }

    /// Appends the effects of the first block that has none yet. **Not** durable before
    /// [`BlockStore::sync`], but lost effects can be had again by executing the block.
    ///
    /// `bytes` is the encoding of the effects, `leaf` the block leaf in it. Then gives the index what
    /// has become durable meanwhile.
    ///
    /// # Errors
    /// When they are not those of that block, or nothing was written: [`StoreError::NoSpace`] may be
    /// tried again.
    pub fn append_effects(&self, bytes: &[u8], leaf: &BlockLeaf) -> Result<(), StoreError> {
        let inner = &*self.inner;
        inner.check_writable()?;
        {
            let mut writer = inner.writer.lock();
            let expected = writer.effects_height + 1;
            if leaf.height != expected || leaf.height > writer.tip.height {
                return Err(StoreError::WrongHeight {
                    what: "effects",
                    expected,
                    found: leaf.height,
                });
            }
            let hash = inner
                .tail
                .read()
                .blocks
                .get(&leaf.height)
                .map(|block| block.meta.hash);
            if let Some(expected) = hash.filter(|hash| *hash != leaf.block) {
                return Err(StoreError::WrongEffects {
                    height: leaf.height,
                    expected,
                    found: leaf.block,
                });
            }
            let record = NewRecord {
                kind: Kind::Effects,
                height: leaf.height,
                payload: bytes,
                digest: inner.digest(Kind::Effects, leaf.height, bytes),
            };
            let (location, end) = inner.append(&mut writer, &record)?;
            writer.effects_height = leaf.height;
            inner
                .tail
                .write()
                .add_effects(leaf.height, location, end, Some(*leaf));
        }
        self.index_or_warn();
        Ok(())
    }

    /// Appends a certificate over the checkpoint of a stored block.
    ///
    /// # Errors
    /// When that block has no effects yet, or nothing was written.
    pub fn append_certificate(&self, height: u64, note: &[u8]) -> Result<(), StoreError> {
        let inner = &*self.inner;
        inner.check_writable()?;
        let mut writer = inner.writer.lock();
        if height == 0 || height > writer.effects_height {
            return Err(StoreError::WrongHeight {
                what: "a certificate",
                expected: writer.effects_height,
                found: height,
            });
        }
        let record = NewRecord {
            kind: Kind::Certificate,
            height,
            payload: note,
            digest: inner.digest(Kind::Certificate, height, note),
        };
        let (location, end) = inner.append(&mut writer, &record)?;
        inner
            .tail
            .write()
            .certificates
            .insert(height, (location, end));
        Ok(())
    }

    /// Syncs, and gives the index everything: for a clean stop.
    ///
    /// # Errors
    /// When the sync or the index fails.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.sync()?;
        self.inner.index_durable()
    }

    /// Height of the newest block appended, durable or not; 0 before the first.
    #[must_use]
    pub fn appended_height(&self) -> u64 {
        self.inner.writer.lock().tip.height
    }

    /// Hash of the newest block appended, durable or not; the ledger id before the first.
    #[must_use]
    pub fn appended_hash(&self) -> Hash {
        self.inner.writer.lock().tip.hash
    }

    /// Height of the newest block with effects; 0 before the first.
    #[must_use]
    pub fn effects_height(&self) -> u64 {
        self.inner.writer.lock().effects_height
    }

    fn index_or_warn(&self) {
        // The record is stored; an index that fails is tried again with the next block, and appends
        // are refused before too many wait.
        if let Err(error) = self.inner.index_durable() {
            tracing::warn!(%error, "index not updated");
        }
    }
}

impl Inner {
    pub(super) fn check_link(
        &self,
        writer: &Writer,
        header: &stele_core::block::Header,
    ) -> Result<(), StoreError> {
        if header.ledger != self.ledger {
            return Err(StoreError::WrongLedger {
                height: header.height,
                expected: self.ledger,
                found: header.ledger,
            });
        }
        if header.height != writer.tip.height + 1 {
            return Err(StoreError::WrongHeight {
                what: "a block",
                expected: writer.tip.height + 1,
                found: header.height,
            });
        }
        if header.parent != writer.tip.hash {
            return Err(StoreError::WrongParent {
                height: header.height,
                expected: writer.tip.hash,
                found: header.parent,
            });
        }
        Ok(())
    }
}
