//! Random batches against a map: same rows, same root, same stored nodes, whatever the history.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Draw, SUITE, TABLE, key, row_hash};
use crate::hash::Hash;
use crate::schema::TableId;
use crate::tree::{
    GROUP_ENTRIES_MAX, MemoryStore, Tree, TreeError, build, build_into, empty_table_root, rank,
};

type Rows = BTreeMap<Vec<u8>, Hash>;
type Batch = BTreeMap<Vec<u8>, Option<Hash>>;

fn apply(rows: &mut Rows, batch: &Batch) {
    for (key, hash) in batch {
        match hash {
            Some(hash) => rows.insert(key.clone(), *hash),
            None => rows.remove(key),
        };
    }
}

fn as_changes(batch: &Batch) -> Vec<(Vec<u8>, Option<Hash>)> {
    batch
        .iter()
        .map(|(key, hash)| (key.clone(), *hash))
        .collect()
}

/// Checks the stored nodes and the root against those of a tree built from the rows alone.
fn check(tree: &mut Tree, store: &MemoryStore, rows: &Rows) {
    let mut fresh = MemoryStore::new();
    let root = build_into(SUITE, &mut fresh, TABLE, rows.iter().map(|(k, h)| (k, *h))).unwrap();
    assert_eq!(tree.root(store, TABLE).unwrap(), root);
    assert_eq!(Tree::new(SUITE).root(store, TABLE).unwrap(), root);
    assert_eq!(
        build(SUITE, TABLE, rows.iter().map(|(k, h)| (k, *h))).unwrap(),
        root
    );
    assert!(
        *store == fresh,
        "stored nodes differ from those built in one go"
    );
}

#[test]
fn histories_leave_no_trace() {
    for round in 0..40 {
        let mut draw = Draw(round);
        let span = [40, 500, 5_000, 200_000][(round % 4) as usize];
        let (mut tree, mut store, mut rows) = (Tree::new(SUITE), MemoryStore::new(), Rows::new());
        for step in 0..25 {
            let mut batch = Batch::new();
            let most = [3, 40, 400][draw.below(3) as usize];
            let size = 1 + draw.below(most);
            let deletes = draw.below(10);
            for _ in 0..size {
                let hash = (draw.below(10) >= deletes).then(|| row_hash(draw.below(1 << 40)));
                batch.insert(key(draw.below(span)), hash);
            }
            if draw.below(4) == 0 {
                // Remove what is there, boundaries foremost.
                for (held, _) in rows.iter().filter(|(k, _)| rank(SUITE, TABLE, k) > 0) {
                    batch.insert(held.clone(), None);
                }
            }
            if draw.below(4) == 0 {
                let from = key(draw.below(span));
                for (held, _) in rows.range(from..).take(300) {
                    batch.insert(held.clone(), None);
                }
            }
            if step == 24 && round % 3 == 0 {
                batch = rows.keys().map(|held| (held.clone(), None)).collect();
            }
            apply(&mut rows, &batch);
            let updated = tree.update(&mut store, TABLE, &as_changes(&batch)).unwrap();
            assert_eq!(updated.root, tree.root(&store, TABLE).unwrap());
            if draw.below(5) == 0 {
                tree.discard();
            }
            check(&mut tree, &store, &rows);
        }
    }
}

#[test]
fn ascending_rows_one_by_one() {
    let (mut tree, mut store, mut rows) = (Tree::new(SUITE), MemoryStore::new(), Rows::new());
    for number in 0..3_000 {
        let hash = row_hash(number);
        rows.insert(key(number), hash);
        tree.update(&mut store, TABLE, &[(key(number), Some(hash))])
            .unwrap();
        if number % 500 == 0 {
            check(&mut tree, &store, &rows);
        }
    }
    check(&mut tree, &store, &rows);
    for number in (0..3_000).rev() {
        rows.remove(&key(number));
        tree.update(&mut store, TABLE, &[(key(number), None)])
            .unwrap();
        if number % 500 == 0 {
            check(&mut tree, &store, &rows);
        }
    }
    assert!(store.is_empty());
    assert_eq!(
        tree.root(&store, TABLE).unwrap(),
        empty_table_root(SUITE, TABLE)
    );
}

#[test]
fn cost_does_not_depend_on_memory() {
    let mut store = MemoryStore::new();
    let rows: Vec<_> = (0..20_000)
        .map(|n| (key(n * 7), Some(row_hash(n))))
        .collect();
    let mut tree = Tree::new(SUITE);
    tree.update(&mut store, TABLE, &rows).unwrap();
    let batch: Vec<_> = (0..50)
        .map(|n| (key(n * 2_801), Some(row_hash(n + 9))))
        .collect();
    let mut other = store.clone();
    let warm = tree.update(&mut store, TABLE, &batch).unwrap();
    let cold = Tree::new(SUITE).update(&mut other, TABLE, &batch).unwrap();
    assert_eq!(warm, cold);
    assert!(warm.entries_touched > 0);
}

#[test]
fn clear_removes_every_node() {
    let (mut tree, mut store) = (Tree::new(SUITE), MemoryStore::new());
    let rows: Vec<_> = (0..10_000).map(|n| (key(n), Some(row_hash(n)))).collect();
    tree.update(&mut store, TABLE, &rows).unwrap();
    let other = TableId(2_000);
    let kept = tree.update(&mut store, other, &rows).unwrap();
    tree.clear(&mut store, TABLE).unwrap();
    assert_eq!(
        tree.root(&store, TABLE).unwrap(),
        empty_table_root(SUITE, TABLE)
    );
    assert_eq!(tree.root(&store, other).unwrap(), kept.root);
    tree.clear(&mut store, other).unwrap();
    assert!(store.is_empty());
}

/// Keys without a boundary among them, as a grinding account would pick them.
fn ground_keys(count: usize) -> Vec<Vec<u8>> {
    (0..u64::MAX)
        .map(key)
        .filter(|key| rank(SUITE, TABLE, key) == 0)
        .take(count)
        .collect()
}

#[test]
fn a_group_over_its_cap_is_refused_and_nothing_written() {
    // The sentinel takes one place of the first group.
    let keys = ground_keys(GROUP_ENTRIES_MAX);
    let (full, extra) = keys.split_at(GROUP_ENTRIES_MAX - 1);
    let changes: Vec<_> = full.iter().map(|key| (key, Some(row_hash(1)))).collect();
    let (mut tree, mut store) = (Tree::new(SUITE), MemoryStore::new());
    let before = tree.update(&mut store, TABLE, &changes).unwrap();
    let held = store.clone();
    let refused = tree.update(&mut store, TABLE, &[(&extra[0], Some(row_hash(2)))]);
    assert!(matches!(
        refused,
        Err(TreeError::GroupTooLarge { level: 0, entries, .. }) if entries == GROUP_ENTRIES_MAX + 1
    ));
    assert!(store == held);
    assert_eq!(tree.root(&store, TABLE).unwrap(), before.root);
    // Replacing and removing still work in a full group.
    tree.update(&mut store, TABLE, &[(&full[7], Some(row_hash(3)))])
        .unwrap();
    let swap = [(&full[8], None), (&extra[0], Some(row_hash(2)))];
    tree.update(&mut store, TABLE, &swap).unwrap();
    let rows = keys.iter().map(|key| (key, row_hash(1)));
    assert!(matches!(
        build(SUITE, TABLE, rows),
        Err(TreeError::GroupTooLarge { .. })
    ));
}

#[test]
fn removing_a_boundary_between_two_full_groups_is_refused() {
    let mut keys = ground_keys(6_000);
    let boundary = (1 << 40..)
        .map(key)
        .find(|key| rank(SUITE, TABLE, key) == 1)
        .unwrap();
    keys.push(boundary.clone());
    let after = (1 << 41..)
        .map(key)
        .filter(|key| rank(SUITE, TABLE, key) == 0);
    keys.extend(after.take(6_000));
    let changes: Vec<_> = keys.iter().map(|key| (key, Some(row_hash(1)))).collect();
    let (mut tree, mut store) = (Tree::new(SUITE), MemoryStore::new());
    tree.update(&mut store, TABLE, &changes).unwrap();
    let refused = tree.update(&mut store, TABLE, &[(&boundary, None)]);
    assert!(matches!(refused, Err(TreeError::GroupTooLarge { .. })));
}

#[test]
fn bad_keys_are_refused() {
    let (mut tree, mut store) = (Tree::new(SUITE), MemoryStore::new());
    let hash = Some(row_hash(1));
    let empty = tree.update(&mut store, TABLE, &[(vec![], hash)]);
    assert!(matches!(empty, Err(TreeError::KeyLength { len: 0, .. })));
    let long = tree.update(&mut store, TABLE, &[(vec![1; 768], hash)]);
    assert!(matches!(long, Err(TreeError::KeyLength { len: 768, .. })));
    let twice = tree.update(&mut store, TABLE, &[(key(1), hash), (key(1), hash)]);
    assert!(matches!(twice, Err(TreeError::NotAscending { .. })));
    assert!(store.is_empty());
}

#[test]
fn damage_is_noticed() {
    use crate::tree::{NodeChange, NodeStoreMut};
    let (mut tree, mut store) = (Tree::new(SUITE), MemoryStore::new());
    let rows: Vec<_> = (0..5_000).map(|n| (key(n), Some(row_hash(n)))).collect();
    tree.update(&mut store, TABLE, &rows).unwrap();
    let (at, old) = (key(2_500), Some(row_hash(2_500)));
    for new in [Some(row_hash(1)), None] {
        let mut damaged = store.clone();
        let change = NodeChange {
            table: TABLE,
            level: 0,
            key: &at,
            old,
            new,
        };
        damaged.write(&[change]).unwrap();
        let result = Tree::new(SUITE).update(&mut damaged, TABLE, &[(&at, Some(row_hash(5)))]);
        assert!(matches!(result, Err(TreeError::Corrupt { level: 0, .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_of_any_keys(
        batches in proptest::collection::vec(
            proptest::collection::btree_map(
                proptest::collection::vec(any::<u8>(), 1..3),
                proptest::option::weighted(0.7, any::<u64>()),
                1..200,
            ),
            1..12,
        ),
    ) {
        let (mut tree, mut store, mut rows) = (Tree::new(SUITE), MemoryStore::new(), Rows::new());
        for batch in batches {
            let batch: Batch = batch.into_iter().map(|(k, seed)| (k, seed.map(row_hash))).collect();
            apply(&mut rows, &batch);
            tree.update(&mut store, TABLE, &as_changes(&batch)).unwrap();
            check(&mut tree, &store, &rows);
        }
    }
}
