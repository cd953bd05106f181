//! A simulated machine for tests: a disk that forgets unsynced bytes and fails on demand, a clock
//! set by hand, randomness from a seed, tasks run in place.

mod clock;
mod disk;
mod fault;
mod files;
mod random;
mod spawner;

pub use clock::ManualClock;
pub use fault::{Fault, FaultKind};
pub use files::MemoryFiles;
pub use random::SeededRandom;
pub use spawner::InlineSpawner;

use std::sync::Arc;

use crate::runtime::Runtime;

/// A simulated runtime of one seed, with its parts to steer it by.
///
/// Tasks run in place, at the moment they are spawned.
#[must_use]
pub fn runtime(seed: u64) -> (Runtime, Arc<MemoryFiles>, Arc<ManualClock>) {
    let files = Arc::new(MemoryFiles::new(seed));
    let clock = Arc::new(ManualClock::new(0));
    let runtime = Runtime {
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(seed)),
        spawner: Arc::new(InlineSpawner),
        files: files.clone(),
    };
    (runtime, files, clock)
}
