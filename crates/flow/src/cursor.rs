//! How far a sink has got in a source.

use stele_core::Hash;
use stele_core::codec::{Decode, DecodeError, Encode, Reader, put_bytes};

/// Version of the cursor's encoding.
const CURSOR_VERSION: u8 = 1;

/// Longest source id in bytes.
pub const SOURCE_ID_LEN_MAX: usize = 128;

/// How far a sink has got. Stored by the sink in the same step as the changes it stands for.
///
/// Layout: version `u8` = 1, source id (length `u32`, UTF-8), height `u64`, block hash 32 bytes,
/// step `u32`, owner epoch `u64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which source, at most [`SOURCE_ID_LEN_MAX`] bytes.
    pub source_id: String,
    /// Height of the last block of which something was applied; 0 before the first.
    pub height: u64,
    /// That block's hash.
    pub block_hash: Hash,
    /// How many steps of that block were applied, for sinks that take a block in pieces.
    pub step: u32,
    /// Grows each time another worker takes the sink over; writes of an older owner are refused.
    pub owner_epoch: u64,
}

impl Cursor {
    /// The cursor before the first block of a source.
    #[must_use]
    pub fn start(source_id: &str) -> Self {
        Self {
            source_id: source_id.to_owned(),
            height: 0,
            block_hash: Hash::ZERO,
            step: 0,
            owner_epoch: 0,
        }
    }
}

impl Encode for Cursor {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(CURSOR_VERSION);
        put_bytes(out, self.source_id.as_bytes());
        out.extend_from_slice(&self.height.to_be_bytes());
        self.block_hash.encode(out);
        out.extend_from_slice(&self.step.to_be_bytes());
        out.extend_from_slice(&self.owner_epoch.to_be_bytes());
    }
}

impl Decode for Cursor {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("cursor version", CURSOR_VERSION)?;
        Ok(Self {
            source_id: reader.text("source id", SOURCE_ID_LEN_MAX)?,
            height: reader.u64()?,
            block_hash: Hash::decode(reader)?,
            step: reader.u32()?,
            owner_epoch: reader.u64()?,
        })
    }
}

#[cfg(test)]
mod tests;
