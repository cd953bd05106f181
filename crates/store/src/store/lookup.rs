//! Look-ups.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use stele_core::block::{Block, BlockView, FIRST_HEIGHT};
use stele_core::outcome::BlockEffects;
use stele_core::{Decode, Hash};

use super::{BlockStore, Inner};
use crate::error::StoreError;
use crate::index::BlockMeta;
use crate::location::Location;
use crate::location::Position;
use crate::segment::{Kind, RECORD_HEAD_LEN};

/// How many blocks a range gives if no limit is named.
pub const RANGE_LIMIT_DEFAULT: u64 = 1_000;
/// How many bytes of blocks a page holds unless another bound is named: 4 MiB.
pub const PAGE_BYTES_DEFAULT: usize = 4 * 1024 * 1024;

/// A block read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Where it stands and what is known of it.
    pub meta: BlockMeta,
    /// Its encoding, as it was appended.
    pub bytes: Vec<u8>,
}

impl StoredBlock {
    /// Decodes it.
    ///
    /// # Errors
    /// When it does not decode, which its checksum makes all but impossible.
    pub fn decode(&self) -> Result<Block, StoreError> {
        Block::decode_all(&self.bytes).map_err(|source| StoreError::Undecodable {
            what: "block",
            height: self.meta.height,
            source,
        })
    }
}

/// A piece of a range of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Blocks in order of height.
    pub blocks: Vec<StoredBlock>,
    /// If the range goes on but the page was full: the height to go on from, and how many blocks
    /// are left of the limit.
    pub next: Option<(u64, u64)>,
}

/// Reads a block hash given as 64 hexadecimal digits or as base64 (standard or URL-safe alphabet).
#[must_use]
pub fn parse_block_hash(text: &str) -> Option<Hash> {
    if let Some(hash) = Hash::from_hex(text) {
        return Some(hash);
    }
    let bytes = STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')))
        .ok()?;
    Some(Hash(bytes.try_into().ok()?))
}

impl Inner {
    pub(super) fn check_readable(&self, height: u64) -> Result<(), StoreError> {
        if self.rebuilding.load(Ordering::Acquire) {
            return Err(StoreError::Rebuilding);
        }
        match &*self.damage.read() {
            Some(damage) if damage.height <= height => {
                return Err(StoreError::Damaged(damage.clone()));
            }
            _ => {}
        }
        match &*self.held.read() {
            Some((damage, to)) if (damage.height..=*to).contains(&height) => {
                Err(StoreError::Damaged(damage.clone()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn meta(&self, height: u64) -> Result<Option<BlockMeta>, StoreError> {
        self.check_readable(height)?;
        self.meta_even_if_damaged(height)
    }

    /// As [`Self::meta`], also in a range that is not answered from: a check goes there again.
    pub(super) fn meta_even_if_damaged(
        &self,
        height: u64,
    ) -> Result<Option<BlockMeta>, StoreError> {
        if self.rebuilding.load(Ordering::Acquire) {
            return Err(StoreError::Rebuilding);
        }
        if height == 0 || height > self.durable.height() {
            return Ok(None);
        }
        let waiting = self.tail.read().blocks.get(&height).map(|block| block.meta);
        match waiting {
            Some(meta) => Ok(Some(meta)),
            // What left the tail is in the index by then.
            None => self.index.block(height),
        }
    }

    /// The first height whose block's record begins at or after a place.
    pub(super) fn first_from(&self, wanted: Position) -> Option<u64> {
        let (mut low, mut high) = (1, self.durable.height() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let block = self.meta_even_if_damaged(middle).ok()??.block;
            let at = Position {
                segment: block.segment,
                offset: block.offset - RECORD_HEAD_LEN as u64,
            };
            if at < wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    fn stored(&self, meta: BlockMeta) -> Result<StoredBlock, StoreError> {
        Ok(StoredBlock {
            meta,
            bytes: self.payload(meta.block, Kind::Block, meta.height)?,
        })
    }
}

impl BlockStore {
    /// What is known of the block of a height; none if it is not stored or not yet durable.
    ///
    /// # Errors
    /// When the index cannot be read, or the store is damaged there.
    pub fn meta(&self, height: u64) -> Result<Option<BlockMeta>, StoreError> {
        self.inner.meta(height)
    }

    /// The block of a height.
    ///
    /// # Errors
    /// When it cannot be read, or the store is damaged there.
    pub fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError> {
        let meta = self.inner.meta(height)?;
        meta.map(|meta| self.inner.stored(meta)).transpose()
    }

    /// The height of a block hash.
    ///
    /// # Errors
    /// When the index cannot be read, or the store is damaged there.
    pub fn height_of(&self, hash: &Hash) -> Result<Option<u64>, StoreError> {
        let inner = &*self.inner;
        inner.check_readable(0)?;
        let found = {
            // Held over both, so that a block on its way into the index is found in one of them.
            let tail = inner.tail.read();
            match tail.hashes.get(hash) {
                Some(height) => Some(*height),
                None => inner.index.height_of(hash)?,
            }
        };
        match found {
            Some(height) => Ok(inner.meta(height)?.map(|meta| meta.height)),
            None => Ok(None),
        }
    }

    /// The block of a hash. See [`parse_block_hash`] for texts.
    ///
    /// # Errors
    /// When it cannot be read, or the store is damaged there.
    pub fn block_by_hash(&self, hash: &Hash) -> Result<Option<StoredBlock>, StoreError> {
        match self.height_of(hash)? {
            Some(height) => self.block(height),
            None => Ok(None),
        }
    }

    /// Height and index of the first transaction with an id.
    ///
    /// # Errors
    /// When the index cannot be read, or the store is damaged there.
    pub fn transaction_place(&self, id: &Hash) -> Result<Option<(u64, u32)>, StoreError> {
        let inner = &*self.inner;
        inner.check_readable(0)?;
        let found = {
            let tail = inner.tail.read();
            // The index first: of an id stored twice the first place counts.
            match inner.index.transaction(id)? {
                Some(place) => Some(place),
                None => tail.transactions.get(id).copied(),
            }
        };
        match found {
            Some((height, index)) => Ok(inner.meta(height)?.map(|meta| (meta.height, index))),
            None => Ok(None),
        }
    }

    /// The block that holds a transaction, and the transaction's index in it.
    ///
    /// # Errors
    /// When it cannot be read, or the store is damaged there.
    pub fn block_by_transaction(
        &self,
        id: &Hash,
    ) -> Result<Option<(StoredBlock, u32)>, StoreError> {
        let Some((height, index)) = self.transaction_place(id)? else {
            return Ok(None);
        };
        Ok(self.block(height)?.map(|block| (block, index)))
    }

    /// Blocks from a height on, in order: at most `limit` (0: [`RANGE_LIMIT_DEFAULT`]) or as many as
    /// exist. A page ends before `bytes_max` would be passed, but holds at least one block if there
    /// is one; `next` then says how to go on.
    ///
    /// # Errors
    /// [`StoreError::HeightBelowOne`] for a height of 0 or less; when a block cannot be read.
    pub fn range(&self, from: i64, limit: u64, bytes_max: usize) -> Result<Page, StoreError> {
        let from = u64::try_from(from)
            .ok()
            .filter(|from| *from >= FIRST_HEIGHT)
            .ok_or(StoreError::HeightBelowOne { height: from })?;
        let limit = match limit {
            0 => RANGE_LIMIT_DEFAULT,
            limit => limit,
        };
        let end = from.saturating_add(limit).min(self.durable_height() + 1);
        let mut page = Page::default();
        let mut bytes = 0usize;
        for height in from..end {
            let Some(meta) = self.inner.meta(height)? else {
                break;
            };
            bytes = bytes.saturating_add(meta.block.len as usize);
            if bytes > bytes_max && !page.blocks.is_empty() {
                page.next = Some((height, limit - (height - from)));
                break;
            }
            page.blocks.push(self.inner.stored(meta)?);
        }
        Ok(page)
    }

    /// The encoding of a block's effects; none if it has none yet.
    ///
    /// # Errors
    /// When they cannot be read, or the store is damaged there.
    pub fn effects_bytes(&self, height: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(meta) = self.inner.meta(height)? else {
            return Ok(None);
        };
        meta.effects
            .map(|location| self.inner.payload(location, Kind::Effects, height))
            .transpose()
    }

    /// A block's effects; none if it has none yet.
    ///
    /// # Errors
    /// When they cannot be read or decoded, or the store is damaged there.
    pub fn effects(&self, height: u64) -> Result<Option<BlockEffects>, StoreError> {
        let Some(bytes) = self.effects_bytes(height)? else {
            return Ok(None);
        };
        let effects =
            BlockEffects::decode_all(&bytes).map_err(|source| StoreError::Undecodable {
                what: "effects of block",
                height,
                source,
            })?;
        Ok(Some(effects))
    }

    /// Where the block of a height stands: segment file, offset, length.
    ///
    /// # Errors
    /// When the index cannot be read, or the store is damaged there.
    pub fn location(&self, height: u64) -> Result<Option<Location>, StoreError> {
        Ok(self.inner.meta(height)?.map(|meta| meta.block))
    }

    /// The height of the block whose entries or block leaf stand at an index of the log; none if it
    /// is past the newest durable block.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn height_of_leaf(&self, leaf: u64) -> Result<Option<u64>, StoreError> {
        let (mut low, mut high) = (FIRST_HEIGHT, self.durable_height());
        // Leaf indexes grow with height, so this is a search in an ordered list.
        while low <= high {
            let middle = low + (high - low) / 2;
            let Some(meta) = self.inner.meta(middle)? else {
                return Ok(None);
            };
            if leaf < meta.first_leaf() {
                high = middle - 1;
            } else if leaf > meta.block_leaf() {
                low = middle + 1;
            } else {
                return Ok(Some(middle));
            }
        }
        Ok(None)
    }

    /// The header of the block of a height, without its transactions.
    ///
    /// # Errors
    /// When it cannot be read or decoded.
    pub fn header(&self, height: u64) -> Result<Option<stele_core::block::Header>, StoreError> {
        let Some(block) = self.block(height)? else {
            return Ok(None);
        };
        let view = BlockView::parse(&block.bytes).map_err(|source| StoreError::Undecodable {
            what: "block",
            height,
            source,
        })?;
        Ok(Some(view.header))
    }
}
