//! What is certified about the rows of tables.

use stele_core::schema;
use stele_core::schema::TableId;
use stele_core::tree::Node;
use stele_core::{Hash, Suite};

use crate::source::SourceError;

/// A table and the root of its rows, as certified.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedTable {
    /// Its definition: by it rows are encoded.
    pub definition: schema::Table,
    /// Root of its rows in the state tree.
    pub root: Hash,
}

/// What is certified of all tables at once: the root that follows from the roots of their rows.
#[derive(Clone, Debug, PartialEq)]
pub struct StateDigest {
    /// Hashes it is made with.
    pub suite: Suite,
    /// The root.
    pub root: Hash,
    /// All definitions, in order of id: tables, and what has no rows.
    pub definitions: Vec<schema::Table>,
}

/// A row the commitment covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedRow {
    /// As encoded by [`stele_core::row`].
    pub encoded: Vec<u8>,
    /// Height of the block that wrote it.
    pub written: u64,
}

/// The tables of a source as of a height, as certified: roots that follow from rows alone, and the trees
/// below them, to find where others differ.
pub trait Commitment {
    /// The height.
    fn height(&self) -> u64;

    /// Hash of the block of that height; zeros at height 0.
    fn block_hash(&self) -> Hash;

    /// The suite hashes are made with.
    fn suite(&self) -> Suite;

    /// The tables that have rows, in order of id.
    fn tables(&self) -> &[CommittedTable];

    /// Nodes of a table's tree, see [`stele_core::tree::NodeStore::range`].
    ///
    /// # Errors
    /// When the source cannot be read.
    fn nodes(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Node>, SourceError>;

    /// The row of an encoded key.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn row(&self, table: TableId, key: &[u8]) -> Result<Option<CommittedRow>, SourceError>;
}
