//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::{
    archive, audit, bench, demo, import, keys, proxy, replica, restore, send, snapshot, sql, start,
    status, testnet, verify,
};

const ABOUT: &str = "One SQL database that several organisations keep together, and can prove";

const AFTER: &str = "\
First steps:
  stele demo                               the whole story in a minute
  stele start                              run a node; data goes to ./stele-data
  psql -h 127.0.0.1 -p 5433 -U operator    use it from any PostgreSQL client
  stele sql                                or from a shell that knows about proofs
  stele verify proof.txt                   check a proof, offline, believing nobody
  stele replica add copy --to sqlite:c.db  keep the tables in another database, identical and checked
  stele testnet                            several validators on this machine, ordering together
  stele proxy --trust trust.txt            beside your programs: checks all that a server tells them

Settings come from stele.toml where the command runs (or --config FILE), then from environment \
variables STELE_<SECTION>_<KEY>, then from flags. `stele start --print-config` writes a file with all of them.

`stele COMMAND --help` explains a command, with examples.";

/// What was asked for.
#[derive(Debug, Parser)]
#[command(name = "stele", bin_name = "stele", version, about = ABOUT, after_help = AFTER, max_term_width = 110)]
pub(crate) struct Cli {
    /// Configuration file [default: stele.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Start(start::StartArgs),
    Testnet(testnet::TestnetArgs),
    Sql(sql::SqlArgs),
    /// Show a running node at a glance
    Status(status::StatusArgs),
    Audit(audit::AuditArgs),
    Keys(keys::KeysArgs),
    Verify(verify::VerifyArgs),
    Proxy(proxy::ProxyArgs),
    Send(send::SendArgs),
    Replica(replica::ReplicaArgs),
    Import(import::ImportArgs),
    Restore(restore::RestoreArgs),
    Snapshot(snapshot::SnapshotArgs),
    Archive(archive::ArchiveArgs),
    Bench(bench::BenchArgs),
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let config = match &self.command {
            // What explains the configuration must work while the configuration is wrong.
            Command::Start(args) if args.needs_no_config() => Config::default(),
            // Plays in a directory of its own, whatever is configured here.
            Command::Demo(_) | Command::Testnet(_) => Config::default(),
            _ => Config::load(self.config.as_deref())?,
        };
        match self.command {
            Command::Demo(args) => demo::run(&args),
            Command::Start(args) => start::run(&args, config),
            Command::Testnet(args) => testnet::run(&args),
            Command::Sql(args) => sql::run(&args, config),
            Command::Status(args) => status::run(&args, &config),
            Command::Audit(args) => audit::run(&args, &config),
            Command::Keys(args) => keys::run(&args, &config),
            Command::Verify(args) => verify::run(&args, &config),
            Command::Proxy(args) => proxy::run(&args, config),
            Command::Send(args) => send::run(&args, &config),
            Command::Replica(args) => replica::run(&args, &config),
            Command::Import(args) => import::run(&args, &config),
            Command::Restore(args) => restore::run(&args, &config),
            Command::Snapshot(args) => snapshot::run(&args, &config),
            Command::Archive(args) => archive::run(&args, &config),
            Command::Bench(args) => bench::run(&args),
        }
    }
}
