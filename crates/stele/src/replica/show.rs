//! Replicas for people.

use serde_json::Value;
use stele_core::datetime::format_timestamptz;

use crate::paint::Paint;
use crate::table::{Align, Table, printable};

/// The texts of a JSON list.
pub(super) fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items
        .filter_map(|item| item.as_str().map(printable))
        .collect()
}

fn text(view: &Value, name: &str) -> String {
    match view.get(name) {
        Some(Value::String(text)) => printable(text),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn number(view: &Value, name: &str) -> u64 {
    view.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// What a replica is doing, in words.
pub(super) fn doing(view: &Value) -> String {
    let behind = number(view, "ledger_height").saturating_sub(number(view, "height"));
    match view.get("phase").and_then(Value::as_str) {
        Some("following") if behind == 0 => "follows".to_owned(),
        Some("following") => format!("follows, {behind} blocks behind"),
        Some("filling") => format!(
            "fills {}: {} of {} rows",
            text(view, "table"),
            number(view, "rows"),
            number(view, "rows_expected")
        ),
        Some("waiting") => format!("waits: {}", text(view, "kind").replace('_', " ")),
        Some("paused") => "rests".to_owned(),
        Some("starting") => "starts".to_owned(),
        other => other.unwrap_or("?").to_owned(),
    }
}

/// Whether something is in a replica's way.
pub(super) fn is_in_trouble(view: &Value) -> bool {
    view.get("phase").and_then(Value::as_str) == Some("waiting")
}

/// One line a replica.
pub(super) fn list(all: &Value) -> String {
    let replicas = all.get("replicas").and_then(Value::as_array);
    let Some(replicas) = replicas.filter(|replicas| !replicas.is_empty()) else {
        return "no replica; `stele replica add NAME --to sqlite:FILE` adds one\n".to_owned();
    };
    let mut table = Table::new(&["name", "target", "height", "tables", "state"]).aligned(vec![
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
    ]);
    for view in replicas {
        let tables = view.get("tables").and_then(Value::as_array);
        table.row([
            text(view, "name"),
            text(view, "target"),
            text(view, "height"),
            tables.map_or(0, Vec::len).to_string(),
            doing(view),
        ]);
    }
    table.to_string()
}

/// A replica with its tables, and what is in its way.
pub(super) fn one(view: &Value) -> String {
    let paint = Paint::of_stdout();
    let state = match (
        is_in_trouble(view),
        view.get("phase").and_then(Value::as_str),
    ) {
        (true, _) => paint.bad(doing(view)),
        (_, Some("following")) => paint.good(doing(view)),
        _ => doing(view),
    };
    let mut lines = vec![
        ("replica", paint.strong(text(view, "name"))),
        ("target", text(view, "target")),
        ("state", state),
        (
            "height",
            format!(
                "{} of {}",
                number(view, "height"),
                number(view, "ledger_height")
            ),
        ),
        ("rows written", number(view, "rows_written").to_string()),
    ];
    if is_in_trouble(view) {
        let since = view.get("since_us").and_then(Value::as_i64).unwrap_or(0);
        lines.push(("reason", text(view, "reason")));
        lines.push((
            "since",
            format!(
                "{}, tried {} times",
                format_timestamptz(since),
                number(view, "tries")
            ),
        ));
    }
    if let Some(audit) = view.get("last_audit").filter(|audit| !audit.is_null()) {
        let told = match audit.get("clean").and_then(Value::as_bool) {
            Some(false) if number(audit, "height") == 0 => paint.bad(format!(
                "could not be made: {}",
                texts(audit.get("findings")).join("; ")
            )),
            Some(true) => paint.good(format!("clean at height {}", number(audit, "height"))),
            _ => paint.bad(format!(
                "differences at height {}: `stele replica audit {}` tells which",
                number(audit, "height"),
                text(view, "name")
            )),
        };
        lines.push(("last audit", told));
    }
    let mut shown: String = lines
        .into_iter()
        .map(|(name, value)| format!("{} {value}\n", paint.faint(format!("{name:<13}"))))
        .collect();
    let tables = view
        .get("tables")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for pair in tables {
        let pair = texts(Some(pair));
        if let [from, to] = pair.as_slice() {
            let name = paint.faint(format!("{:<13}", "table"));
            shown.push_str(&format!("{name} {from} as {to}\n"));
        }
    }
    shown
}
