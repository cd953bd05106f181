//! The hashes and proofs of the state tree may never change: a root one version of Stele has signed,
//! every later one must reach again, and so must verifiers in other languages.
//!
//! Each file of `fixtures/tree` is made again and compared. `STELE_WRITE_FIXTURES=1` writes them instead:
//! for a new fixture, never to make a failing one pass.

// A test fails by panicking; clippy's test exemption does not reach this file's helpers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::path::PathBuf;

use stele_core::schema::TableId;
use stele_core::tree::{
    AbsenceProof, MemoryStore, PresenceProof, Prover, RangeProof, TableAbsenceProof, TableEntry,
    TableProof, Tree, build, empty_table_root, rank, state_root,
};
use stele_core::{Decode, Domain, Encode, Hash, Suite};

const SUITE: Suite = Suite::Ed25519Sha256;
const TABLE: TableId = TableId(1_000);
const ROWS: u64 = 2_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tree")
}

/// Compares a fixture with what is made today.
fn freeze(name: &str, made: &str) {
    let path = folder().join(name);
    if std::env::var_os("STELE_WRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == made, "{name} is not what this version makes");
}

/// Row n has the key of n as 8 bytes, big-endian, and as row hash H(Row, that key).
fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn row_hash(number: u64) -> Hash {
    SUITE.hash(Domain::Row, &[&number.to_be_bytes()])
}

/// The table most fixtures speak of: the even numbers from 0, [`ROWS`] of them.
fn table() -> (MemoryStore, Hash) {
    let mut store = MemoryStore::new();
    let rows: Vec<_> = (0..ROWS)
        .map(|n| (key(n * 2), Some(row_hash(n * 2))))
        .collect();
    let updated = Tree::new(SUITE).update(&mut store, TABLE, &rows).unwrap();
    (store, updated.root)
}

fn hex(value: &impl Encode) -> String {
    hex_of(&value.encode_to_vec())
}

fn hex_of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn ranks() {
    let mut text = "# table key rank: rows whose rank is above 0\n".to_owned();
    for table in [1, 1_000, u32::MAX].map(TableId) {
        for number in 0..2_000 {
            let rank = rank(SUITE, table, &key(number));
            if rank > 0 {
                writeln!(text, "{} {number:016x} {rank}", table.0).unwrap();
            }
        }
    }
    freeze("ranks.txt", &text);
}

#[test]
fn roots() {
    let mut text = "# table rows root: rows 0 to the count, without the last\n".to_owned();
    for table in [1, 1_000].map(TableId) {
        for count in [0, 1, 2, 3, 4, 5, 8, 31, 32, 33, 100, 1_000, 5_000] {
            let rows = (0..count).map(|n| (key(n), row_hash(n)));
            let root = build(SUITE, table, rows).unwrap();
            writeln!(text, "{} {count} {root}", table.0).unwrap();
        }
    }
    freeze("roots.txt", &text);
}

#[test]
fn nodes() {
    let (store, _) = table();
    let mut text =
        "# level key hash: stored nodes above the rows of table 1000 with the even rows to 3998\n"
            .to_owned();
    for (_, level, key, hash) in store.iter().filter(|node| node.1 > 0) {
        let key = hex_of(key);
        writeln!(
            text,
            "{level} {} {hash}",
            if key.is_empty() { "-" } else { &key }
        )
        .unwrap();
    }
    freeze("nodes.txt", &text);
}

#[test]
fn row_proofs() {
    let (store, root) = table();
    let prover = Prover::new(SUITE, &store, TABLE);
    let boundary = (1..ROWS)
        .map(|n| n * 2)
        .find(|n| rank(SUITE, TABLE, &key(*n)) > 1)
        .unwrap();
    let mut text = format!(
        "# presence table root key row-hash proof\n# absence table root key proof\n# range table root from to proof (- is open)\n# rows: the even ones to {}\n",
        ROWS * 2 - 2
    );
    for number in [0, boundary - 2, boundary, boundary + 2, 2_000, ROWS * 2 - 2] {
        let (hash, proof) = prover.presence(&key(number)).unwrap().unwrap();
        writeln!(
            text,
            "presence {} {root} {number:016x} {hash} {}",
            TABLE.0,
            hex(&proof)
        )
        .unwrap();
    }
    for number in [boundary - 1, boundary + 1, 2_001, ROWS * 2 - 1, u64::MAX] {
        let proof = prover.absence(&key(number)).unwrap().unwrap();
        writeln!(
            text,
            "absence {} {root} {number:016x} {}",
            TABLE.0,
            hex(&proof)
        )
        .unwrap();
    }
    let empty = MemoryStore::new();
    let proof = Prover::new(SUITE, &empty, TABLE)
        .absence(&key(1))
        .unwrap()
        .unwrap();
    let empty_root = empty_table_root(SUITE, TABLE);
    writeln!(
        text,
        "absence {} {empty_root} {:016x} {}",
        TABLE.0,
        1,
        hex(&proof)
    )
    .unwrap();
    let ranges = [
        (None, Some(5)),
        (Some(boundary - 3), Some(boundary)),
        (Some(boundary), Some(boundary + 5)),
        (Some(1_000), Some(1_100)),
        (Some(ROWS * 2 - 6), None),
    ];
    for (from, to) in ranges {
        let (low, high) = (from.map(key).unwrap_or_default(), to.map(key));
        let proof = prover.range(&low, high.as_deref(), 1_000).unwrap().proof;
        let name = |end: Option<u64>| end.map_or("-".to_owned(), |n| format!("{n:016x}"));
        writeln!(
            text,
            "range {} {root} {} {} {}",
            TABLE.0,
            name(from),
            name(to),
            hex(&proof)
        )
        .unwrap();
    }
    freeze("row-proofs.txt", &text);
    verify_row_proofs(&text);
}

/// Reads the fixture as a verifier would.
fn verify_row_proofs(text: &str) {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
            .collect()
    };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split(' ').collect();
        let table = TableId(fields[1].parse().unwrap());
        let root = Hash::from_hex(fields[2]).unwrap();
        let proof = bytes(fields.last().unwrap());
        match fields[0] {
            "presence" => {
                let hash = Hash::from_hex(fields[4]).unwrap();
                let proof = PresenceProof::decode_all(&proof).unwrap();
                proof
                    .verify(SUITE, table, &bytes(fields[3]), &hash, &root)
                    .unwrap();
            }
            "absence" => {
                let proof = AbsenceProof::decode_all(&proof).unwrap();
                proof
                    .verify(SUITE, table, &bytes(fields[3]), &root)
                    .unwrap();
            }
            _ => {
                let end = |field: &str| (field != "-").then(|| bytes(field));
                let (from, to) = (end(fields[3]).unwrap_or_default(), end(fields[4]));
                let proof = RangeProof::decode_all(&proof).unwrap();
                proof
                    .verify(SUITE, table, &from, to.as_deref(), &root)
                    .unwrap();
            }
        }
    }
}

#[test]
fn table_proofs() {
    let mut text = "# state-root tables root: tables 2, 4, … with catalogue hash H(Row, id u64) and root H(Row, id u64 + 2^32)\n# table state-root table proof\n# table-absence state-root table proof\n".to_owned();
    for count in [0, 1, 2, 3, 7, 8, 13] {
        let tables: Vec<_> = (1..=count)
            .map(|n| TableEntry {
                table: TableId(n * 2),
                catalogue_hash: row_hash(u64::from(n) * 2),
                root: row_hash(u64::from(n) * 2 + (1 << 32)),
            })
            .collect();
        let root = state_root(SUITE, &tables).unwrap();
        writeln!(text, "state-root {count} {root}").unwrap();
        for id in [1, 2, 3, 9, 14, 27].map(TableId) {
            if let Some(proof) = TableProof::new(SUITE, &tables, id).unwrap() {
                proof.verify(SUITE, id, &root).unwrap();
                writeln!(text, "table {root} {} {}", id.0, hex(&proof)).unwrap();
            }
            if let Some(proof) = TableAbsenceProof::new(SUITE, &tables, id).unwrap() {
                proof.verify(SUITE, id, &root).unwrap();
                writeln!(text, "table-absence {root} {} {}", id.0, hex(&proof)).unwrap();
            }
        }
    }
    freeze("table-proofs.txt", &text);
}
