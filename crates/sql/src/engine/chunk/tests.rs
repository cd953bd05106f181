//! Chunks against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::engine::meta::CREATE;

const LEVEL: (TableId, u8) = (TableId(1000), 1);

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(CREATE).unwrap();
    connection
}

fn key(n: u16) -> Vec<u8> {
    match n {
        0 => Vec::new(),
        // Some long keys among short ones, in the same order.
        n if n % 50 == 0 => [&n.to_be_bytes()[..], &[7; 700]].concat(),
        n => n.to_be_bytes().to_vec(),
    }
}

fn hash(n: u16) -> Hash {
    Hash([n.to_be_bytes()[1]; HASH_LEN])
}

type Model = BTreeMap<Vec<u8>, (Hash, u64)>;

fn all(connection: &Connection, from: &[u8], to: Option<&[u8]>) -> Model {
    let mut found = Model::new();
    let mut last = None;
    visit(connection, LEVEL, from, to, |node| {
        assert!(last.as_deref().is_none_or(|last| last < node.key));
        last = Some(node.key.to_vec());
        found.insert(node.key.to_vec(), (node.hash, node.since));
        true
    })
    .unwrap();
    found
}

/// Every chunk is within its bounds, and the first of a level has the empty name.
fn check_chunks(connection: &Connection) -> usize {
    let mut statement = connection
        .prepare("SELECT level, name, nodes, lead(name) OVER (ORDER BY level, name), lead(level) OVER (ORDER BY level, name) FROM _tree ORDER BY level, name")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    let (mut chunks, mut level) = (0, None);
    while let Some(row) = rows.next().unwrap() {
        let (of, name): (u8, Vec<u8>) = (row.get(0).unwrap(), row.get(1).unwrap());
        let nodes: Vec<u8> = row.get(2).unwrap();
        let end: Option<Vec<u8>> = row.get(3).unwrap();
        let end = end.filter(|_| row.get::<_, Option<u8>>(4).unwrap() == Some(of));
        let nodes_read: Vec<_> = Nodes(&nodes).map(Result::unwrap).collect();
        assert!(!nodes_read.is_empty());
        assert!(nodes.len() <= CHUNK_LEN_MAX || nodes_read.len() == 1);
        assert!(level == Some(of) || name.is_empty());
        for node in nodes_read {
            assert!(node.key >= name.as_slice());
            assert!(end.as_deref().is_none_or(|end| node.key < end));
        }
        level = Some(of);
        chunks += 1;
    }
    chunks
}

fn apply(connection: &Connection, model: &mut Model, edits: &[(u16, Edit)]) {
    let mut editor = Editor::new(connection);
    for (n, edit) in edits {
        let key = key(*n);
        let before = editor.edit(LEVEL, &key, *edit).unwrap();
        assert_eq!(before, model.get(&key).copied());
        match (edit, before) {
            (Edit::Put(hash, since), _) => model.insert(key, (*hash, *since)),
            (Edit::Remove, _) => model.remove(&key),
            (Edit::Stamp(since), Some((hash, _))) => model.insert(key, (hash, *since)),
            (Edit::Stamp(_), None) => None,
        };
    }
    editor.finish().unwrap();
}

fn edit() -> impl Strategy<Value = (u16, Edit)> {
    (0..600u16, 0..8u8, 1..1_000u64).prop_map(|(n, what, since)| {
        let edit = match what {
            0..=4 => Edit::Put(hash(n.wrapping_mul(7).wrapping_add(since as u16)), since),
            5..=6 => Edit::Remove,
            _ => Edit::Stamp(since),
        };
        (n, edit)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edits_in_any_order_and_number_give_what_a_map_gives(
        batches in prop::collection::vec((prop::collection::vec(edit(), 0..120), any::<bool>()), 1..20),
        probes in prop::collection::vec((0..620u16, 0..620u16), 20),
    ) {
        let connection = database();
        let mut model = Model::new();
        // Neighbouring levels do not mix.
        let mut editor = Editor::new(&connection);
        for level in [0, 2] {
            editor.edit((LEVEL.0, level), &key(3), Edit::Put(hash(9), 9)).unwrap();
        }
        editor.finish().unwrap();
        for (mut edits, sorted) in batches {
            if sorted {
                edits.sort_by_key(|(n, _)| *n);
            }
            apply(&connection, &mut model, &edits);
            check_chunks(&connection);
            prop_assert_eq!(&all(&connection, &[], None), &model);
        }
        for (from, to) in probes {
            let (from, to) = (key(from), key(to));
            let expected: Model = model
                .iter()
                .filter(|(key, _)| **key >= from && **key < to)
                .map(|(key, node)| (key.clone(), *node))
                .collect();
            prop_assert_eq!(all(&connection, &from, Some(&to)), expected);
            prop_assert_eq!(get(&connection, LEVEL, &from).unwrap(), model.get(&from).copied());
        }
    }
}

#[test]
fn nodes_added_at_the_end_fill_their_chunks() {
    let connection = database();
    let mut model = Model::new();
    let edits: Vec<_> = (1..3_000u16)
        .filter(|n| n % 50 != 0)
        .map(|n| (n, Edit::Put(hash(n), 1)))
        .collect();
    for batch in edits.chunks(170) {
        apply(&connection, &mut model, batch);
    }
    let per_chunk = CHUNK_LEN_MAX / (NODE_LEN + 2);
    assert_eq!(check_chunks(&connection), edits.len().div_ceil(per_chunk));
}

#[test]
fn a_chunk_that_is_cut_off_is_an_error() {
    let connection = database();
    apply(
        &connection,
        &mut Model::new(),
        &[(1, Edit::Put(hash(1), 1))],
    );
    connection
        .execute(
            "UPDATE _tree SET nodes = substr(nodes, 1, length(nodes) - 1)",
            [],
        )
        .unwrap();
    assert!(get(&connection, LEVEL, &key(1)).is_err());
    assert!(visit(&connection, LEVEL, &[], None, |_| true).is_err());
    assert!(
        Editor::new(&connection)
            .edit(LEVEL, &key(1), Edit::Remove)
            .is_err()
    );
}
