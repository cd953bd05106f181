//! Reading an archive that came from elsewhere: nothing in it is believed before it is checked.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use stele_core::trust::Trust;
use stele_flow::Runtime;
use stele_node::OfflineLedger;
use stele_store::SnapshotFile;
use stele_store::snapshot::{SNAPSHOTS_FOLDER, height_of_name};

use super::{FILES, FOLDERS, MARK, TRUST};
use crate::config::Config;
use crate::paint::Paint;
use crate::progress::{bytes_bar, count_bar};
use crate::trust::check_pinned;

/// Longest name in an archive, in bytes.
const NAME_LEN_MAX: usize = 100;

/// Arguments of `stele archive import`.
#[derive(Debug, Args)]
#[command(about = "Unpack an archive into a new directory and check all of it")]
pub(super) struct ImportArgs {
    /// The archive
    file: PathBuf,
    /// Directory to be made
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Trust file that pins the ledger; it must have come another way than the archive
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Unpacks and checks. The directory has its name only once all was checked.
pub(super) fn run(args: &ImportArgs, config: &Config) -> Result<ExitCode> {
    if args.dir.exists() {
        bail!(
            "{} is there already: name a directory that is not",
            args.dir.display()
        );
    }
    let mut part = args.dir.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if part.exists() {
        std::fs::remove_dir_all(&part)
            .with_context(|| format!("cannot remove {}, left by an earlier try", part.display()))?;
    }
    let done = unpack(args, &part).and_then(|()| check(args, &part, config));
    let report = match done {
        Ok(report) => report,
        Err(error) => {
            // What is not believed does not stay; that it cannot be removed changes nothing.
            let _ = std::fs::remove_dir_all(&part);
            return Err(error);
        }
    };
    std::fs::rename(&part, &args.dir)
        .with_context(|| format!("cannot name {}", args.dir.display()))?;
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{report}")?,
        false => {
            let number = |name: &str| report.get(name).and_then(serde_json::Value::as_u64);
            writeln!(
                out,
                "{} {}: {} blocks and {} transactions of ledger {}, every signature of {} checked",
                Paint::of_stdout().good("imported"),
                args.dir.display(),
                number("blocks").unwrap_or(0),
                number("transactions").unwrap_or(0),
                report
                    .get("origin")
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default(),
                args.trust.display()
            )?;
            let effects = number("effects_height").unwrap_or(0);
            if Some(effects) < number("height") {
                writeln!(
                    out,
                    "The effects of blocks after {effects} are not whole in it: restores reach block {effects}, a newer archive reaches further"
                )?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the files of the archive: those an archive can have, and no others.
fn unpack(args: &ImportArgs, part: &Path) -> Result<()> {
    let shown = args.file.display();
    let file = File::open(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let len = file.metadata()?.len();
    let bar = bytes_bar("unpacking", !args.json);
    bar.set_length(len);
    let mut archive = tar::Archive::new(bar.wrap_read(file));
    for folder in FOLDERS {
        let folder = part.join(folder);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let entries = archive
        .entries()
        .with_context(|| format!("{shown} is no archive"))?;
    for entry in entries {
        let mut entry = entry.with_context(|| format!("{shown} is damaged"))?;
        let path = entry
            .path()
            .with_context(|| format!("{shown} is damaged"))?;
        let name = member(&path).ok_or_else(|| {
            anyhow!("{shown} holds {path:?}, which is no part of an archive: nothing was unpacked")
        })?;
        if !entry.header().entry_type().is_file() {
            bail!(
                "{shown}: {} is no file: nothing was unpacked",
                name.display()
            );
        }
        let target = part.join(&name);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&target)
            .with_context(|| match target.exists() {
                true => format!("{shown} holds {} twice", name.display()),
                false => format!("cannot write {}", target.display()),
            })?;
        std::io::copy(&mut entry, &mut file)
            .with_context(|| format!("cannot unpack {}", name.display()))?;
        file.sync_all()
            .with_context(|| format!("cannot write {}", target.display()))?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// The name of a file an archive can have.
fn member(path: &Path) -> Option<PathBuf> {
    let parts: Vec<&str> = path
        .components()
        .map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let short = |name: &str| name.len() <= NAME_LEN_MAX;
    match parts.as_slice() {
        [name] if FILES.contains(name) => Some(PathBuf::from(name)),
        ["segments", name] if (name.ends_with(".seg") || *name == MARK) && short(name) => {
            Some(Path::new("segments").join(name))
        }
        [SNAPSHOTS_FOLDER, name] if height_of_name(name).is_some() && short(name) => {
            Some(Path::new(SNAPSHOTS_FOLDER).join(name))
        }
        _ => None,
    }
}

/// Checks what was unpacked against the trust file.
fn check(args: &ImportArgs, part: &Path, config: &Config) -> Result<serde_json::Value> {
    let runtime = Runtime::real();
    if !part.join("genesis").is_file() {
        bail!(
            "{} is no archive of a ledger: it holds no file `genesis`",
            args.file.display()
        );
    }
    if !part.join("segments").join(MARK).is_file() {
        bail!(
            "{} is no whole archive: it holds no file segments/{MARK}",
            args.file.display()
        );
    }
    let ledger = OfflineLedger::open(part, &runtime)
        .map_err(|error| anyhow!("{}: {error}", args.file.display()))?;
    let trust = Trust::of_genesis(ledger.genesis());
    check_pinned(part, &trust, Some(&args.trust), config)?;
    let bar = bytes_bar("checking blocks", !args.json);
    let report = ledger.check(u64::MAX, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    if let Some(finding) = report.findings.first() {
        bail!(
            "{} is damaged, or was changed: {}, {}: {}",
            args.file.display(),
            finding.place,
            finding.item,
            finding.reason
        );
    }
    // What was pinned is what later commands find, whatever the archive says of itself.
    runtime
        .files
        .replace(&part.join(TRUST), trust.to_string().as_bytes())?;
    let mut snapshots = Vec::new();
    for entry in std::fs::read_dir(part.join(SNAPSHOTS_FOLDER))? {
        let path = entry?.path();
        let file = SnapshotFile::open(&*runtime.files, &path, trust.suite)?;
        let named = path
            .file_name()
            .and_then(|name| height_of_name(name.to_str()?));
        if named != Some(file.summary().height) {
            bail!(
                "{}: the snapshot {} is of block {}: somebody named it anew",
                args.file.display(),
                path.file_name().unwrap_or_default().display(),
                file.summary().height
            );
        }
        let bar = count_bar("checking the snapshot", !args.json);
        bar.set_length(file.summary().rows);
        let summary = file.verify(&trust, &mut |rows| bar.set_position(rows))?;
        bar.finish_and_clear();
        snapshots.push(summary.height);
    }
    Ok(json!({
        "directory": args.dir,
        "origin": trust.origin,
        "ledger": trust.ledger.to_string(),
        "height": report.height,
        "effects_height": report.effects_height,
        "blocks": report.blocks,
        "transactions": report.transactions,
        "snapshots": snapshots,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_an_archive_are_unpacked() {
        for name in [
            "genesis",
            "segments/00000001.seg",
            "segments/mark",
            "snapshots/0000000000000007.snapshot",
        ] {
            assert_eq!(member(Path::new(name)), Some(PathBuf::from(name)));
        }
        for name in [
            "../genesis",
            "/genesis",
            "keys/operator.key",
            "segments/../../x.seg",
            "segments/x.txt",
            "snapshots/x",
            "state.db",
        ] {
            assert_eq!(member(Path::new(name)), None, "{name}");
        }
    }
}
