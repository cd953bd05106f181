//! The frame around each record.

use stele_core::{Domain, Hash, Suite};

/// Bytes before the payload.
pub const RECORD_HEAD_LEN: usize = 13;
/// Bytes around the payload.
pub const RECORD_FRAME_LEN: usize = RECORD_HEAD_LEN + 4;
/// Longest payload in bytes: 512 MiB.
pub const RECORD_LEN_MAX: usize = 512 * 1024 * 1024;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The ledger's genesis; height 0, first record of the first segment.
    Genesis = 1,
    /// A block.
    Block = 2,
    /// A block's effects, with its block leaf.
    Effects = 3,
    /// A checkpoint certificate of a height, found after its block was stored.
    Certificate = 4,
    /// Stands for a removed record. Reserved in version 1.
    Tombstone = 5,
    /// Ends a sealed segment.
    Footer = 255,
}

impl Kind {
    /// The kind of a byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Genesis,
            2 => Self::Block,
            3 => Self::Effects,
            4 => Self::Certificate,
            5 => Self::Tombstone,
            255 => Self::Footer,
            _ => return None,
        })
    }
}

/// A record's frame and payload, its checksum already verified.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it holds.
    pub kind: Kind,
    /// The height it belongs to.
    pub height: u64,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Why bytes do not begin with a whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The bytes end first.
    Incomplete,
    /// The length is over the bound.
    TooLong,
    /// The checksum differs.
    Checksum,
    /// The checksum is good, the kind unknown.
    UnknownKind,
}

impl<'a> Frame<'a> {
    /// Appends the record's bytes.
    pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, height: u64, payload: &[u8]) {
        let start = out.len();
        out.reserve(RECORD_FRAME_LEN + payload.len());
        stele_core::codec::put_len(out, payload.len());
        out.push(kind as u8);
        out.extend_from_slice(&height.to_be_bytes());
        out.extend_from_slice(payload);
        let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_be_bytes());
    }

    /// Length of the record `bytes` begin with, frame included, as its first bytes say; none if
    /// that is over the bound or not there.
    pub(crate) fn len_of(bytes: &[u8]) -> Option<usize> {
        let len = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
        (len <= RECORD_LEN_MAX).then_some(len + RECORD_FRAME_LEN)
    }

    /// Reads the record `bytes` begin with.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let head: &[u8; RECORD_HEAD_LEN] = bytes.first_chunk().ok_or(FrameError::Incomplete)?;
        let [_, _, _, _, kind, h0, h1, h2, h3, h4, h5, h6, h7] = *head;
        let len = Self::len_of(bytes).ok_or(FrameError::TooLong)?;
        let (covered, crc) = bytes
            .get(..len)
            .and_then(|record| record.split_last_chunk::<4>())
            .ok_or(FrameError::Incomplete)?;
        if u32::from_be_bytes(*crc) != crc32c::crc32c(covered) {
            return Err(FrameError::Checksum);
        }
        Ok(Self {
            kind: Kind::from_byte(kind).ok_or(FrameError::UnknownKind)?,
            height: u64::from_be_bytes([h0, h1, h2, h3, h4, h5, h6, h7]),
            payload: covered.get(RECORD_HEAD_LEN..).unwrap_or_default(),
        })
    }

    /// Length of the record with its frame.
    #[must_use]
    pub fn frame_len(&self) -> u64 {
        (self.payload.len() + RECORD_FRAME_LEN) as u64
    }
}

/// Digest of a record, for the footer.
pub(crate) fn record_digest(suite: Suite, kind: Kind, height: u64, content: &[u8]) -> Hash {
    suite.hash(
        Domain::SegmentRecord,
        &[&[kind as u8], &height.to_be_bytes(), content],
    )
}
