//! `stele restore`: tables as they were, in an ordinary database.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use stele_core::datetime::{format_timestamptz, parse_timestamptz};
use stele_core::trust::Trust;
use stele_flow::{Runtime, State};
use stele_node::OfflineLedger;
use stele_pipeline::restore::restore;
use stele_pipeline::{RestoreProgress, RestoreRequest, Restored, Selection};
use stele_sinks::{Naming, Password};
use stele_store::SnapshotFile;
use stele_store::snapshot::{SNAPSHOTS_FOLDER, height_of_name};

use crate::config::Config;
use crate::paint::Paint;
use crate::progress::{bytes_bar, count_bar, rows_spinner};
use crate::table::{Align, Table, printable};
use crate::target::{names, password_for, target};
use crate::trust::check_pinned;

const ABOUT: &str = "\
Bring tables into a database as they were at a height or a time.

Blocks are read from a data directory (a node may run on it), a copy or an imported archive, and checked as \
`stele verify` does. The restore begins from the newest snapshot that is old enough, or from the first block, \
and writes row changes up to the height asked for. At the end every row is read back; where all tables were \
restored, the state root that follows from them must be the one the validators signed.

It can be interrupted: the same command goes on where it was. With a later --at it brings the same target further.";

const EXAMPLES: &str = "\
Examples:
  stele restore --to sqlite:now.db                        all tables of users as of the newest block
  stele restore --at 1200 --to sqlite:block1200.db --table '*'   everything, proven by the state root
  stele restore --at 2026-11-30T09:00:00+08:00 --to postgres://app@127.0.0.1:5432/then
  stele restore --at 1200 --table orders --to sqlite:orders.db   one table
  stele restore --data ./imported --trust trust.txt --to sqlite:theirs.db

Exit code: 0 restored, 1 otherwise.";

/// Arguments of `stele restore`.
#[derive(Debug, Args)]
#[command(about = "Bring tables into a database as they were at a height or a time", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct RestoreArgs {
    /// Height, or time with its zone, such as 2026-11-30T09:00:00+08:00 [default: the newest block]
    #[arg(long, value_name = "HEIGHT|TIME")]
    at: Option<String>,
    /// Database: sqlite:FILE, postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    to: String,
    /// Table: schema.name, name, schema.* or * for all that has rows; may be given more than once [default: all tables of users]
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Another name for a table in the database; may be given more than once
    #[arg(long = "map", value_name = "SCHEMA.TABLE=NAME")]
    map: Vec<String>,
    /// File with the password of the database's user [default: asked for at a terminal, else none]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Directory with the blocks [default: node.directory of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Trust file that pins the ledger [default: the directory's own]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Snapshot to begin from [default: the newest of the directory that is old enough]
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Begin from the first block, whatever snapshots there are
    #[arg(long, conflicts_with = "snapshot")]
    from_blocks: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `stele restore`.
pub(crate) fn run(args: &RestoreArgs, config: &Config) -> Result<ExitCode> {
    let to = target(&args.to)?;
    let directory = args.data.as_deref().unwrap_or(&config.directory);
    if !directory.join("genesis").is_file() {
        bail!(
            "{} is not a data directory: it holds no file `genesis`; name it with --data DIR",
            directory.display()
        );
    }
    let runtime = Runtime::real();
    let ledger = OfflineLedger::open(directory, &runtime)
        .map_err(|error| anyhow!(error).context(format!("cannot read {}", directory.display())))?;
    let trust = Trust::of_genesis(ledger.genesis());
    check_pinned(directory, &trust, args.trust.as_deref(), config)?;
    let height = height_of(args.at.as_deref(), &ledger)?;
    let password = password_for(&to, args.password_file.as_deref())?;
    check_blocks(&ledger, height, !args.json)?;
    let snapshot = match args.from_blocks {
        true => None,
        false => snapshot(args, directory, height, &trust, &runtime)?,
    };
    let naming = Naming {
        chosen: names(&args.map)?,
    };
    let sink = stele_sinks::open(&to, password.map(Password::new), naming);
    let request = RestoreRequest {
        height,
        selection: Selection {
            names: args.tables.clone(),
        },
        start: snapshot.as_ref().map(|file| file as &dyn State),
    };
    let begun = Instant::now();
    let restored = restored(&ledger, sink, &request, !args.json)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&restored)?)?;
    } else {
        let seconds = begun.elapsed().as_secs_f64();
        let time = match height {
            0 => None,
            height => Some(ledger.time_of(height)?),
        };
        write!(
            out,
            "{}",
            describe(&restored, time, seconds, Paint::of_stdout())
        )?;
    }
    let some_only = args.tables.iter().all(|name| name != "*");
    if restored.tables.is_empty() && !args.tables.is_empty() && some_only {
        bail!(
            "no table of block {height} is called {}: nothing was restored; `--table '*'` takes all there are",
            args.tables.join(" or ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The height asked for.
fn height_of(at: Option<&str>, ledger: &OfflineLedger) -> Result<u64> {
    let tip = ledger.tip();
    let Some(at) = at else { return Ok(tip) };
    if let Ok(height) = at.parse::<u64>() {
        if height > tip {
            bail!("--at {height}: the newest block here is {tip}");
        }
        return Ok(height);
    }
    let time = at.trim();
    let clock = time.get(10..).unwrap_or_default();
    let zoned = time.ends_with(['Z', 'z']) || clock.contains(['+', '-']);
    let moment = parse_timestamptz(time);
    match (moment, zoned) {
        (Ok(moment), true) => Ok(ledger.height_at(moment)?),
        (Ok(_), false) => bail!(
            "--at {at:?} names no time zone: write 2026-11-30T09:00:00Z, or +08:00 and the like at its end"
        ),
        (Err(_), _) => {
            bail!("--at {at:?} is neither a height nor a time such as 2026-11-30T09:00:00+08:00")
        }
    }
}

fn check_blocks(ledger: &OfflineLedger, height: u64, shown: bool) -> Result<()> {
    if height == 0 {
        return Ok(());
    }
    let bar = bytes_bar("checking blocks", shown);
    let report = ledger.check(height, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => bail!(
            "the blocks are damaged: {}, {}: {}; `stele verify --data DIR` tells all",
            finding.place,
            finding.item,
            finding.reason
        ),
    }
}

/// The snapshot to begin from, checked.
fn snapshot(
    args: &RestoreArgs,
    directory: &Path,
    height: u64,
    trust: &Trust,
    runtime: &Runtime,
) -> Result<Option<SnapshotFile>> {
    let path = match &args.snapshot {
        Some(path) => path.clone(),
        None => match newest_snapshot(&directory.join(SNAPSHOTS_FOLDER), height)? {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let file = SnapshotFile::open(&*runtime.files, &path, trust.suite)?;
    let found = file.head().leaf.height;
    if found > height {
        bail!(
            "{} is of block {found}, after block {height}: take an older one, or leave --snapshot out",
            path.display()
        );
    }
    let bar = count_bar("checking the snapshot", !args.json);
    bar.set_length(file.summary().rows);
    file.verify(trust, &mut |rows| bar.set_position(rows))?;
    bar.finish_and_clear();
    Ok(Some(file))
}

fn newest_snapshot(folder: &Path, height: u64) -> Result<Option<PathBuf>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let heights = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let found = height_of_name(entry.file_name().to_str()?)?;
        (found <= height).then(|| (found, entry.path()))
    });
    Ok(heights.max().map(|(_, path)| path))
}

fn restored(
    ledger: &OfflineLedger,
    sink: Box<dyn stele_flow::Mirror>,
    request: &RestoreRequest<'_>,
    shown: bool,
) -> Result<Restored> {
    let filling = count_bar("filling", shown);
    let blocks = count_bar("applying blocks", shown);
    let reading = rows_spinner("reading back", shown);
    blocks.set_length(request.height);
    let mut progress = |at: RestoreProgress| {
        match at {
            RestoreProgress::Filling {
                rows,
                rows_expected,
                ..
            } => {
                filling.set_length(rows_expected);
                filling.set_position(rows);
            }
            RestoreProgress::Blocks { height, .. } => {
                filling.finish_and_clear();
                blocks.set_position(height);
            }
            RestoreProgress::Reading { rows } => {
                if rows == 1 {
                    filling.finish_and_clear();
                    blocks.finish_and_clear();
                }
                if rows % 1_024 == 0 {
                    reading.set_position(rows);
                }
            }
        }
        true
    };
    let restored = restore(Box::new(ledger.source()), sink, request, &mut progress)?;
    for bar in [filling, blocks, reading] {
        bar.finish_and_clear();
    }
    Ok(restored)
}

fn describe(restored: &Restored, time_us: Option<i64>, seconds: f64, paint: Paint) -> String {
    let mut table = Table::new(&["table", "as", "rows", "root"]).aligned(vec![
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
    ]);
    for one in &restored.tables {
        table.row([
            one.table.clone(),
            one.name.clone(),
            one.rows.to_string(),
            one.root.clone(),
        ]);
    }
    let at = time_us.map_or(String::new(), |time| {
        format!(", {}", format_timestamptz(time))
    });
    let from = match restored.from {
        0 => "the first block".to_owned(),
        height => format!("block {height}"),
    };
    let proof = match restored.proven {
        true => paint.good("proven: the rows read back give this state root"),
        false => "every change is one the validators signed; `--table '*'` restores all and proves the state root".to_owned(),
    };
    format!(
        "restored {} to block {}{at}, from {from}, {} rows written in {seconds:.1} s\n{table}state root {} ({proof})\n",
        printable(&restored.target),
        restored.height,
        restored.rows_written,
        restored.state_root,
    )
}
