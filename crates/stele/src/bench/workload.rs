//! What is done to a table while it is measured: which rows, in what order, how many a transaction.

use std::sync::atomic::{AtomicU64, Ordering};

/// Rows of one transaction of the batch measures.
pub(super) const BATCH_ROWS: u64 = 100;

/// In which order keys come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// Each greater than the one before.
    Ascending,
    /// Anywhere among all 64-bit numbers.
    Random,
}

/// What one operation of a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One INSERT of one row, committed by itself.
    Single,
    /// One INSERT of [`BATCH_ROWS`] rows.
    MultiRow,
    /// BEGIN, [`BATCH_ROWS`] INSERTs sent without waiting for each answer, COMMIT.
    Singles,
    /// One SELECT of one row by key.
    Select,
    /// The proof of one row, asked for in SQL.
    Proof,
}

/// A measure over the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    /// What the user calls it.
    pub(super) name: &'static str,
    /// Connections, each waiting for the answer before its next operation.
    pub(super) clients: u64,
    pub(super) shape: Shape,
    pub(super) keys: Keys,
}

impl Workload {
    /// The table it has for itself.
    pub(super) fn table(&self) -> String {
        format!("bench_{}", self.name.replace('-', "_"))
    }

    /// Rows of one operation.
    pub(super) fn rows(&self) -> u64 {
        match self.shape {
            Shape::Single | Shape::Select | Shape::Proof => 1,
            Shape::MultiRow | Shape::Singles => BATCH_ROWS,
        }
    }

    /// The prepared statement, in the dialect all three databases share but for the parameter marks.
    pub(super) fn statement(&self) -> String {
        match self.shape {
            Shape::Single | Shape::Singles => insert(&self.table(), 1),
            Shape::MultiRow => insert(&self.table(), BATCH_ROWS),
            Shape::Proof => format!("SELECT stele_proof('{}', $1::bigint)", self.table()),
            Shape::Select => format!("SELECT account, note FROM {} WHERE id = $1", self.table()),
        }
    }
}

/// An INSERT of some rows.
pub(super) fn insert(table: &str, rows: u64) -> String {
    let rows: Vec<String> = (0..rows)
        .map(|row| format!("(${}, ${}, ${})", 3 * row + 1, 3 * row + 2, 3 * row + 3))
        .collect();
    format!(
        "INSERT INTO {table} (id, account, note) VALUES {}",
        rows.join(", ")
    )
}

/// A row of every table measured.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) account: i64,
    pub(super) note: String,
}

impl Row {
    pub(super) fn new(id: i64) -> Self {
        Self {
            id,
            account: id.rem_euclid(1_000),
            note: format!("payment {id:016x} as agreed"),
        }
    }
}

/// Hands out keys, each once, to clients that work at the same time.
#[derive(Debug)]
pub(super) struct Numbers {
    next: AtomicU64,
    /// Rows put in before the measuring.
    filled: u64,
}

impl Numbers {
    pub(super) fn after(filled: u64) -> Self {
        Self {
            next: AtomicU64::new(filled),
            filled,
        }
    }

    /// The rows of one operation.
    pub(super) fn take(&self, workload: &Workload) -> Vec<Row> {
        let count = workload.rows();
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        (first..first + count)
            .map(|number| Row::new(key(number, workload.keys)))
            .collect()
    }

    /// The key of a row that was filled in, drawn evenly.
    pub(super) fn existing(&self) -> i64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (scattered(number) % self.filled.max(1)).cast_signed()
    }
}

/// Rows filled in before a measure: ascending, and for random keys spread evenly among all keys, so
/// that what is measured falls between them.
pub(super) fn filling(count: u64, keys: Keys) -> impl Iterator<Item = Row> {
    let step = u64::MAX / count.max(1);
    (0..count).map(move |number| {
        Row::new(match keys {
            Keys::Ascending => number.cast_signed(),
            Keys::Random => (number * step).wrapping_add(1 << 63).cast_signed(),
        })
    })
}

fn key(number: u64, keys: Keys) -> i64 {
    match keys {
        Keys::Ascending => number.cast_signed(),
        Keys::Random => scattered(number).cast_signed(),
    }
}

/// A number that looks random, the same on every run; different for different numbers (SplitMix64).
pub(super) fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_handed_out_once() {
        for keys in [Keys::Ascending, Keys::Random] {
            let workload = Workload {
                name: "x",
                clients: 1,
                shape: Shape::MultiRow,
                keys,
            };
            let numbers = Numbers::after(1_000);
            let mut seen: Vec<i64> = filling(1_000, keys).map(|row| row.id).collect();
            assert!(seen.is_sorted());
            for _ in 0..20 {
                seen.extend(numbers.take(&workload).iter().map(|row| row.id));
            }
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 3_000);
        }
    }

    #[test]
    fn a_batch_numbers_its_parameters() {
        assert_eq!(
            insert("t", 2),
            "INSERT INTO t (id, account, note) VALUES ($1, $2, $3), ($4, $5, $6)"
        );
    }
}
