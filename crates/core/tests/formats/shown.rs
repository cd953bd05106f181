//! What a proof shows, as `stele verify --json` prints it under `shows`.

use serde_json::{Map, Value as Json, json};
use stele_core::key::decode_key;
use stele_core::proof::{Proven, ProvenRows, ProvenTransaction, RowClaim};
use stele_core::schema::Table;
use stele_core::transaction::Payload;
use stele_core::trust::Trust;
use stele_core::value::text;
use stele_core::{Type, Value};

pub fn shown(proven: &Proven, trust: &Trust) -> Json {
    match proven {
        Proven::Transaction(proven) => transaction(proven, trust),
        Proven::Rows(proven) => rows(proven, trust),
    }
}

fn transaction(proven: &ProvenTransaction, trust: &Trust) -> Json {
    let body = &proven.signed.transaction;
    json!({
        "kind": "transaction",
        "ledger": trust.ledger.to_string(),
        "origin": trust.origin,
        "transaction": proven.entry.transaction.to_string(),
        "height": proven.entry.height,
        "index": proven.entry.index,
        "account": body.account.to_string(),
        "time_us": body.time_us,
        "payload": payload(&body.payload),
        "outcome": {
            "code": proven.outcome.code.as_str(),
            "success": proven.outcome.code.is_success(),
            "rows_affected": proven.outcome.rows_affected,
        },
        "checkpoint_size": proven.checkpoint.size(),
    })
}

fn rows(proven: &ProvenRows, trust: &Trust) -> Json {
    let table = &proven.table;
    let (kind, claim) = match &proven.claim {
        RowClaim::Present { key } => ("row", json!({ "key": key_text(table, key) })),
        RowClaim::Absent { key } => ("absence", json!({ "key": key_text(table, key) })),
        RowClaim::Range { from, to } => {
            let from = (!from.is_empty()).then(|| key_text(table, from));
            let to = to.as_ref().map(|to| key_text(table, to));
            ("range", json!({ "from": from, "to": to }))
        }
    };
    let columns = table.columns.iter();
    json!({
        "kind": kind,
        "ledger": trust.ledger.to_string(),
        "origin": trust.origin,
        "table": format!("{}.{}", table.schema, table.name),
        "claim": claim,
        "columns": columns
            .map(|column| json!({ "name": column.name, "type": column.ty.to_string() }))
            .collect::<Vec<_>>(),
        "rows": proven
            .rows
            .iter()
            .map(|(_, row)| {
                let values = table.columns.iter().zip(&row.values);
                let values = values.map(|(column, v)| (column.name.clone(), value(column.ty, v)));
                Json::Object(values.collect::<Map<_, _>>())
            })
            .collect::<Vec<_>>(),
        "height": proven.leaf.height,
        "time_us": proven.leaf.time_us,
        "block": proven.leaf.block.to_string(),
        "state_root": proven.leaf.state_root.to_string(),
        "checkpoint_size": proven.checkpoint.size(),
    })
}

/// The values of a key as the table's columns name them.
fn key_text(table: &Table, key: &[u8]) -> String {
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

/// Whatever JSON's numbers do not carry exactly is a string.
fn value(ty: Type, value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(number) if ty != Type::BigInt => json!(number),
        _ => json!(text::format(ty, value)),
    }
}

fn payload(payload: &Payload) -> Json {
    match payload {
        Payload::Statements(statements) => {
            let statements: Vec<_> = statements
                .iter()
                .map(|statement| {
                    let parameters = statement.parameters.iter();
                    let parameters: Vec<_> =
                        parameters.map(|given| value(Type::BigInt, given)).collect();
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
