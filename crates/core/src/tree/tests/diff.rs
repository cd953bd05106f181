//! Differences against those of two maps, and how much is read to find them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use super::{Draw, SUITE, TABLE, key, row_hash, stored};
use crate::hash::Hash;
use crate::schema::TableId;
use crate::tree::{Diff, DiffError, Difference, MemoryStore, Node, NodeStore, Tree, TreeError};

fn differences(left: &MemoryStore, right: &MemoryStore) -> Vec<Difference> {
    let diff = Diff::new(SUITE, left, right, TABLE).unwrap();
    diff.map(Result::unwrap).collect()
}

#[test]
fn differences_are_those_of_the_rows() {
    let mut draw = Draw(11);
    for round in 0..60 {
        let size = [0, 1, 30, 800, 6_000][round % 5];
        let mut left: BTreeMap<_, _> = (0..size)
            .map(|n| (key(draw.below(size * 4)), row_hash(n)))
            .collect();
        let mut right = left.clone();
        for _ in 0..draw.below([4, 40, 2_000][round % 3]) {
            let side = if draw.below(2) == 0 {
                &mut left
            } else {
                &mut right
            };
            let at = key(draw.below(size * 4 + 10));
            if draw.below(2) == 0 {
                side.remove(&at);
            } else {
                side.insert(at, row_hash(draw.below(1 << 30)));
            }
        }
        if round % 10 == 7 {
            right.clear();
        }
        let store = |rows: &BTreeMap<Vec<u8>, Hash>| {
            let mut store = MemoryStore::new();
            let rows: Vec<_> = rows.iter().map(|(key, hash)| (key, Some(*hash))).collect();
            Tree::new(SUITE).update(&mut store, TABLE, &rows).unwrap();
            store
        };
        let mut keys: Vec<_> = left.keys().chain(right.keys()).cloned().collect();
        keys.sort();
        keys.dedup();
        let expected: Vec<_> = keys
            .into_iter()
            .map(|key| Difference {
                left: left.get(&key).copied(),
                right: right.get(&key).copied(),
                key,
            })
            .filter(|difference| difference.left != difference.right)
            .collect();
        assert_eq!(differences(&store(&left), &store(&right)), expected);
    }
}

/// Counts what is read.
struct Counting<'s>(&'s MemoryStore, Cell<usize>);

impl NodeStore for Counting<'_> {
    type Error = Infallible;

    fn get(&self, table: TableId, level: u8, key: &[u8]) -> Result<Option<Hash>, Infallible> {
        self.0.get(table, level, key)
    }

    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Node>, Infallible> {
        self.1.set(self.1.get() + 1);
        self.0.range(table, level, from, to, limit)
    }
}

#[test]
fn few_differences_take_few_reads() {
    let (left, _) = stored(0..100_000);
    let mut right = left.clone();
    let changes = [
        (key(7), None),
        (key(50_000), Some(row_hash(1))),
        (key(200_000), Some(row_hash(2))),
    ];
    Tree::new(SUITE)
        .update(&mut right, TABLE, &changes)
        .unwrap();
    let counting = Counting(&left, Cell::new(0));
    let diff = Diff::new(SUITE, &counting, &right, TABLE).unwrap();
    assert_ne!(diff.left_root(), diff.right_root());
    assert_eq!(diff.count(), 3);
    assert!(counting.1.get() <= 30, "{} groups read", counting.1.get());
    let same = Counting(&left, Cell::new(0));
    assert_eq!(Diff::new(SUITE, &same, &left, TABLE).unwrap().count(), 0);
    assert_eq!(same.1.get(), 0);
}

#[test]
fn a_side_that_lies_is_named() {
    use crate::tree::{NodeChange, NodeStoreMut};
    let (left, _) = stored(0..5_000);
    let mut right = left.clone();
    Tree::new(SUITE)
        .update(&mut right, TABLE, &[(key(100), None)])
        .unwrap();
    let at = key(101);
    let change = NodeChange {
        table: TABLE,
        level: 0,
        key: &at,
        old: None,
        new: Some(row_hash(0)),
    };
    right.write(&[change]).unwrap();
    let mut diff = Diff::new(SUITE, &left, &right, TABLE).unwrap();
    assert!(diff.any(|item| matches!(item, Err(DiffError::Right(TreeError::Corrupt { .. })))));
    assert!(diff.next().is_none());
}
