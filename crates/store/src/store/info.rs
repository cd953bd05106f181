//! What surrounds the blocks: genesis, certificates, segment files, the chain as a whole.

use std::path::PathBuf;

use stele_core::Hash;
use stele_core::leaf::BlockLeaf;

use super::BlockStore;
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::location::Location;
use crate::segment::{self, HEADER_LEN, Kind, Scanner};

/// What a chain is and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainInfo {
    /// The ledger.
    pub ledger: Hash,
    /// Height of the newest block; 0 before the first.
    pub height: u64,
    /// Its hash; the ledger id before the first.
    pub block_hash: Hash,
    /// Hash of the block before it; the ledger id for block 1 and before.
    pub parent_hash: Hash,
    /// Its time, microseconds since 1970 UTC; 0 before the first.
    pub time_us: i64,
    /// Number of transactions of all blocks.
    pub transaction_total: u64,
    /// The leaf of the newest executed block, with its height and state root.
    pub leaf: Option<BlockLeaf>,
    /// Highest number of a segment file.
    pub segment_number: u64,
}

impl BlockStore {
    /// The genesis record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn genesis(&self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.segment_number() == 0 {
            return Ok(None);
        }
        let file = self.inner.file(1)?;
        let end = file.len()?;
        match Scanner::new(file, HEADER_LEN as u64, end).next_record()? {
            Ok(Some((_, frame))) if frame.kind == Kind::Genesis => Ok(Some(frame.payload.to_vec())),
            Ok(_) => Ok(None),
            Err(bad) => Err(StoreError::Damaged(Damage {
                kind: DamageKind::Checksum,
                segment: 1,
                offset: bad.offset,
                height: 1,
                detail: bad.detail.to_owned(),
            })),
        }
    }

    /// The first certificate over a checkpoint at or after a height, with its height.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn certificate_from(&self, height: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let inner = &*self.inner;
        inner.check_readable(height)?;
        let found = {
            let tail = inner.tail.read();
            let waiting = tail.certificates.range(height..).next();
            let waiting = waiting.map(|(height, (location, _))| (*height, *location));
            let indexed = inner.index.certificate_from(height)?;
            [waiting, indexed]
                .into_iter()
                .flatten()
                .min_by_key(|(height, _)| *height)
        };
        self.certificate(found)
    }

    /// The newest certificate, with its height.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn certificate_last(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let inner = &*self.inner;
        inner.check_readable(0)?;
        let found = {
            let tail = inner.tail.read();
            let waiting = tail.certificates.last_key_value();
            let waiting = waiting.map(|(height, (location, _))| (*height, *location));
            let indexed = inner.index.certificate_last()?;
            [waiting, indexed]
                .into_iter()
                .flatten()
                .max_by_key(|(height, _)| *height)
        };
        self.certificate(found)
    }

    fn certificate(
        &self,
        found: Option<(u64, Location)>,
    ) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let Some((height, location)) = found else {
            return Ok(None);
        };
        let note = self.inner.payload(location, Kind::Certificate, height)?;
        Ok(Some((height, note)))
    }

    /// What the chain is and how far it has come.
    ///
    /// # Errors
    /// When the newest block cannot be read.
    pub fn info(&self) -> Result<ChainInfo, StoreError> {
        let inner = &*self.inner;
        let height = self.durable_height();
        let mut info = ChainInfo {
            ledger: inner.ledger,
            height,
            block_hash: inner.ledger,
            parent_hash: inner.ledger,
            time_us: 0,
            transaction_total: 0,
            leaf: self.leaf_up_to(height),
            segment_number: self.segment_number(),
        };
        if let Some(meta) = inner.meta(height)? {
            info.block_hash = meta.hash;
            info.time_us = meta.time_us;
            info.transaction_total = meta.transactions_through();
        }
        if let Some(parent) = inner.meta(height.saturating_sub(1))? {
            info.parent_hash = parent.hash;
        }
        Ok(info)
    }

    /// The leaf of the newest executed block up to a height.
    fn leaf_up_to(&self, height: u64) -> Option<BlockLeaf> {
        let tail = self.inner.tail.read();
        tail.blocks
            .range(..=height)
            .rev()
            .find_map(|(_, block)| block.leaf)
            .or(tail.indexed_leaf)
    }

    /// Highest number of a segment file; 0 if there is none.
    #[must_use]
    pub fn segment_number(&self) -> u64 {
        let writer = self.inner.writer.lock();
        match &writer.open {
            Some(open) => open.number,
            None => writer.next_number - 1,
        }
    }

    /// Length of a segment file; none if there is none of that number.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn segment_len(&self, number: u64) -> Result<Option<u64>, StoreError> {
        if number == 0 || number > self.segment_number() {
            return Ok(None);
        }
        Ok(Some(self.inner.file(number)?.len()?))
    }

    /// Path of a segment file.
    #[must_use]
    pub fn segment_path(&self, number: u64) -> PathBuf {
        self.inner.directory.join(segment::file_name(number))
    }
}
