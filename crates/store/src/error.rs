//! Why the store cannot do what was asked.

use std::path::PathBuf;

use stele_core::{DecodeError, Hash};
use stele_flow::FileError;
use thiserror::Error;

use crate::damage::Damage;

/// Why the store cannot do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    File(FileError),
    /// The disk is full. Nothing was appended; the same call works once there is room.
    #[error("nothing was stored: {0}")]
    NoSpace(FileError),
    /// An earlier sync failed, so what is on the disk is not known and nothing may be added.
    #[error(
        "the block store takes no more writes after a failure: {cause}; mend the disk, then start again, which re-reads what is really stored"
    )]
    Poisoned {
        /// The failure.
        cause: String,
    },
    /// The store belongs to another ledger.
    #[error(
        "{} belongs to ledger {found}, not to {expected}: choose another data directory or the configuration that goes with this one",
        path.display()
    )]
    OtherLedger {
        /// The segment file.
        path: PathBuf,
        /// The ledger asked for.
        expected: Hash,
        /// The ledger found.
        found: Hash,
    },
    /// The store was written in another format.
    #[error(
        "{} has segment format {found}, this program knows format {known}: use the program version that wrote it",
        path.display()
    )]
    OtherVersion {
        /// The segment file.
        path: PathBuf,
        /// The format found.
        found: u16,
        /// The format known.
        known: u16,
    },
    /// A part of the store that is needed is damaged.
    #[error("the block store is damaged: {0}; restore these blocks from another node or a backup")]
    Damaged(Damage),
    /// A block or effects of another height than the next.
    #[error("{what} of height {found} cannot follow: the next height is {expected}")]
    WrongHeight {
        /// Block, effects or certificate.
        what: &'static str,
        /// The next height.
        expected: u64,
        /// The height given.
        found: u64,
    },
    /// A block that does not follow the tip.
    #[error("block {height} does not follow the tip: its parent is {found}, the tip is {expected}")]
    WrongParent {
        /// The block's height.
        height: u64,
        /// The tip's hash.
        expected: Hash,
        /// The parent it names.
        found: Hash,
    },
    /// A block of another ledger.
    #[error("block {height} is of ledger {found}, this store is of {expected}")]
    WrongLedger {
        /// The block's height.
        height: u64,
        /// This ledger.
        expected: Hash,
        /// The ledger it names.
        found: Hash,
    },
    /// Effects that are not those of the block.
    #[error("the effects given for block {height} are of block {found}, stored is {expected}")]
    WrongEffects {
        /// The block's height.
        height: u64,
        /// The stored block's hash.
        expected: Hash,
        /// The block the effects name.
        found: Hash,
    },
    /// Bytes that do not decode.
    #[error("{what} {height} does not decode: {source}")]
    Undecodable {
        /// Block or effects.
        what: &'static str,
        /// Its height.
        height: u64,
        /// Why.
        source: DecodeError,
    },
    /// Heights start at 1.
    #[error("there is no block of height {height}: heights start at 1")]
    HeightBelowOne {
        /// The height asked for.
        height: i64,
    },
    /// A record over the bound.
    #[error("a record of {len} bytes is over the bound of {max}")]
    RecordTooLong {
        /// Its length.
        len: u64,
        /// The bound.
        max: u64,
    },
    /// The genesis record is the first, and there is one.
    #[error("the genesis record is already stored, or blocks are")]
    GenesisStored,
    /// A store opened read-only.
    #[error("this store was opened read-only")]
    ReadOnly,
    /// Certified blocks are never rolled back.
    #[error(
        "certified blocks of a ledger are never rolled back: make a copy of the data directory and roll that back"
    )]
    RollBackRefused,
    /// A height the store does not reach.
    #[error("height {height} is not stored: the tip is {tip}")]
    NotStored {
        /// The height asked for.
        height: u64,
        /// The tip.
        tip: u64,
    },
    /// The index failed. It is derived: deleting it loses nothing.
    #[error(
        "the index in {} failed: {cause}; stop the node and delete that directory, it is rebuilt from the segments",
        path.display()
    )]
    Index {
        /// Its directory.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The index is being rebuilt.
    #[error("the index is being rebuilt: ask again when it is done")]
    Rebuilding,
    /// More blocks wait for the index than are kept in memory.
    #[error(
        "{waiting} blocks wait to be indexed, the bound is {max}: the index or the execution of blocks is stuck, see the log"
    )]
    IndexBehind {
        /// How many wait.
        waiting: usize,
        /// How many may.
        max: usize,
    },
    /// A background task could not be started or ended by a defect.
    #[error("{0}")]
    Task(String),
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        if error.is_no_space() {
            Self::NoSpace(error)
        } else {
            Self::File(error)
        }
    }
}
