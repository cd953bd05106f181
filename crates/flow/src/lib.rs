//! How blocks and rows move, and what the moving parts may ask of the machine.
//!
//! A [`Source`] yields verified blocks, each with what it does to tables; a [`Sink`] applies these row changes
//! and its [`Cursor`] in one step; a [`Mirror`] is a sink whose rows can be read back and compared with what is
//! certified about them (a [`Commitment`]). Everything that needs time, randomness, threads or files takes them from a [`Runtime`], so
//! that the same code runs on a real machine ([`real`]) and on a simulated one whose disk forgets
//! and whose clock is set by hand ([`sim`]).

pub mod batch;
pub mod change;
pub mod clock;
pub mod commitment;
pub mod cursor;
pub mod files;
pub mod random;
pub mod real;
pub mod runtime;
pub mod sim;
pub mod sink;
pub mod source;
pub mod spawner;

pub use batch::{Batch, BatchBuilder, Load, Step};
pub use change::{Block, Change, Column, Position, RowChange, Table};
pub use clock::Clock;
pub use commitment::{Commitment, CommittedRow, CommittedTable, StateDigest};
pub use cursor::Cursor;
pub use files::{File, FileError, FileLock, Files, OpenMode, Operation};
pub use random::Random;
pub use runtime::Runtime;
pub use sink::{Held, HeldTable, KeyRange, Mirror, ReadRow, Sink, SinkError, SinkErrorKind};
pub use source::{Source, SourceError, State};
pub use spawner::{Join, SpawnError, Spawner, TaskPanicked};
