//! The two kinds of log leaves: digests only, of fixed length.

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::hash::Hash;

/// Log leaf of one transaction. 77 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Block height.
    pub height: u64,
    /// Place in the block, from 0.
    pub index: u32,
    /// The transaction's identity.
    pub transaction: Hash,
    /// Hash of its outcome.
    pub outcome: Hash,
}

/// Log leaf that closes a block. 117 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLeaf {
    /// Block height.
    pub height: u64,
    /// The block's hash.
    pub block: Hash,
    /// Block time, microseconds since 1970 UTC.
    pub time_us: i64,
    /// Root of the state after the block.
    pub state_root: Hash,
    /// Rules the block was executed by.
    pub execution_version: u32,
    /// Hash of the validator set in force for the next block.
    pub next_validators: Hash,
}

/// Either kind of log leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLeaf {
    /// A transaction's.
    Entry(Entry),
    /// A block's.
    Block(BlockLeaf),
}

const ENTRY: u8 = 1;
const BLOCK: u8 = 2;

impl Encode for Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(ENTRY);
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        self.transaction.encode(out);
        self.outcome.encode(out);
    }
}

impl Encode for BlockLeaf {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(BLOCK);
        out.extend_from_slice(&self.height.to_be_bytes());
        self.block.encode(out);
        out.extend_from_slice(&self.time_us.to_be_bytes());
        self.state_root.encode(out);
        out.extend_from_slice(&self.execution_version.to_be_bytes());
        self.next_validators.encode(out);
    }
}

impl Decode for LogLeaf {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            ENTRY => Self::Entry(Entry {
                height: reader.u64()?,
                index: reader.u32()?,
                transaction: Hash::decode(reader)?,
                outcome: Hash::decode(reader)?,
            }),
            BLOCK => Self::Block(BlockLeaf {
                height: reader.u64()?,
                block: Hash::decode(reader)?,
                time_us: reader.i64()?,
                state_root: Hash::decode(reader)?,
                execution_version: reader.u32()?,
                next_validators: Hash::decode(reader)?,
            }),
            other => {
                return Err(DecodeError::UnknownVersion {
                    what: "log leaf",
                    found: u32::from(other),
                });
            }
        })
    }
}

impl Decode for Entry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match LogLeaf::decode(reader)? {
            LogLeaf::Entry(entry) => Ok(entry),
            LogLeaf::Block(_) => Err(DecodeError::Invalid("a block leaf where an entry belongs")),
        }
    }
}

impl Decode for BlockLeaf {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match LogLeaf::decode(reader)? {
            LogLeaf::Block(leaf) => Ok(leaf),
            LogLeaf::Entry(_) => Err(DecodeError::Invalid("an entry where a block leaf belongs")),
        }
    }
}
