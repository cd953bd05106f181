//! Where tree nodes are kept: traits the caller implements, and a store in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use super::node_key::NodeKey;
use crate::hash::Hash;
use crate::schema::TableId;

/// One stored entry of a level: its key and hash.
pub type Node = (NodeKey, Hash);

/// Reads tree nodes: a map from (table, level, key) to a hash, ordered by key as bytes.
///
/// Level 0 holds row hashes under primary keys, the levels above group hashes under group names
/// (the first is the empty key). An empty table has no nodes.
pub trait NodeStore {
    /// Why the store failed.
    type Error;

    /// The hash under a key of a level.
    ///
    /// # Errors
    /// When the store fails.
    fn get(&self, table: TableId, level: u8, key: &[u8]) -> Result<Option<Hash>, Self::Error>;

    /// The nodes of a level with `from <= key < to` in ascending order, at most `limit` of them; without `to`, up to the end.
    ///
    /// # Errors
    /// When the store fails.
    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Node>, Self::Error>;
}

/// Writes tree nodes.
pub trait NodeStoreMut: NodeStore {
    /// Puts, replaces or removes nodes, each as its `new` says. They come in ascending order of level
    /// and key, as far as one update makes them; a store may rely on that for speed only.
    ///
    /// `old` is what the node held, for a store that serves proofs of older heights. Of several
    /// changes to one node at one height it keeps the first.
    ///
    /// # Errors
    /// When the store fails. The caller then rolls back and calls [`Tree::discard`](super::Tree::discard).
    fn write(&mut self, changes: &[NodeChange<'_>]) -> Result<(), Self::Error>;
}

/// One node that changes. `old` and `new` differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeChange<'a> {
    /// Table.
    pub table: TableId,
    /// Level, 0 for rows.
    pub level: u8,
    /// Primary key or group name.
    pub key: &'a [u8],
    /// What the node held; none when it is new.
    pub old: Option<Hash>,
    /// What it holds now; none when it is removed.
    pub new: Option<Hash>,
}

/// Nodes in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    levels: BTreeMap<(TableId, u8), BTreeMap<Vec<u8>, Hash>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many nodes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels.values().map(BTreeMap::len).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// All nodes in order of table, level and key.
    pub fn iter(&self) -> impl Iterator<Item = (TableId, u8, &[u8], Hash)> {
        self.levels.iter().flat_map(|((table, level), nodes)| {
            nodes
                .iter()
                .map(move |(key, hash)| (*table, *level, key.as_slice(), *hash))
        })
    }

    fn write_one(&mut self, change: &NodeChange<'_>) {
        let at = (change.table, change.level);
        match change.new {
            Some(hash) => {
                let nodes = self.levels.entry(at).or_default();
                if let Some(held) = nodes.get_mut(change.key) {
                    *held = hash;
                } else {
                    nodes.insert(change.key.to_vec(), hash);
                }
            }
            None => {
                if let Some(nodes) = self.levels.get_mut(&at) {
                    nodes.remove(change.key);
                    if nodes.is_empty() {
                        self.levels.remove(&at);
                    }
                }
            }
        }
    }
}

impl NodeStore for MemoryStore {
    type Error = Infallible;

    fn get(&self, table: TableId, level: u8, key: &[u8]) -> Result<Option<Hash>, Infallible> {
        let nodes = self.levels.get(&(table, level));
        Ok(nodes.and_then(|nodes| nodes.get(key)).copied())
    }

    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Node>, Infallible> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let Some(nodes) = self.levels.get(&(table, level)) else {
            return Ok(Vec::new());
        };
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(nodes
            .range::<[u8], _>((Bound::Included(from), to))
            .take(limit)
            .map(|(key, hash)| (key.as_slice().into(), *hash))
            .collect())
    }
}

impl NodeStoreMut for MemoryStore {
    fn write(&mut self, changes: &[NodeChange<'_>]) -> Result<(), Infallible> {
        for change in changes {
            self.write_one(change);
        }
        Ok(())
    }
}
