//! `stele testnet`: several validators on this machine, to try a ledger of several organisations.

mod cluster;
mod table;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::config::{CLUSTER_PORT, HTTP_PORT, POSTGRES_PORT};
use crate::paint::Paint;
pub(crate) use cluster::{Cluster, Ports};

/// How often the table is drawn.
const DRAW_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked whether to stop, and whether a node has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Longest wait for all nodes to answer.
const START_WAIT: Duration = Duration::from_secs(60);

const ABOUT: &str = "\
Run several validators on this machine, each a process with a directory of its own.

They order transactions together (BFT: of 3f+1 validators f may fail or lie), and each executes every block and signs \
what it comes to. Any of them takes writes. The command shows them until Ctrl-C; started again on the same directory, the \
ledger goes on.";

const EXAMPLES: &str = "\
Examples:
  stele testnet                                four validators in ./testnet
  stele testnet --nodes 7 --dir /tmp/seven
  psql -h 127.0.0.1 -p 5433 -U operator        the first one; the next listens on 5434, ...

While it runs, from another terminal:
  stele testnet --kill two                     kill -9; the others go on
  stele testnet --revive two                   start it again
  stele testnet --pause three                  SIGSTOP; --revive wakes it";

/// Arguments of `stele testnet`.
#[derive(Debug, Args)]
#[command(about = "Run several validators on this machine", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct TestnetArgs {
    /// How many validators, when they are made now
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=50))]
    nodes: u16,
    /// Directory of all of them
    #[arg(long, value_name = "DIR", default_value = "testnet")]
    dir: PathBuf,
    /// Name of the ledger, when it is made now
    #[arg(long, value_name = "NAME", default_value = "localhost/testnet")]
    origin: String,
    /// Shortest time between two blocks, in milliseconds, when they are made now
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(50..=20_000))]
    interval: u64,
    /// First port for PostgreSQL clients; each node has the next. 0: free ones
    #[arg(long, value_name = "PORT", default_value_t = POSTGRES_PORT)]
    postgres_port: u16,
    /// First port of the HTTP API. 0: free ones
    #[arg(long, value_name = "PORT", default_value_t = HTTP_PORT)]
    http_port: u16,
    /// First port between validators. 0: free ones
    #[arg(long, value_name = "PORT", default_value_t = CLUSTER_PORT)]
    cluster_port: u16,
    /// Kill a node of the running testnet (kill -9)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["pause", "revive"])]
    kill: Option<String>,
    /// Halt a node of the running testnet (SIGSTOP)
    #[arg(long, value_name = "NAME", conflicts_with = "revive")]
    pause: Option<String>,
    /// Start a killed node of the running testnet again, or wake a halted one
    #[arg(long, value_name = "NAME")]
    revive: Option<String>,
}

/// Runs `stele testnet`.
pub(crate) fn run(args: &TestnetArgs) -> Result<ExitCode> {
    if let Some(name) = &args.kill {
        cluster::kill(&args.dir, name)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &args.pause {
        cluster::pause(&args.dir, name)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &args.revive {
        cluster::revive(&args.dir, name)?;
        return Ok(ExitCode::SUCCESS);
    }
    let ports = Ports {
        postgres: args.postgres_port,
        http: args.http_port,
        cluster: args.cluster_port,
    };
    let mut cluster = Cluster::open(&args.dir, args.nodes, &args.origin, args.interval, &ports)?;
    let stop = stop_signal()?;
    cluster.start()?;
    let ended = watch(&mut cluster, &stop);
    cluster.stop();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the nodes until told to stop.
fn watch(cluster: &mut Cluster, stop: &AtomicBool) -> Result<()> {
    let mut out = std::io::stdout();
    let live = out.is_terminal();
    let paint = Paint::of_stdout();
    let begun = Instant::now();
    let mut drawn: Option<Instant> = None;
    let mut lines = 0;
    let mut ready = false;
    while !stop.load(Ordering::Relaxed) {
        for told in cluster.look_after()? {
            // Over the table, which is drawn anew below.
            writeln!(out, "{told}")?;
            (drawn, lines) = (None, 0);
        }
        if drawn.is_none_or(|at| at.elapsed() >= DRAW_INTERVAL) {
            let seen = cluster.look();
            let all = seen.iter().all(|one| one.height.is_some());
            if !ready && all {
                ready = true;
                writeln!(
                    out,
                    "{}",
                    paint.good(format!(
                        "{} validators answer after {:.1} s; Ctrl-C stops them",
                        seen.len(),
                        begun.elapsed().as_secs_f64()
                    ))
                )?;
                writeln!(out, "{}", table::draw(&seen, paint))?;
                lines = table::height(&seen);
            } else if ready && live {
                if lines > 0 {
                    write!(out, "\x1b[{lines}A")?;
                }
                writeln!(out, "{}", table::draw(&seen, paint))?;
                lines = table::height(&seen);
            }
            out.flush()?;
            if !ready && begun.elapsed() > START_WAIT {
                let silent: Vec<&str> = seen
                    .iter()
                    .filter(|one| one.height.is_none())
                    .map(|one| one.name.as_str())
                    .collect();
                bail!(
                    "{} did not answer within {} s: see the file log in their directories in {}",
                    silent.join(", "),
                    START_WAIT.as_secs(),
                    cluster.directory().display()
                );
            }
            drawn = Some(Instant::now());
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

/// Set by Ctrl-C or SIGTERM.
fn stop_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot listen for signals")?;
    std::thread::Builder::new()
        .name("stele-signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let (Ok(mut interrupt), Ok(mut terminate)) = (
                    signal(SignalKind::interrupt()),
                    signal(SignalKind::terminate()),
                ) else {
                    return;
                };
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            told.store(true, Ordering::Relaxed);
        })
        .context("cannot listen for signals")?;
    Ok(stop)
}
