//! `stele bench`: what the ledger costs beside databases that prove nothing, in one run.
//!
//! Each measure goes in rounds that alternate between Stele and its peers, so that a machine that
//! slows down slows all of them down. Writes count when they are durable: the node runs as users run
//! it, with history, proofs and fsync on.

mod bare;
mod cluster;
mod core_time;
mod evidence;
mod execution;
mod figure;
mod plan;
mod process;
mod replica;
mod run;
mod sample;
mod wire;
mod workload;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use plan::{CLUSTER_MEASURES, Effort, MEASURES, Measure};

const ABOUT: &str = "\
Measure this machine: the ledger beside PostgreSQL and bare SQLite, in one run.

Starts a node of its own on a fresh directory, measures through the PostgreSQL wire with prepared \
statements, and removes everything at the end. PostgreSQL is measured when --postgres says where one is; it \
gets the same rows from the same client code. Tables named bench_… there are dropped and made anew.";

const EXAMPLES: &str = "\
Examples:
  stele bench --quick                                        a minute, for a first impression
  stele bench --postgres postgres://me@127.0.0.1:5432/bench  everything, side by side
  stele bench insert select                                  only measures whose names start so
  stele bench --cluster                                      four and five validators on this machine
  stele bench --connect postgres://operator@127.0.0.1:5433/stele insert-30
  scripts/bench.sh                                           with a PostgreSQL started for it

Exit code: 0 when every bar measured is met, 2 when one is missed, 1 when measuring failed. A --quick run \
judges no bars.";

/// Arguments of `stele bench`.
#[derive(Debug, Args)]
#[command(about = "Measure this machine: the ledger beside PostgreSQL and bare SQLite", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Only measures whose names start with one of these [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Measure several validators on this machine instead
    #[arg(long, conflicts_with_all = ["connect", "postgres", "mysql"])]
    cluster: bool,
    /// Length of each measure of --cluster, in seconds [default: 120]
    #[arg(long, value_name = "SECONDS", requires = "cluster")]
    seconds: Option<u64>,
    /// Short rounds and small tables; figures waver, and no bars are judged
    #[arg(long)]
    quick: bool,
    /// A PostgreSQL to measure beside it
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// A MySQL or MariaDB to measure beside it; its server must take LOAD DATA LOCAL
    #[arg(long, value_name = "URL")]
    mysql: Option<String>,
    /// Measure a node that runs already; only what goes over the wire
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
    /// Where the data lies while measuring: a disk like the one the ledger will use [default: the current directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the result as a Markdown table
    #[arg(long)]
    markdown: bool,
    /// List the measures and end
    #[arg(long)]
    list: bool,
}

/// Runs `stele bench`.
pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if args.list {
        for (measure, about) in MEASURES.iter().chain(&CLUSTER_MEASURES) {
            writeln!(out, "{:<18} {about}", measure.name())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let known: &[(Measure, &str)] = match args.cluster {
        true => &CLUSTER_MEASURES,
        false => &MEASURES,
    };
    let measures = chosen(&args.names, known)?;
    let base = match &args.dir {
        Some(dir) => dir.clone(),
        None => std::env::current_dir()?,
    };
    let base = tempfile::Builder::new()
        .prefix("stele-bench-")
        .tempdir_in(&base)
        .with_context(|| format!("cannot make a directory in {}", base.display()))?;
    let mut effort = if args.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    if let Some(seconds) = args.seconds {
        effort.cluster_round = Duration::from_secs(seconds.max(1));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads of the clients")?;
    let mut figures = runtime.block_on(run::run(
        base.path(),
        &measures,
        &effort,
        args.postgres.as_deref(),
        args.mysql.as_deref(),
        args.connect.as_deref(),
    ))?;
    if args.quick {
        for figure in &mut figures {
            figure.bars.clear();
        }
    }
    if args.json {
        let figures: Vec<_> = figures.iter().map(figure::Figure::to_json).collect();
        writeln!(
            out,
            "{}",
            json!({ "quick": args.quick, "figures": figures })
        )?;
    } else if args.markdown {
        write!(out, "{}", figure::to_markdown(&figures))?;
    } else {
        write!(out, "{}", figure::to_table(&figures))?;
    }
    let missed = figures
        .iter()
        .flat_map(|figure| figure.bars.iter().map(|bar| figure.meets(*bar)))
        .any(|met| met == Some(false));
    Ok(ExitCode::from(if missed { 2 } else { 0 }))
}

fn chosen(names: &[String], known: &[(Measure, &str)]) -> Result<Vec<Measure>> {
    for name in names {
        if !known
            .iter()
            .any(|(measure, _)| measure.name().starts_with(name.as_str()))
        {
            let known: Vec<&str> = known.iter().map(|(measure, _)| measure.name()).collect();
            bail!(
                "no measure is called {name:?}: there are {}",
                known.join(", ")
            );
        }
    }
    let wanted = |measure: &Measure| {
        names.is_empty()
            || names
                .iter()
                .any(|name| measure.name().starts_with(name.as_str()))
    };
    Ok(known
        .iter()
        .map(|(measure, _)| *measure)
        .filter(wanted)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_chosen_by_the_start_of_their_names() {
        let names = |names: &[&str]| -> Vec<&str> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen(&names, &MEASURES)
                .unwrap()
                .iter()
                .map(Measure::name)
                .collect()
        };
        assert_eq!(names(&["insert"]), ["insert-1", "insert-30", "insert-100"]);
        assert_eq!(names(&[]).len(), MEASURES.len());
        assert!(chosen(&["inserts".to_owned()], &MEASURES).is_err());
    }
}
