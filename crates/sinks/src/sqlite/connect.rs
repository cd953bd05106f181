//! Opening a SQLite file, and what its refusals mean.

use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use stele_flow::{Sink as _, SinkError, SinkErrorKind};

use super::{SqliteSink, read};

/// How long another writer of the file is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// Statements kept prepared.
const STATEMENTS_KEPT: usize = 128;

impl SqliteSink {
    /// Opens the file, which must be there: reading and removing make none.
    pub(super) fn connect_there(&self) -> Result<Connection, SinkError> {
        if self.is_foreign || self.path.exists() {
            return self.connect();
        }
        let gone = format!("{}: the file is not there", self.describe());
        Err(SinkError::new(SinkErrorKind::Refused, gone)
            .remedy("move it back; or let the replica go on, which makes it anew and fills it"))
    }

    pub(super) fn connect(&self) -> Result<Connection, SinkError> {
        if self.is_foreign {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let opened = Connection::open_with_flags(&self.path, flags);
            let connection = opened.map_err(|error| self.failed(&error))?;
            let added = read::add_functions(&connection);
            added.map_err(|error| self.failed(&error))?;
            return Ok(connection);
        }
        let mut rest = self.path.as_os_str().to_owned();
        rest.push("-wal");
        if !self.path.exists() && Path::new(&rest).exists() {
            let left = format!(
                "{}: the file is not there, and {} is, which holds rows of it",
                self.describe(),
                Path::new(&rest).display()
            );
            return Err(SinkError::new(SinkErrorKind::Refused, left)
                .remedy("move the file back, or that one after it"));
        }
        // Rows of the ledger are not for everybody on the machine: a new file is its owner's alone.
        let made = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path);
        if made.is_ok() {
            tracing::debug!(path = %self.path.display(), "made the file of a replica");
        }
        let connect = || {
            let connection = Connection::open(&self.path)?;
            connection.busy_timeout(BUSY_WAIT)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "normal")?;
            read::add_functions(&connection)?;
            Ok(connection)
        };
        connect().map_err(|error| self.failed(&error))
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> SinkError {
        let (kind, remedy) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => (SinkErrorKind::Full, "make room; it goes on by itself"),
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => (
                SinkErrorKind::Refused,
                "let the node's user write the file and its folder",
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                SinkErrorKind::Unreachable,
                "another program holds a transaction open on it; end that",
            ),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
                SinkErrorKind::Drift,
                match self.is_foreign {
                    true => "the file is no SQLite database, or a damaged one: name another",
                    false => {
                        "the file is no SQLite database, or a damaged one: move it away, it is filled anew"
                    }
                },
            ),
            _ => {
                return SinkError::new(
                    SinkErrorKind::Other,
                    format!("{}: {error}", self.describe()),
                );
            }
        };
        SinkError::new(kind, format!("{}: {error}", self.describe())).remedy(remedy)
    }

    /// Device and number of the file of that name.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        let found = std::fs::metadata(&self.path).ok()?;
        Some((found.dev(), found.ino()))
    }
}
