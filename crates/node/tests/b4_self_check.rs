//! Row B4: what was changed behind a node's back is found and named, whichever file it is in, and nothing
//! but a check of everything takes that back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{OPERATOR, must, rows, start, statement, try_start};
use stele_core::transaction::Payload;
use stele_core::{Hash, Value};
use stele_flow::Runtime;
use stele_node::{AuditReport, Node, NodeError, Offline, verify_directory};

const TABLE: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INTEGER CHECK (n < 100))";
const NO_PROGRESS: &(dyn Fn(u64, u64) + Sync) = &|_, _| {};

fn fill(directory: &Path) {
    fill_with(directory, 20);
}

/// A ledger of a table and some rows, one a block; gives the rows' transactions.
fn fill_with(directory: &Path, count: usize) -> Vec<Hash> {
    let node = start(directory);
    must(&node, &[TABLE]);
    let ids = (1..=count)
        .map(|id| {
            must(
                &node,
                &[&format!("INSERT INTO t VALUES ({id}, 'a{id}', {id} % 100)")],
            )
            .id
        })
        .collect();
    node.stop();
    ids
}

fn flip(file: &Path, offset: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[offset] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn edit(directory: &Path, sql: &str) {
    let state = rusqlite::Connection::open(directory.join("state.db")).unwrap();
    state.execute_batch(sql).unwrap();
}

/// The remedy the messages name: the state is made anew from the blocks.
fn forget_state(directory: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(directory.join(format!("state.db{ending}")));
    }
}

fn verify(directory: &Path) -> AuditReport {
    verify_directory(directory, Offline::default(), &Runtime::real(), NO_PROGRESS).unwrap()
}

fn everything(node: &Node) -> AuditReport {
    node.audit(1..=u64::MAX, true, NO_PROGRESS).unwrap()
}

/// Place, item and reason of each finding.
fn words(report: &AuditReport) -> Vec<String> {
    let findings = report.findings.iter();
    findings
        .map(|finding| format!("{} {}: {}", finding.place, finding.item, finding.reason))
        .collect()
}

fn takes_writes(node: &Node) -> bool {
    let delete = Payload::Statements(vec![statement("DELETE FROM t WHERE id = 0")]);
    match node.write(OPERATOR, delete) {
        Ok(pending) => {
            common::receipt(pending);
            true
        }
        Err(NodeError::Halted(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn b4_a_check_of_a_part_says_nothing_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let node = start(folder.path());
    for heights in [0..=5, 22..=u64::MAX, 9_000..=9_001] {
        let refused = node.audit(heights.clone(), true, NO_PROGRESS).unwrap_err();
        assert!(
            matches!(refused, NodeError::Invalid(_)),
            "{heights:?}: {refused}"
        );
    }
    assert!(takes_writes(&node));
    let segment = folder.path().join("segments/00000001.seg");
    let last = fs::metadata(&segment).unwrap().len() as usize - 400;
    flip(&segment, last);
    assert_eq!(everything(&node).findings.len(), 1);
    assert!(!takes_writes(&node));
    // A part without damage, and blocks without the state.
    let part = node.audit(1..=10, true, NO_PROGRESS).unwrap();
    assert!(part.findings.is_empty(), "{:?}", words(&part));
    assert!(!takes_writes(&node));
    assert!(node.status().damage.is_some());
    flip(&segment, last);
    let blocks = node.audit(1..=u64::MAX, false, NO_PROGRESS).unwrap();
    assert!(blocks.findings.is_empty() && !takes_writes(&node));
    assert!(everything(&node).findings.is_empty());
    assert!(takes_writes(&node) && node.status().damage.is_none());
    node.stop();
}

#[test]
fn b4_what_sqlite_enforces_is_what_the_blocks_say() {
    let edits = [
        ("DROP INDEX i1000_t_a_key", "i1000_t_a_key", true),
        (
            "CREATE TRIGGER evil AFTER INSERT ON t1000 BEGIN UPDATE t1000 SET c3 = 99 WHERE c1 = 1; END",
            "trigger \"evil\"",
            true,
        ),
        (
            "CREATE INDEX more ON t1000(c3)",
            "\"more\" was added",
            false,
        ),
        (
            "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, 'CHECK(', 'CHECK(1 OR ') WHERE name = 't1000'",
            "table \"t1000\" was changed",
            false,
        ),
        (
            "UPDATE _meta SET next_table = next_table + 5",
            "1006 is kept, the blocks say 1001",
            false,
        ),
        (
            "INSERT INTO _dropped VALUES (1000, 3)",
            "when table 1000 was dropped",
            false,
        ),
        (
            "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'h1000') WHERE name = 'i1000_t_a_key'",
            "SQLite's own check",
            false,
        ),
        ("DELETE FROM _versions", "table version was changed", false),
        (
            "UPDATE _versions SET place = 3 WHERE id = 1000 AND height = 21",
            "block 21, index 3 is kept, the blocks say block 21, index 0",
            false,
        ),
        (
            "DELETE FROM _catalogue_old WHERE id = 1000",
            "before block 1",
            false,
        ),
        (
            "UPDATE _catalogue SET definition = CAST(replace(definition, CAST('t_pkey' AS BLOB), CAST('x_pkey' AS BLOB)) AS BLOB) WHERE id = 1000",
            "definition",
            true,
        ),
        (
            "INSERT INTO _tree_old SELECT 22, id, level, name, zeroblob(32), 3 FROM _tree",
            "replaced nodes of the state tree are kept",
            false,
        ),
    ];
    for (sql, named, stops_start) in edits {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let clean = verify(folder.path());
        assert!(clean.findings.is_empty(), "{:?}", words(&clean));
        edit(folder.path(), sql);
        let found = words(&verify(folder.path()));
        assert!(
            found.iter().any(|words| words.contains(named)),
            "{sql}: {found:?}"
        );
        match try_start(folder.path()) {
            Ok(node) => {
                assert!(!stops_start, "{sql}: the node starts");
                let found = words(&everything(&node));
                assert!(
                    found.iter().any(|words| words.contains(named)),
                    "{sql}: {found:?}"
                );
                assert!(!takes_writes(&node));
                node.stop();
            }
            Err(refused) => {
                let refused = refused.to_string();
                assert!(stops_start && refused.contains(named), "{sql}: {refused}");
                assert!(refused.contains("move it away"), "{refused}");
            }
        }
        // The remedy that is named.
        forget_state(folder.path());
        let node = start(folder.path());
        let healed = everything(&node);
        assert!(healed.findings.is_empty(), "{sql}: {:?}", words(&healed));
        assert_eq!(rows(&node, "SELECT count(*) FROM t"), [[Value::Int(20)]]);
        node.stop();
    }
}

#[test]
fn b4_definitions_that_changed_often_are_compared_too() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let node = start(folder.path());
    for sql in [
        "ALTER TABLE t ADD COLUMN x DOUBLE PRECISION DEFAULT 1.5, ADD COLUMN y VARCHAR(5) NOT NULL DEFAULT 'y'",
        "CREATE INDEX t_lower ON t (lower(y)) WHERE n > 3",
        "ALTER TABLE t ALTER COLUMN n TYPE BIGINT",
        "ALTER TABLE t ADD CONSTRAINT small CHECK (n + 1 < 1000)",
        "CREATE TABLE u (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t INTEGER REFERENCES t ON DELETE CASCADE)",
        "INSERT INTO u (t) SELECT id FROM t WHERE id < 9",
        "ALTER TABLE t DROP COLUMN x",
        "ALTER TABLE t ALTER COLUMN y DROP NOT NULL",
        "ALTER TABLE t RENAME TO tt",
        "CREATE VIEW v AS SELECT id FROM tt",
        "CREATE TABLE gone (id INTEGER PRIMARY KEY)",
        "INSERT INTO gone VALUES (1)",
        "DROP TABLE gone",
        "DROP INDEX t_lower",
        "DELETE FROM tt WHERE id = 3",
    ] {
        must(&node, &[sql]);
    }
    let report = everything(&node);
    assert!(report.findings.is_empty(), "{:?}", words(&report));
    node.stop();
    drop(node);
    let report = verify(folder.path());
    assert!(report.findings.is_empty(), "{:?}", words(&report));
}

#[test]
fn b4_a_changed_tile_file_is_named_and_nothing_false_is_served() {
    let folder = tempfile::tempdir().unwrap();
    // Over 256 leaves: those of a full tile are not looked at again when the node starts.
    let ids = fill_with(folder.path(), 140);
    let file = folder.path().join("log/0");
    // Leaf 5 is the entry of the second row; block 1 has leaves 0 and 1.
    flip(&file, 5 * 32 + 7);
    let named = "log/0 offset 160: the hash was changed";
    let found = words(&verify(folder.path()));
    assert!(found.len() == 1 && found[0].starts_with(named), "{found:?}");
    let node = start(folder.path());
    let mut refused = 0;
    for id in &ids {
        match node.prove_transaction(id) {
            Ok(_) => {}
            Err(NodeError::Storage(why)) if why.contains("folder `log`") => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!((1..140).contains(&refused), "{refused} proofs are refused");
    let found = words(&everything(&node));
    assert!(found[0].starts_with(named), "{found:?}");
    node.stop();
    drop(node);
    // The remedy that is named.
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    let node = start(folder.path());
    assert!(everything(&node).findings.is_empty());
    for id in &ids {
        node.prove_transaction(id).unwrap();
    }
    node.stop();
    drop(node);
    // Where the next leaf is to be added the node looks at its start, and helps itself.
    let last = fs::metadata(&file).unwrap().len() as usize - 1;
    flip(&file, last);
    assert!(!verify(folder.path()).findings.is_empty());
    let node = start(folder.path());
    assert!(everything(&node).findings.is_empty());
    assert!(takes_writes(&node));
    node.stop();
}

#[test]
fn b4_blocks_that_were_lost_are_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let segment = folder.path().join("segments/00000001.seg");
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() - 900]).unwrap();
    // Without its witnesses the end looks like one cut by a crash.
    fs::remove_file(folder.path().join("segments/mark")).unwrap();
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let refused = try_start(folder.path()).err().unwrap().to_string();
    for words in ["blocks are missing", "block 21", "00000001.seg", "restore"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    fs::write(&segment, &whole).unwrap();
    let node = start(folder.path());
    assert!(everything(&node).findings.is_empty());
    node.stop();
}

#[test]
fn b4_nothing_is_executed_once_sqlite_enforces_something_else() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    for sql in [
        "DROP INDEX i1000_t_a_key",
        "CREATE TRIGGER evil BEFORE INSERT ON t1000 BEGIN SELECT raise(ignore); END",
        "UPDATE t1000 SET c2 = 'hidden' WHERE c1 = 1",
        "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, 'CHECK(', 'CHECK(1 OR ') WHERE name = 't1000'",
        "UPDATE _catalogue SET definition = zeroblob(20) WHERE id = 1000",
    ] {
        let node = start(folder.path());
        must(&node, &["ALTER TABLE t ADD COLUMN x INTEGER"]);
        must(&node, &["ALTER TABLE t DROP COLUMN x"]);
        assert!(everything(&node).findings.is_empty());
        edit(folder.path(), sql);
        // A value that is there already.
        let insert = Payload::Statements(vec![statement("INSERT INTO t VALUES (500, 'a1', 5)")]);
        let told = match node.write(OPERATOR, insert) {
            Ok(pending) => futures::executor::block_on(pending.receipt).unwrap(),
            Err(error) => Err(error),
        };
        assert!(
            matches!(
                &told,
                Err(NodeError::Unresolved { .. } | NodeError::Halted(_))
            ),
            "{sql}: {told:?}"
        );
        node.stop();
        drop(node);
        forget_state(folder.path());
        let node = start(folder.path());
        assert!(everything(&node).findings.is_empty());
        assert_eq!(
            rows(&node, "SELECT count(*) FROM t WHERE a = 'a1'"),
            [[Value::Int(1)]],
            "{sql}"
        );
        node.stop();
    }
}

#[test]
fn b4_what_the_program_keeps_for_itself_is_no_outcome() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    // The update below supersedes this version of the row: its place in the history is taken.
    edit(
        folder.path(),
        "INSERT INTO h1000 (c1, c2, c3, _h, _x, _h2, _x2) SELECT c1, 'zz', c3, _h, _x, 300, 0 FROM t1000 WHERE c1 = 3",
    );
    let node = start(folder.path());
    let update = Payload::Statements(vec![statement("UPDATE t SET n = n + 1 WHERE id = 3")]);
    let pending = node.write(OPERATOR, update).unwrap();
    let told = futures::executor::block_on(pending.receipt).unwrap();
    assert!(
        matches!(&told, Err(NodeError::Unresolved { .. })),
        "{told:?}"
    );
    node.stop();
    drop(node);
    forget_state(folder.path());
    let node = start(folder.path());
    assert!(everything(&node).findings.is_empty());
    assert_eq!(
        rows(&node, "SELECT n FROM t WHERE id = 3"),
        [[Value::Int(4)]]
    );
    node.stop();
}

#[test]
fn b4_definitions_are_compared_as_they_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let node = start(folder.path());
    assert!(everything(&node).findings.is_empty());
    // The running node has its own in memory.
    edit(
        folder.path(),
        "UPDATE _catalogue SET definition = zeroblob(20) WHERE id = 1000",
    );
    let found = words(&everything(&node));
    assert!(
        found
            .iter()
            .any(|words| words.contains("kept definition 1000")),
        "{found:?}"
    );
    assert!(!takes_writes(&node));
    node.stop();
}
