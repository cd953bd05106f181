//! One group in memory: its entries and the Merkle tree over them.

use std::ops::Range;

use super::error::TreeError;
use super::node::{GROUP_ENTRIES_MAX, group_hash, leaf_hash, node_hash};
use super::node_key::NodeKey;
use super::store::NodeStore;
use crate::hash::{Hash, Suite, split_point};
use crate::schema::TableId;

/// An entry of a group.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Primary key or name of the group below.
    pub(super) key: NodeKey,
    /// What the store holds: row hash or group hash.
    pub(super) hash: Hash,
    /// Leaf in the group's Merkle tree.
    pub(super) leaf: Hash,
}

impl Entry {
    pub(super) fn new(suite: Suite, level: u8, key: NodeKey, hash: Hash) -> Self {
        let leaf = leaf_hash(suite, level, &key, &hash);
        Self { key, hash, leaf }
    }

    /// The entry every table's level 0 starts with; it is never stored.
    pub(super) fn sentinel(suite: Suite) -> Self {
        Self::new(suite, 0, NodeKey::default(), Hash::ZERO)
    }
}

/// Where a group lies and what its hash must be.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// First key.
    pub(super) name: NodeKey,
    /// Name of the next group of the level, none for the last.
    pub(super) end: Option<NodeKey>,
    /// Its hash, as the level above holds it.
    pub(super) hash: Hash,
}

impl Place {
    /// The only group of the highest level.
    pub(super) fn top(hash: Hash) -> Self {
        Self {
            name: NodeKey::default(),
            end: None,
            hash,
        }
    }
}

/// A group: never empty, its first entry's key is its name.
///
/// `layers` is the RFC 6962 tree above the leaves, bottom layer first, one after another: nodes are
/// paired from the left and a lone last node moves up unchanged, which gives the same tree as splitting at
/// powers of two. Kept, it makes an append or a replacement cost a path instead of a whole tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    pub(super) end: Option<NodeKey>,
    layers: Vec<Hash>,
    /// How many leaves the layers were made of; 0 before they are made.
    pub(super) hashed: usize,
}

impl Group {
    /// A group whose Merkle tree is still to be made by [`Group::refresh`].
    pub(super) fn unhashed(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    /// Reads a group and checks it against the hash the level above holds.
    pub(super) fn load<S: NodeStore + ?Sized>(
        suite: Suite,
        store: &S,
        table: TableId,
        level: u8,
        place: Place,
    ) -> Result<Self, TreeError<S::Error>> {
        let limit = GROUP_ENTRIES_MAX + 1;
        let nodes = store
            .range(table, level, &place.name, place.end.as_deref(), limit)
            .map_err(TreeError::Store)?;
        let corrupt = |what| TreeError::Corrupt {
            table,
            level,
            name: place.name.to_vec(),
            what,
        };
        let mut entries = Vec::with_capacity(nodes.len() + 1);
        if level == 0 && place.name.is_empty() {
            entries.push(Entry::sentinel(suite));
        }
        for (key, hash) in nodes {
            if key.len() > super::KEY_LEN_MAX {
                return Err(corrupt("a key is too long"));
            }
            entries.push(Entry::new(suite, level, key, hash));
        }
        if entries.len() > GROUP_ENTRIES_MAX {
            return Err(corrupt("it holds too many entries"));
        }
        if entries.first().is_none_or(|first| first.key != place.name) {
            return Err(corrupt("its first entry is missing"));
        }
        if !entries.is_sorted_by(|a, b| a.key < b.key) {
            return Err(corrupt("its entries are out of order"));
        }
        let mut group = Self {
            entries,
            ..Self::default()
        };
        group.refresh(suite, 0, group.entries.len());
        if group.hash(suite, level) != place.hash {
            return Err(corrupt("its entries do not give its hash"));
        }
        group.end = place.end;
        Ok(group)
    }

    /// First key.
    pub(super) fn name(&self) -> &[u8] {
        self.entries.first().map_or(&[], |first| &first.key)
    }

    /// Group hash, from refreshed layers.
    pub(super) fn hash(&self, suite: Suite, level: u8) -> Hash {
        group_hash(
            suite,
            level,
            self.entries.len(),
            &self.merkle_root(),
            self.name(),
        )
    }

    /// Root of the Merkle tree over the entries.
    fn merkle_root(&self) -> Hash {
        let top = self.layers.last();
        let only = self.entries.first().map(|entry| &entry.leaf);
        top.or(only).copied().unwrap_or(Hash::ZERO)
    }

    /// Recomputes the layers over the changed leaves `from..to`. A change of length takes `to` to the end.
    pub(super) fn refresh(&mut self, suite: Suite, from: usize, to: usize) {
        let old = std::mem::take(&mut self.layers);
        let mut old_layers = layers_of(self.hashed);
        let mut nodes: Vec<Hash> =
            Vec::with_capacity(layers_of(self.entries.len()).map(|l| l.len()).sum());
        let (mut from, mut to) = (from, to.max(from + 1));
        let mut below = 0..0;
        for layer in layers_of(self.entries.len()) {
            let kept = old_layers
                .next()
                .and_then(|at| old.get(at))
                .unwrap_or_default();
            from = (from / 2).min(kept.len()).min(layer.len());
            to = to.div_ceil(2).min(layer.len());
            if kept.len() != layer.len() {
                to = layer.len();
            }
            nodes.extend_from_slice(kept.get(..from).unwrap_or_default());
            for at in from..to {
                let child = |at: usize| match below.len() {
                    0 => self.entries.get(at).map(|entry| entry.leaf),
                    len => nodes.get(below.start + at).copied().filter(|_| at < len),
                };
                nodes.push(match (child(2 * at), child(2 * at + 1)) {
                    (Some(left), Some(right)) => node_hash(suite, &left, &right),
                    (Some(lone), None) => lone,
                    _ => Hash::ZERO,
                });
            }
            nodes.extend_from_slice(kept.get(to..layer.len()).unwrap_or_default());
            below = layer;
        }
        self.layers = nodes;
        self.hashed = self.entries.len();
    }

    /// Roots of the subtrees that cover all entries outside `from..to`, left to right.
    pub(super) fn cover(&self, from: usize, to: usize) -> Vec<Hash> {
        let mut hashes = Vec::new();
        self.cover_part(0, self.entries.len(), from, to, &mut hashes);
        hashes
    }

    fn cover_part(&self, low: usize, high: usize, from: usize, to: usize, out: &mut Vec<Hash>) {
        if high <= from || low >= to {
            out.extend(self.subtree(low, high));
        } else if high - low > 1 {
            let middle = low + split_point(high - low);
            self.cover_part(low, middle, from, to, out);
            self.cover_part(middle, high, from, to, out);
        }
    }

    /// Root of the RFC 6962 subtree over the entries `low..high`.
    fn subtree(&self, low: usize, high: usize) -> Option<Hash> {
        let height = (high - low).next_power_of_two().ilog2() as usize;
        match height.checked_sub(1) {
            None => self.entries.get(low).map(|entry| entry.leaf),
            Some(layer) => {
                let layer = layers_of(self.hashed).nth(layer)?;
                self.layers.get(layer)?.get(low >> height).copied()
            }
        }
    }

    /// Where the child group that holds `key` lies; this group is on the level above it.
    pub(super) fn child(&self, key: &[u8]) -> Option<Place> {
        self.place_at(self.entries.partition_point(|entry| &*entry.key <= key))
    }

    /// Where the child group just before the key `name` lies, if it is in this group.
    pub(super) fn child_before(&self, name: &[u8]) -> Option<Place> {
        self.place_at(self.entries.partition_point(|entry| &*entry.key < name))
    }

    /// Where the last child group lies whose index is below `after`.
    pub(super) fn place_at(&self, after: usize) -> Option<Place> {
        let entry = self.entries.get(after.checked_sub(1)?)?;
        let next = self.entries.get(after).map(|next| &next.key);
        Some(Place {
            name: entry.key.clone(),
            end: next.or(self.end.as_ref()).cloned(),
            hash: entry.hash,
        })
    }
}

/// Where the layers over so many leaves lie, bottom first.
fn layers_of(leaves: usize) -> impl Iterator<Item = Range<usize>> {
    let mut below = leaves;
    let mut start = 0;
    std::iter::from_fn(move || {
        if below < 2 {
            return None;
        }
        below = below.div_ceil(2);
        let layer = start..start + below;
        start = layer.end;
        Some(layer)
    })
}
