//! Cost bounds of the statement under way, counted so that every node counts the same. Steps among long
//! values weigh more than one, see [`crate::reach`].
//!
//! SQLite calls the progress handler each [`STEPS_PER_TICK`] steps of a statement whose step counter
//! starts at zero, so the handler can only stop a statement that is over its bound anyway; what a
//! statement cost is read exactly after it ended. Where it was stopped therefore never matters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::Cancel;
use super::cancel::Stop;
use crate::reach::weight;
use crate::spill;

/// Steps of SQLite's virtual machine between two looks at the bounds.
pub(super) const STEPS_PER_TICK: i32 = 1_000;

/// What the statement under way may still cost. Shared with the progress handler.
#[derive(Debug, Default)]
pub(super) struct Budget {
    active: AtomicBool,
    stop: AtomicBool,
    stopped: AtomicBool,
    steps: AtomicU64,
    steps_max: AtomicU64,
    /// Bytes of the longest value it met before it began.
    longest: AtomicU64,
    /// Whether what it makes counts, too.
    repeats: AtomicBool,
    cancel: Mutex<Option<Cancel>>,
    /// Of a read, by whoever manages reads.
    own: Mutex<Option<Cancel>>,
    cancelled: Mutex<Option<Stop>>,
}

impl Budget {
    /// Installs the progress handler on a connection.
    pub(super) fn install(connection: &mut Connection) -> rusqlite::Result<Arc<Self>> {
        let budget = Arc::new(Self::default());
        let seen = Arc::clone(&budget);
        connection.progress_handler(STEPS_PER_TICK, Some(move || seen.tick()))?;
        Ok(budget)
    }

    fn tick(&self) -> bool {
        if !self.active.load(Ordering::Relaxed) {
            return false;
        }
        let ticked = u64::from(STEPS_PER_TICK.unsigned_abs());
        let steps = self.steps.fetch_add(ticked, Ordering::Relaxed) + ticked;
        let over = steps.saturating_mul(self.weight()) > self.steps_max.load(Ordering::Relaxed)
            || self.stop.load(Ordering::Relaxed);
        if over {
            self.stopped.store(true, Ordering::Relaxed);
            return true;
        }
        let stop = self.cancel.lock().as_ref().and_then(Cancel::take);
        let own = || match self.own.lock().as_ref().and_then(Cancel::take) {
            Some(Stop::Late) => Some(Stop::Long),
            own => own,
        };
        let stop = stop.or_else(own);
        if stop.is_some() {
            *self.cancelled.lock() = stop;
        }
        stop.is_some()
    }

    /// Stops statements from now on when that wish is there; none for what a block executes.
    pub(super) fn watch(&self, cancel: Option<&Cancel>) {
        *self.cancel.lock() = cancel.cloned();
    }

    /// As [`Self::watch`], for whoever manages reads.
    pub(super) fn manage(&self, own: Option<&Cancel>) {
        *self.own.lock() = own.cloned();
    }

    /// Why the statement was stopped, if that was not its cost.
    pub(super) fn cancelled(&self) -> Option<Stop> {
        *self.cancelled.lock()
    }

    /// What each of its steps weighs, as far as it went: it only grows.
    pub(super) fn weight(&self) -> u64 {
        let longest = self.longest.load(Ordering::Relaxed);
        weight(if self.repeats.load(Ordering::Relaxed) {
            longest.max(spill::longest())
        } else {
            longest
        })
    }

    /// Starts counting a statement that may take steps which weigh `steps_max`. `longest` are the bytes of
    /// the longest value that makes them weigh more, `repeats` says whether values it makes do as well.
    pub(super) fn start(&self, steps_max: u64, longest: u64, repeats: bool) {
        self.longest.store(longest, Ordering::Relaxed);
        self.repeats.store(repeats, Ordering::Relaxed);
        self.steps.store(0, Ordering::Relaxed);
        self.steps_max.store(steps_max, Ordering::Relaxed);
        self.stop.store(false, Ordering::Relaxed);
        self.stopped.store(false, Ordering::Relaxed);
        *self.cancelled.lock() = None;
        self.active.store(true, Ordering::Relaxed);
    }

    /// Ends counting.
    pub(super) fn end(&self) {
        self.active.store(false, Ordering::Relaxed);
    }

    /// Asks the handler to stop the statement: another bound was passed.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the handler stopped the statement.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
