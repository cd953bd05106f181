//! What went wrong with which file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What was being done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Opening or creating.
    Open,
    /// Reading bytes or a length.
    Read,
    /// Writing bytes.
    Write,
    /// Making bytes durable.
    Sync,
    /// Changing the length.
    Truncate,
    /// Removing a name.
    Remove,
    /// Changing a name.
    Rename,
    /// Reading a directory.
    List,
    /// Making a directory.
    CreateDir,
    /// Making names durable.
    SyncDir,
    /// Taking a lock file.
    Lock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write to",
            Self::Sync => "sync",
            Self::Truncate => "change the length of",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::List => "list the directory",
            Self::CreateDir => "make the directory",
            Self::SyncDir => "sync the directory",
            Self::Lock => "lock",
        })
    }
}

/// A file operation that failed: names path, operation, cause, and what helps.
#[derive(Debug)]
pub struct FileError {
    /// The file or directory.
    pub path: PathBuf,
    /// What was being done.
    pub operation: Operation,
    /// Why it failed.
    pub source: io::Error,
}

impl FileError {
    /// Builds an error.
    #[must_use]
    pub fn new(path: &Path, operation: Operation, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            operation,
            source,
        }
    }

    /// Whether the disk or a quota is full, so that the operation may succeed once there is room.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// Whether there is no such file or directory.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether another holds the lock.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.operation == Operation::Lock && self.source.kind() == io::ErrorKind::WouldBlock
    }

    /// What a person can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("free room on this disk; work goes on once there is some")
            }
            io::ErrorKind::ReadOnlyFilesystem => Some(
                "the file system is mounted read-only: remount it for writing or choose another directory",
            ),
            io::ErrorKind::PermissionDenied => {
                Some("give the user running this program read and write permission there")
            }
            io::ErrorKind::WouldBlock if self.operation == Operation::Lock => {
                Some("stop the other one first, or choose another directory")
            }
            _ => None,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.operation,
            self.path.display(),
            self.source
        )?;
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
