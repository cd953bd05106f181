//! Segments: append-only files of records. All integers are big-endian.
//!
//! File name: the segment number in 8 decimal digits (more if needed) and `.seg`, from `00000001.seg`.
//!
//! Header, 64 bytes:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `STELESEG` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | zero |
//! | 12 | 8 | segment number |
//! | 20 | 32 | ledger id |
//! | 52 | 8 | height of the first block that may stand in it |
//! | 60 | 4 | CRC32C of bytes 0 to 59 (in every format version) |
//!
//! Record:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 4 | payload length n |
//! | 4 | 1 | kind |
//! | 5 | 8 | height |
//! | 13 | n | payload |
//! | 13 + n | 4 | CRC32C of all before, the length included |
//!
//! Order: the genesis record is the first of the first segment. Blocks stand in order of height
//! without gaps, effects likewise, effects of a height after its block; a block may stand before the
//! effects of the one before. A sealed segment ends with a footer record; only the last segment may
//! lack one.
//!
//! The digest of a record is the hash ([`stele_core::Domain::SegmentRecord`]) of kind, height and
//! content. Content is the payload, except that of a block: there it is the block's hash, which
//! commits to every byte. The footer holds the Merkle root over the digests.

mod footer;
mod frame;
mod header;
mod scanner;

pub use footer::{FOOTER_RECORD_LEN, Footer};
pub(crate) use frame::record_digest;
pub use frame::{Frame, Kind, RECORD_FRAME_LEN, RECORD_HEAD_LEN, RECORD_LEN_MAX};
pub use header::{HEADER_LEN, Header, HeaderError, SEGMENT_VERSION};
pub use scanner::{BadRecord, Scanner};

/// Name of a segment's file.
#[must_use]
pub fn file_name(number: u64) -> String {
    format!("{number:08}.seg")
}

/// The number in a segment's file name; none if it is not one.
#[must_use]
pub fn file_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".seg")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests;
