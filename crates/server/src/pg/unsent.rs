//! Replies that clients have not taken yet, all clients together.
//!
//! A result is made whole before it is sent, so that no snapshot of the state is held by a slow client. What
//! waits in memory then is counted here; beyond [`UNSENT_LEN_MAX`] reads are refused until some of it is
//! taken or its clients are given up.

use std::sync::atomic::{AtomicU64, Ordering};

use stele_sql::SqlError;

/// Most bytes of replies that wait for clients (512 MiB).
const UNSENT_LEN_MAX: u64 = 512 * 1024 * 1024;

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

/// Whether another result may be made.
///
/// # Errors
/// 53200 while clients leave too much unread.
pub(crate) fn check() -> Result<(), SqlError> {
    let unsent = UNSENT.load(Ordering::Relaxed);
    if unsent <= UNSENT_LEN_MAX {
        return Ok(());
    }
    Err(SqlError::new(
        "53200",
        format!(
            "{} MiB of results wait for clients that do not read them, the bound is {} MiB",
            unsent / (1024 * 1024),
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
        check().unwrap();
        let most = Unsent::new(400 * 1024 * 1024);
        let more = Unsent::new(200 * 1024 * 1024);
        assert_eq!(check().unwrap_err().code.as_str(), "53200");
        drop(more);
        check().unwrap();
        drop(most);
    }
}
