//! Where blocks come from.

use thiserror::Error;

use stele_core::schema::TableId;
use stele_core::{Suite, Value};

use crate::change::{Block, Position, Table};
use crate::commitment::{Commitment, StateDigest};

/// Why a source gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The sink stands on a block that is none of this source's.
    #[error(
        "the cursor stands at block {height} with hash {found}, and the source's block {height} is {expected}: the target was filled from another history; remove the replica with its tables and add it again"
    )]
    Forked {
        /// Height of the cursor.
        height: u64,
        /// Hash the cursor has.
        found: String,
        /// Hash of the source's block.
        expected: String,
    },
    /// The sink is further than the source.
    #[error(
        "the cursor stands at block {cursor}, and the source has blocks up to {tip}: it goes on when the source has caught up; if the source was set back for good, remove the replica with its tables and add it again"
    )]
    Ahead {
        /// Height of the cursor.
        cursor: u64,
        /// Newest height of the source.
        tip: u64,
    },
    /// It cannot be read, or what was read does not verify.
    #[error("{0}")]
    Unreadable(String),
}

/// A chain read block by block, in order. What it gives is verified.
pub trait Source: Send + Sync {
    /// The name cursors carry.
    fn id(&self) -> &str;

    /// Height of the newest block.
    fn tip(&self) -> u64;

    /// Goes to a position, from which [`Self::next`] goes on.
    ///
    /// # Errors
    /// When the position's block is not on the source's chain.
    fn seek(&mut self, position: Position) -> Result<(), SourceError>;

    /// The next block, or `None` while there is none yet.
    ///
    /// # Errors
    /// When the source cannot be read, or what it gave does not verify.
    fn next(&mut self) -> Result<Option<Block>, SourceError>;

    /// The tables as of the newest block, held still; `None` from a source that keeps no state: its
    /// tables are made from all of its blocks.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn state(&self) -> Result<Option<Box<dyn State + '_>>, SourceError>;

    /// What is certified about the tables as of a height; `None` from a source that certifies no rows.
    ///
    /// # Errors
    /// When the height is too old or not there yet, or the source cannot be read.
    fn commitment(&self, height: u64) -> Result<Option<Box<dyn Commitment + '_>>, SourceError>;

    /// What is certified of all tables together as of the block it stands at; `None` from a source that
    /// certifies no rows, and before the first block.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn digest(&self) -> Result<Option<StateDigest>, SourceError>;
}

/// What takes rows one by one: encoded key and values. It says whether it wants more.
pub type EachRow<'e> = &'e mut dyn FnMut(&[u8], Vec<Value>) -> bool;

/// The tables of a source as of one block.
pub trait State {
    /// The block.
    fn position(&self) -> Position;

    /// The tables in order of id.
    fn tables(&self) -> Vec<Table>;

    /// Hashes of the source.
    fn suite(&self) -> Suite;

    /// How many rows a table has, roughly; for progress.
    fn rows_expected(&self, table: TableId) -> u64;

    /// Gives the rows of a table after an encoded key (empty: from the first) in key order, until
    /// `each` wants no more.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn rows(&self, table: TableId, after: &[u8], each: EachRow<'_>) -> Result<(), SourceError>;
}
