//! The tree against a plain map, and against itself built in one go.

use crate::hash::{Domain, Hash, Suite};
use crate::schema::TableId;
use crate::tree::{MemoryStore, Tree};

mod diff;
mod model;
mod proof;
mod top;

const SUITE: Suite = Suite::Ed25519Sha256;
const TABLE: TableId = TableId(1_000);

fn row_hash(seed: u64) -> Hash {
    SUITE.hash(Domain::Row, &[&seed.to_be_bytes()])
}

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// A stored table of these keys.
fn stored(numbers: impl Iterator<Item = u64>) -> (MemoryStore, Hash) {
    let mut store = MemoryStore::new();
    let rows: Vec<_> = numbers.map(|n| (key(n), Some(row_hash(n)))).collect();
    let updated = Tree::new(SUITE).update(&mut store, TABLE, &rows).unwrap();
    (store, updated.root)
}

/// A small generator, so that long histories need no shrinking machinery.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
