//! How blocks and rows move, and what the moving parts may ask of the machine.
//!
//! A [`Source`] yields verified blocks, a [`Sink`] applies row changes and its [`Cursor`] in one
//! step. Everything that needs time, randomness, threads or files takes them from a [`Runtime`], so
//! that the same code runs on a real machine ([`real`]) and on a simulated one whose disk forgets
//! and whose clock is set by hand ([`sim`]).

pub mod clock;
pub mod cursor;
pub mod files;
pub mod random;
pub mod real;
pub mod runtime;
pub mod sim;
pub mod sink;
pub mod source;
pub mod spawner;

pub use clock::Clock;
pub use cursor::Cursor;
pub use files::{File, FileError, FileLock, Files, OpenMode, Operation};
pub use random::Random;
pub use runtime::Runtime;
pub use sink::Sink;
pub use source::Source;
pub use spawner::{Join, SpawnError, Spawner, TaskPanicked};
