//! What the engine costs beside bare SQLite: rows a second for small and large transactions, ascending
//! and random keys, and the time of a point SELECT.
//!
//! `cargo run --release -p stele-sql --example engine_cost -- [rows] [rows already there] [part of a shape's name]`
//!
//! Figures are CPU time of the executing thread where Linux tells it, so that they hold on a shared
//! machine; the thread that copies the write-ahead log is not counted.
//!
//! Bare SQLite runs the same lowered statements on an equal table, prepared, in WAL with
//! synchronous=NORMAL and one commit a block; it keeps no effects, history, tree or bounds.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use stele_core::crypto::SecretKey;
use stele_core::transaction::{Payload, SignedTransaction, Statement, Transaction};
use stele_core::{AccountId, Hash, Suite, Value};
use stele_sql::Bound;
use stele_sql::engine::{BlockContext, Engine, EngineConfig, ExecutableTransaction};

const SUITE: Suite = Suite::Ed25519Sha256;
const LEDGER: Hash = Hash([7; 32]);
const CREATE: &str =
    "CREATE TABLE payment (id BIGINT PRIMARY KEY, name TEXT NOT NULL, amount BIGINT NOT NULL)";
const INSERT: &str = "INSERT INTO payment (id, name, amount) VALUES ($1, $2, $3)";
const SELECT: &str = "SELECT id, name, amount FROM payment WHERE id = $1";
const SELECTS: i64 = 20_000;

type Failure = Box<dyn Error>;

#[derive(Clone, Copy)]
enum Keys {
    Ascending,
    Random,
}

impl Keys {
    /// The key of the nth row: distinct for distinct `n`.
    fn key(self, n: i64) -> i64 {
        match self {
            Self::Ascending => n,
            // Odd multiplier: a bijection of 64 bits.
            Self::Random => n.wrapping_mul(-7_046_029_254_386_353_131),
        }
    }
}

#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    transactions: i64,
    rows: i64,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let rows: i64 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let loaded: i64 = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let only = arguments.next().unwrap_or_default();
    println!("{rows} rows onto {loaded}");
    println!(
        "{:<34} {:>12} {:>12} {:>7}",
        "", "engine", "bare SQLite", "ratio"
    );
    let shapes = [
        Shape {
            name: "30 transactions of 1 row",
            transactions: 30,
            rows: 1,
        },
        Shape {
            name: "20 transactions of 100 rows",
            transactions: 20,
            rows: 100,
        },
    ];
    for (keys, word) in [(Keys::Ascending, "ascending"), (Keys::Random, "random")] {
        for shape in shapes {
            let name = format!("{}, {word}", shape.name);
            if !name.contains(&only) {
                continue;
            }
            let rows = if shape.rows == 1 { rows / 4 } else { rows };
            let engine = with_engine(shape, keys, rows, loaded)?;
            let bare = with_sqlite(shape, keys, rows, loaded)?;
            println!(
                "{:<34} {:>10.0}/s {:>10.0}/s {:>7.2}",
                name,
                per_second(rows, engine),
                per_second(rows, bare),
                bare.as_secs_f64() / engine.as_secs_f64(),
            );
        }
    }
    point_select(rows.max(1_000))
}

struct Stopwatch {
    cpu: Option<u64>,
    wall: Instant,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            cpu: cpu_ns(),
            wall: Instant::now(),
        }
    }

    fn elapsed(&self) -> Duration {
        match (self.cpu, cpu_ns()) {
            (Some(begin), Some(end)) => Duration::from_nanos(end.saturating_sub(begin)),
            _ => self.wall.elapsed(),
        }
    }
}

/// CPU time of this thread, nanoseconds.
fn cpu_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn per_second(rows: i64, took: Duration) -> f64 {
    rows as f64 / took.as_secs_f64()
}

fn parameters(keys: Keys, n: i64) -> Vec<Value> {
    vec![
        Value::Int(keys.key(n)),
        Value::Text(format!("payer {n}")),
        Value::Int(n % 1_000),
    ]
}

struct Ledger {
    engine: Engine,
    key: SecretKey,
    nonce: u128,
    _directory: tempfile::TempDir,
}

impl Ledger {
    fn new() -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("state.db");
        let mut ledger = Self {
            engine: Engine::open(EngineConfig::new(Some(path), LEDGER, SUITE))?,
            key: SecretKey::from_seed(&[1; 32]),
            nonce: 0,
            _directory: directory,
        };
        let create = ledger.sign(vec![(CREATE, Vec::new())]);
        ledger.block(&[create])?;
        Ok(ledger)
    }

    fn account(&self) -> AccountId {
        AccountId::of_key(SUITE, &self.key.public())
    }

    fn sign(&mut self, statements: Vec<(&str, Vec<Value>)>) -> SignedTransaction {
        self.nonce += 1;
        let statements = statements.into_iter().map(|(sql, parameters)| Statement {
            sql: sql.to_owned(),
            parameters,
            result: None,
        });
        Transaction {
            ledger: LEDGER,
            account: self.account(),
            nonce: self.nonce.to_be_bytes(),
            time_us: 1,
            expiry_us: 2,
            seed: [0; 16],
            expected_versions: Vec::new(),
            payload: Payload::Statements(statements.collect()),
        }
        .sign(SUITE, &self.key)
    }

    fn block(&mut self, transactions: &[SignedTransaction]) -> Result<Duration, Failure> {
        let executable: Vec<_> = transactions
            .iter()
            .map(|signed| ExecutableTransaction {
                id: signed.id(SUITE),
                signed,
                refused: None,
            })
            .collect();
        let height = self.engine.meta().height + 1;
        let context = BlockContext { height, time_us: 1 };
        let begin = Stopwatch::start();
        let executed = self.engine.execute(&context, &executable)?;
        self.engine.commit(&[], Hash::ZERO)?;
        let took = begin.elapsed();
        for result in executed.results {
            result?;
        }
        Ok(took)
    }

    fn fill(
        &mut self,
        shape: Shape,
        keys: Keys,
        rows: std::ops::Range<i64>,
    ) -> Result<Duration, Failure> {
        let mut took = Duration::ZERO;
        let mut next = rows.start;
        while next < rows.end {
            let mut block = Vec::new();
            for _ in 0..shape.transactions {
                let end = (next + shape.rows).min(rows.end);
                let statements = (next..end).map(|n| (INSERT, parameters(keys, n))).collect();
                block.push(self.sign(statements));
                next = end;
            }
            took += self.block(&block)?;
        }
        Ok(took)
    }
}

const LOAD: Shape = Shape {
    name: "load",
    transactions: 20,
    rows: 500,
};

fn with_engine(shape: Shape, keys: Keys, rows: i64, loaded: i64) -> Result<Duration, Failure> {
    let mut ledger = Ledger::new()?;
    ledger.fill(LOAD, keys, 0..loaded)?;
    ledger.fill(shape, keys, loaded..loaded + rows)
}

fn with_sqlite(shape: Shape, keys: Keys, rows: i64, loaded: i64) -> Result<Duration, Failure> {
    let ledger = Ledger::new()?;
    let bound = ledger
        .engine
        .readers()
        .describe(ledger.account(), INSERT, &[])?;
    let Bound::Write(write) = bound.as_ref() else {
        return Err("the INSERT is no write".into());
    };
    let directory = tempfile::tempdir()?;
    let connection = Connection::open(directory.path().join("bare.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536",
    )?;
    let catalogue = ledger.engine.catalogue();
    let table = catalogue
        .table_named("public", "payment")
        .ok_or("no table")?;
    for sql in stele_sql::physical::create_table_sql(table)? {
        connection.execute_batch(&sql)?;
    }
    let fill = |shape: Shape, rows: std::ops::Range<i64>| -> Result<Duration, Failure> {
        let mut took = Duration::ZERO;
        let mut insert = connection.prepare(&write.sqlite)?;
        let mut next = rows.start;
        while next < rows.end {
            let end = (next + shape.transactions * shape.rows).min(rows.end);
            let block: Vec<_> = (next..end)
                .map(|n| (keys.key(n), format!("payer {n}"), n % 1_000))
                .collect();
            let begin = Stopwatch::start();
            connection.execute_batch("BEGIN IMMEDIATE")?;
            for (id, name, amount) in &block {
                insert.execute((id, name, amount, 1, 1))?;
            }
            connection.execute_batch("COMMIT")?;
            took += begin.elapsed();
            next = end;
        }
        Ok(took)
    };
    fill(LOAD, 0..loaded)?;
    fill(shape, loaded..loaded + rows)
}

fn point_select(rows: i64) -> Result<(), Failure> {
    let mut ledger = Ledger::new()?;
    ledger.fill(LOAD, Keys::Ascending, 0..rows)?;
    let (readers, account) = (ledger.engine.readers(), ledger.account());
    let begin = Stopwatch::start();
    for n in 0..SELECTS {
        let (result, _) = readers.query(account, SELECT, &[Value::Int(n * 7_919 % rows)])?;
        if result.rows.len() != 1 {
            return Err("a row is missing".into());
        }
    }
    let each = begin.elapsed() / u32::try_from(SELECTS)?;
    println!(
        "{:<34} {:>10.1} us",
        "point SELECT",
        each.as_secs_f64() * 1e6
    );
    Ok(())
}
