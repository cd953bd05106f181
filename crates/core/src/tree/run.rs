//! Neighbouring groups of one level while a batch changes them.

use std::iter::Peekable;

use super::error::TreeError;
use super::group::{Entry, Group};
use super::node::{GROUP_ENTRIES_MAX, rank, starts_group};
use super::node_key::NodeKey;
use super::store::NodeChange;
use super::update::Batch;
use crate::hash::{Hash, Suite};
use crate::schema::TableId;

/// A change to one entry of a level.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) key: NodeKey,
    pub(super) hash: Option<Hash>,
    /// The key's rank where it is known already.
    pub(super) rank: Option<u8>,
}

/// A node to be written.
#[derive(Debug)]
pub(super) struct Write {
    level: u8,
    key: NodeKey,
    old: Option<Hash>,
    new: Option<Hash>,
}

impl Write {
    pub(super) fn node_change(&self, table: TableId) -> NodeChange<'_> {
        NodeChange {
            table,
            level: self.level,
            key: &self.key,
            old: self.old,
            new: self.new,
        }
    }
}

/// A stretch of neighbouring old groups and the new groups that take their place.
pub(super) struct Run {
    suite: Suite,
    table: TableId,
    level: u8,
    /// Names of the old groups, ascending.
    old_names: Vec<NodeKey>,
    /// Where the last old group ended.
    end: Option<NodeKey>,
    /// New groups, ascending.
    pieces: Vec<Piece>,
}

/// A new group under way.
struct Piece {
    group: Group,
    rank: Option<u8>,
    /// Entries that differ from those its Merkle tree was made of: from the first to after the last.
    dirty_from: usize,
    dirty_to: usize,
}

impl Run {
    pub(super) fn new(suite: Suite, table: TableId, level: u8) -> Self {
        Self {
            suite,
            table,
            level,
            old_names: Vec::new(),
            end: None,
            pieces: Vec::new(),
        }
    }

    /// Whether the run's last old group ends where the group `name` starts.
    pub(super) fn reaches(&self, name: &[u8]) -> bool {
        self.end.as_deref() == Some(name)
    }

    /// The only entry of the run, if there is just one.
    pub(super) fn only_entry(&self) -> Option<&Entry> {
        match self.pieces.as_slice() {
            [piece] => match piece.group.entries.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            _ => None,
        }
    }

    /// Adds the next old group, with the changes that fall into it.
    pub(super) fn merge<E>(
        &mut self,
        mut group: Group,
        changes: &mut Peekable<impl Iterator<Item = Change>>,
        batch: &mut Batch,
    ) -> Result<(), TreeError<E>> {
        self.end = group.end.take();
        if !group.entries.is_empty() {
            self.old_names.push(group.name().into());
        }
        let mut kept = std::mem::take(&mut group.entries).into_iter();
        let len = kept.len();
        let mut old = Some(group);
        // Whether the newest piece continues this old group, so that indices can be compared.
        let mut in_place = false;
        loop {
            let change = changes.next_if(|change| match &self.end {
                Some(end) => change.key < *end,
                None => true,
            });
            let before = match &change {
                Some(change) => kept
                    .as_slice()
                    .partition_point(|entry| entry.key < change.key),
                None => kept.len(),
            };
            let index = len - kept.len();
            if index == 0 && before > 0 {
                self.continue_group(old.take().unwrap_or_default(), len);
                in_place = true;
            }
            self.keep(&mut kept, before, in_place.then_some(index))?;
            let Some(change) = change else {
                return Ok(());
            };
            let Some(entry) = take_if(&mut kept, &change.key) else {
                in_place &= !self.insert(change, batch)?;
                continue;
            };
            let index = index + before;
            let changed = change.hash != Some(entry.hash);
            if changed {
                batch.writes.push(Write {
                    level: self.level,
                    key: change.key,
                    old: Some(entry.hash),
                    new: change.hash,
                });
            }
            let Some(hash) = change.hash else { continue };
            if index == 0 {
                self.continue_group(old.take().unwrap_or_default(), len);
                in_place = true;
            }
            let entry = Entry::new(self.suite, self.level, entry.key, hash);
            self.append(entry, in_place.then_some(index), changed)?;
        }
    }

    /// Starts a piece that takes over an old group's Merkle tree.
    fn continue_group(&mut self, mut group: Group, entries: usize) {
        group.entries = Vec::with_capacity(entries + 1);
        self.pieces.push(Piece::continuing(group));
    }

    /// Adds the next `count` entries of an old group to the newest piece, as they are. `index` is the
    /// place of the first in the old group that piece continues.
    fn keep<E>(
        &mut self,
        entries: &mut std::vec::IntoIter<Entry>,
        count: usize,
        index: Option<usize>,
    ) -> Result<(), TreeError<E>> {
        let (Some(first), true) = (entries.as_slice().first(), count > 0) else {
            return Ok(());
        };
        let Some(piece) = self.pieces.last_mut() else {
            return Err(self.without_start(&first.key));
        };
        let at = piece.group.entries.len();
        if index != Some(at) {
            piece.dirty_from = piece.dirty_from.min(at);
            piece.dirty_to = at + count;
        }
        piece.group.entries.extend(entries.take(count));
        Ok(())
    }

    fn without_start<E>(&self, key: &[u8]) -> TreeError<E> {
        TreeError::Corrupt {
            table: self.table,
            level: self.level,
            name: key.to_vec(),
            what: "no group starts at or before it",
        }
    }

    /// Adds a new entry; says whether it started a new piece.
    fn insert<E>(&mut self, change: Change, batch: &mut Batch) -> Result<bool, TreeError<E>> {
        let Some(hash) = change.hash else {
            return Ok(false);
        };
        let rank = change
            .rank
            .unwrap_or_else(|| rank(self.suite, self.table, &change.key));
        batch.writes.push(Write {
            level: self.level,
            key: change.key.clone(),
            old: None,
            new: Some(hash),
        });
        let starts = change.key.is_empty() || starts_group(rank, self.level);
        if starts {
            self.pieces.push(Piece::new(rank));
        }
        let entry = Entry::new(self.suite, self.level, change.key, hash);
        self.append(entry, None, true)?;
        Ok(starts)
    }

    /// Adds an entry to the newest piece. `index` is its place in the old group that piece continues.
    fn append<E>(
        &mut self,
        entry: Entry,
        index: Option<usize>,
        changed: bool,
    ) -> Result<(), TreeError<E>> {
        let Some(piece) = self.pieces.last_mut() else {
            return Err(self.without_start(&entry.key));
        };
        let at = piece.group.entries.len();
        if changed || index != Some(at) {
            piece.dirty_from = piece.dirty_from.min(at);
            piece.dirty_to = at + 1;
        }
        piece.group.entries.push(entry);
        Ok(())
    }

    /// Hashes the new groups and gives the changes they make to the level above.
    pub(super) fn finish<E>(
        self,
        batch: &mut Batch,
        above: &mut Vec<Change>,
    ) -> Result<(), TreeError<E>> {
        let mut old_names = self.old_names.into_iter().peekable();
        let mut pieces = self.pieces.into_iter().peekable();
        while let Some(mut piece) = pieces.next() {
            let entries = piece.group.entries.len();
            if entries > GROUP_ENTRIES_MAX {
                return Err(TreeError::GroupTooLarge {
                    table: self.table,
                    level: self.level,
                    name: piece.group.name().to_vec(),
                    entries,
                });
            }
            piece.group.end = match pieces.peek() {
                Some(next) => Some(next.group.name().into()),
                None => self.end.clone(),
            };
            while let Some(name) = old_names.next_if(|name| **name < *piece.group.name()) {
                above.push(Change::removal(name));
            }
            old_names.next_if(|name| **name == *piece.group.name());
            if piece.refresh(self.suite) {
                batch.entries_touched += entries as u64;
                above.push(Change {
                    key: piece.group.name().into(),
                    hash: Some(piece.group.hash(self.suite, self.level)),
                    rank: piece.rank,
                });
            }
            batch.groups.push((self.level, piece.group));
        }
        above.extend(old_names.map(Change::removal));
        Ok(())
    }
}

impl Change {
    fn removal(key: NodeKey) -> Self {
        Self {
            key,
            hash: None,
            rank: None,
        }
    }
}

impl Piece {
    fn new(rank: u8) -> Self {
        Self {
            rank: Some(rank),
            ..Self::continuing(Group::default())
        }
    }

    /// A piece that takes over an old group's Merkle tree; the entries are still to be added.
    fn continuing(group: Group) -> Self {
        Self {
            group,
            rank: None,
            dirty_from: usize::MAX,
            dirty_to: 0,
        }
    }

    /// Brings the Merkle tree up to date; says whether anything had changed.
    fn refresh(&mut self, suite: Suite) -> bool {
        let len = self.group.entries.len();
        if len != self.group.hashed {
            self.dirty_from = self.dirty_from.min(len).min(self.group.hashed);
            self.dirty_to = len;
        }
        let dirty = self.dirty_from < usize::MAX;
        if dirty {
            self.group.refresh(suite, self.dirty_from, self.dirty_to);
        }
        dirty
    }
}

/// Takes the next entry if it has this key.
fn take_if(entries: &mut std::vec::IntoIter<Entry>, key: &[u8]) -> Option<Entry> {
    let next = entries.as_slice().first()?;
    if *next.key == *key {
        entries.next()
    } else {
        None
    }
}
