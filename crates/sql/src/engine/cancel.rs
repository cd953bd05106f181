//! A wish to stop a read or a preview under way. What a block executes never looks at one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Whether somebody wants what is under way to stop, now or when its time is over. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    wished: AtomicBool,
    /// Whether `ends_at` holds anything.
    limited: AtomicBool,
    ends_at: Mutex<Option<Instant>>,
}

/// Why something under way has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody wished it.
    Wished,
    /// Its time was over.
    Late,
}

impl Cancel {
    /// Asks for a stop.
    pub fn request(&self) {
        self.0.wished.store(true, Ordering::Relaxed);
    }

    /// Forgets a wish that came too late.
    pub fn clear(&self) {
        self.0.wished.store(false, Ordering::Relaxed);
    }

    /// What begins now may take so long; none for as long as it takes.
    pub fn limit(&self, time_max: Option<Duration>) {
        let ends_at = time_max.and_then(|time_max| Instant::now().checked_add(time_max));
        self.0.limited.store(ends_at.is_some(), Ordering::Relaxed);
        *self.0.ends_at.lock() = ends_at;
    }

    /// Why to stop, if there is a reason; a wish is fulfilled with that.
    pub(super) fn take(&self) -> Option<Stop> {
        // Nearly always there is none; a look is cheaper than a swap.
        if self.0.wished.load(Ordering::Relaxed) && self.0.wished.swap(false, Ordering::Relaxed) {
            return Some(Stop::Wished);
        }
        if !self.0.limited.load(Ordering::Relaxed) {
            return None;
        }
        let late = (*self.0.ends_at.lock()).is_some_and(|ends_at| Instant::now() >= ends_at);
        late.then_some(Stop::Late)
    }
}
