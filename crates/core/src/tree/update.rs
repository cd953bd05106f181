//! Changing a stored tree.
//!
//! A batch climbs the levels: on each, the groups that hold a changed key are read, merged with the
//! changes and cut anew; the groups that come of it are the changes of the level above. Everything is
//! read from the tree as it was and written at the end, so a batch that is refused has written nothing.

use std::collections::BTreeMap;

use super::cache::Cache;
use super::error::TreeError;
use super::group::{Entry, Group, Place};
use super::node::{HEIGHT_MAX, KEY_LEN_MAX, empty_table_root, table_root};
use super::node_key::NodeKey;
use super::run::{Change, Run, Write};
use super::store::{NodeChange, NodeStore, NodeStoreMut};
use crate::hash::{Hash, Suite};
use crate::schema::TableId;

/// Most tables whose tops are remembered between updates.
const TOPS_MAX: usize = 4_096;
/// Nodes read at once when a table is cleared.
const CLEAR_NODES_MAX: usize = 4_096;

/// The trees of a ledger's tables, over nodes the caller stores.
///
/// It remembers groups it has read or written, at most [`CACHE_ROWS_MAX`](super::CACHE_ROWS_MAX) and
/// [`CACHE_ENTRIES_MAX`](super::CACHE_ENTRIES_MAX) entries,
/// so it must be the only one that writes the store's nodes, and **[`Tree::discard`] must be called
/// whenever the store is rolled back**, wholly or to a savepoint. A forgotten discard shows as
/// [`TreeError::Corrupt`] at the earliest and as a wrong root at the latest.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    suite: Suite,
    cache: Cache,
    tops: BTreeMap<TableId, Top>,
}

/// The highest stored node of a table: `height` is its level, 0 for an empty table.
#[derive(Clone, Copy, Debug)]
struct Top {
    height: u8,
    hash: Hash,
}

/// What an update gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated {
    /// The table's new root.
    pub root: Hash,
    /// How many entries the rewritten groups hold together: the cost of the update, the same on
    /// every node whatever it had in memory.
    pub entries_touched: u64,
}

impl Tree {
    /// A tree that remembers nothing yet.
    #[must_use]
    pub fn new(suite: Suite) -> Self {
        Self {
            suite,
            ..Self::default()
        }
    }

    /// Forgets everything remembered of the store. To be called after every roll-back of it.
    pub fn discard(&mut self) {
        self.cache = Cache::default();
        self.tops.clear();
    }

    /// Root of a table.
    ///
    /// # Errors
    /// When the store fails or its nodes are damaged.
    pub fn root<S: NodeStore + ?Sized>(
        &mut self,
        store: &S,
        table: TableId,
    ) -> Result<Hash, TreeError<S::Error>> {
        let top = self.top(store, table)?;
        Ok(self.root_of(table, top))
    }

    /// Applies changes to a table: each key gets a row hash, or is removed. Keys ascend strictly;
    /// removing a key that is not there does nothing.
    ///
    /// # Errors
    /// [`TreeError::GroupTooLarge`] when a group would pass its cap, and [`TreeError::KeyLength`] and
    /// [`TreeError::NotAscending`] for bad keys; none of these has written anything. After
    /// [`TreeError::Store`] the store must be rolled back. Every error discards what is remembered.
    pub fn update<S: NodeStoreMut + ?Sized, K: AsRef<[u8]>>(
        &mut self,
        store: &mut S,
        table: TableId,
        changes: &[(K, Option<Hash>)],
    ) -> Result<Updated, TreeError<S::Error>> {
        let updated = self.try_update(store, table, changes);
        if updated.is_err() {
            self.discard();
        }
        updated
    }

    /// Removes every node of a table, as when it is dropped.
    ///
    /// # Errors
    /// When the store fails; it must then be rolled back.
    pub fn clear<S: NodeStoreMut + ?Sized>(
        &mut self,
        store: &mut S,
        table: TableId,
    ) -> Result<(), TreeError<S::Error>> {
        self.cache.forget_table(table);
        self.tops.remove(&table);
        for level in 0..=HEIGHT_MAX {
            loop {
                let nodes = store
                    .range(table, level, &[], None, CLEAR_NODES_MAX)
                    .map_err(TreeError::Store)?;
                let removals: Vec<NodeChange<'_>> = nodes
                    .iter()
                    .map(|(key, hash)| NodeChange {
                        table,
                        level,
                        key,
                        old: Some(*hash),
                        new: None,
                    })
                    .collect();
                store.write(&removals).map_err(TreeError::Store)?;
                if nodes.len() < CLEAR_NODES_MAX {
                    break;
                }
            }
        }
        Ok(())
    }

    fn try_update<S: NodeStoreMut + ?Sized, K: AsRef<[u8]>>(
        &mut self,
        store: &mut S,
        table: TableId,
        changes: &[(K, Option<Hash>)],
    ) -> Result<Updated, TreeError<S::Error>> {
        let mut changes = checked(table, changes)?;
        let top = self.top(store, table)?;
        let mut batch = Batch::default();
        let mut level = 0;
        let mut new_top = loop {
            if changes.is_empty() {
                break top;
            }
            if level < top.height {
                changes = self.update_level(store, table, level, top, changes, &mut batch)?;
            } else {
                match self.add_level(table, level, top, changes, &mut batch)? {
                    Level::Top(top) => break top,
                    Level::Groups(names) => changes = names,
                }
            }
            level += 1;
        };
        let writes = batch.writes.iter().map(|write| write.node_change(table));
        let writes: Vec<NodeChange<'_>> = writes.collect();
        store.write(&writes).map_err(TreeError::Store)?;
        for (level, group) in batch.groups {
            self.cache.insert(table, level, group);
        }
        self.remember_top(table, new_top);
        self.shrink(store, table, &mut new_top)?;
        Ok(Updated {
            root: self.root_of(table, new_top),
            entries_touched: batch.entries_touched,
        })
    }

    /// Applies changes to a level that has groups; gives the changes of the level above.
    fn update_level<S: NodeStore + ?Sized>(
        &mut self,
        store: &S,
        table: TableId,
        level: u8,
        top: Top,
        changes: Vec<Change>,
        batch: &mut Batch,
    ) -> Result<Vec<Change>, TreeError<S::Error>> {
        let mut above = Vec::new();
        let mut run = Run::new(self.suite, table, level);
        let mut changes = changes.into_iter().peekable();
        while let Some(change) = changes.peek() {
            let group = self.take(store, table, level, top, &change.key)?;
            let first_removed = change.hash.is_none() && *change.key == *group.name();
            if !run.reaches(group.name()) {
                let done = std::mem::replace(&mut run, Run::new(self.suite, table, level));
                done.finish(batch, &mut above)?;
                if first_removed {
                    // What is left of the group joins the one before it.
                    let place = self.place_before(store, table, level, top, group.name())?;
                    let before = self.take_at(store, table, level, place)?;
                    run.merge(before, &mut std::iter::empty().peekable(), batch)?;
                }
            }
            run.merge(group, &mut changes, batch)?;
        }
        run.finish(batch, &mut above)?;
        Ok(above)
    }

    /// Applies changes to the level above the highest groups, which may so get groups itself.
    fn add_level<E>(
        &mut self,
        table: TableId,
        level: u8,
        top: Top,
        changes: Vec<Change>,
        batch: &mut Batch,
    ) -> Result<Level, TreeError<E>> {
        let mut entries = Vec::new();
        if level == 0 {
            entries.push(Entry::sentinel(self.suite));
        } else if level == top.height {
            entries.push(Entry::new(self.suite, level, NodeKey::default(), top.hash));
        }
        let mut run = Run::new(self.suite, table, level);
        let mut changes = changes.into_iter().peekable();
        run.merge(Group::unhashed(entries), &mut changes, batch)?;
        if let Some(only) = run.only_entry() {
            return Ok(Level::Top(Top {
                height: level,
                hash: only.hash,
            }));
        }
        let mut above = Vec::new();
        run.finish(batch, &mut above)?;
        Ok(Level::Groups(above))
    }

    /// Drops levels that deletions have left with a single entry above another single group.
    fn shrink<S: NodeStoreMut + ?Sized>(
        &mut self,
        store: &mut S,
        table: TableId,
        top: &mut Top,
    ) -> Result<(), TreeError<S::Error>> {
        while let Some(level) = top.height.checked_sub(1) {
            let place = Place::top(top.hash);
            let only = self.read(store, table, level, place, |group| {
                match group.entries.as_slice() {
                    [only] => Some(only.hash),
                    _ => None,
                }
            })?;
            let Some(hash) = only else { break };
            self.cache.take(table, level, &[]);
            let change = NodeChange {
                table,
                level: top.height,
                key: &[],
                old: Some(top.hash),
                new: None,
            };
            store.write(&[change]).map_err(TreeError::Store)?;
            *top = Top {
                height: level,
                hash,
            };
            self.remember_top(table, *top);
        }
        Ok(())
    }

    fn root_of(&self, table: TableId, top: Top) -> Hash {
        match top.height {
            0 => empty_table_root(self.suite, table),
            height => table_root(self.suite, table, height, &top.hash),
        }
    }

    fn top<S: NodeStore + ?Sized>(
        &mut self,
        store: &S,
        table: TableId,
    ) -> Result<Top, TreeError<S::Error>> {
        if let Some(top) = self.tops.get(&table) {
            return Ok(*top);
        }
        let (height, hash) = read_top(store, table).map_err(TreeError::Store)?;
        let top = Top { height, hash };
        self.remember_top(table, top);
        Ok(top)
    }

    fn remember_top(&mut self, table: TableId, top: Top) {
        if self.tops.len() >= TOPS_MAX {
            self.tops.clear();
        }
        self.tops.insert(table, top);
    }

    /// Looks at a group, keeping it in memory.
    fn read<S: NodeStore + ?Sized, R>(
        &mut self,
        store: &S,
        table: TableId,
        level: u8,
        place: Place,
        look: impl FnOnce(&Group) -> R,
    ) -> Result<R, TreeError<S::Error>> {
        if let Some(group) = self.cache.get(table, level, &place.name) {
            return Ok(look(group));
        }
        let group = Group::load(self.suite, store, table, level, place)?;
        let seen = look(&group);
        self.cache.insert(table, level, group);
        Ok(seen)
    }

    /// Takes the group of a level that holds `key` out of memory or reads it.
    fn take<S: NodeStore + ?Sized>(
        &mut self,
        store: &S,
        table: TableId,
        level: u8,
        top: Top,
        key: &[u8],
    ) -> Result<Group, TreeError<S::Error>> {
        if let Some(group) = self.cache.take(table, level, key) {
            return Ok(group);
        }
        let place = self.place(store, table, level, top, key)?;
        Group::load(self.suite, store, table, level, place)
    }

    fn take_at<S: NodeStore + ?Sized>(
        &mut self,
        store: &S,
        table: TableId,
        level: u8,
        place: Place,
    ) -> Result<Group, TreeError<S::Error>> {
        match self.cache.take(table, level, &place.name) {
            Some(group) => Ok(group),
            None => Group::load(self.suite, store, table, level, place),
        }
    }

    /// Where the group of a level that holds `key` lies.
    fn place<S: NodeStore + ?Sized>(
        &mut self,
        store: &S,
        table: TableId,
        level: u8,
        top: Top,
        key: &[u8],
    ) -> Result<Place, TreeError<S::Error>> {
        if level + 1 >= top.height {
            return Ok(Place::top(top.hash));
        }
        if let Some(parent) = self.cache.get(table, level + 1, key) {
            return parent.child(key).ok_or_else(|| lost(table, level, key));
        }
        let parent = self.place(store, table, level + 1, top, key)?;
        self.read(store, table, level + 1, parent, |group| group.child(key))?
            .ok_or_else(|| lost(table, level, key))
    }

    /// Where the group of a level that ends at the group `name` lies.
    fn place_before<S: NodeStore + ?Sized>(
        &mut self,
        store: &S,
        table: TableId,
        level: u8,
        top: Top,
        name: &[u8],
    ) -> Result<Place, TreeError<S::Error>> {
        if level + 1 >= top.height {
            return Err(lost(table, level, name));
        }
        let mut parent = self.place(store, table, level + 1, top, name)?;
        if *parent.name == *name {
            parent = self.place_before(store, table, level + 1, top, name)?;
        }
        self.read(store, table, level + 1, parent, |group| {
            group.child_before(name)
        })?
        .ok_or_else(|| lost(table, level, name))
    }
}

/// What a batch will write and keep, once all of it is known to be allowed.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    pub(super) groups: Vec<(u8, Group)>,
    pub(super) entries_touched: u64,
}

enum Level {
    Top(Top),
    Groups(Vec<Change>),
}

fn lost<E>(table: TableId, level: u8, key: &[u8]) -> TreeError<E> {
    TreeError::Corrupt {
        table,
        level,
        name: key.to_vec(),
        what: "the level above does not lead to it",
    }
}

/// Level and hash of a table's highest node; level 0 for an empty table.
pub(super) fn read_top<S: NodeStore + ?Sized>(
    store: &S,
    table: TableId,
) -> Result<(u8, Hash), S::Error> {
    let mut top = (0, Hash::ZERO);
    for level in 1..=HEIGHT_MAX {
        match store.get(table, level, &[])? {
            Some(hash) => top = (level, hash),
            None => break,
        }
    }
    Ok(top)
}

fn checked<E, K: AsRef<[u8]>>(
    table: TableId,
    changes: &[(K, Option<Hash>)],
) -> Result<Vec<Change>, TreeError<E>> {
    let mut last: &[u8] = &[];
    let mut out = Vec::with_capacity(changes.len());
    for (key, hash) in changes {
        let key = key.as_ref();
        check_key(table, last, key)?;
        out.push(Change {
            key: key.into(),
            hash: *hash,
            rank: None,
        });
        last = key;
    }
    Ok(out)
}

/// Checks a key's length and that it follows the one before.
pub(super) fn check_key<E>(table: TableId, last: &[u8], key: &[u8]) -> Result<(), TreeError<E>> {
    if key.is_empty() || key.len() > KEY_LEN_MAX {
        return Err(TreeError::KeyLength {
            table,
            len: key.len(),
        });
    }
    if key <= last {
        return Err(TreeError::NotAscending {
            table,
            key: key.to_vec(),
        });
    }
    Ok(())
}
