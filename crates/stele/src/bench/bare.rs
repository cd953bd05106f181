//! Bare SQLite in this process: what the state would cost without a ledger around it.
//!
//! Write-ahead log, synchronous=FULL, prepared statements, one commit a batch; a batch holds what one
//! block would: one operation of every client.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rusqlite::{Connection, params, params_from_iter};

use super::sample::Sample;
use super::workload::{BATCH_ROWS, Keys, Numbers, Row, Shape, Workload, filling, insert};

/// Page cache, as large as the node's, in KiB.
const CACHE_KIB: u32 = 64 * 1024;

/// A database file.
pub(super) struct Bare {
    connection: Connection,
}

impl Bare {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)
            .with_context(|| format!("cannot open SQLite on {}", path.display()))?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -{CACHE_KIB};"
        ))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection })
    }

    /// Makes a table with rows in it. `INTEGER PRIMARY KEY` is SQLite's fastest key.
    pub(super) fn create(&self, table: &str, filled: u64, keys: Keys) -> Result<()> {
        self.connection.execute_batch(&format!(
            "DROP TABLE IF EXISTS {table};
             CREATE TABLE {table} (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, note TEXT NOT NULL);
             BEGIN;"
        ))?;
        let mut statement = self.connection.prepare_cached(&insert(table, 1))?;
        for row in filling(filled, keys) {
            statement.execute(params![row.id, row.account, row.note])?;
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    /// Adds the columns that the state has beside a table's own: which transaction wrote a row.
    pub(super) fn stamp(&self, table: &str) -> Result<()> {
        let sql = format!(
            "ALTER TABLE {table} ADD COLUMN _h INTEGER NOT NULL DEFAULT 1000000;
             ALTER TABLE {table} ADD COLUMN _x INTEGER NOT NULL DEFAULT 1000;
             UPDATE {table} SET _h = 1000000, _x = 1000;"
        );
        Ok(self.connection.execute_batch(&sql)?)
    }

    /// Adds a secondary index on `account`.
    pub(super) fn index(&self, table: &str) -> Result<()> {
        let sql = format!("CREATE INDEX {table}_account ON {table} (account)");
        Ok(self.connection.execute_batch(&sql)?)
    }

    /// One round of a workload.
    pub(super) fn run(
        &self,
        workload: &Workload,
        numbers: &Numbers,
        time: Duration,
    ) -> Result<Sample> {
        let mut operations = 0;
        let start = Instant::now();
        while start.elapsed() < time {
            let batch: Vec<Vec<Row>> = match workload.shape {
                Shape::Select | Shape::Proof => Vec::new(),
                _ => (0..workload.clients)
                    .map(|_| numbers.take(workload))
                    .collect(),
            };
            self.batch(workload, numbers, &batch)?;
            operations += workload.clients;
        }
        Ok(Sample::round(
            operations * workload.rows(),
            start.elapsed(),
            Vec::new(),
        ))
    }

    /// One batch and its commit.
    pub(super) fn batch(
        &self,
        workload: &Workload,
        numbers: &Numbers,
        batch: &[Vec<Row>],
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(&workload.statement())?;
        if workload.shape == Shape::Select {
            for _ in 0..workload.clients {
                let read =
                    |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
                statement.query_row([numbers.existing()], read)?;
            }
            return Ok(());
        }
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])?;
        for rows in batch {
            if workload.shape == Shape::MultiRow && rows.len() as u64 == BATCH_ROWS {
                let values = rows.iter().flat_map(|row| {
                    let values: [&dyn rusqlite::ToSql; 3] = [&row.id, &row.account, &row.note];
                    values
                });
                statement.execute(params_from_iter(values))?;
            } else {
                for row in rows {
                    statement.execute(params![row.id, row.account, row.note])?;
                }
            }
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}
