//! Where two versions of a table differ, in reads proportional to the differences.
//!
//! Both trees are walked in order of key. Two groups of one level, name and hash hold the same rows and are
//! passed over; others are opened. Shape follows from the keys alone, so trees meet again
//! right after a difference: d differences take O(d log n) reads.

use std::cmp::Ordering;

use thiserror::Error;

use super::error::TreeError;
use super::group::{Entry, Group, Place};
use super::node::{empty_table_root, table_root};
use super::store::NodeStore;
use super::update::read_top;
use crate::hash::{Hash, Suite};
use crate::schema::TableId;

/// A key whose row differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Encoded primary key.
    pub key: Vec<u8>,
    /// Row hash on the left; none when only the right has the row.
    pub left: Option<Hash>,
    /// Row hash on the right; none when only the left has the row.
    pub right: Option<Hash>,
}

/// Which side could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DiffError<L, R> {
    /// The left store.
    #[error("left side: {0}")]
    Left(TreeError<L>),
    /// The right store.
    #[error("right side: {0}")]
    Right(TreeError<R>),
}

/// The keys at which two stores' versions of a table differ, in ascending order.
///
/// Either store may be remote: every group read is checked against the hash above it, so once
/// [`Diff::left_root`] or [`Diff::right_root`] is known to be right, that side's rows are too. The
/// iterator ends after an error; take as many items as are wanted.
pub struct Diff<'s, L: NodeStore + ?Sized, R: NodeStore + ?Sized> {
    left: Side<'s, L>,
    right: Side<'s, R>,
    failed: bool,
}

/// What one side has still to be compared, the next key last.
struct Side<'s, S: ?Sized> {
    suite: Suite,
    store: &'s S,
    table: TableId,
    root: Hash,
    pending: Vec<Pending>,
}

/// A node of some level still to be compared.
struct Pending {
    level: u8,
    place: Place,
}

impl<'s, L: NodeStore + ?Sized, R: NodeStore + ?Sized> Diff<'s, L, R> {
    /// Starts a comparison.
    ///
    /// # Errors
    /// When a store fails.
    pub fn new(
        suite: Suite,
        left: &'s L,
        right: &'s R,
        table: TableId,
    ) -> Result<Self, DiffError<L::Error, R::Error>> {
        Ok(Self {
            left: Side::new(suite, left, table).map_err(DiffError::Left)?,
            right: Side::new(suite, right, table).map_err(DiffError::Right)?,
            failed: false,
        })
    }

    /// Root of the left version.
    #[must_use]
    pub fn left_root(&self) -> Hash {
        self.left.root
    }

    /// Root of the right version.
    #[must_use]
    pub fn right_root(&self) -> Hash {
        self.right.root
    }

    /// Compares until a difference is found.
    fn find(&mut self) -> Result<Option<Difference>, DiffError<L::Error, R::Error>> {
        loop {
            let (left, right) = (self.left.pending.last(), self.right.pending.last());
            let order = match (left, right) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => left.place.name.cmp(&right.place.name),
            };
            let level = |pending: Option<&Pending>| pending.map_or(0, |pending| pending.level);
            let (left_level, right_level) = (level(left), level(right));
            match order {
                // What lies before the other side's next key is on this side alone.
                Ordering::Less if left_level == 0 => return Ok(self.take(true, false)),
                Ordering::Less => self.left.open().map_err(DiffError::Left)?,
                Ordering::Greater if right_level == 0 => return Ok(self.take(false, true)),
                Ordering::Greater => self.right.open().map_err(DiffError::Right)?,
                Ordering::Equal => match left_level.cmp(&right_level) {
                    Ordering::Greater => self.left.open().map_err(DiffError::Left)?,
                    Ordering::Less => self.right.open().map_err(DiffError::Right)?,
                    Ordering::Equal => {
                        let same = left.map(|at| at.place.hash) == right.map(|at| at.place.hash);
                        if same {
                            self.take(true, true);
                        } else if left_level == 0 {
                            return Ok(self.take(true, true));
                        } else {
                            self.left.open().map_err(DiffError::Left)?;
                            self.right.open().map_err(DiffError::Right)?;
                        }
                    }
                },
            }
        }
    }

    /// Takes the next node of the sides named.
    fn take(&mut self, left: bool, right: bool) -> Option<Difference> {
        let left = left.then(|| self.left.pending.pop()).flatten();
        let right = right.then(|| self.right.pending.pop()).flatten();
        let hash = |pending: &Pending| pending.place.hash;
        let (left_hash, right_hash) = (left.as_ref().map(hash), right.as_ref().map(hash));
        Some(Difference {
            key: left.or(right)?.place.name.to_vec(),
            left: left_hash,
            right: right_hash,
        })
    }
}

impl<'s, S: NodeStore + ?Sized> Side<'s, S> {
    fn new(suite: Suite, store: &'s S, table: TableId) -> Result<Self, TreeError<S::Error>> {
        let (height, hash) = read_top(store, table).map_err(TreeError::Store)?;
        let (root, place) = match height {
            0 => {
                let sentinel = Entry::sentinel(suite);
                (empty_table_root(suite, table), Place::top(sentinel.hash))
            }
            _ => (table_root(suite, table, height, &hash), Place::top(hash)),
        };
        let pending = vec![Pending {
            level: height,
            place,
        }];
        Ok(Self {
            suite,
            store,
            table,
            root,
            pending,
        })
    }

    /// Puts the entries of the next group in its place.
    fn open(&mut self) -> Result<(), TreeError<S::Error>> {
        let Some(next) = self.pending.pop() else {
            return Ok(());
        };
        let level = next.level.saturating_sub(1);
        let group = Group::load(self.suite, self.store, self.table, level, next.place)?;
        let places = (1..=group.entries.len()).rev();
        let places = places.filter_map(|after| group.place_at(after));
        self.pending
            .extend(places.map(|place| Pending { level, place }));
        Ok(())
    }
}

impl<L: NodeStore + ?Sized, R: NodeStore + ?Sized> Iterator for Diff<'_, L, R> {
    type Item = Result<Difference, DiffError<L::Error, R::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let found = self.find();
        self.failed = found.is_err();
        found.transpose()
    }
}
