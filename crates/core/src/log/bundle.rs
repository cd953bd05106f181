//! Entry bundles of C2SP `tlog-tiles`: up to 256 entries, each after its length as big-endian `u16`.

use thiserror::Error;

/// Most entries in a bundle.
pub const BUNDLE_ENTRIES_MAX: usize = 256;

/// Longest entry of a bundle in bytes.
pub const BUNDLE_ENTRY_LEN_MAX: usize = u16::MAX as usize;

/// Why entries make no bundle, or bytes are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BundleError {
    /// More entries than a tile has.
    #[error("a bundle holds at most {BUNDLE_ENTRIES_MAX} entries")]
    TooMany,
    /// An entry is longer than its length field can say.
    #[error("entry {index} of the bundle has {len} bytes, at most {BUNDLE_ENTRY_LEN_MAX} fit")]
    EntryTooLong {
        /// Number of the entry in the bundle.
        index: usize,
        /// Its length.
        len: usize,
    },
    /// The bytes end inside an entry.
    #[error("the bundle ends inside entry {index}")]
    Truncated {
        /// Number of the entry in the bundle.
        index: usize,
    },
}

/// Encodes entries as a bundle.
///
/// # Errors
/// When there are too many, or one is too long.
pub fn encode_bundle<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, BundleError> {
    if entries.len() > BUNDLE_ENTRIES_MAX {
        return Err(BundleError::TooMany);
    }
    let mut out = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let len = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLong {
            index,
            len: entry.len(),
        })?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Ok(out)
}

/// Reads the entries of a bundle.
///
/// # Errors
/// When the bytes end inside an entry, or there are too many.
pub fn decode_bundle(bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let index = entries.len();
        if index == BUNDLE_ENTRIES_MAX {
            return Err(BundleError::TooMany);
        }
        let truncated = BundleError::Truncated { index };
        let (len, after) = rest.split_first_chunk().ok_or(truncated)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (entry, after) = after.split_at_checked(len).ok_or(truncated)?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}
