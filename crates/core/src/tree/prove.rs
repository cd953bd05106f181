//! Making proofs from stored nodes.

use super::error::TreeError;
use super::group::{Entry, Group, Place};
use super::node::{empty_table_root, table_root};
use super::path::{LevelPath, Path};
use super::proof::{AbsenceProof, PresenceProof, ProvenRow, RANGE_ROWS_MAX, RangeProof};
use super::store::NodeStore;
use super::update::read_top;
use crate::hash::{Hash, Suite};
use crate::schema::TableId;

/// Makes proofs about one table from what a store holds, now or as of an older height.
///
/// The store must not change while a proof is made. Every group read is checked against its hash.
#[derive(Clone, Copy, Debug)]
pub struct Prover<'s, S: ?Sized> {
    suite: Suite,
    store: &'s S,
    table: TableId,
}

/// A range proof, or the first part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRange {
    /// Proves the rows from the start asked for up to `next`, or to the end asked for.
    pub proof: RangeProof,
    /// Where the next proof starts, when there were more rows than the limit.
    pub next: Option<Vec<u8>>,
}

/// A place in level 0 with the groups above it, from level 0 up.
#[derive(Clone, Debug)]
struct Cursor {
    levels: Vec<(Group, usize)>,
}

impl<'s, S: NodeStore + ?Sized> Prover<'s, S> {
    /// A prover of a table.
    #[must_use]
    pub fn new(suite: Suite, store: &'s S, table: TableId) -> Self {
        Self {
            suite,
            store,
            table,
        }
    }

    /// Root of the table.
    ///
    /// # Errors
    /// When the store fails.
    pub fn root(&self) -> Result<Hash, TreeError<S::Error>> {
        let (height, top) = read_top(self.store, self.table).map_err(TreeError::Store)?;
        Ok(match height {
            0 => empty_table_root(self.suite, self.table),
            _ => table_root(self.suite, self.table, height, &top),
        })
    }

    /// Hash of the row with this key and the proof that it is there; none when it is not.
    ///
    /// # Errors
    /// When the store fails or its nodes are damaged.
    pub fn presence(
        &self,
        key: &[u8],
    ) -> Result<Option<(Hash, PresenceProof)>, TreeError<S::Error>> {
        if key.is_empty() {
            return Ok(None);
        }
        let cursor =
            self.seek(|group| group.entries.partition_point(|entry| *entry.key <= *key))?;
        let found = cursor.entry().filter(|entry| *entry.key == *key);
        Ok(found.map(|entry| {
            let path = cursor.path_to(&cursor);
            (entry.hash, PresenceProof { path })
        }))
    }

    /// Proof that no row has this key; none when one has.
    ///
    /// # Errors
    /// When the store fails or its nodes are damaged.
    pub fn absence(&self, key: &[u8]) -> Result<Option<AbsenceProof>, TreeError<S::Error>> {
        let mut to = key.to_vec();
        to.push(0);
        let around = self.range(key, Some(&to), 1)?.proof;
        let absent = !key.is_empty() && around.rows.is_empty();
        Ok(absent.then_some(AbsenceProof { around }))
    }

    /// Proof of all rows with `from <= key < to`, at most `limit` and [`RANGE_ROWS_MAX`] of them (at
    /// least one); an empty `from` and a missing `to` leave that end open.
    ///
    /// # Errors
    /// When the store fails or its nodes are damaged.
    pub fn range(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<ProvenRange, TreeError<S::Error>> {
        let limit = limit.clamp(1, RANGE_ROWS_MAX);
        // The sentinel itself lies before every range.
        let before = |group: &Group| {
            group
                .entries
                .partition_point(|entry| *entry.key < *from)
                .max(1)
        };
        let first = self.seek(before)?;
        let mut last = first.clone();
        let (mut rows, mut after, mut next) = (Vec::new(), None, None);
        while self.advance(&mut last)? {
            let Some(entry) = last.entry() else { break };
            let inside = to.is_none_or(|to| *entry.key < *to);
            if !inside || rows.len() == limit {
                next = inside.then(|| entry.key.to_vec());
                after = Some(entry.to_row());
                break;
            }
            rows.push(entry.to_row());
        }
        let before = first.entry().filter(|entry| !entry.key.is_empty());
        let proof = RangeProof {
            before: before.map(Entry::to_row),
            rows,
            after,
            path: first.path_to(&last),
        };
        Ok(ProvenRange { proof, next })
    }

    /// Goes down from the top; `after` says, of a group, the index after the entry to take.
    fn seek(&self, after: impl Fn(&Group) -> usize) -> Result<Cursor, TreeError<S::Error>> {
        let (height, hash) = read_top(self.store, self.table).map_err(TreeError::Store)?;
        if height == 0 {
            let mut group = Group::unhashed(vec![Entry::sentinel(self.suite)]);
            group.refresh(self.suite, 0, 1);
            return Ok(Cursor {
                levels: vec![(group, 0)],
            });
        }
        let mut place = Place::top(hash);
        let mut levels = Vec::new();
        for level in (0..height).rev() {
            let group = Group::load(self.suite, self.store, self.table, level, place.clone())?;
            let at = after(&group).saturating_sub(1);
            if let Some(child) = group.place_at(at + 1) {
                place = child;
            }
            levels.push((group, at));
        }
        levels.reverse();
        Ok(Cursor { levels })
    }

    /// Moves to the next entry of level 0; false at the end of the table.
    fn advance(&self, cursor: &mut Cursor) -> Result<bool, TreeError<S::Error>> {
        let more = |(group, at): &(Group, usize)| at + 1 < group.entries.len();
        let Some(turn) = cursor.levels.iter().position(more) else {
            return Ok(false);
        };
        let mut place = None;
        let levels = (0..=u8::MAX).zip(&mut cursor.levels).take(turn + 1);
        for (level, (group, at)) in levels.collect::<Vec<_>>().into_iter().rev() {
            match place.take() {
                None => *at += 1,
                Some(place) => {
                    *group = Group::load(self.suite, self.store, self.table, level, place)?;
                    *at = 0;
                }
            }
            place = group.place_at(*at + 1);
        }
        Ok(true)
    }
}

impl Cursor {
    fn entry(&self) -> Option<&Entry> {
        let (group, at) = self.levels.first()?;
        group.entries.get(*at)
    }

    /// The path of the stretch from here to `last`.
    fn path_to(&self, last: &Self) -> Path {
        let levels = self.levels.iter().zip(&last.levels);
        Path {
            levels: levels
                .map(|((first, from), (last, to))| {
                    let hashes = if first.name() == last.name() {
                        first.cover(*from, to + 1)
                    } else {
                        let mut hashes = first.cover(*from, first.entries.len());
                        hashes.extend(last.cover(0, to + 1));
                        hashes
                    };
                    let name = if *from == 0 { &[] } else { first.name() };
                    LevelPath {
                        before: in_group(*from),
                        after: in_group(last.entries.len().saturating_sub(to + 1)),
                        name: name.to_vec(),
                        hashes,
                    }
                })
                .collect(),
        }
    }
}

impl Entry {
    fn to_row(&self) -> ProvenRow {
        ProvenRow {
            key: self.key.to_vec(),
            row_hash: self.hash,
        }
    }
}

fn in_group(entries: usize) -> u16 {
    u16::try_from(entries).expect("at most GROUP_ENTRIES_MAX entries")
}
