//! A table's tree in one go from its rows, in memory that does not grow with them.

use std::convert::Infallible;

use super::error::TreeError;
use super::node::{
    GROUP_ENTRIES_MAX, empty_table_root, group_hash, leaf_hash, node_hash, rank, table_root,
};
use super::store::{NodeChange, NodeStoreMut};
use super::update::check_key;
use crate::hash::{Hash, Suite};
use crate::schema::TableId;

/// Root of the table that holds `rows`, given in strictly ascending order of key.
///
/// # Errors
/// For keys out of order or of a bad length, and when a group passes its cap.
pub fn build<K: AsRef<[u8]>>(
    suite: Suite,
    table: TableId,
    rows: impl IntoIterator<Item = (K, Hash)>,
) -> Result<Hash, TreeError<Infallible>> {
    let mut builder = Builder::new(suite, table);
    for (key, row_hash) in rows {
        builder.push(key.as_ref(), &row_hash)?;
    }
    builder.finish()
}

/// Writes the tree of `rows`, given in strictly ascending order of key, into a store that holds no
/// node of the table; gives its root.
///
/// # Errors
/// As [`build`], and when the store fails. What was written must then be rolled back.
pub fn build_into<S: NodeStoreMut + ?Sized, K: AsRef<[u8]>>(
    suite: Suite,
    store: &mut S,
    table: TableId,
    rows: impl IntoIterator<Item = (K, Hash)>,
) -> Result<Hash, TreeError<S::Error>> {
    let mut builder = Builder::new(suite, table);
    let mut write = |level: u8, key: &[u8], hash: Hash| {
        let (old, new) = (None, Some(hash));
        let change = NodeChange {
            table,
            level,
            key,
            old,
            new,
        };
        store.write(&[change])
    };
    for (key, row_hash) in rows {
        builder.push_with(key.as_ref(), &row_hash, &mut write)?;
    }
    builder.finish_with(&mut write)
}

/// Takes rows one by one and gives the table's root.
///
/// It holds one open group a level, each as the few hashes of its Merkle tree's right edge.
#[derive(Clone, Debug)]
pub struct Builder {
    suite: Suite,
    table: TableId,
    last_key: Vec<u8>,
    levels: Vec<OpenGroup>,
}

/// The group a level is at.
#[derive(Clone, Debug)]
struct OpenGroup {
    name: Vec<u8>,
    count: usize,
    /// Roots of complete subtrees, the widest first: one for each bit set in `count`.
    peaks: Vec<Hash>,
    /// Whether the level already has a closed group.
    follows: bool,
}

impl Builder {
    /// Starts an empty table.
    #[must_use]
    pub fn new(suite: Suite, table: TableId) -> Self {
        let mut sentinel = OpenGroup::new(Vec::new(), false);
        sentinel.push(suite, leaf_hash(suite, 0, &[], &Hash::ZERO));
        Self {
            suite,
            table,
            last_key: Vec::new(),
            levels: vec![sentinel],
        }
    }

    /// Adds the next row.
    ///
    /// # Errors
    /// For a key out of order or of a bad length, and when a group passes its cap.
    pub fn push(&mut self, key: &[u8], row_hash: &Hash) -> Result<(), TreeError<Infallible>> {
        self.push_with(key, row_hash, &mut |_, _, _| Ok(()))
    }

    /// Root of the rows given.
    ///
    /// # Errors
    /// When a group passes its cap.
    pub fn finish(self) -> Result<Hash, TreeError<Infallible>> {
        self.finish_with(&mut |_, _, _| Ok(()))
    }

    /// Adds the next row, and gives `write` each node (level, key, hash) that is complete with it.
    ///
    /// # Errors
    /// As [`Self::push`], and what `write` fails with.
    pub fn push_with<E>(
        &mut self,
        key: &[u8],
        row_hash: &Hash,
        write: &mut impl FnMut(u8, &[u8], Hash) -> Result<(), E>,
    ) -> Result<(), TreeError<E>> {
        check_key(self.table, &self.last_key, key)?;
        let rank = rank(self.suite, self.table, key);
        // Groups the key ends, from the lowest level up: each becomes an entry of the level above.
        for level in 0..rank {
            self.close(level, Some(key), write)?;
        }
        self.add(0, key, *row_hash, write)?;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// Root of the rows given; gives `write` the nodes that are left.
    ///
    /// # Errors
    /// As [`Self::finish`], and what `write` fails with.
    pub fn finish_with<E>(
        mut self,
        write: &mut impl FnMut(u8, &[u8], Hash) -> Result<(), E>,
    ) -> Result<Hash, TreeError<E>> {
        if self.last_key.is_empty() {
            return Ok(empty_table_root(self.suite, self.table));
        }
        let mut level = 0;
        loop {
            let hash = self.close(level, None, write)?;
            level += 1;
            let alone = self
                .levels
                .get(usize::from(level))
                .is_none_or(|group| group.count == 1 && !group.follows);
            if alone {
                return Ok(table_root(self.suite, self.table, level, &hash));
            }
        }
    }

    /// Ends a level's group and adds it to the level above; `next` names the group that follows.
    fn close<E>(
        &mut self,
        level: u8,
        next: Option<&[u8]>,
        write: &mut impl FnMut(u8, &[u8], Hash) -> Result<(), E>,
    ) -> Result<Hash, TreeError<E>> {
        let fresh = OpenGroup::new(next.unwrap_or_default().to_vec(), true);
        let Some(open) = self.levels.get_mut(usize::from(level)) else {
            return Ok(Hash::ZERO);
        };
        let group = std::mem::replace(open, fresh);
        let hash = group.hash(self.suite, level);
        self.add(level + 1, &group.name, hash, write)?;
        Ok(hash)
    }

    fn add<E>(
        &mut self,
        level: u8,
        key: &[u8],
        hash: Hash,
        write: &mut impl FnMut(u8, &[u8], Hash) -> Result<(), E>,
    ) -> Result<(), TreeError<E>> {
        write(level, key, hash).map_err(TreeError::Store)?;
        if self.levels.len() <= usize::from(level) {
            self.levels.push(OpenGroup::new(key.to_vec(), false));
        }
        let Some(open) = self.levels.get_mut(usize::from(level)) else {
            return Ok(());
        };
        open.push(self.suite, leaf_hash(self.suite, level, key, &hash));
        if open.count > GROUP_ENTRIES_MAX {
            return Err(TreeError::GroupTooLarge {
                table: self.table,
                level,
                name: open.name.clone(),
                entries: open.count,
            });
        }
        Ok(())
    }
}

impl OpenGroup {
    fn new(name: Vec<u8>, follows: bool) -> Self {
        Self {
            name,
            count: 0,
            peaks: Vec::new(),
            follows,
        }
    }

    fn push(&mut self, suite: Suite, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.count.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(suite, &left, &node);
            }
        }
        self.peaks.push(node);
        self.count += 1;
    }

    fn hash(&self, suite: Suite, level: u8) -> Hash {
        let root = self
            .peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(suite, &left, &right));
        let root = root.unwrap_or(Hash::ZERO);
        group_hash(suite, level, self.count, &root, &self.name)
    }
}
