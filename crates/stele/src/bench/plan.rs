//! What is measured, how long, and what must be reached.

use std::time::Duration;

use super::execution;
use super::figure::Bar;
use super::workload::{Keys, Shape, Workload};

/// Names of peers as they are shown.
pub(super) const POSTGRES: &str = "PostgreSQL";
pub(super) const SQLITE: &str = "SQLite";
pub(super) const SHA256SUM: &str = "sha256sum";
pub(super) const OWNER: &str = "owner";
pub(super) const COPY: &str = "COPY";
pub(super) const LOAD_DATA: &str = "LOAD DATA";
pub(super) const LEDGER: &str = "the ledger";
pub(super) const ONE_NODE: &str = "one node alone";

/// Clients of the 100-row measures.
const BATCH_CLIENTS: u64 = 8;

/// One measure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Measure {
    /// Over the PostgreSQL wire.
    Wire(Workload),
    /// By a user whom rights were granted, beside the table's owner.
    Permissions(Workload),
    /// Blocks in the engine.
    Execution(Workload),
    /// Bare SQLite with and without what history adds to a row.
    History(Workload),
    /// Proofs of transactions.
    EntryProof,
    /// Proofs of rows.
    RowProof,
    /// Reading back all segments.
    SelfCheck,
    /// Memory of a node after many rows.
    Memory,
    /// Proofs asked for in SQL, of rows among many.
    ProofSql,
    /// Replicas and restores of a table of many rows.
    Replica(&'static str),
    /// Several validators on this machine.
    Cluster(&'static str),
}

impl Measure {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Wire(workload)
            | Self::Permissions(workload)
            | Self::Execution(workload)
            | Self::History(workload) => workload.name,
            Self::EntryProof => "entry-proof",
            Self::RowProof => "row-proof",
            Self::SelfCheck => "self-check",
            Self::Memory => "memory",
            Self::ProofSql => "proof-sql",
            Self::Replica(name) | Self::Cluster(name) => name,
        }
    }

    /// What it must reach.
    pub(super) fn bars(&self) -> Vec<Bar> {
        match self.name() {
            "insert-30" => vec![Bar::AtLeast(5_000.0), Bar::Share(POSTGRES, 0.25)],
            "batch-ascending" => vec![Bar::AtLeast(60_000.0)],
            "batch-random" => vec![Bar::AtLeast(8_000.0)],
            "select-1" | "select-30" => vec![Bar::Share(POSTGRES, 0.25)],
            "execute-ascending" | "execute-batch-ascending" => vec![Bar::Share(SQLITE, 0.3)],
            "self-check" => vec![Bar::Share(SHA256SUM, 0.7)],
            "memory" => vec![Bar::Below(300.0)],
            "history" => vec![Bar::Share(SQLITE, 0.85)],
            "permissions-30" => vec![Bar::Share(OWNER, 0.85)],
            "proof-sql" => vec![Bar::MedianMs(2.0)],
            "replica-postgres" => vec![Bar::Share(COPY, 0.5)],
            "replica-mysql" => vec![Bar::Share(LOAD_DATA, 0.5)],
            "replica-live" => vec![Bar::Share(LEDGER, 0.9)],
            // A million rows in 20 s.
            "audit-postgres" | "audit-mysql" | "audit-sqlite" | "restore-sqlite" => {
                vec![Bar::AtLeast(50_000.0)]
            }
            "cluster-insert" => vec![Bar::AtLeast(3_000.0)],
            "cluster-half" => vec![Bar::P99Ms(800.0)],
            "cluster-batch" => vec![Bar::AtLeast(12_000.0)],
            "cluster-memory" => vec![Bar::Below(300.0)],
            "cluster-kill" => vec![Bar::Below(10.0)],
            "cluster-five" => vec![Bar::AtLeast(1_000.0), Bar::P99Ms(1_500.0)],
            "cluster-repair" => vec![Bar::Share(SHA256SUM, 0.5)],
            _ => Vec::new(),
        }
    }
}

/// Bar of checking entry proofs, on one core.
pub(super) const ENTRY_CHECKS: Bar = Bar::AtLeast(20_000.0);

const fn wire(name: &'static str, clients: u64, shape: Shape, keys: Keys) -> Measure {
    Measure::Wire(Workload {
        name,
        clients,
        shape,
        keys,
    })
}

/// All measures, in the order they run, and what they are.
pub(super) const MEASURES: [(Measure, &str); 28] = [
    (
        wire("insert-1", 1, Shape::Single, Keys::Ascending),
        "single-row INSERTs, each durable, 1 client",
    ),
    (
        wire("insert-30", 30, Shape::Single, Keys::Ascending),
        "the same, 30 clients",
    ),
    (
        wire("insert-100", 100, Shape::Single, Keys::Ascending),
        "the same, 100 clients",
    ),
    (
        wire(
            "batch-ascending",
            BATCH_CLIENTS,
            Shape::MultiRow,
            Keys::Ascending,
        ),
        "INSERTs of 100 rows, keys ascending, 8 clients",
    ),
    (
        wire("batch-random", BATCH_CLIENTS, Shape::MultiRow, Keys::Random),
        "the same, keys random",
    ),
    (
        wire(
            "singles-ascending",
            BATCH_CLIENTS,
            Shape::Singles,
            Keys::Ascending,
        ),
        "BEGIN, 100 pipelined INSERTs, COMMIT, keys ascending, 8 clients",
    ),
    (
        wire(
            "singles-random",
            BATCH_CLIENTS,
            Shape::Singles,
            Keys::Random,
        ),
        "the same, keys random",
    ),
    (
        wire("select-1", 1, Shape::Select, Keys::Ascending),
        "SELECT of one row by key, 1 client",
    ),
    (
        wire("select-30", 30, Shape::Select, Keys::Ascending),
        "the same, 30 clients",
    ),
    (
        Measure::Permissions(Workload {
            name: "permissions-30",
            clients: 30,
            shape: Shape::Single,
            keys: Keys::Ascending,
        }),
        "single-row INSERTs by a member of one of many granted roles, and by the table's owner, 30 clients",
    ),
    (
        Measure::Execution(execution::ASCENDING),
        "executing blocks of 2,000 INSERTs, keys ascending, engine alone",
    ),
    (
        Measure::Execution(execution::RANDOM),
        "the same, keys random",
    ),
    (
        Measure::Execution(execution::BATCH_ASCENDING),
        "executing blocks of 20 INSERTs of 100 rows, keys ascending, engine alone",
    ),
    (
        Measure::Execution(execution::BATCH_RANDOM),
        "the same, keys random",
    ),
    (
        Measure::History(execution::HISTORY),
        "single-row INSERTs into bare SQLite, 2,000 a commit, with and without the two columns that history adds to a row",
    ),
    (
        Measure::EntryProof,
        "proofs of transactions made and checked, a second of one core",
    ),
    (
        Measure::RowProof,
        "proofs of rows made and checked, a second of one core",
    ),
    (
        Measure::SelfCheck,
        "reading back and recomputing all blocks",
    ),
    (
        Measure::Memory,
        "resident memory of a node after a million rows",
    ),
    (
        Measure::ProofSql,
        "SELECT stele_proof(…) of one row among a million, 1 client",
    ),
    (
        Measure::Replica("replica-postgres"),
        "a late replica in PostgreSQL: a million rows from nothing, beside COPY of the same rows",
    ),
    (
        Measure::Replica("replica-mysql"),
        "the same in MySQL or MariaDB, beside LOAD DATA",
    ),
    (
        Measure::Replica("replica-sqlite"),
        "the same in a SQLite file",
    ),
    (
        Measure::Replica("replica-live"),
        "INSERTs of 100 rows on the ledger, until a replica (PostgreSQL, else SQLite) has the last one, beside the ledger's own time",
    ),
    (
        Measure::Replica("audit-postgres"),
        "reading a million rows of a replica back and computing their root",
    ),
    (
        Measure::Replica("audit-mysql"),
        "the same in MySQL or MariaDB",
    ),
    (
        Measure::Replica("audit-sqlite"),
        "the same in a SQLite file",
    ),
    (
        Measure::Replica("restore-sqlite"),
        "all rows from the first block into an empty SQLite file, blocks checked, read back, proven",
    ),
];

/// Measures of `--cluster`, in the order they run, and what they are. Everything is on one machine: validators and clients
/// share its cores.
pub(super) const CLUSTER_MEASURES: [(Measure, &str); 7] = [
    (
        Measure::Cluster("cluster-insert"),
        "single-row INSERTs through four validators, 200 ms blocks, 800 clients, until all have them; beside one node alone",
    ),
    (
        Measure::Cluster("cluster-half"),
        "the same at about half of that load, 300 clients",
    ),
    (
        Measure::Cluster("cluster-batch"),
        "INSERTs of 100 rows through four validators, keys ascending, 48 clients",
    ),
    (
        Measure::Cluster("cluster-memory"),
        "resident memory of the largest of the four after that",
    ),
    (
        Measure::Cluster("cluster-kill"),
        "seconds from kill -9 of one of four until the others carry 0.8 of the rate before",
    ),
    (
        Measure::Cluster("cluster-five"),
        "single-row INSERTs through five validators, 400 clients",
    ),
    (
        Measure::Cluster("cluster-repair"),
        "a damaged store of 1 GiB of one of two, from the check to valid again, beside sha256sum of its files (takes some 10 GiB of disk)",
    ),
];

/// How much work a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Rounds of each side of a measure.
    pub(super) rounds: u32,
    /// Length of a round.
    pub(super) round: Duration,
    /// Unmeasured work before the first round.
    pub(super) warm_up: Duration,
    /// Rows in a table before its measure, where that matters.
    pub(super) filled: u64,
    /// Single-row transactions that proofs and self-check are measured on, at least.
    pub(super) transactions: u64,
    /// Rows after which memory is measured.
    pub(super) memory_rows: u64,
    /// Length of a measure of several validators.
    pub(super) cluster_round: Duration,
    /// Bytes of segments that are damaged and repaired, at least.
    pub(super) repair_bytes: u64,
}

impl Effort {
    pub(super) const QUICK: Self = Self {
        rounds: 1,
        round: Duration::from_secs(1),
        warm_up: Duration::from_millis(200),
        filled: 10_000,
        transactions: 2_000,
        memory_rows: 50_000,
        cluster_round: Duration::from_secs(4),
        repair_bytes: 32 * 1024 * 1024,
    };

    pub(super) const FULL: Self = Self {
        rounds: 3,
        round: Duration::from_secs(4),
        warm_up: Duration::from_secs(1),
        filled: 200_000,
        transactions: 30_000,
        memory_rows: 1_000_000,
        cluster_round: Duration::from_secs(120),
        repair_bytes: 1024 * 1024 * 1024,
    };
}
