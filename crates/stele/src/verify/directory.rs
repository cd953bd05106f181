//! A whole data directory, read again from its first byte to its last row.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use stele_core::trust::Trust;
use stele_flow::Runtime;
use stele_node::directory::read_genesis;
use stele_node::{Offline, verify_directory};

use crate::config::Config;
use crate::paint::Paint;
use crate::progress::bytes_bar;
use crate::report::Report;
use crate::trust::check_pinned;

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
    check_pinned(directory, &found, trust, config)?;
    let bar = bytes_bar("checking", !json);
    let progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let folder =
        tempfile::tempdir().context("cannot make a folder for states; TMPDIR names where")?;
    let copy = copied_state(directory, folder.path())?;
    let scratch = folder.path().join("executed.db");
    let offline = Offline {
        state: copy.as_deref(),
        scratch: execute.then_some(scratch.as_path()),
    };
    let report = verify_directory(directory, offline, &runtime, &progress)
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

/// A copy of the state, if it lies where nothing can be written.
fn copied_state(directory: &Path, folder: &Path) -> Result<Option<PathBuf>> {
    const STATE: &str = "state.db";
    let state = directory.join(STATE);
    let opened = std::fs::OpenOptions::new().write(true).open(&state);
    match opened.map_err(|error| error.kind()) {
        Err(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {}
        _ => return Ok(None),
    }
    for ending in ["", "-wal"] {
        let from = directory.join(format!("{STATE}{ending}"));
        if from.is_file() {
            let to = folder.join(format!("{STATE}{ending}"));
            std::fs::copy(&from, &to).with_context(|| {
                format!(
                    "cannot copy {} to {}; TMPDIR names where",
                    from.display(),
                    folder.display()
                )
            })?;
            // SQLite writes beside it; the copy keeps the original's mode otherwise.
            std::fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        }
    }
    Ok(Some(folder.join(STATE)))
}
