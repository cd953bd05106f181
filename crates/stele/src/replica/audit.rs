//! `stele replica audit`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::show::texts;
use crate::audit::FINDINGS;
use crate::client::{Client, encoded};
use crate::paint::Paint;
use crate::progress::rows_spinner;
use crate::table::printable;

/// Pause between two looks at a running comparison.
const LOOK_PAUSE: Duration = Duration::from_millis(150);

const ABOUT: &str = "\
Compare every row of a replica with what the ledger's validators signed.

Rows are read back from the database as of one moment, the state-tree root of each table is computed from \
them alone, and compared with the root that the ledger's block of that height commits to. Where they differ, \
walking both trees names each row: key, columns, what is expected, what was found, and since which height it can be wrong. \
The replica goes on meanwhile.";

const EXAMPLES: &str = "\
Examples:
  stele replica audit reports
  stele replica audit reports --table orders --rate 10000
  stele replica audit reports --repair       sets rows right; makes changed tables anew
  stele replica audit reports --json | jq '.tables[].differences'

Exit code: 0 all is well (or was mended), 2 something differs, 1 not everything could be compared.";

/// Arguments of `stele replica audit`.
#[derive(Debug, Args)]
#[command(about = "Compare every row of a replica with what the validators signed", long_about = ABOUT, after_help = EXAMPLES)]
pub(super) struct AuditArgs {
    /// Name of the replica
    name: String,
    /// Table: schema.name, name or schema.*; may be given more than once [default: all]
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Mend what differs
    #[arg(long)]
    repair: bool,
    /// Rows read a second at most [default: no limit]
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    rate: u64,
}

/// Runs `stele replica audit`.
pub(super) fn run(args: &AuditArgs, client: &Client, json: bool) -> Result<ExitCode> {
    let request = json!({
        "tables": args.tables,
        "repair": args.repair,
        "rows_per_s": args.rate,
    });
    let path = format!("/v1/replicas/{}/audit", encoded(&args.name));
    let mut job = client.post_json(&path, &request)?;
    let spinner = rows_spinner("comparing", !json);
    while job.get("state").and_then(Value::as_str) == Some("running") {
        std::thread::sleep(LOOK_PAUSE);
        let number = job.get("job").and_then(Value::as_u64).unwrap_or(0);
        job = client.get_json(&format!("/v1/replica-audits/{number}"))?;
        spinner.set_position(job.get("rows").and_then(Value::as_u64).unwrap_or(0));
    }
    spinner.finish_and_clear();
    let Some(report) = job.get("report").filter(|report| !report.is_null()) else {
        let error = job.get("error");
        let why = error.and_then(|error| error.get("message"));
        bail!(
            "the comparison could not be made: {}",
            why.and_then(Value::as_str)
                .unwrap_or("the node does not say why; its log does")
        );
    };
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{report}")?,
        false => write!(out, "{}", describe(report, &args.name, Paint::of_stdout()))?,
    }
    let skipped = tables(report).filter(|table| table.get("skipped").is_some_and(Value::is_string));
    let skipped: Vec<String> = skipped.map(|table| text(table, "table")).collect();
    let mended = !texts(report.get("mended")).is_empty();
    if !is_clean(report) && !mended {
        return Ok(ExitCode::from(FINDINGS));
    }
    if !skipped.is_empty() {
        bail!(
            "not everything was compared: {} left out; `stele replica status {}` tells what the replica is doing",
            skipped.join(", "),
            args.name
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn tables(report: &Value) -> impl Iterator<Item = &Value> {
    let tables = report.get("tables").and_then(Value::as_array);
    tables.into_iter().flatten()
}

fn number(view: &Value, name: &str) -> u64 {
    view.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn is_clean(report: &Value) -> bool {
    tables(report).all(|table| {
        texts(table.get("drift")).is_empty() && number(table, "differences_total") == 0
    })
}

fn text(view: &Value, name: &str) -> String {
    view.get(name)
        .and_then(Value::as_str)
        .map(printable)
        .unwrap_or_default()
}

fn describe(report: &Value, name: &str, paint: Paint) -> String {
    let mut told = String::new();
    let seconds = report.get("seconds").and_then(Value::as_f64).unwrap_or(0.0);
    let _ = writeln!(
        told,
        "compared {} rows of {} with block {} in {seconds:.1} s",
        number(report, "rows"),
        text(report, "target"),
        number(report, "height")
    );
    for table in tables(report) {
        let title = match (text(table, "table"), text(table, "name")) {
            (table, name) if table == name || table == format!("public.{name}") => table,
            (table, name) => format!("{table} (as {name})"),
        };
        let drift = texts(table.get("drift"));
        let total = number(table, "differences_total");
        if let Some(why) = table.get("skipped").and_then(Value::as_str) {
            let _ = writeln!(told, "  {title}: not compared, {}", printable(why));
        } else if drift.is_empty() && total == 0 {
            let _ = writeln!(
                told,
                "  {title}: {} {} rows, root {}",
                paint.good("equal,"),
                number(table, "rows"),
                text(table, "root_found")
            );
        } else {
            let what = match (drift.is_empty(), total) {
                (false, _) => "changed".to_owned(),
                (true, 1) => "1 row differs".to_owned(),
                (true, rows) => format!("{rows} rows differ"),
            };
            let _ = writeln!(told, "  {title}: {}", paint.bad(what));
            for drift in drift {
                let _ = writeln!(told, "    {drift}");
            }
            let differences = table.get("differences").and_then(Value::as_array);
            for row in differences.into_iter().flatten() {
                let _ = writeln!(told, "    {}", difference(row));
            }
            let shown = differences.map_or(0, Vec::len) as u64;
            if shown < total {
                let _ = writeln!(told, "    and {} more", total - shown);
            }
        }
    }
    let mended = texts(report.get("mended"));
    for line in &mended {
        let _ = writeln!(told, "{} {line}", paint.good("mended"));
    }
    if !is_clean(report) && mended.is_empty() {
        let command = format!("stele replica audit {name} --repair");
        let _ = writeln!(told, "`{}` mends it", paint.command(command));
    }
    told
}

fn difference(row: &Value) -> String {
    let (key, kind) = (text(row, "key"), text(row, "kind"));
    let (column, expected, found) = (
        text(row, "column"),
        text(row, "expected"),
        text(row, "found"),
    );
    let since = number(row, "wrong_since");
    let what = match kind.as_str() {
        "changed" => format!("{column} is {found}, expected {expected}"),
        "missing" => format!("is missing, expected {expected}"),
        "foreign" => format!("did not come from the ledger: {found}"),
        _ if column.is_empty() => format!("does not read: {found}"),
        _ => format!("{column} does not read: {found}"),
    };
    let what = match kind.as_str() {
        "unreadable" if !expected.is_empty() => format!("{what}, expected {expected}"),
        _ => what,
    };
    format!("{key}: {what}; can be wrong since block {since}")
}
