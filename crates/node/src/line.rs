//! Whose turn it is at the executor: one session's at a time, beside the apply loop.
//!
//! Sessions with open transactions wait here rather than at the executor itself. The executor is then
//! only ever passed between one session and the apply loop, which gets it after at most one preview,
//! and it does not lie idle while the next of many sessions wakes up.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

/// The line of sessions.
#[derive(Debug, Default)]
pub(crate) struct Line {
    turn: Mutex<()>,
    length: AtomicUsize,
}

/// A session's turn.
pub(crate) struct Turn<'l> {
    line: &'l Line,
    _turn: MutexGuard<'l, ()>,
}

impl Line {
    /// Waits for a turn.
    pub(crate) fn wait(&self) -> Turn<'_> {
        self.length.fetch_add(1, Ordering::Relaxed);
        Turn {
            line: self,
            _turn: self.turn.lock(),
        }
    }

    /// How many sessions wait or have their turn.
    pub(crate) fn length(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.line.length.fetch_sub(1, Ordering::Relaxed);
    }
}
