//! The ledger's state: rows to fill sinks with, and what its blocks commit to.

use stele_core::schema::{Column, TableId};
use stele_core::tree::{Node as TreeNode, NodeStore as _, state_root};
use stele_core::{Hash, Suite, Value};
use stele_flow::change::{Position, Table as Shape};
use stele_flow::source::EachRow;
use stele_flow::{Commitment, CommittedRow, CommittedTable, SourceError, State};
use stele_sql::engine::{EngineError, Snapshot};

use super::{position, unreadable};
use crate::error::NodeError;
use crate::node::Node;

impl Node {
    pub(crate) fn snapshot(&self) -> Result<Snapshot, NodeError> {
        Ok(self.inner.readers.snapshot()?)
    }
}

/// The newest state, held still.
pub(super) struct LedgerState {
    snapshot: Snapshot,
    position: Position,
    suite: Suite,
}

impl LedgerState {
    pub(super) fn new(node: &Node) -> Result<Self, SourceError> {
        let snapshot = node.snapshot().map_err(unreadable)?;
        Ok(Self {
            position: position(node, snapshot.height())?,
            snapshot,
            suite: node.suite(),
        })
    }
}

impl State for LedgerState {
    fn position(&self) -> Position {
        self.position
    }

    fn tables(&self) -> Vec<Shape> {
        let definitions = self.snapshot.catalogue().definitions();
        definitions.filter_map(|table| Shape::of(table)).collect()
    }

    fn suite(&self) -> Suite {
        self.suite
    }

    fn rows_expected(&self, table: TableId) -> u64 {
        self.snapshot.count_rows(table).unwrap_or_default()
    }

    fn rows(&self, table: TableId, after: &[u8], each: EachRow<'_>) -> Result<(), SourceError> {
        let definition = self.snapshot.catalogue().table(table);
        let definition =
            definition.ok_or_else(|| unreadable(format!("there is no table {}", table.0)))?;
        let each = |key: &[u8], values: Vec<Value>| each(key, values);
        self.snapshot
            .rows_after(definition, after, each)
            .map_err(unreadable)
    }
}

/// What the block leaf of a height commits to.
pub(super) struct LedgerCommitment {
    snapshot: Snapshot,
    height: u64,
    block_hash: Hash,
    suite: Suite,
    tables: Vec<CommittedTable>,
}

impl LedgerCommitment {
    pub(super) fn new(node: &Node, height: u64) -> Result<Self, SourceError> {
        let snapshot = node.snapshot().map_err(unreadable)?;
        let suite = node.suite();
        let past = snapshot.at(height).map_err(|error| match error {
            EngineError::OutsideWindow { oldest, newest, .. } => unreadable(format!(
                "rows as of block {height} cannot be compared: the ledger keeps what its blocks committed to for blocks {oldest} to {newest}; let the replica catch up, or fill it anew with `stele replica refill`"
            )),
            other => unreadable(other),
        })?;
        let mut block_hash = Hash::ZERO;
        if height > 0 {
            let root = state_root(suite, past.tables()).map_err(unreadable)?;
            let leaf = node.inner.effects(height).map_err(unreadable)?.leaf;
            block_hash = leaf.block;
            if root != leaf.state_root {
                return Err(unreadable(format!(
                    "the node's own state gives another root at height {height} than block {height} commits to; run `stele audit`"
                )));
            }
        }
        let tables = past.definitions().iter().zip(past.tables());
        let tables = tables
            .filter(|(definition, _)| definition.kind.has_rows())
            .map(|(definition, entry)| CommittedTable {
                definition: definition.as_ref().clone(),
                root: entry.root,
            });
        let tables = tables.collect();
        Ok(Self {
            snapshot,
            height,
            block_hash,
            suite,
            tables,
        })
    }
}

impl Commitment for LedgerCommitment {
    fn block_hash(&self) -> Hash {
        self.block_hash
    }

    fn height(&self) -> u64 {
        self.height
    }

    fn suite(&self) -> Suite {
        self.suite
    }

    fn tables(&self) -> &[CommittedTable] {
        &self.tables
    }

    fn nodes(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<TreeNode>, SourceError> {
        let nodes = self.snapshot.nodes_at(self.height);
        nodes
            .range(table, level, from, to, limit)
            .map_err(unreadable)
    }

    fn row(&self, table: TableId, key: &[u8]) -> Result<Option<CommittedRow>, SourceError> {
        let known = self.tables.iter().find(|one| one.definition.id == table);
        let Some(known) = known else { return Ok(None) };
        let now = self.snapshot.catalogue().table(table);
        let is_there = |column: &Column| now.is_some_and(|now| now.column(column.id).is_some());
        if !known.definition.columns.iter().all(is_there) {
            return Err(unreadable(format!(
                "rows of {}.{} as of block {} cannot be read any more: the table or a column of it was dropped since; `stele replica refill` fills a replica's table anew",
                known.definition.schema, known.definition.name, self.height
            )));
        }
        let found = self.snapshot.row_at(&known.definition, key, self.height);
        let found = found.map_err(unreadable)?;
        Ok(found.map(|(encoded, written)| CommittedRow { encoded, written }))
    }
}
