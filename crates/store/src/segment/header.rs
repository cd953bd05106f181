//! The first bytes of a segment.

use stele_core::codec::{Encode, Reader};
use stele_core::{Decode, DecodeError, Hash};

/// Length of a segment's header in bytes.
pub const HEADER_LEN: usize = 64;
/// The format version this program reads and writes.
pub const SEGMENT_VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"STELESEG";
const CRC_OFFSET: usize = HEADER_LEN - 4;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Segment number, from 1.
    pub number: u64,
    /// The ledger.
    pub ledger: Hash,
    /// Height of the first block that may stand in it.
    pub first_height: u64,
}

/// Why bytes are not a header of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Too short, wrong magic or checksum.
    Bad(&'static str),
    /// Whole, but of another format version.
    OtherVersion(u16),
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&SEGMENT_VERSION.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.number.to_be_bytes());
        self.ledger.encode(&mut out);
        out.extend_from_slice(&self.first_height.to_be_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// When the bytes are not a whole header of this format version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderError> {
        let content = bytes
            .get(..CRC_OFFSET)
            .ok_or(HeaderError::Bad("the file is shorter than a header"))?;
        let crc = bytes
            .get(CRC_OFFSET..HEADER_LEN)
            .ok_or(HeaderError::Bad("the file is shorter than a header"))?;
        if content.get(..MAGIC.len()) != Some(MAGIC) {
            return Err(HeaderError::Bad("it does not begin like a segment"));
        }
        if crc != crc32c::crc32c(content).to_be_bytes() {
            return Err(HeaderError::Bad("the header's checksum differs"));
        }
        let mut reader = Reader::new(content);
        Self::read(&mut reader)
            .map_err(|_| HeaderError::Bad("the file is shorter than a header"))?
    }

    fn read(reader: &mut Reader<'_>) -> Result<Result<Self, HeaderError>, DecodeError> {
        reader.take(MAGIC.len())?;
        let version = reader.u16()?;
        if version != SEGMENT_VERSION {
            return Ok(Err(HeaderError::OtherVersion(version)));
        }
        if reader.u16()? != 0 {
            return Ok(Err(HeaderError::Bad("a reserved field is not zero")));
        }
        Ok(Ok(Self {
            number: reader.u64()?,
            ledger: Hash::decode(reader)?,
            first_height: reader.u64()?,
        }))
    }
}
