//! What sessions keep for their clients between messages: rows of cursors and of portals with a limit,
//! parameters, prepared statements, and the part of a long message that has arrived.
//!
//! Each session counts what it keeps, each connection what has arrived, and all are counted together. One that keeps
//! little ([`SMALL_LEN`]) is never refused because of others; beyond that it may keep [`SESSION_LEN_MAX`], and all
//! of them [`ALL_LEN_MAX`]. So they keep at most that and twice `SMALL_LEN` a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stele_core::Value;
use stele_sql::SqlError;

/// What each session may keep whatever others keep (1 MiB).
const SMALL_LEN: u64 = MIB;
/// Most bytes one session keeps (128 MiB: two of the largest results).
const SESSION_LEN_MAX: u64 = 128 * MIB;
/// Most bytes all sessions keep (512 MiB).
const ALL_LEN_MAX: u64 = 512 * MIB;
const MIB: u64 = 1024 * 1024;

static ALL: AtomicU64 = AtomicU64::new(0);

/// Counts what one session keeps.
#[derive(Debug)]
pub(crate) struct Keeper {
    all: &'static AtomicU64,
    bytes: Arc<AtomicU64>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self::among(&ALL)
    }
}

/// Bytes that are kept; they are counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Kept {
    len: u64,
    all: &'static AtomicU64,
    bytes: Arc<AtomicU64>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.all.fetch_sub(self.len, Ordering::Relaxed);
        self.bytes.fetch_sub(self.len, Ordering::Relaxed);
    }
}

impl Keeper {
    fn among(all: &'static AtomicU64) -> Self {
        Self {
            all,
            bytes: Arc::default(),
        }
    }

    /// Counts bytes that are kept already, whatever the bounds.
    pub(crate) fn count(&self, len: usize) -> Kept {
        let len = len as u64;
        self.all.fetch_add(len, Ordering::Relaxed);
        self.bytes.fetch_add(len, Ordering::Relaxed);
        Kept {
            len,
            all: self.all,
            bytes: Arc::clone(&self.bytes),
        }
    }

    /// Counts bytes that are to be kept.
    ///
    /// # Errors
    /// 53200 when this session, or all of them, would keep too much.
    pub(crate) fn keep(&self, len: usize) -> Result<Kept, SqlError> {
        let kept = self.count(len);
        let bytes = self.bytes.load(Ordering::Relaxed);
        let all = self.all.load(Ordering::Relaxed);
        if bytes > SESSION_LEN_MAX {
            return Err(refused("this connection", bytes, SESSION_LEN_MAX)
                .hint("CLOSE cursors and DEALLOCATE statements that are no longer needed, or read them to their end."));
        }
        if bytes > SMALL_LEN && all > ALL_LEN_MAX {
            return Err(refused("all connections together", all, ALL_LEN_MAX)
                .hint("Try again when other clients have closed theirs, or keep less than 1 MiB on this connection."));
        }
        Ok(kept)
    }
}

fn refused(who: &str, len: u64, max: u64) -> SqlError {
    SqlError::new(
        "53200",
        format!("{who} would keep more than {} MiB between messages", max / MIB),
    )
    .detail(format!(
        "With this one, the cursors, open portals, parameters, prepared statements and unfinished messages \
         would take {} MiB.",
        len.div_ceil(MIB)
    ))
}

/// Bytes that values take in memory.
pub(crate) fn values_len(values: &[Value]) -> usize {
    let outside = |value: &Value| match value {
        Value::Text(text) | Value::Json(text) => text.capacity(),
        Value::Bytes(bytes) => bytes.capacity(),
        _ => 0,
    };
    size_of_val(values) + values.iter().map(outside).sum::<usize>()
}

/// Bytes that rows take in memory.
pub(crate) fn rows_len(rows: &[Vec<Value>]) -> usize {
    // An allocation of its own for each row costs about two words more.
    let row = |row: &Vec<Value>| size_of::<Vec<Value>>() + 2 * size_of::<usize>() + values_len(row);
    rows.iter().map(row).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn one_session_and_all_are_bounded() {
        static ALL: AtomicU64 = AtomicU64::new(0);
        let sessions: Vec<Keeper> = (0..6).map(|_| Keeper::among(&ALL)).collect();
        let first = sessions[0].keep(128 * MIB).unwrap();
        let error = sessions[0].keep(1).unwrap_err();
        assert_eq!(error.code.as_str(), "53200");
        assert!(error.message.starts_with("this connection"), "{error}");
        let more: Vec<Kept> = (1..4)
            .map(|place| sessions[place].keep(128 * MIB).unwrap())
            .collect();
        // Whoever keeps little goes on.
        let little = sessions[4].keep(MIB).unwrap();
        let error = sessions[4].keep(1).unwrap_err();
        assert!(error.message.starts_with("all connections"), "{error}");
        assert!(sessions[5].keep(2 * MIB).is_err());
        drop(first);
        let again = sessions[4].keep(2 * MIB).unwrap();
        drop((more, little, again));
        assert_eq!(ALL.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn rows_are_measured_with_what_they_point_to() {
        let row = || {
            vec![
                Value::Int(1),
                Value::Text("x".repeat(1000)),
                Value::Bytes(vec![0; 500]),
            ]
        };
        let rows = vec![row(), row()];
        assert!(
            rows_len(&rows) > 3000 && rows_len(&rows) < 3500,
            "{}",
            rows_len(&rows)
        );
    }
}
