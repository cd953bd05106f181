//! A clock that moves only when told.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock::Clock;

/// A clock that moves only when told.
#[derive(Debug)]
pub struct ManualClock {
    wall_us: AtomicI64,
    monotonic_us: AtomicU64,
}

impl ManualClock {
    /// A clock showing `now_us` microseconds since 1970.
    #[must_use]
    pub fn new(now_us: i64) -> Self {
        Self {
            wall_us: AtomicI64::new(now_us),
            monotonic_us: AtomicU64::new(0),
        }
    }

    /// Lets time pass, on both clocks.
    pub fn advance_us(&self, by_us: u64) {
        let wall = i64::try_from(by_us).unwrap_or(i64::MAX);
        self.wall_us.fetch_add(wall, Ordering::SeqCst);
        self.monotonic_us.fetch_add(by_us, Ordering::SeqCst);
    }

    /// Sets the wall clock, back as well as forth; the monotonic clock stays.
    pub fn set_us(&self, now_us: i64) {
        self.wall_us.store(now_us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_us(&self) -> i64 {
        self.wall_us.load(Ordering::SeqCst)
    }

    fn monotonic_us(&self) -> u64 {
        self.monotonic_us.load(Ordering::SeqCst)
    }
}
