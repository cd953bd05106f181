//! A wish to stop a read or a preview under way. What a block executes never looks at one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::SqlError;

/// Whether somebody wants what is under way to stop, now or when its time is over. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// One of the words below.
    wished: AtomicU8,
    /// Whether `ends_at` holds anything.
    limited: AtomicBool,
    ends_at: Mutex<Option<Instant>>,
}

const NOTHING: u8 = 0;
const WISHED: u8 = 1;
const CROWDED: u8 = 2;
const STOPPING: u8 = 3;

/// Why something under way has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody wished it.
    Wished,
    /// Its time was over.
    Late,
    /// It has taken longer than any read may.
    Long,
    /// Others wait, and it has been at it for long.
    Crowded,
    /// The node stops.
    Stopping,
}

impl Stop {
    pub(super) fn error(self) -> SqlError {
        match self {
            Self::Wished => SqlError::new("57014", "canceling statement due to user request"),
            Self::Late => SqlError::new("57014", "canceling statement due to statement timeout")
                .hint("Read less, or SET statement_timeout to more (0: no limit)."),
            Self::Long => SqlError::new("54000", "the read takes too long").hint(
                "Narrow it with an indexed condition, or read the rows and compute in the client.",
            ),
            Self::Crowded => SqlError::new(
                "53300",
                "the read was stopped: all read connections were busy and others waited",
            )
            .hint("Read less at a time, or try again later."),
            Self::Stopping => SqlError::new("57P01", "the node is stopping"),
        }
    }
}

impl Cancel {
    /// Whether both are one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Asks for a stop.
    pub fn request(&self) {
        self.0.wished.store(WISHED, Ordering::Relaxed);
    }

    /// Asks a read to stop for the sake of others.
    pub(super) fn make_room(&self) {
        self.0.wished.store(CROWDED, Ordering::Relaxed);
    }

    /// Asks for a stop because the node stops.
    pub(super) fn end(&self) {
        self.0.wished.store(STOPPING, Ordering::Relaxed);
    }

    /// Forgets a wish that came too late.
    pub fn clear(&self) {
        self.0.wished.store(NOTHING, Ordering::Relaxed);
    }

    /// What begins now may take so long; none for as long as it takes.
    pub fn limit(&self, time_max: Option<Duration>) {
        let ends_at = time_max.and_then(|time_max| Instant::now().checked_add(time_max));
        self.0.limited.store(ends_at.is_some(), Ordering::Relaxed);
        *self.0.ends_at.lock() = ends_at;
    }

    /// For what is done step by step from outside: fails when there is a reason to stop.
    ///
    /// # Errors
    /// 57014.
    pub fn check(&self) -> Result<(), SqlError> {
        match self.take() {
            Some(stop) => Err(stop.error()),
            None => Ok(()),
        }
    }

    /// Why to stop, if there is a reason; a wish is fulfilled with that.
    pub(super) fn take(&self) -> Option<Stop> {
        // Nearly always there is none; a look is cheaper than a swap.
        if self.0.wished.load(Ordering::Relaxed) != NOTHING {
            return match self.0.wished.swap(NOTHING, Ordering::Relaxed) {
                CROWDED => Some(Stop::Crowded),
                STOPPING => Some(Stop::Stopping),
                _ => Some(Stop::Wished),
            };
        }
        if !self.0.limited.load(Ordering::Relaxed) {
            return None;
        }
        let late = (*self.0.ends_at.lock()).is_some_and(|ends_at| Instant::now() >= ends_at);
        late.then_some(Stop::Late)
    }
}
