//! The ledger as any PostgreSQL client writes it.

use std::io::Write as _;

use anyhow::{Context, Result, anyhow};
use postgres::{Client, Config, CopyInWriter, NoTls};
use stele_core::{Type, Value};
use stele_sinks::put_copy_line;

use super::plan::Planned;

/// Bytes of COPY data sent at once.
const PIECE_LEN: usize = 256 * 1024;

/// A connection to the node.
pub(super) struct Ledger {
    client: Client,
}

/// A COPY under way.
pub(super) struct Copy<'l> {
    writer: CopyInWriter<'l>,
    piece: Vec<u8>,
    table: String,
}

impl Ledger {
    pub(super) fn connect(
        host: &str,
        port: u16,
        user: &str,
        password: Option<String>,
    ) -> Result<Self> {
        let mut config = Config::new();
        config
            .host(host)
            .port(port)
            .user(user)
            .dbname("stele")
            .application_name("stele import");
        if let Some(password) = password {
            config.password(password);
        }
        let client = config.connect(NoTls).map_err(spoken).with_context(|| {
            format!("cannot connect to the node at {host}:{port}; start one with `stele start`")
        })?;
        Ok(Self { client })
    }

    /// How many rows a table of the ledger has; none if there is no such table.
    pub(super) fn rows_there(&mut self, table: &Planned) -> Result<Option<u64>> {
        let there = self
            .client
            .query_opt(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = $1 AND table_name = $2",
                &[&table.schema, &table.table],
            )
            .map_err(spoken)?;
        if there.is_none() {
            return Ok(None);
        }
        let sql = format!("SELECT count(*) FROM {}", table.quoted());
        let rows: i64 = self.client.query_one(&sql, &[]).map_err(spoken)?.get(0);
        Ok(Some(u64::try_from(rows).unwrap_or(0)))
    }

    /// Makes a table, and its schema.
    pub(super) fn create(&mut self, table: &Planned) -> Result<()> {
        if table.schema != "public" {
            let schema = table.schema.replace('"', "\"\"");
            let sql = format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"");
            self.client.batch_execute(&sql).map_err(spoken)?;
        }
        let sql = table.create_sql();
        let made = self.client.batch_execute(&sql).map_err(spoken);
        made.with_context(|| format!("cannot make {}: {sql}", table.ledger_name()))
    }

    /// Begins to store rows.
    pub(super) fn copy(&mut self, table: &Planned) -> Result<Copy<'_>> {
        self.client
            .batch_execute("SET stele.copy_batches = on")
            .map_err(spoken)?;
        let columns: Vec<String> = table
            .columns()
            .iter()
            .map(|column| format!("\"{}\"", column.name.replace('"', "\"\"")))
            .collect();
        let sql = format!(
            "COPY {} ({}) FROM STDIN",
            table.quoted(),
            columns.join(", ")
        );
        Ok(Copy {
            writer: self.client.copy_in(&sql).map_err(spoken)?,
            piece: Vec::with_capacity(PIECE_LEN * 2),
            table: table.ledger_name(),
        })
    }
}

impl Copy<'_> {
    /// Sends a row.
    pub(super) fn row(&mut self, types: &[Type], values: &[Value]) -> Result<()> {
        put_copy_line(&mut self.piece, types, values);
        if self.piece.len() >= PIECE_LEN {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let sent = self.writer.write_all(&self.piece);
        self.piece.clear();
        sent.with_context(|| format!("cannot store rows of {}", self.table))
    }

    /// Waits until all rows are stored.
    pub(super) fn finish(mut self) -> Result<()> {
        let sent = self.send();
        let finished = self.writer.finish().map_err(spoken);
        finished.with_context(|| {
            let table = &self.table;
            format!(
                "cannot store all rows of {table}; with --resume it goes on where it was, unless somebody changed its rows meanwhile: DROP TABLE {table} then, and import again"
            )
        })?;
        sent
    }
}

/// What the server said, in its own words.
fn spoken(error: postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(said) => {
            let detail = said
                .detail()
                .map_or(String::new(), |text| format!("; {text}"));
            let hint = said
                .hint()
                .map_or(String::new(), |text| format!("; {text}"));
            anyhow!("{}{detail}{hint} [{}]", said.message(), said.code().code())
        }
        None => anyhow!(error),
    }
}
