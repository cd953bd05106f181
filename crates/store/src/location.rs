//! Where a record's payload stands.

/// Where a payload stands: `len` bytes at `offset` of a segment file are exactly that payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Number of the segment file.
    pub segment: u64,
    /// Offset of the payload's first byte.
    pub offset: u64,
    /// Length of the payload.
    pub len: u32,
}

/// A place between records: everything before it in the order of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}
