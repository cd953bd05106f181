//! Executing blocks, without wire, ordering and block store: the engine against bare SQLite.
//!
//! Both put the same rows into a table with one secondary index with the same INSERTs, [`BLOCK_ROWS`] rows a commit. The
//! engine also checks, stamps, captures, hashes and proves them; signatures are made beforehand.
//! Counted is the time on cores of the whole process, as its write-ahead log is copied by another thread: how
//! long a disk takes to sync is no matter of execution.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use stele_core::crypto::SecretKey;
use stele_core::transaction::{Payload, SignedTransaction, Statement, Transaction};
use stele_core::{AccountId, Hash, Suite, Value};
use stele_sql::engine::{BlockContext, Engine, EngineConfig, ExecutableTransaction};

use super::bare::Bare;
use super::core_time::CoreTime;
use super::sample::Sample;
use super::workload::{Keys, Numbers, Row, Shape, Workload, filling, insert};

/// Rows of a block: as many single-row transactions as the default policy puts into one, or 20 of 100 rows.
const BLOCK_ROWS: usize = 2_000;
/// Microseconds between blocks.
const BLOCK_TIME_US: i64 = 10_000;

/// The engine on a file of its own.
pub(super) struct Execution {
    engine: Engine,
    key: SecretKey,
    account: AccountId,
    table: String,
    ledger: Hash,
    nonce: u64,
}

impl Execution {
    /// Opens an engine and makes a table with rows in it.
    pub(super) fn open(base: &Path, workload: &Workload, filled: u64) -> Result<Self> {
        let (suite, ledger) = (Suite::default(), Hash([1; 32]));
        let path = base.join(format!("{}.engine", workload.name));
        let config = EngineConfig::new(Some(path), ledger, suite);
        let key = SecretKey::from_seed(&[7; 32]);
        let account = AccountId::of_key(suite, &key.public());
        let mut execution = Self {
            engine: Engine::open(config)?,
            key,
            account,
            table: workload.table(),
            ledger,
            nonce: 0,
        };
        let table = &execution.table;
        let schema = vec![
            format!(
                "CREATE TABLE {table} (id BIGINT PRIMARY KEY, account BIGINT NOT NULL, note TEXT NOT NULL)"
            ),
            format!("CREATE INDEX {table}_account ON {table} (account)"),
        ];
        let schema = schema.into_iter().map(|sql| (sql, Vec::new())).collect();
        let schema = execution.sign(schema);
        execution.execute(&[schema])?;
        let rows: Vec<Row> = filling(filled, workload.keys).collect();
        for rows in rows.chunks(BLOCK_ROWS) {
            let rows: Vec<Vec<Row>> = rows.iter().map(|row| vec![row.clone()]).collect();
            let block = execution.block(&rows);
            execution.execute(&block)?;
        }
        Ok(execution)
    }

    /// One round: whole blocks until the time is up, by the time on cores. Signing is not counted.
    pub(super) fn run(
        &mut self,
        workload: &Workload,
        numbers: &Numbers,
        time: Duration,
    ) -> Result<Sample> {
        let (mut rows, mut taken) = (0, Duration::ZERO);
        let round = Instant::now();
        while round.elapsed() < time {
            let batch = batch(workload, numbers);
            let block = self.block(&batch);
            let start = CoreTime::of_process();
            self.execute(&block)?;
            taken += start.elapsed();
            rows += BLOCK_ROWS as u64;
        }
        Ok(Sample::round(rows, taken, Vec::new()))
    }

    /// Each operation as a transaction of one INSERT.
    fn block(&mut self, operations: &[Vec<Row>]) -> Vec<SignedTransaction> {
        let mut sql = String::new();
        let mut rows_of_sql = 0;
        operations
            .iter()
            .map(|rows| {
                if rows_of_sql != rows.len() {
                    rows_of_sql = rows.len();
                    sql = insert(&self.table, rows.len() as u64);
                }
                let values = rows.iter().flat_map(|row| {
                    [
                        Value::Int(row.id),
                        Value::Int(row.account),
                        Value::Text(row.note.clone()),
                    ]
                });
                self.sign(vec![(sql.clone(), values.collect())])
            })
            .collect()
    }

    fn sign(&mut self, statements: Vec<(String, Vec<Value>)>) -> SignedTransaction {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        let time_us = BLOCK_TIME_US * i64::try_from(self.engine.meta().height).unwrap_or_default();
        let statements = statements
            .into_iter()
            .map(|(sql, parameters)| Statement {
                sql,
                parameters,
                result: None,
            })
            .collect();
        Transaction {
            ledger: self.ledger,
            account: self.account,
            nonce,
            time_us,
            expiry_us: time_us + 1_000_000,
            seed: nonce,
            expected_versions: Vec::new(),
            payload: Payload::Statements(statements),
        }
        .sign(Suite::default(), &self.key)
    }

    fn execute(&mut self, block: &[SignedTransaction]) -> Result<()> {
        let height = self.engine.meta().height + 1;
        let context = BlockContext {
            height,
            time_us: BLOCK_TIME_US * i64::try_from(height).unwrap_or_default(),
        };
        let transactions: Vec<ExecutableTransaction<'_>> = block
            .iter()
            .map(|signed| ExecutableTransaction {
                // Identities are known to the node from the mempool on.
                id: Hash(seed_hash(signed.transaction.nonce)),
                signed,
                refused: None,
            })
            .collect();
        let executed = self.engine.execute(&context, &transactions)?;
        if let Some(error) = executed
            .results
            .iter()
            .find_map(|result| result.as_ref().err())
        {
            bail!("a transaction failed: {}", error.message);
        }
        self.engine
            .commit(&[], Hash(seed_hash([height as u8; 16])))?;
        Ok(())
    }
}

fn seed_hash(seed: [u8; 16]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&seed);
    hash
}

/// The operations of one block.
fn batch(workload: &Workload, numbers: &Numbers) -> Vec<Vec<Row>> {
    (0..BLOCK_ROWS as u64 / workload.rows())
        .map(|_| numbers.take(workload))
        .collect()
}

/// The same rows into bare SQLite.
pub(super) struct BareExecution {
    bare: Bare,
}

impl BareExecution {
    pub(super) fn open(base: &Path, workload: &Workload, filled: u64) -> Result<Self> {
        let bare = Bare::open(&base.join(format!("{}.sqlite", workload.name)))?;
        bare.create(&workload.table(), filled, workload.keys)
            .context("filling SQLite")?;
        bare.index(&workload.table())?;
        Ok(Self { bare })
    }

    /// The same, in a table whose rows say which transaction wrote them.
    pub(super) fn open_stamped(base: &Path, workload: &Workload, filled: u64) -> Result<Self> {
        let bare = Bare::open(&base.join(format!("{}.stamped", workload.name)))?;
        bare.create(&workload.table(), filled, workload.keys)
            .context("filling SQLite")?;
        bare.index(&workload.table())?;
        bare.stamp(&workload.table())?;
        Ok(Self { bare })
    }

    /// One round, [`BLOCK_ROWS`] rows a commit, by the time on cores.
    pub(super) fn run(
        &self,
        workload: &Workload,
        numbers: &Numbers,
        time: Duration,
    ) -> Result<Sample> {
        let (mut rows, mut taken) = (0, Duration::ZERO);
        let round = Instant::now();
        while round.elapsed() < time {
            let batch = batch(workload, numbers);
            let start = CoreTime::of_process();
            self.bare.batch(workload, numbers, &batch)?;
            taken += start.elapsed();
            rows += BLOCK_ROWS as u64;
        }
        Ok(Sample::round(rows, taken, Vec::new()))
    }
}

/// What history costs an INSERT.
pub(super) const HISTORY: Workload = Workload {
    name: "history",
    ..ASCENDING
};

/// Keys ascending.
pub(super) const ASCENDING: Workload = Workload {
    name: "execute-ascending",
    clients: 1,
    shape: Shape::Single,
    keys: Keys::Ascending,
};

/// Keys anywhere.
pub(super) const RANDOM: Workload = Workload {
    name: "execute-random",
    keys: Keys::Random,
    ..ASCENDING
};

/// Transactions of 100 rows, keys ascending.
pub(super) const BATCH_ASCENDING: Workload = Workload {
    name: "execute-batch-ascending",
    shape: Shape::MultiRow,
    ..ASCENDING
};

/// Transactions of 100 rows, keys anywhere.
pub(super) const BATCH_RANDOM: Workload = Workload {
    name: "execute-batch-random",
    keys: Keys::Random,
    ..BATCH_ASCENDING
};
