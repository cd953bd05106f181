//! The runtime of the real machine: system clock, system randomness, threads, the file system.

mod clock;
mod files;
mod random;
mod spawner;

pub use clock::SystemClock;
pub use files::RealFiles;
pub use random::SystemRandom;
pub use spawner::ThreadSpawner;
