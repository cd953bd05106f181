//! Order-preserving encoding of primary keys.

/// Longest encoded primary key, in bytes.
pub const KEY_LEN_MAX: usize = 767;
