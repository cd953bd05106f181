//! Whole clusters in simulated time: the validators' own code, executor and SQLite included, on simulated disks and a simulated network,
//! while nodes are killed, disks forget and rot, messages are lost, the network parts and others lie.
//!
//! One seed gives one run, and the same one again. What must hold in every run is in [`judge`].

mod cluster;
mod disk;
mod judge;
mod outcome;
mod plan;
mod run;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use outcome::Outcome;

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p sim -- --seeds 1000            seeds 0 to 999, a summary at the end
  cargo run --release -p sim -- --seed 17 --verbose     one run, told step by step

Exit code: 0 when everything held in every run, 1 when not; each seed that shows a violation is named.";

/// Simulate clusters of validators and look for violations.
#[derive(Debug, Parser)]
#[command(name = "sim", after_help = EXAMPLES)]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this seed only
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Run each seed twice, and compare
    #[arg(long)]
    twice: bool,
    /// Tell what happens
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => arguments.from..arguments.from + arguments.seeds,
    };
    let begun = Instant::now();
    let (mut total, mut bad) = (Outcome::default(), Vec::new());
    for seed in seeds {
        let outcome = run::run(seed, arguments.verbose);
        let mut violations = outcome.violations.clone();
        if arguments.twice && run::run(seed, false).digest != outcome.digest {
            violations.push("the same seed gave another run".to_owned());
        }
        say(&match violations.is_empty() {
            true => format!("seed {seed}: {outcome}"),
            false => format!("seed {seed}: VIOLATED\n  {}", violations.join("\n  ")),
        });
        if !violations.is_empty() {
            bad.push(seed);
        }
        total.add(&outcome);
    }
    say(&format!(
        "{total}; {:.1} s\n{}",
        begun.elapsed().as_secs_f64(),
        match bad.is_empty() {
            true => "everything held".to_owned(),
            false => format!("VIOLATED by seeds {bad:?}: `--seed N --verbose` shows one again"),
        }
    ));
    match bad.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prints a line. A closed output loses nothing.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
