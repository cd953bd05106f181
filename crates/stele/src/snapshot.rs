//! `stele snapshot`: the whole state in one file that anybody can check.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use stele_core::datetime::format_timestamptz;
use stele_flow::Runtime;
use stele_store::SnapshotFile;
use stele_store::snapshot::{SNAPSHOTS_FOLDER, height_of_name};

use crate::client::Client;
use crate::config::Config;
use crate::login::LoginArgs;
use crate::paint::Paint;
use crate::progress::count_bar;
use crate::status::bytes;
use crate::table::{Align, Table, printable};
use crate::trust::pinned;

const ABOUT: &str = "\
Keep the whole state of the ledger in one file, which begins restores and which anybody can check.

A snapshot holds every definition and row after a block, and the proof that the ledger's validators signed that \
state. `stele restore` begins from the newest one that is old enough, instead of the first block.";

const EXAMPLES: &str = "\
Examples:
  stele snapshot create                      a running node writes DIR/snapshots/HEIGHT.snapshot
  stele snapshot list
  stele snapshot verify stele-data/snapshots/0000000000001200.snapshot --trust trust.txt";

/// Pause between two looks at a snapshot that is being written.
const LOOK_PAUSE: Duration = Duration::from_millis(150);

/// Arguments of `stele snapshot`.
#[derive(Debug, Args)]
#[command(about = "Keep the whole state in one file that anybody can check", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct SnapshotArgs {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Have a running node write a snapshot of its newest state
    Create {
        /// Address of the node's HTTP API [default: http.listen of the configuration]
        #[arg(long, value_name = "URL")]
        http: Option<String>,
        #[command(flatten)]
        login: LoginArgs,
    },
    /// List the snapshots of a data directory
    List {
        /// Data directory [default: node.directory of the configuration]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Check a snapshot against a trust file: signatures, roots, every row
    Verify {
        /// The file
        file: PathBuf,
        /// Trust file that pins the ledger [default: that of the configured data directory]
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
}

/// Runs `stele snapshot`.
pub(crate) fn run(args: &SnapshotArgs, config: &Config) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match &args.action {
        Action::Create { http, login } => {
            let client = Client::new(http.as_deref(), config, login.login())?;
            let report = create(&client, !args.json)?;
            match args.json {
                true => writeln!(out, "{report}")?,
                false => {
                    let number = |name| report.get(name).and_then(Value::as_u64).unwrap_or(0);
                    let path = report.get("path").and_then(Value::as_str);
                    writeln!(
                        out,
                        "wrote {}: block {}, {} rows, {}",
                        printable(path.unwrap_or_default()),
                        number("height"),
                        number("rows"),
                        bytes(number("len"))
                    )?;
                }
            }
        }
        Action::List { data } => {
            let directory = data.as_ref().unwrap_or(&config.directory);
            write!(
                out,
                "{}",
                list(&directory.join(SNAPSHOTS_FOLDER), args.json)?
            )?;
        }
        Action::Verify { file, trust } => {
            let pinned = pinned(trust.as_deref(), config)?;
            let runtime = Runtime::real();
            let opened = SnapshotFile::open(&*runtime.files, file, pinned.trust.suite)?;
            let bar = count_bar("checking", !args.json);
            bar.set_length(opened.summary().rows);
            let summary = opened.verify(&pinned.trust, &mut |rows| bar.set_position(rows))?;
            bar.finish_and_clear();
            match args.json {
                true => writeln!(out, "{}", serde_json::to_string(&summary)?)?,
                false => writeln!(
                    out,
                    "{} {}: the state after block {} ({}), {} definitions, {} rows, state root {}, signed by the validators of {} ({})",
                    Paint::of_stdout().good("good"),
                    file.display(),
                    summary.height,
                    format_timestamptz(summary.time_us),
                    summary.tables,
                    summary.rows,
                    summary.state_root,
                    pinned.trust.origin,
                    pinned.path.display()
                )?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(client: &Client, shown: bool) -> Result<Value> {
    let mut job = client.post_json("/v1/snapshots", &json!({}))?;
    let number = |job: &Value, name: &str| job.get(name).and_then(Value::as_u64).unwrap_or(0);
    let bar = count_bar("writing", shown);
    while job.get("state").and_then(Value::as_str) == Some("running") {
        std::thread::sleep(LOOK_PAUSE);
        job = client.get_json(&format!("/v1/snapshots/{}", number(&job, "job")))?;
        bar.set_length(number(&job, "total_rows"));
        bar.set_position(number(&job, "rows"));
    }
    bar.finish_and_clear();
    match job.get("report").filter(|report| !report.is_null()) {
        Some(report) => Ok(report.clone()),
        None => {
            let error = job.get("error");
            let why = error.and_then(|error| error.get("message"));
            bail!(
                "no snapshot was written: {}",
                why.and_then(Value::as_str)
                    .unwrap_or("the node does not say why; its log does")
            )
        }
    }
}

fn list(folder: &std::path::Path, as_json: bool) -> Result<String> {
    let mut found = Vec::new();
    if folder.is_dir() {
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let height = entry.file_name().to_str().and_then(height_of_name);
            if let Some(height) = height {
                found.push((height, entry.path(), entry.metadata()?.len()));
            }
        }
    }
    found.sort();
    if as_json {
        let list: Vec<Value> = found
            .iter()
            .map(|(height, path, len)| json!({ "height": height, "path": path, "len": len }))
            .collect();
        return Ok(format!("{}\n", json!({ "snapshots": list })));
    }
    if found.is_empty() {
        return Ok(format!(
            "no snapshot in {}; `stele snapshot create` has a running node write one\n",
            folder.display()
        ));
    }
    let mut table = Table::new(&["height", "size", "file"]).aligned(vec![
        Align::Right,
        Align::Right,
        Align::Left,
    ]);
    for (height, path, len) in found {
        table.row([height.to_string(), bytes(len), path.display().to_string()]);
    }
    Ok(table.to_string())
}
