//! The index: where each block stands, by height, hash and transaction id.
//!
//! It is derived from the segments and may be lost at any time; it never names what is not durable.

mod disk;
mod memory;

use stele_core::Hash;
use stele_core::codec::{Decode, DecodeError, Encode, Reader};

use crate::error::StoreError;
use crate::location::Location;

pub use disk::FjallIndex;
pub use memory::MemoryIndex;

/// What the index knows of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockMeta {
    /// Height.
    pub height: u64,
    /// Hash.
    pub hash: Hash,
    /// Block time, microseconds since 1970 UTC.
    pub time_us: i64,
    /// Where its encoding stands.
    pub block: Location,
    /// Where its effects stand; none until it is executed.
    pub effects: Option<Location>,
    /// Number of its transactions.
    pub transaction_count: u32,
    /// Number of transactions of all blocks before it.
    pub transactions_before: u64,
}

impl BlockMeta {
    /// Index in the log of the block's first leaf. Each block adds an entry for each transaction,
    /// then its block leaf.
    #[must_use]
    pub fn first_leaf(&self) -> u64 {
        self.transactions_before + self.height.saturating_sub(1)
    }

    /// Index in the log of the leaf that closes the block.
    #[must_use]
    pub fn block_leaf(&self) -> u64 {
        self.first_leaf() + u64::from(self.transaction_count)
    }

    /// Number of transactions of all blocks up to this one.
    #[must_use]
    pub fn transactions_through(&self) -> u64 {
        self.transactions_before + u64::from(self.transaction_count)
    }
}

/// A block to be indexed, with its effects.
#[derive(Clone, Debug)]
pub struct IndexedBlock {
    /// Where it stands and what it holds.
    pub meta: BlockMeta,
    /// Identity of each transaction. An id that was seen before keeps its first place.
    pub transaction_ids: Vec<Hash>,
}

/// Where each block stands. Calls may come from several threads; writes come from one at a time.
pub trait Index: Send + Sync {
    /// Adds blocks in order of height and certificates, all in one step.
    ///
    /// # Errors
    /// When nothing was added.
    fn add(
        &self,
        blocks: &[IndexedBlock],
        certificates: &[(u64, Location)],
    ) -> Result<(), StoreError>;

    /// Makes what was added durable.
    ///
    /// # Errors
    /// When it is not known to be.
    fn persist(&self) -> Result<(), StoreError>;

    /// Forgets everything.
    ///
    /// # Errors
    /// When the index cannot be written.
    fn clear(&self) -> Result<(), StoreError>;

    /// The highest block known.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn last(&self) -> Result<Option<BlockMeta>, StoreError>;

    /// The block of a height.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn block(&self, height: u64) -> Result<Option<BlockMeta>, StoreError>;

    /// The height of a block hash.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn height_of(&self, hash: &Hash) -> Result<Option<u64>, StoreError>;

    /// Height and index of the first transaction with an id.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn transaction(&self, id: &Hash) -> Result<Option<(u64, u32)>, StoreError>;

    /// The first certificate of a height at or after `height`.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn certificate_from(&self, height: u64) -> Result<Option<(u64, Location)>, StoreError>;

    /// The certificate of the greatest height.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn certificate_last(&self) -> Result<Option<(u64, Location)>, StoreError>;
}

impl Encode for Location {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.segment.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.len.to_be_bytes());
    }
}

impl Decode for Location {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            segment: reader.u64()?,
            offset: reader.u64()?,
            len: reader.u32()?,
        })
    }
}

impl Encode for BlockMeta {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.height.to_be_bytes());
        self.hash.encode(out);
        out.extend_from_slice(&self.time_us.to_be_bytes());
        self.block.encode(out);
        stele_core::codec::put_option(out, self.effects.as_ref());
        out.extend_from_slice(&self.transaction_count.to_be_bytes());
        out.extend_from_slice(&self.transactions_before.to_be_bytes());
    }
}

impl Decode for BlockMeta {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: reader.u64()?,
            hash: Hash::decode(reader)?,
            time_us: reader.i64()?,
            block: Location::decode(reader)?,
            effects: reader.option()?,
            transaction_count: reader.u32()?,
            transactions_before: reader.u64()?,
        })
    }
}

#[cfg(test)]
mod tests;
