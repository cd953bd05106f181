//! The write-ahead log is kept short without holding up commits.
//!
//! A thread copies the log into the database once it has grown past [`WAL_PAGES_SOFT`]. Under steady
//! writing the thread alone never catches up, and the log starts over only when nothing is left to
//! copy; so past [`WAL_PAGES_HARD`] a commit copies the little that the thread has left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::error::EngineError;
use super::open::Place;

/// Pages in the log from which the thread copies (16 MiB).
const WAL_PAGES_SOFT: u64 = 4_096;
/// Pages in the log from which a commit copies (64 MiB).
const WAL_PAGES_HARD: u64 = 16_384;
/// Page cache of the copying connection, in KiB: it reads the log, not the database.
const CACHE_KIB: u32 = 512;

/// Keeps the log short.
pub(super) struct WalKeeper {
    pages: Arc<AtomicU64>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WalKeeper {
    /// Watches the commits of `writer`. In memory there is no log, and nothing to do.
    pub(super) fn start(writer: &mut Connection, place: &Place) -> Result<Self, EngineError> {
        let pages = Arc::new(AtomicU64::new(0));
        if place.in_memory {
            return Ok(Self {
                pages,
                wake: None,
                thread: None,
            });
        }
        let seen = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, in_log: i32| {
            seen.store(u64::from(in_log.unsigned_abs()), Ordering::Relaxed);
            Ok(())
        }))?;
        let connection = place.connect(CACHE_KIB)?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("stele-wal".to_owned())
            .spawn(move || copy_when_woken(&connection, &woken))
            .map_err(|error| EngineError::Io {
                path: String::new(),
                cause: error.to_string(),
            })?;
        Ok(Self {
            pages,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// To be called after each commit.
    pub(super) fn committed(&self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < WAL_PAGES_SOFT {
            return;
        }
        if let Some(wake) = &self.wake {
            // A full channel means the thread will look anyway.
            let _ = wake.try_send(());
        }
        if pages >= WAL_PAGES_HARD {
            copy(writer);
        }
    }
}

impl Drop for WalKeeper {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread that keeps the write-ahead log short has panicked");
        }
    }
}

fn copy_when_woken(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        copy(connection);
    }
}

/// Copies what readers do not hinder. A failure is told and left: the log is longer, nothing else.
fn copy(connection: &Connection) {
    let copied = connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut statement| statement.query_row([], |_| Ok(())));
    if let Err(error) = copied {
        tracing::warn!(%error, "the write-ahead log of the state database could not be copied");
    }
}
