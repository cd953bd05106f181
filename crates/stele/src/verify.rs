//! `stele verify`: believing nobody, offline.

mod directory;
mod proof;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use stele_core::note::NOTE_LEN_MAX;

use crate::config::Config;
use crate::paint::Paint;
use crate::trust::{Pinned, pinned, read_bounded, signers};
pub(crate) use proof::Checker;

const ABOUT: &str = "\
Check proof files or a copied data directory, offline.

A proof file shows that a transaction took place, or that a row stood (or did not stand) in a table after \
a block. Nothing in it is believed for itself: everything is hashed up to a checkpoint, and the checkpoint \
must be signed by the validators in your trust file. Get the trust file (trust.txt of the data directory) \
from the ledger's operator once, compare its ledger id by another way, and keep it.

Keep a checkpoint (GET /checkpoint), too: later, --since shows that nothing before it has changed, without \
reading the ledger. Ask for the proof from its size, which is its second line: \
GET /v1/checkpoint/proof?from=SIZE.";

const EXAMPLES: &str = "\
Examples:
  stele verify proof.txt                         against trust.txt of the configured data directory
  stele verify --trust ledger.trust *.proof      against the file you pinned
  stele verify --json proof.txt | jq .           for programs
  stele verify --since kept.checkpoint growth.proof
                                                 nothing before the kept checkpoint has changed
  stele verify --data /backup/stele-data         every block, hash, signature and row, again
  stele verify --data copy --execute             and that every recorded outcome is what executing gives
  stele verify --data copy --trust ledger.trust  and that it is the ledger you pinned

Exit code: 0 if everything is shown, 1 if anything is not.";

/// Longest proof file, in bytes (64 MiB).
pub(crate) const PROOF_LEN_MAX: usize = 64 * 1024 * 1024;

/// Arguments of `stele verify`.
#[derive(Debug, Args)]
#[command(about = "Check proof files or a copied data directory, offline", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Proof files; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "data")]
    files: Vec<PathBuf>,
    /// Check a whole data directory that no node uses, such as a copy; it is not changed
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    data: Option<PathBuf>,
    /// With --data: also execute every block again from the first, and compare all it gives with what
    /// the validators recorded. Takes room for the state in TMPDIR
    #[arg(long, requires = "data")]
    execute: bool,
    /// A checkpoint kept earlier; the files are proofs that the log has only grown since
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "data")]
    since: Option<PathBuf>,
    /// Trust file [default: trust.txt in node.directory of the configuration; with --data, the
    /// directory's own]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Print JSON: one object a file
    #[arg(long)]
    json: bool,
}

/// Runs `stele verify`.
pub(crate) fn run(args: &VerifyArgs, config: &Config) -> Result<ExitCode> {
    if let Some(data) = &args.data {
        return directory::run(data, args.trust.as_deref(), args.execute, args.json, config);
    }
    let pinned = pinned(args.trust.as_deref(), config)?;
    files(args, pinned)
}

fn files(args: &VerifyArgs, pinned: Pinned) -> Result<ExitCode> {
    let paint = Paint::of_stdout();
    let mut out = std::io::stdout().lock();
    if !args.json {
        writeln!(
            out,
            "trusting {} of ledger {}\n{}\n",
            signers(&pinned.trust),
            paint.strong(&pinned.trust.origin),
            paint.faint(format!(
                "ledger id {} ({})",
                pinned.trust.ledger,
                pinned.path.display()
            )),
        )?;
    }
    let kept = match &args.since {
        Some(file) => Some(read_bounded(file, NOTE_LEN_MAX)?),
        None => None,
    };
    let mut checker = Checker::new(pinned.trust);
    let mut all_shown = true;
    for file in &args.files {
        let name = file.display().to_string();
        let checked = read_bounded(file, PROOF_LEN_MAX)
            .map_err(|error| format!("{error:#}"))
            .and_then(|bytes| {
                let shown = match &kept {
                    Some(kept) => checker.check_growth(kept, &bytes),
                    None => checker.check(&bytes),
                };
                shown.map_err(|error| error.to_string())
            });
        all_shown &= checked.is_ok();
        match checked {
            Ok(shown) if args.json => writeln!(out, "{}", shown.to_json(&name))?,
            Ok(shown) => {
                writeln!(out, "{} {name}", paint.good("OK"))?;
                writeln!(out, "{}", shown.to_text(paint))?;
            }
            Err(reason) if args.json => writeln!(
                out,
                "{}",
                serde_json::json!({ "file": name, "ok": false, "reason": reason })
            )?,
            Err(reason) => writeln!(
                out,
                "{} {name}\n  {reason}\n  Nothing in this file is shown.\n",
                paint.bad("NOT OK")
            )?,
        }
    }
    Ok(if all_shown {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
