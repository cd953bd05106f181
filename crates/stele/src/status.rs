//! `stele status`: the node at a glance.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;
use stele_core::datetime::format_timestamptz;

use crate::client::Client;
use crate::config::Config;
use crate::login::LoginArgs;
use crate::paint::Paint;
use crate::table::printable;

const EXAMPLES: &str = "\
Examples:
  stele status
  stele status --http http://127.0.0.1:8081
  stele status --json | jq .height

Exit code: 0 when the node takes writes and its store is good, 1 otherwise.";

/// Arguments of `stele status`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// Address of the node's HTTP API [default: http.listen of the configuration]
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    #[command(flatten)]
    login: LoginArgs,
    /// Print the JSON the node gives
    #[arg(long)]
    json: bool,
}

/// Runs `stele status`.
pub(crate) fn run(args: &StatusArgs, config: &Config) -> Result<ExitCode> {
    let client = Client::new(args.http.as_deref(), config, args.login.login())?;
    let status = client.get_json("/v1/status")?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{status}")?;
    } else {
        write!(
            out,
            "{}",
            describe(&status, client.base(), Paint::of_stdout())
        )?;
    }
    Ok(if is_well(&status) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn is_well(status: &Value) -> bool {
    let store = status.get("store").and_then(Value::as_str);
    let halted = status.get("halted").is_some_and(|why| !why.is_null());
    !halted && matches!(store, Some("valid" | "verifying" | "sending"))
}

fn describe(status: &Value, address: &str, paint: Paint) -> String {
    let text = |name: &str| match status.get(name) {
        Some(Value::String(text)) => printable(text),
        Some(Value::Null) | None => "none".to_owned(),
        Some(other) => other.to_string(),
    };
    let number = |name: &str| status.get(name).and_then(Value::as_u64).unwrap_or(0);
    let height = number("height");
    let tip = match status.get("time_us").and_then(Value::as_i64) {
        Some(time_us) if height > 0 => format!("{height}, at {}", format_timestamptz(time_us)),
        _ => "0, no block yet".to_owned(),
    };
    let takes_writes = match status.get("halted").and_then(Value::as_str) {
        Some(why) => paint.bad(format!("no: {}", printable(why))),
        None => paint.good("yes"),
    };
    let store = match text("store") {
        good if matches!(good.as_str(), "valid" | "verifying" | "sending") => paint.good(good),
        bad => paint.bad(bad),
    };
    let names = |name: &str| {
        let names = status.get(name).and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.map(printable).collect::<Vec<_>>()
    };
    let (validators, signed_by) = (names("validators"), names("signed_by"));
    let role = match status.get("validator").and_then(Value::as_str) {
        Some(own) if validators.len() > 1 => format!(
            "{} {}, of {}",
            text("role"),
            printable(own),
            validators.join(", ")
        ),
        _ => text("role"),
    };
    let mut lines = vec![
        ("node", format!("{address}, version {}", text("version"))),
        ("role", role),
        ("ledger", paint.strong(text("origin"))),
        ("ledger id", text("ledger")),
        ("height", tip),
        ("transactions", number("transactions").to_string()),
        ("waiting", number("mempool").to_string()),
        ("takes writes", takes_writes),
        ("block store", store),
    ];
    if status.get("damage").is_some_and(|damage| !damage.is_null()) {
        lines.push((
            "damage",
            paint.bad(format!(
                "first at height {}: {}",
                text("first_bad_height"),
                text("damage")
            )),
        ));
    }
    if let Some(receiving) = status.get("receiving").filter(|one| !one.is_null()) {
        let part = |name: &str| receiving.get(name).cloned().unwrap_or_default();
        lines.push((
            "receiving",
            format!(
                "block {} of {} to {}, from {}",
                part("next"),
                part("first"),
                part("last"),
                printable(part("from").as_str().unwrap_or_default())
            ),
        ));
    }
    if let Some(to) = status.get("sending_to").and_then(Value::as_str) {
        lines.push(("sending to", printable(to)));
    }
    if number("evidence") > 0 {
        lines.push((
            "evidence",
            paint.bad(format!(
                "{} times a validator signed two things of which one is a lie: see {address}/v1/evidence",
                number("evidence")
            )),
        ));
    }
    lines.extend([
        (
            "stored",
            format!(
                "{} in segments, newest is number {}",
                bytes(number("segment_bytes")),
                number("segment")
            ),
        ),
        ("log", format!("{} leaves", number("log_size"))),
        ("state root", text("state_root")),
        ("block", text("block")),
        ("signed by", signed_by.join(", ")),
        ("up for", duration(number("uptime_s"))),
    ]);
    lines
        .into_iter()
        .map(|(name, value)| format!("{} {value}\n", paint.faint(format!("{name:<13}"))))
        .collect()
}

/// A number of bytes in the unit people read.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} bytes");
    }
    let mut value = number as f64;
    let mut unit = "bytes";
    for name in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = name;
    }
    format!("{value:.1} {unit}")
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_units_of_people() {
        assert_eq!(bytes(900), "900 bytes");
        assert_eq!(bytes(128 * 1024 * 1024), "128.0 MiB");
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(3_700), "1 h 1 min");
        assert_eq!(duration(90_000), "1 d 1 h");
    }

    #[test]
    fn a_halted_node_is_not_well() {
        let mut status = serde_json::json!({ "store": "valid", "halted": null });
        assert!(is_well(&status));
        status["halted"] = "disk failed".into();
        assert!(!is_well(&status));
        let shown = describe(&status, "http://x", Paint::of_stdout());
        assert!(shown.contains("no: disk failed"), "{shown}");
    }
}
