//! Failures that are no outcome: they undo the block on this node and are never recorded.

use stele_core::schema::TableId;
use stele_core::tree::TreeError;
use stele_core::{DecodeError, Hash};
use thiserror::Error;

use crate::error::SqlError;

/// Why the engine could not do its work.
#[derive(Debug, Error)]
pub enum EngineError {
    /// No room for the database or its write-ahead log. The block was undone; **executing it again
    /// when there is room gives the same outcome**.
    #[error(
        "no space left for the state database {path}: free some room; the same block is then executed again"
    )]
    NoSpace {
        /// The database.
        path: String,
    },
    /// Reading or writing failed.
    #[error(
        "the state database {path} cannot be read or written ({cause}): check the disk and the file's permissions, then start again"
    )]
    Io {
        /// The database.
        path: String,
        /// SQLite's words.
        cause: String,
    },
    /// The database is damaged.
    #[error(
        "the state database{} is damaged ({cause}): move it away and start again, it is rebuilt from the block files",
        named(path)
    )]
    Corrupt {
        /// The database.
        path: String,
        /// What does not fit.
        cause: String,
    },
    /// Memory ran out.
    #[error(
        "out of memory while executing on the state database {path}: give the process more memory and start again"
    )]
    NoMemory {
        /// The database.
        path: String,
    },
    /// Another process holds the database.
    #[error("the state database {path} is locked: another process uses it; stop that process")]
    Busy {
        /// The database.
        path: String,
    },
    /// Written by another version of the program.
    #[error(
        "the state database {path} has format {found}, this program writes format {expected}: move it away, it is rebuilt from the block files"
    )]
    Format {
        /// The database.
        path: String,
        /// This program's format.
        expected: u32,
        /// The file's.
        found: u32,
    },
    /// Belongs to another ledger.
    #[error(
        "the state database {path} belongs to ledger {found}, not {expected}: if the directory is the right one, move the file away, it is made anew from the block files"
    )]
    WrongLedger {
        /// The database.
        path: String,
        /// This ledger.
        expected: Hash,
        /// The file's.
        found: Hash,
    },
    /// SQLite was built without something the engine relies on.
    #[error(
        "SQLite lacks {option}: build in the project's directory, so that .cargo/config.toml takes effect, or set LIBSQLITE3_FLAGS as it says"
    )]
    CompileOption {
        /// The option.
        option: &'static str,
    },
    /// A block does not follow the state.
    #[error("block {found} does not follow the state at height {height}")]
    WrongHeight {
        /// The state's height.
        height: u64,
        /// The block's.
        found: u64,
    },
    /// A call came out of order.
    #[error("{0}")]
    Order(&'static str),
    /// Recorded effects do not fit the state: one of them was changed.
    #[error(
        "the effects of block {height} do not fit the state: table {table}, key {key}: {cause}; audit them; a changed state.db is moved away, and made anew from the block files at the next start"
    )]
    Mismatch {
        /// The block.
        height: u64,
        /// The table.
        table: String,
        /// The key, in hexadecimal.
        key: String,
        /// What differs.
        cause: String,
    },
    /// Applying a block's effects gave another state than its leaf says.
    #[error(
        "after block {height} the state root is {found}, its leaf says {expected}: audit them; a changed state.db is moved away, and made anew from the block files at the next start"
    )]
    RootMismatch {
        /// The block.
        height: u64,
        /// The leaf's.
        expected: Hash,
        /// This state's.
        found: Hash,
    },
    /// The asked height is outside the proof window.
    #[error(
        "proofs are given for heights {oldest} to {newest}, not {asked}: ask for height {nearest}"
    )]
    OutsideWindow {
        /// What was asked.
        asked: u64,
        /// Oldest height of the window.
        oldest: u64,
        /// Newest height.
        newest: u64,
        /// The nearest that can be had.
        nearest: u64,
    },
    /// No such table at that height.
    #[error("there is no table of id {}", .0.0)]
    NoTable(TableId),
    /// A stored definition, row or key does not decode.
    #[error(
        "{what} in the state database does not decode ({cause}): move state.db away and start again, it is made anew from the block files"
    )]
    Decode {
        /// What was read.
        what: String,
        /// Why not.
        cause: DecodeError,
    },
    /// A read or preview failed by the client's fault.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// No read connection got free.
    #[error("all read connections are busy: try again, or raise their number in the configuration")]
    ReadersBusy,
    /// SQLite refused something this program wrote: another program changed the database, or this one
    /// has a defect.
    #[error(
        "the state database refused a statement of the program's own ({cause}): if something else changed state.db, move it away and start again, it is rebuilt from the block files; if that does not help, please report this"
    )]
    Internal {
        /// SQLite's words.
        cause: String,
    },
}

impl EngineError {
    /// Whether the same work may succeed later without a restart.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::NoSpace { .. } | Self::Busy { .. } | Self::ReadersBusy
        )
    }

    /// Says which database it was.
    #[must_use]
    pub(super) fn at(mut self, database: &str) -> Self {
        match &mut self {
            Self::NoSpace { path }
            | Self::Io { path, .. }
            | Self::Corrupt { path, .. }
            | Self::NoMemory { path }
            | Self::Busy { path }
            | Self::Format { path, .. }
            | Self::WrongLedger { path, .. } => database.clone_into(path),
            _ => {}
        }
        self
    }
}

/// Names a SQLite failure that is no outcome; the engine adds the database's path.
impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        use rusqlite::ffi;
        let (path, cause) = (String::new(), error.to_string());
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            return Self::Internal { cause };
        };
        match failure.code {
            ErrorCode::DiskFull => Self::NoSpace { path },
            // Growing the shared-memory index of the log fails this way on a full disk.
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
                Self::NoSpace { path }
            }
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied => Self::Io { path, cause },
            // What a user's statement violates is told before anyone looks here; what the program itself
            // writes violates nothing, unless there is what no block made.
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation => Self::Corrupt { path, cause },
            ErrorCode::OutOfMemory => Self::NoMemory { path },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy { path },
            _ => Self::Internal { cause },
        }
    }
}

impl From<TreeError<rusqlite::Error>> for EngineError {
    fn from(error: TreeError<rusqlite::Error>) -> Self {
        match error {
            TreeError::Store(error) => error.into(),
            other => Self::Corrupt {
                path: String::new(),
                cause: other.to_string(),
            },
        }
    }
}

/// A path after a blank, or nothing where none is known.
fn named(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!(" {path}"),
    }
}
