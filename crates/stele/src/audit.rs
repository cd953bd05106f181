//! `stele audit`: has a running node check everything it stores.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::Config;
use crate::login::LoginArgs;
use crate::paint::Paint;
use crate::progress::bytes_bar;
use crate::report::Report;

const ABOUT: &str = "\
Have a running node check everything it stores.

Every block is read again: transaction hashes, signatures' digests, log leaves, roots and certificates are \
computed anew and compared; then every row of the state is hashed and compared with the state root the last \
block commits to, and every earlier version of a row with what the blocks did. The node goes on serving. Damage is named: file and offset, or table and key \
(of an earlier version the height, too).

This believes the node's own program. To believe nobody, copy the data directory elsewhere and run \
`stele verify --data DIR`.";

const EXAMPLES: &str = "\
Examples:
  stele audit                        everything
  stele audit --from 1 --to 100 --no-state
  stele audit --json > report.json

Exit code: 0 all is well, 2 something is wrong, 1 the check could not be made.";

/// Exit code when a check has findings.
pub(crate) const FINDINGS: u8 = 2;
/// Pause between two looks at a running check.
const LOOK_PAUSE: Duration = Duration::from_millis(150);

/// Arguments of `stele audit`.
#[derive(Debug, Args)]
#[command(about = "Have a running node check everything it stores", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct AuditArgs {
    /// Address of the node's HTTP API [default: http.listen of the configuration]
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    #[command(flatten)]
    login: LoginArgs,
    /// First height [default: 1]
    #[arg(long, value_name = "HEIGHT", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// Last height, included [default: the newest]
    #[arg(long, value_name = "HEIGHT", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<u64>,
    /// Check every row of the state and its history too (the default)
    #[arg(long, overrides_with = "no_state")]
    state: bool,
    /// Check blocks only
    #[arg(long)]
    no_state: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// What the node says of a check.
#[derive(Deserialize)]
struct Check {
    job: u64,
    state: String,
    done_bytes: u64,
    total_bytes: u64,
    report: Option<Report>,
    error: Option<Value>,
}

/// Runs `stele audit`.
pub(crate) fn run(args: &AuditArgs, config: &Config) -> Result<ExitCode> {
    let client = Client::new(args.http.as_deref(), config, args.login.login())?;
    let mut request = json!({ "state": !args.no_state || args.state });
    for (name, height) in [("from", args.from), ("to", args.to)] {
        if let (Some(height), Some(request)) = (height, request.as_object_mut()) {
            request.insert(name.to_owned(), height.into());
        }
    }
    let mut check = parse(client.post_json("/v1/audit", &request)?)?;
    let bar = bytes_bar("checking", !args.json);
    while check.state == "running" {
        std::thread::sleep(LOOK_PAUSE);
        check = parse(client.get_json(&format!("/v1/audit/{}", check.job))?)?;
        bar.set_length(check.total_bytes);
        bar.set_position(check.done_bytes);
    }
    bar.finish_and_clear();
    let Some(report) = check.report else {
        let why = check.error.as_ref().and_then(|error| error.get("message"));
        bail!(
            "the check ended early: {}",
            why.and_then(Value::as_str)
                .unwrap_or("the node does not say why; its log does")
        );
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{}", report.to_text(Paint::of_stdout()))?;
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FINDINGS)
    })
}

fn parse(view: Value) -> Result<Check> {
    serde_json::from_value(view)
        .context("the node's answer is not a check: it is of another version than this program")
}
