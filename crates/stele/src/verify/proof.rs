//! What a proof file shows, in words and in JSON.

use std::fmt::Write as _;

use serde_json::json;
use stele_core::datetime::format_timestamptz;
use stele_core::key::decode_key;
use stele_core::outcome::Outcome;
use stele_core::proof::{
    Proven, ProvenGrowth, ProvenRows, ProvenTransaction, RowClaim, Verifier, VerifyError,
};
use stele_core::row::Row;
use stele_core::schema::Table as TableDefinition;
use stele_core::transaction::Payload;
use stele_core::trust::Trust;
use stele_core::value::text;
use stele_core::{Type, Value};

use crate::paint::Paint;
use crate::table::printable;

/// Longest piece of an opaque record shown, in characters.
const RECORD_SHOWN_MAX: usize = 400;
/// Most statements shown of one transaction.
const STATEMENTS_SHOWN_MAX: usize = 50;
/// Most rows shown of one range.
const ROWS_SHOWN_MAX: usize = 20;

/// Checks proofs of one ledger.
pub(crate) struct Checker {
    verifier: Verifier,
}

/// What a proof file was found to show.
pub(crate) struct Shown {
    /// Names and values in the order they are told.
    lines: Vec<(&'static str, String)>,
    json: serde_json::Value,
}

impl Checker {
    /// Believes the validators of `trust` and nobody else.
    pub(crate) fn new(trust: Trust) -> Self {
        Self {
            verifier: Verifier::new(trust),
        }
    }

    /// Checks one file.
    pub(crate) fn check(&mut self, file: &[u8]) -> Result<Shown, VerifyError> {
        // psql ends what it prints with a newline of its own.
        let file = match file.strip_suffix(b"\n") {
            Some(whole) if whole.ends_with(b"\n") => whole,
            _ => file,
        };
        let proven = self.verifier.verify(file)?;
        let trust = self.verifier.trust();
        Ok(match proven {
            Proven::Transaction(proven) => transaction(&proven, trust),
            Proven::Rows(proven) => rows(&proven, trust),
        })
    }

    /// Checks that the log has only grown since a checkpoint that was kept.
    pub(crate) fn check_growth(&mut self, kept: &[u8], file: &[u8]) -> Result<Shown, VerifyError> {
        let proven = self.verifier.verify_growth(kept, file)?;
        Ok(growth(&proven, self.verifier.trust()))
    }
}

impl Shown {
    /// For people: one line a fact.
    pub(crate) fn to_text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for (name, value) in &self.lines {
            let mut parts = value.lines();
            let first = printable(parts.next().unwrap_or_default());
            let _ = writeln!(text, "  {} {first}", paint.faint(format!("{name:<11}")));
            for part in parts {
                let _ = writeln!(text, "  {:<11} {}", "", printable(part));
            }
        }
        text
    }

    /// For programs.
    pub(crate) fn to_json(&self, file: &str) -> serde_json::Value {
        json!({ "file": file, "ok": true, "shows": self.json })
    }
}

fn transaction(proven: &ProvenTransaction, trust: &Trust) -> Shown {
    let body = &proven.signed.transaction;
    let mut lines = vec![
        ("shows", "a transaction and how it ended".to_owned()),
        ("transaction", proven.entry.transaction.to_string()),
        (
            "place",
            format!(
                "block {}, index {}",
                proven.entry.height, proven.entry.index
            ),
        ),
        ("account", body.account.to_string()),
        ("signed at", format_timestamptz(body.time_us)),
    ];
    let (kind, contents) = payload(&body.payload);
    lines.push((kind, contents));
    lines.push(("outcome", outcome(&proven.outcome)));
    lines.push(checkpoint(proven.checkpoint.size(), trust));
    Shown {
        lines,
        json: json!({
            "kind": "transaction",
            "ledger": trust.ledger.to_string(),
            "origin": trust.origin,
            "transaction": proven.entry.transaction.to_string(),
            "height": proven.entry.height,
            "index": proven.entry.index,
            "account": body.account.to_string(),
            "time_us": body.time_us,
            "payload": payload_json(&body.payload),
            "outcome": {
                "code": proven.outcome.code.as_str(),
                "success": proven.outcome.code.is_success(),
                "rows_affected": proven.outcome.rows_affected,
            },
            "checkpoint_size": proven.checkpoint.size(),
        }),
    }
}

fn rows(proven: &ProvenRows, trust: &Trust) -> Shown {
    let table = &proven.table;
    let name = format!("{}.{}", table.schema, table.name);
    let (kind, shows, keys) = match &proven.claim {
        RowClaim::Present { key } => (
            "row",
            format!("that {name} holds this row"),
            vec![("key", Some(key_text(table, key)))],
        ),
        RowClaim::Absent { key } => (
            "absence",
            format!("that {name} holds no row of this key"),
            vec![("key", Some(key_text(table, key)))],
        ),
        RowClaim::Range { from, to } => (
            "range",
            format!(
                "that {name} holds exactly these rows in this range ({})",
                proven.rows.len()
            ),
            vec![
                ("from", (!from.is_empty()).then(|| key_text(table, from))),
                ("to", to.as_ref().map(|to| key_text(table, to))),
            ],
        ),
    };
    let mut lines = vec![("shows", shows)];
    for (name, key) in &keys {
        let key = key.clone().unwrap_or_else(|| "the table's end".to_owned());
        lines.push((name, key));
    }
    for (_, row) in proven.rows.iter().take(ROWS_SHOWN_MAX) {
        lines.push(("row", row_text(table, row)));
    }
    if proven.rows.len() > ROWS_SHOWN_MAX {
        let more = proven.rows.len() - ROWS_SHOWN_MAX;
        lines.push(("", format!("… and {more} more rows (--json shows all)")));
    }
    let leaf = &proven.leaf;
    lines.push((
        "as of",
        format!(
            "block {}, {}",
            leaf.height,
            format_timestamptz(leaf.time_us)
        ),
    ));
    lines.push(checkpoint(proven.checkpoint.size(), trust));
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| json!({ "name": column.name, "type": column.ty.to_string() }))
        .collect();
    let keys: serde_json::Map<_, _> = keys
        .into_iter()
        .map(|(name, key)| (name.to_owned(), json!(key)))
        .collect();
    Shown {
        lines,
        json: json!({
            "kind": kind,
            "ledger": trust.ledger.to_string(),
            "origin": trust.origin,
            "table": name,
            "claim": keys,
            "columns": columns,
            "rows": proven.rows.iter().map(|(_, row)| row_json(table, row)).collect::<Vec<_>>(),
            "height": leaf.height,
            "time_us": leaf.time_us,
            "block": leaf.block.to_string(),
            "state_root": leaf.state_root.to_string(),
            "checkpoint_size": proven.checkpoint.size(),
        }),
    }
}

fn growth(proven: &ProvenGrowth, trust: &Trust) -> Shown {
    let (old, new) = (proven.old.size(), proven.new.size());
    let more = match new - old {
        0 => "nothing was added since".to_owned(),
        added => format!("{added} leaves were added since"),
    };
    let lines = vec![
        (
            "shows",
            "that nothing before the kept checkpoint has changed".to_owned(),
        ),
        ("kept", format!("the log's first {old} leaves")),
        ("now", format!("{new} leaves: {more}")),
        checkpoint(new, trust),
    ];
    Shown {
        lines,
        json: json!({
            "kind": "growth",
            "ledger": trust.ledger.to_string(),
            "origin": trust.origin,
            "kept_size": old,
            "checkpoint_size": new,
        }),
    }
}

fn checkpoint(size: u64, trust: &Trust) -> (&'static str, String) {
    let quorum = match trust.validators.validators() {
        [_] => "",
        _ => "a quorum of ",
    };
    let signers = crate::trust::signers(trust);
    (
        "signed by",
        format!(
            "{quorum}{signers} of {}, in a checkpoint of {size} log leaves",
            trust.origin
        ),
    )
}

/// The values of a key as the table's columns name them.
fn key_text(table: &TableDefinition, key: &[u8]) -> String {
    let columns: Vec<_> = table
        .primary_key
        .iter()
        .filter_map(|id| table.column(*id))
        .collect();
    let types: Vec<Type> = columns.iter().map(|column| column.ty).collect();
    match decode_key(&types, key) {
        Ok(values) => columns
            .iter()
            .zip(values)
            .map(|(column, value)| format!("{} = {}", column.name, text::format(column.ty, &value)))
            .collect::<Vec<_>>()
            .join(", "),
        Err(_) => format!("encoded {}", hex::encode(key)),
    }
}

fn row_text(table: &TableDefinition, row: &Row) -> String {
    let width = table
        .columns
        .iter()
        .map(|column| column.name.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines = String::new();
    for column in &table.columns {
        let value = match row.get(table, column.id) {
            None | Some(Value::Null) => "NULL".to_owned(),
            Some(value) => text::format(column.ty, value),
        };
        let _ = writeln!(lines, "{:<width$} = {}", column.name, printable(&value));
    }
    lines
}

fn row_json(table: &TableDefinition, row: &Row) -> serde_json::Value {
    let values = table.columns.iter().map(|column| {
        let value = row.get(table, column.id).unwrap_or(&Value::Null);
        (column.name.clone(), value_json(column.ty, value))
    });
    serde_json::Value::Object(values.collect())
}

fn outcome(outcome: &Outcome) -> String {
    if outcome.code.is_success() {
        format!("success, {} rows changed", outcome.rows_affected)
    } else {
        format!("failed with {}, without effect", outcome.code.as_str())
    }
}

fn payload(payload: &Payload) -> (&'static str, String) {
    match payload {
        Payload::Statements(statements) => {
            let mut text = String::new();
            for statement in statements.iter().take(STATEMENTS_SHOWN_MAX) {
                let _ = writeln!(text, "{}", statement.sql.trim());
                for (value, number) in statement.parameters.iter().zip(1..) {
                    let _ = writeln!(text, "  ${number} = {}", value_text(value));
                }
            }
            if statements.len() > STATEMENTS_SHOWN_MAX {
                let _ = writeln!(
                    text,
                    "… and {} more",
                    statements.len() - STATEMENTS_SHOWN_MAX
                );
            }
            ("statements", text)
        }
        Payload::Record(bytes) => ("record", bytes_text(bytes)),
        Payload::Chunk(bytes) => ("chunk", format!("{} bytes of a longer record", bytes.len())),
        Payload::Manifest(manifest) => (
            "record",
            format!(
                "{} bytes in {} chunks, digest {}",
                manifest.len,
                manifest.chunks.len(),
                manifest.digest
            ),
        ),
        Payload::Commitment { commitment, len } => (
            "record",
            format!("{len} bytes, erasable; its commitment is {commitment}"),
        ),
        Payload::Governance(bytes) => ("change", bytes_text(bytes)),
    }
}

fn payload_json(payload: &Payload) -> serde_json::Value {
    match payload {
        Payload::Statements(statements) => {
            let statements: Vec<_> = statements
                .iter()
                .map(|statement| {
                    let parameters: Vec<_> = statement
                        .parameters
                        .iter()
                        .map(|value| value_json(Type::BigInt, value))
                        .collect();
                    json!({ "sql": statement.sql, "parameters": parameters })
                })
                .collect();
            json!({ "kind": "statements", "statements": statements })
        }
        Payload::Record(bytes) => json!({ "kind": "record", "hex": hex::encode(bytes) }),
        Payload::Chunk(bytes) => json!({ "kind": "chunk", "len": bytes.len() }),
        Payload::Manifest(manifest) => json!({
            "kind": "manifest",
            "len": manifest.len,
            "digest": manifest.digest.to_string(),
            "chunks": manifest.chunks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Payload::Commitment { commitment, len } => {
            json!({ "kind": "commitment", "commitment": commitment.to_string(), "len": len })
        }
        Payload::Governance(bytes) => json!({ "kind": "governance", "hex": hex::encode(bytes) }),
    }
}

/// A value without a column's type, as SQL would be given it.
fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(_) | Value::Numeric(_) | Value::Double(_) => text::format(Type::Text, value),
        Value::Bool(value) => value.to_string(),
        _ => format!("'{}'", text::format(Type::Text, value).replace('\'', "''")),
    }
}

/// A value as JSON; whatever JSON's numbers do not carry exactly is a string.
fn value_json(ty: Type, value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Int(number) if ty != Type::BigInt => json!(number),
        _ => json!(text::format(ty, value)),
    }
}

fn bytes_text(bytes: &[u8]) -> String {
    let shown: String = match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().take(RECORD_SHOWN_MAX).collect(),
        Err(_) => hex::encode(bytes).chars().take(RECORD_SHOWN_MAX).collect(),
    };
    format!("{shown}\n({} bytes)", bytes.len())
}
