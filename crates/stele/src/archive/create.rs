//! Writing an archive.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use stele_flow::Runtime;
use stele_node::OfflineLedger;
use stele_store::snapshot::height_of_name;

use super::{FILES, FOLDERS, MARK};
use crate::config::Config;
use crate::progress::bytes_bar;
use crate::status::bytes;

/// Arguments of `stele archive create`.
#[derive(Debug, Args)]
#[command(about = "Write an archive of a data directory; a node may run on it")]
pub(super) struct CreateArgs {
    /// The file to be written; it must not be there yet
    file: PathBuf,
    /// Data directory [default: node.directory of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A file that goes into the archive: its name there, where it is, and how much of it.
struct Member {
    name: String,
    path: PathBuf,
    len: u64,
}

/// Refuses to carry away what is damaged here.
fn check(directory: &Path, shown: bool) -> Result<()> {
    let runtime = Runtime::real();
    let ledger = OfflineLedger::open(directory, &runtime)
        .map_err(|error| anyhow!(error).context(format!("cannot read {}", directory.display())))?;
    let bar = bytes_bar("checking blocks", shown);
    let report = ledger.check(u64::MAX, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => bail!(
            "{} is damaged: {}, {}: {}",
            directory.display(),
            finding.place,
            finding.item,
            finding.reason
        ),
    }
}

/// Writes an archive. It has its name only once it is whole and durable.
pub(super) fn run(args: &CreateArgs, config: &Config) -> Result<ExitCode> {
    let directory = args.data.as_deref().unwrap_or(&config.directory);
    if args.file.exists() {
        bail!(
            "{} is there already: choose another name, or move it away",
            args.file.display()
        );
    }
    check(directory, !args.json)?;
    let members = members(directory)?;
    let part = args.file.with_extension("part");
    let total: u64 = members.iter().map(|member| member.len).sum();
    let written = write(&part, &members, total, !args.json);
    if let Err(error) = written {
        // Half an archive is of no use; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::rename(&part, &args.file)
        .with_context(|| format!("cannot name {}", args.file.display()))?;
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(
            out,
            "{}",
            json!({ "file": args.file, "files": members.len(), "len": total })
        )?,
        false => writeln!(
            out,
            "wrote {}: {} files of {}, {}; give it away with trust.txt by another way",
            args.file.display(),
            members.len(),
            directory.display(),
            bytes(total)
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What goes in: the identity, all segments, the newest snapshot.
fn members(directory: &Path) -> Result<Vec<Member>> {
    if !directory.join("genesis").is_file() {
        bail!(
            "{} is not a data directory: it holds no file `genesis`; name it with --data DIR",
            directory.display()
        );
    }
    let mut members = Vec::new();
    for name in FILES {
        let path = directory.join(name);
        if path.is_file() {
            members.push(member(name.to_owned(), path)?);
        }
    }
    for folder in FOLDERS {
        let mut names = Vec::new();
        if let Ok(entries) = std::fs::read_dir(directory.join(folder)) {
            for entry in entries {
                let name = entry?.file_name().to_string_lossy().into_owned();
                names.push(name);
            }
        }
        names.sort();
        match folder {
            "snapshots" => {
                names.retain(|name| height_of_name(name).is_some());
                names.drain(..names.len().saturating_sub(1));
            }
            _ => {
                names.retain(|name| name.ends_with(".seg"));
                // First: what it says was durable before the segments were looked at.
                names.insert(0, MARK.to_owned());
            }
        }
        for name in names {
            let path = directory.join(folder).join(&name);
            members.push(member(format!("{folder}/{name}"), path)?);
        }
    }
    Ok(members)
}

fn member(name: String, path: PathBuf) -> Result<Member> {
    let metadata = std::fs::metadata(&path);
    let metadata = metadata.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Member {
        name,
        len: metadata.len(),
        path,
    })
}

fn write(part: &Path, members: &[Member], total: u64, shown: bool) -> Result<()> {
    let failed = || format!("cannot write {}", part.display());
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part)
        .with_context(failed)?;
    let mut archive = tar::Builder::new(std::io::BufWriter::new(file));
    let bar = bytes_bar("writing", shown);
    bar.set_length(total);
    for member in members {
        let source = File::open(&member.path)
            .with_context(|| format!("cannot read {}", member.path.display()))?;
        let mut header = tar::Header::new_ustar();
        header.set_size(member.len);
        header.set_mode(0o600);
        header.set_cksum();
        // The segment being written grows: no more than its length when it was looked at.
        let source = bar.wrap_read(source.take(member.len));
        archive
            .append_data(&mut header, &member.name, source)
            .with_context(failed)?;
    }
    let file = archive.into_inner().with_context(failed)?;
    let file = file.into_inner().with_context(failed)?;
    file.sync_all().with_context(failed)?;
    bar.finish_and_clear();
    Ok(())
}
