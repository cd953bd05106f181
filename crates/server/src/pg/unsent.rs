//! Replies that clients have not taken yet, all clients together.
//!
//! A result is made whole before it is sent, so that no snapshot of the state is held by a slow client. What
//! waits in memory then is counted here; beyond [`UNSENT_LEN_MAX`] reads are refused until some of it is
//! taken or its clients are given up.

use std::sync::atomic::{AtomicU64, Ordering};

use stele_sql::SqlError;

/// Most bytes of replies that wait for clients (512 MiB).
const UNSENT_LEN_MAX: u64 = 512 * 1024 * 1024;

/// A result of at most so many bytes is given whatever waits for other clients (64 KiB).
const SMALL_LEN_MAX: usize = 64 * 1024;

static UNSENT: AtomicU64 = AtomicU64::new(0);

/// Bytes that wait; they are counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Unsent(u64);

impl Unsent {
    /// Counts so many bytes.
    pub(crate) fn new(len: usize) -> Self {
        let len = len as u64;
        UNSENT.fetch_add(len, Ordering::Relaxed);
        Self(len)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        UNSENT.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Counts a result of so many bytes that is about to be given.
///
/// # Errors
/// 53200 when more would be left unread than clients may; never for a small one.
pub(crate) fn reserve(len: usize) -> Result<Unsent, SqlError> {
    let reserved = Unsent::new(len);
    let unsent = UNSENT.load(Ordering::Relaxed);
    if len <= SMALL_LEN_MAX || unsent <= UNSENT_LEN_MAX {
        return Ok(reserved);
    }
    Err(SqlError::new(
        "53200",
        format!(
            "{} MiB of results would wait for clients that do not read them, the bound is {} MiB",
            unsent.div_ceil(1024 * 1024),
            UNSENT_LEN_MAX / (1024 * 1024)
        ),
    )
    .hint("Try again in a moment: clients that do not read are disconnected after a minute."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_not_counted_any_more() {
        const MIB: usize = 1024 * 1024;
        let most = reserve(400 * MIB).unwrap();
        assert_eq!(reserve(200 * MIB).unwrap_err().code.as_str(), "53200");
        let more = Unsent::new(200 * MIB);
        assert_eq!(reserve(MIB).unwrap_err().code.as_str(), "53200");
        drop(reserve(1024).unwrap());
        drop(more);
        drop(reserve(MIB).unwrap());
        drop(most);
    }
}
