//! Why a snapshot cannot be read or believed.

use std::path::PathBuf;

use stele_core::Hash;
use stele_flow::FileError;
use thiserror::Error;

/// Why a snapshot cannot be written, read or believed.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a snapshot, or one of another version.
    #[error("{} is no snapshot this program knows: {what}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// It was changed, or cut short.
    #[error("{} is damaged at offset {offset}: {what}; take another copy, or make a new snapshot", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes.
        offset: u64,
        /// How.
        what: String,
    },
    /// It is of another ledger than the one trusted.
    #[error("{} is of ledger {found}, trusted is {expected}", path.display())]
    OtherLedger {
        /// The file.
        path: PathBuf,
        /// The ledger trusted.
        expected: Hash,
        /// Its ledger.
        found: Hash,
    },
    /// Nobody trusted has signed it.
    #[error("{} is not what the trusted validators signed: {what}", path.display())]
    NotCertified {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        what: String,
    },
    /// What is to be written is none.
    #[error("{0}")]
    Invalid(String),
}
