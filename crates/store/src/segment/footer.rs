//! The last record of a sealed segment.

use stele_core::Hash;
use stele_core::codec::{Decode, DecodeError, Encode, Reader};

use super::frame::RECORD_FRAME_LEN;

const FOOTER_LEN: usize = 1 + 8 + 8 + 8 + 32;
/// Length of the footer's record with its frame.
pub const FOOTER_RECORD_LEN: usize = FOOTER_LEN + RECORD_FRAME_LEN;

const FOOTER_VERSION: u8 = 1;

/// What a sealed segment holds.
///
/// Layout: version `u8` = 1, first height `u64`, last height `u64`, record count `u64`, root 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Height of the first block in it; 0 if there is none.
    pub first_height: u64,
    /// Height of the last block in it; 0 if there is none.
    pub last_height: u64,
    /// Number of records before the footer.
    pub record_count: u64,
    /// Merkle root over their digests.
    pub root: Hash,
}

impl Encode for Footer {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FOOTER_VERSION);
        out.extend_from_slice(&self.first_height.to_be_bytes());
        out.extend_from_slice(&self.last_height.to_be_bytes());
        out.extend_from_slice(&self.record_count.to_be_bytes());
        self.root.encode(out);
    }
}

impl Decode for Footer {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("segment footer", FOOTER_VERSION)?;
        Ok(Self {
            first_height: reader.u64()?,
            last_height: reader.u64()?,
            record_count: reader.u64()?,
            root: Hash::decode(reader)?,
        })
    }
}
