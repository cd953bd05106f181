//! Filling, following, auditing and restoring replicas, beside what the databases take by their own bulk loads.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mysql::prelude::Queryable as _;
use mysql::{Conn, LocalInfileHandler, Opts};
use stele_core::transaction::{Payload, Statement};
use stele_flow::Runtime;
use stele_node::keys::OPERATOR;
use stele_node::{Node, NodeConfig, OfflineLedger};
use stele_pipeline::restore::restore;
use stele_pipeline::{AuditRequest, Phase, ReplicaSpec, Replicas, RestoreRequest, Selection};
use stele_sinks::{Naming, Target as Sink};

use super::figure::Figure;
use super::plan::{COPY, LEDGER, LOAD_DATA, Measure};
use super::sample::Sample;
use super::workload::{BATCH_ROWS, Keys, Row, filling, insert};
use crate::start::open_replicas;

/// Longest wait for a replica.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How often a wait looks.
const POLL: Duration = Duration::from_millis(5);
/// Name of the replica measured.
const NAME: &str = "bench";

/// Databases measured beside the ledger.
pub(super) struct Databases {
    /// URL of a PostgreSQL.
    pub(super) postgres: Option<String>,
    /// URL of a MySQL or MariaDB.
    pub(super) mysql: Option<String>,
}

/// Measures on the directory of a node that was stopped, whose table holds so many rows.
pub(super) fn figures(
    directory: &Path,
    table: &str,
    rows: u64,
    databases: &Databases,
    measures: &[&Measure],
    announce: &dyn Fn(&Measure),
) -> Result<Vec<Figure>> {
    let config = NodeConfig {
        directory: directory.to_owned(),
        self_check_interval_s: 0,
        ..NodeConfig::default()
    };
    let node = Node::start(config, Runtime::real())?;
    let replicas = open_replicas(&node, directory, Vec::new())?;
    let bench = Bench {
        node,
        replicas,
        directory,
        table,
        rows,
    };
    let mut figures = Vec::new();
    for measure in measures {
        announce(measure);
        figures.extend(bench.figure(measure, databases)?);
    }
    bench.replicas.stop();
    bench.node.stop();
    Ok(figures)
}

struct Bench<'b> {
    node: Node,
    replicas: Replicas,
    directory: &'b Path,
    table: &'b str,
    rows: u64,
}

impl Bench<'_> {
    fn figure(&self, measure: &Measure, databases: &Databases) -> Result<Option<Figure>> {
        let sqlite = format!("sqlite:{}", self.directory.with_extension("copy").display());
        let (ours, peers) = match (measure.name(), &databases.postgres, &databases.mysql) {
            ("replica-postgres", Some(url), _) => {
                let peer = self.copy(url)?;
                (self.fill(url)?, vec![(COPY, peer)])
            }
            ("replica-mysql", _, Some(url)) => {
                let peer = self.load_data(url)?;
                (self.fill(url)?, vec![(LOAD_DATA, peer)])
            }
            ("replica-sqlite", ..) => (self.fill(&sqlite)?, Vec::new()),
            ("replica-live", Some(url), _) => {
                let (applied, committed) = self.live(url)?;
                (applied, vec![(LEDGER, committed)])
            }
            ("replica-live", None, _) => {
                let (applied, committed) = self.live(&sqlite)?;
                (applied, vec![(LEDGER, committed)])
            }
            ("audit-postgres", Some(url), _) => (self.audit(url)?, Vec::new()),
            ("audit-mysql", _, Some(url)) => (self.audit(url)?, Vec::new()),
            ("audit-sqlite", ..) => (self.audit(&sqlite)?, Vec::new()),
            ("restore-sqlite", ..) => (self.restore()?, Vec::new()),
            _ => return Ok(None),
        };
        Ok(Some(Figure {
            name: measure.name().to_owned(),
            unit: "rows/s",
            ours,
            peers,
            bars: measure.bars(),
        }))
    }

    fn add(&self, url: &str) -> Result<()> {
        let spec = ReplicaSpec {
            target: url.to_owned(),
            tables: vec![self.table.to_owned()],
            ..ReplicaSpec::default()
        };
        self.replicas.add(NAME, spec, None)?;
        Ok(())
    }

    /// Waits until the replica has all that the ledger has.
    fn wait(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let status = self.replicas.find(NAME)?.status;
            if let Phase::Waiting(trouble) = status.phase {
                bail!("the replica waits: {}", trouble.reason);
            }
            if status.phase == Phase::Following && status.height >= self.node.height() {
                return Ok(());
            }
            if begun.elapsed() > WAIT_MAX {
                bail!("the replica took longer than {} s", WAIT_MAX.as_secs());
            }
            std::thread::sleep(POLL);
        }
    }

    fn sample(&self, begun: Instant) -> Sample {
        Sample::round(self.rows, begun.elapsed(), Vec::new())
    }

    /// A late join: from nothing to all rows.
    fn fill(&self, url: &str) -> Result<Sample> {
        let begun = Instant::now();
        self.add(url)?;
        self.wait()?;
        let sample = self.sample(begun);
        self.replicas.remove(NAME, true, false)?;
        Ok(sample)
    }

    fn audit(&self, url: &str) -> Result<Sample> {
        self.add(url)?;
        self.wait()?;
        let begun = Instant::now();
        let report = self
            .replicas
            .audit(NAME, &AuditRequest::default(), &mut |_| true)?;
        let sample = self.sample(begun);
        self.replicas.remove(NAME, true, false)?;
        if !report.is_clean() || report.rows < self.rows {
            bail!("the audit found other rows than were written");
        }
        Ok(sample)
    }

    /// Writers on the ledger while the replica follows: rows a second there and here, until it has the last one.
    fn live(&self, url: &str) -> Result<(Sample, Sample)> {
        const BATCHES: u64 = 400;
        self.add(url)?;
        self.wait()?;
        let mut pending = Vec::new();
        let begun = Instant::now();
        for batch in 0..BATCHES {
            let first = self.rows + batch * BATCH_ROWS;
            let statement = Statement {
                sql: literal_insert(self.table, first..first + BATCH_ROWS),
                parameters: Vec::new(),
                result: None,
            };
            pending.push(
                self.node
                    .write(OPERATOR, Payload::Statements(vec![statement]))?,
            );
        }
        for written in pending {
            let receipt = futures::executor::block_on(written.receipt)
                .context("the node stopped before it answered")??;
            if !receipt.outcome.code.is_success() {
                bail!("a write failed with {}", receipt.outcome.code);
            }
        }
        let rows = BATCHES * BATCH_ROWS;
        let committed = Sample::round(rows, begun.elapsed(), Vec::new());
        self.wait()?;
        let applied = Sample::round(rows, begun.elapsed(), Vec::new());
        self.replicas.remove(NAME, true, false)?;
        Ok((applied, committed))
    }

    /// From the first block into an empty SQLite file, every row read back.
    fn restore(&self) -> Result<Sample> {
        let runtime = Runtime::real();
        let path = self.directory.with_extension("restored");
        let target: Sink = format!("sqlite:{}", path.display()).parse()?;
        let begun = Instant::now();
        let ledger = OfflineLedger::open(self.directory, &runtime)?;
        let report = ledger.check(ledger.tip(), &|_, _| {})?;
        if !report.findings.is_empty() {
            bail!("the blocks are damaged");
        }
        let request = RestoreRequest {
            height: ledger.tip(),
            selection: Selection {
                names: vec!["*".to_owned()],
            },
            start: None,
        };
        let sink = stele_sinks::open(&target, None, Naming::default());
        let restored = restore(Box::new(ledger.source()), sink, &request, &mut |_| true)?;
        if !restored.proven {
            bail!("the restore was not proven");
        }
        Ok(Sample::round(
            restored.rows_written,
            begun.elapsed(),
            Vec::new(),
        ))
    }

    fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for Row { id, account, note } in filling(self.rows, Keys::Ascending) {
            let _ = writeln!(lines, "{id}\t{account}\t{note}");
        }
        lines
    }

    /// The same rows by COPY into PostgreSQL.
    fn copy(&self, url: &str) -> Result<Sample> {
        let lines = self.lines();
        let mut client = postgres::Client::connect(url, postgres::NoTls)?;
        client.batch_execute(
            "DROP TABLE IF EXISTS bench_bare; CREATE TABLE bench_bare (id bigint PRIMARY KEY, account bigint, note text)",
        )?;
        let begun = Instant::now();
        let mut transaction = client.transaction()?;
        let mut writer = transaction.copy_in("COPY bench_bare FROM STDIN")?;
        writer.write_all(&lines)?;
        writer.finish()?;
        transaction.commit()?;
        let sample = self.sample(begun);
        client.batch_execute("DROP TABLE bench_bare")?;
        Ok(sample)
    }

    /// The same rows by LOAD DATA into MySQL or MariaDB.
    fn load_data(&self, url: &str) -> Result<Sample> {
        let mut conn = Conn::new(Opts::from_url(url)?)?;
        conn.query_drop("DROP TABLE IF EXISTS bench_bare")?;
        conn.query_drop(
            "CREATE TABLE bench_bare (id BIGINT PRIMARY KEY, account BIGINT, note LONGTEXT) ENGINE = InnoDB",
        )?;
        let lines = self.lines();
        conn.set_local_infile_handler(Some(LocalInfileHandler::new(move |_, writer| {
            writer.write_all(&lines)
        })));
        let begun = Instant::now();
        conn.query_drop("LOAD DATA LOCAL INFILE 'rows' INTO TABLE bench_bare")?;
        let sample = self.sample(begun);
        conn.query_drop("DROP TABLE bench_bare")?;
        Ok(sample)
    }
}

/// An INSERT of rows written out.
fn literal_insert(table: &str, rows: std::ops::Range<u64>) -> String {
    let head = insert(table, 0);
    let rows: Vec<String> = rows
        .map(|number| {
            let Row { id, account, note } = Row::new(number.cast_signed());
            format!("({id}, {account}, '{note}')")
        })
        .collect();
    format!("{head}{}", rows.join(", "))
}
