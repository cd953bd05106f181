//! What is wrong with a store, and where.

use std::fmt;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// A header, record or footer does not have the checksum it carries.
    Checksum,
    /// Bytes or files that were durable are not there.
    Missing,
    /// A record with a good checksum says what it must not: wrong kind, height or link.
    Link,
    /// A hash or root differs from the one recomputed.
    HashMismatch,
    /// A record does not decode.
    Undecodable,
    /// The store ends before a height that is proven to exist.
    Behind,
    /// A certificate or signature does not hold.
    Certificate,
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checksum => "checksum mismatch",
            Self::Missing => "missing",
            Self::Link => "broken link",
            Self::HashMismatch => "hash mismatch",
            Self::Undecodable => "undecodable",
            Self::Behind => "behind",
            Self::Certificate => "bad certificate",
        })
    }
}

/// A damaged place. Blocks from `height` on are not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong.
    pub kind: DamageKind,
    /// Number of the segment file.
    pub segment: u64,
    /// Byte offset in it.
    pub offset: u64,
    /// First height that cannot be trusted.
    pub height: u64,
    /// What was found, for people.
    pub detail: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at height {} (segment {}, offset {}): {}",
            self.kind, self.height, self.segment, self.offset, self.detail
        )
    }
}
