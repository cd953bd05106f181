//! Snapshots: the whole state after a block in one file, with what shows that a quorum signed it.
//!
//! A restore begins from one instead of the first block; whoever gets the file checks it against a trust file alone.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `STELSNAP` |
//! | 4 | version, 1 |
//! | … | records |
//!
//! | bytes of a record | what |
//! |---|---|
//! | 1 | kind |
//! | 4 | length of the payload |
//! | 4 | CRC32C over kind, length and payload |
//! | … | payload |
//!
//! | kind | payload |
//! |---|---|
//! | 1 head, once, first | block header, block leaf, C2SP tlog-proof (length, text) of the leaf |
//! | 2 table, in order of id | definition, root of its rows, number of its rows `u64`; its rows follow |
//! | 3 rows, in key order | list of key and row, each with its length |
//! | 255 end, once, last | number of tables `u32`, number of rows `u64` |
//!
//! The roots of all definitions make the state root of the leaf, see [`stele_core::tree`].

mod error;
mod head;
mod reader;
mod record;
mod verify;
mod writer;

pub use error::SnapshotError;
pub use head::SnapshotHead;
pub use reader::{EachEncodedRow, SnapshotFile, SnapshotTable};
pub use verify::SnapshotSummary;
pub use writer::SnapshotWriter;

use std::path::PathBuf;

/// Folder of a data directory's snapshots.
pub const SNAPSHOTS_FOLDER: &str = "snapshots";
/// Ending of their names.
pub const SNAPSHOT_ENDING: &str = ".snapshot";

/// Name of the snapshot of a height: names sort by height.
#[must_use]
pub fn snapshot_name(height: u64) -> PathBuf {
    PathBuf::from(format!("{height:016}{SNAPSHOT_ENDING}"))
}

/// Height a snapshot's name tells.
#[must_use]
pub fn height_of_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SNAPSHOT_ENDING)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
