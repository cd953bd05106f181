//! A whole data directory, read again from its first byte to its last row.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use stele_core::trust::Trust;
use stele_flow::Runtime;
use stele_node::directory::read_genesis;
use stele_node::verify_directory;

use crate::config::Config;
use crate::paint::Paint;
use crate::progress::bytes_bar;
use crate::report::Report;
use crate::trust::pinned;

/// Checks a directory and tells what was found.
pub(super) fn run(
    directory: &Path,
    trust: Option<&Path>,
    execute: bool,
    json: bool,
    config: &Config,
) -> Result<ExitCode> {
    if !directory.join("genesis").is_file() {
        bail!(
            "{} is not a data directory: it holds no file `genesis`",
            directory.display()
        );
    }
    let runtime = Runtime::real();
    let found = Trust::of_genesis(&read_genesis(&runtime.files, directory)?);
    if let Some(file) = trust {
        let pinned = pinned(Some(file), config)?;
        if pinned.trust != found {
            bail!(
                "{} holds ledger {} ({}), but {} pins ledger {} ({}): this is not the ledger you trust",
                directory.display(),
                found.ledger,
                found.origin,
                file.display(),
                pinned.trust.ledger,
                pinned.trust.origin
            );
        }
    }
    let bar = bytes_bar("checking", !json);
    let progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let scratch = match execute {
        true => Some(
            tempfile::tempdir()
                .context("cannot make a folder for the state; TMPDIR names where")?,
        ),
        false => None,
    };
    let file = scratch
        .as_ref()
        .map(|folder| folder.path().join("state.db"));
    let report = verify_directory(directory, file.as_deref(), &runtime, &progress)
        .map_err(|error| anyhow!(error).context(format!("cannot check {}", directory.display())))?;
    bar.finish_and_clear();
    let report = Report::from(report);
    let paint = Paint::of_stdout();
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "ledger {}", paint.strong(&found.origin))?;
        let whose = match trust {
            Some(file) => format!("pinned by {}", file.display()),
            None => {
                "as the directory itself says: compare it with the one you know, or give --trust"
                    .to_owned()
            }
        };
        writeln!(
            out,
            "{}",
            paint.faint(format!("ledger id {} ({whose})", found.ledger))
        )?;
        write!(out, "{}", report.to_text(paint))?;
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
