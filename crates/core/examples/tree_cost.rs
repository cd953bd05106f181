//! What the state tree costs a row, on a store in memory: `cargo run --release -p stele-core --example tree_cost`.

use std::time::Instant;

use stele_core::schema::TableId;
use stele_core::tree::{MemoryStore, Tree, build_into};
use stele_core::{Domain, Hash, Suite};

const SUITE: Suite = Suite::Ed25519Sha256;
const TABLE: TableId = TableId(1_000);
const ROWS: u64 = 1_000_000;

fn row_hash(number: u64) -> Hash {
    SUITE.hash(Domain::Row, &[&number.to_be_bytes()])
}

/// Keys as an 8-byte integer column encodes them.
fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Well-spread numbers, the same on every run.
fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

type Changes = Vec<(Vec<u8>, Option<Hash>)>;

fn measure(what: &str, store: &MemoryStore, batches: &[Changes]) {
    let (mut tree, mut store) = (Tree::new(SUITE), store.clone());
    let rows: usize = batches.iter().map(Vec::len).sum();
    let mut touched = 0;
    let start = Instant::now();
    for batch in batches {
        match tree.update(&mut store, TABLE, batch) {
            Ok(updated) => touched += updated.entries_touched,
            Err(error) => eprintln!("{what}: {error}"),
        }
    }
    let micros = start.elapsed().as_secs_f64() * 1e6;
    #[expect(clippy::print_stdout, reason = "its purpose")]
    {
        println!(
            "{what:40} {:8.2} µs a row {:10.1} µs a batch {:8.1} entries touched a row",
            micros / rows as f64,
            micros / batches.len() as f64,
            touched as f64 / rows as f64,
        );
    }
}

fn batches(count: u64, size: u64, key_of: impl Fn(u64) -> u64) -> Vec<Changes> {
    (0..count)
        .map(|batch| {
            let numbers = batch * size..(batch + 1) * size;
            let mut changes: Changes = numbers
                .map(|n| (key(key_of(n)), Some(row_hash(n + ROWS))))
                .collect();
            changes.sort();
            changes.dedup_by(|a, b| a.0 == b.0);
            changes
        })
        .collect()
}

fn main() {
    let mut store = MemoryStore::new();
    let start = Instant::now();
    if let Err(error) = build_into(
        SUITE,
        &mut store,
        TABLE,
        (0..ROWS).map(|n| (key(n), row_hash(n))),
    ) {
        eprintln!("{error}");
    }
    eprintln!(
        "built {ROWS} rows in {:.2} s",
        start.elapsed().as_secs_f64()
    );
    measure(
        "ascending, 2,000 rows a batch",
        &store,
        &batches(50, 2_000, |n| n + ROWS),
    );
    measure(
        "ascending, 100 rows a batch",
        &store,
        &batches(500, 100, |n| n + ROWS),
    );
    measure(
        "ascending, 30 rows a batch",
        &store,
        &batches(1_000, 30, |n| n + ROWS),
    );
    measure(
        "ascending, 1 row a batch",
        &store,
        &batches(20_000, 1, |n| n + ROWS),
    );
    measure(
        "random updates, 2,000 rows a batch",
        &store,
        &batches(20, 2_000, |n| scattered(n) % ROWS),
    );
    measure(
        "random inserts, 100 rows a batch",
        &store,
        &batches(200, 100, scattered),
    );
    measure(
        "random updates, 30 rows a batch",
        &store,
        &batches(200, 30, |n| scattered(n) % ROWS),
    );
    measure(
        "random updates, 1 row a batch",
        &store,
        &batches(5_000, 1, |n| scattered(n) % ROWS),
    );
}
