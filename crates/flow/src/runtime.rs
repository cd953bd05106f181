//! All that the machine offers, in one value handed down from the binary.

use std::sync::Arc;

use crate::clock::Clock;
use crate::files::Files;
use crate::random::Random;
use crate::real::{RealFiles, SystemClock, SystemRandom, ThreadSpawner};
use crate::spawner::Spawner;

/// Clock, randomness, tasks and files. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Background tasks.
    pub spawner: Arc<dyn Spawner>,
    /// Files.
    pub files: Arc<dyn Files>,
}

impl Runtime {
    /// The runtime of the real machine.
    #[must_use]
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            spawner: Arc::new(ThreadSpawner),
            files: Arc::new(RealFiles),
        }
    }
}
