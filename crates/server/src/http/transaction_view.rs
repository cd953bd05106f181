//! Transactions and their effects as JSON, complete: every field of the canonical form is there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use stele_core::outcome::{Change, TransactionEffects};
use stele_core::transaction::{Payload, SignedTransaction, Statement};
use stele_core::{Encode, Suite, Type, Value};
use utoipa::ToSchema;

use super::value::{Cell, iso_time};

/// A signed transaction.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TransactionView {
    /// Its identity.
    id: String,
    /// The ledger it is meant for.
    ledger: String,
    /// Who wants it.
    account: String,
    /// Random bytes, hexadecimal.
    nonce: String,
    /// Its own time.
    time: String,
    /// Its own time in microseconds since 1970 UTC.
    time_us: i64,
    /// From this block time on it is refused; microseconds since 1970 UTC.
    expiry_us: i64,
    /// What random functions are drawn from, hexadecimal.
    seed: String,
    /// Table versions it insists on.
    expected_versions: Vec<VersionView>,
    /// What it does.
    payload: PayloadView,
    /// Key that signed it, hexadecimal.
    key: String,
    /// Signature, hexadecimal.
    signature: String,
}

/// A table version a transaction insists on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionView {
    /// Number of the table.
    table: u32,
    /// Height of the transaction that changed it last.
    height: u64,
    /// Index of that transaction.
    index: u32,
}

/// What a transaction does. Bytes are base64, hashes hexadecimal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum PayloadView {
    /// SQL, all or nothing.
    Statements {
        /// The statements.
        statements: Vec<StatementView>,
    },
    /// An opaque record.
    Record {
        /// Its bytes.
        bytes: String,
    },
    /// A piece of a larger record.
    Chunk {
        /// Its bytes.
        bytes: String,
    },
    /// The end of a record that came in pieces.
    Manifest {
        /// Length of the whole, in bytes.
        len: u64,
        /// Hash of the whole.
        digest: String,
        /// Transactions that hold the pieces.
        chunks: Vec<String>,
    },
    /// An erasable record's commitment.
    Commitment {
        /// Hash of salt and bytes.
        commitment: String,
        /// Length of the bytes.
        len: u64,
    },
    /// A governance change.
    Governance {
        /// Its encoding.
        bytes: String,
    },
}

/// A statement of a transaction.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatementView {
    /// Text.
    sql: String,
    /// Values of `$1`…
    parameters: Vec<ParameterView>,
    /// Digest of the result the client saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
}

/// A bound value; `unknown` text is read by the type it meets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParameterView {
    /// Kind of value.
    #[serde(rename = "type")]
    ty: &'static str,
    /// The value.
    #[schema(value_type = serde_json::Value)]
    value: Cell,
}

/// Outcome and changes of a transaction.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EffectsView {
    /// `00000`, or the SQLSTATE of the recorded failure.
    code: String,
    /// Rows inserted, updated and deleted.
    rows_affected: u64,
    /// Digest of the changes.
    digest: String,
    /// The changes in order.
    changes: Vec<ChangeView>,
}

/// One change to the state, in the encodings the state commits to (base64).
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum ChangeView {
    /// A row came, changed or went.
    Row {
        /// Number of the table.
        table: u32,
        /// Encoded primary key.
        key: String,
        /// Encoded row before; null for an insert.
        before: Option<String>,
        /// Encoded row after; null for a delete.
        after: Option<String>,
    },
    /// A table came, changed its definition or went.
    Schema {
        /// Number of the table.
        table: u32,
        /// Its name before.
        name_before: Option<String>,
        /// Its name after.
        name_after: Option<String>,
        /// Encoded definition before.
        before: Option<String>,
        /// Encoded definition after.
        after: Option<String>,
    },
}

impl TransactionView {
    pub(super) fn new(suite: Suite, signed: &SignedTransaction) -> Self {
        let transaction = &signed.transaction;
        let versions = transaction.expected_versions.iter();
        Self {
            id: signed.id(suite).to_hex(),
            ledger: transaction.ledger.to_hex(),
            account: transaction.account.to_string(),
            nonce: hex::encode(transaction.nonce),
            time: iso_time(transaction.time_us),
            time_us: transaction.time_us,
            expiry_us: transaction.expiry_us,
            seed: hex::encode(transaction.seed),
            expected_versions: versions
                .map(|version| VersionView {
                    table: version.table.0,
                    height: version.height,
                    index: version.index,
                })
                .collect(),
            payload: PayloadView::from(&transaction.payload),
            key: signed.key.to_hex(),
            signature: hex::encode(signed.signature.0),
        }
    }
}

impl From<&Payload> for PayloadView {
    fn from(payload: &Payload) -> Self {
        match payload {
            Payload::Statements(statements) => Self::Statements {
                statements: statements.iter().map(StatementView::from).collect(),
            },
            Payload::Record(bytes) => Self::Record {
                bytes: STANDARD.encode(bytes),
            },
            Payload::Chunk(bytes) => Self::Chunk {
                bytes: STANDARD.encode(bytes),
            },
            Payload::Manifest(manifest) => Self::Manifest {
                len: manifest.len,
                digest: manifest.digest.to_hex(),
                chunks: manifest.chunks.iter().map(|id| id.to_hex()).collect(),
            },
            Payload::Commitment { commitment, len } => Self::Commitment {
                commitment: commitment.to_hex(),
                len: *len,
            },
            Payload::Governance(bytes) => Self::Governance {
                bytes: STANDARD.encode(bytes),
            },
        }
    }
}

impl From<&Statement> for StatementView {
    fn from(statement: &Statement) -> Self {
        let parameters = statement.parameters.iter();
        Self {
            sql: statement.sql.clone(),
            parameters: parameters
                .map(|value| ParameterView {
                    ty: type_word(value),
                    value: Cell(type_of(value), value.clone()),
                })
                .collect(),
            result: statement.result.map(|digest| digest.to_hex()),
        }
    }
}

/// A parameter's text is a literal of unknown type until it meets one.
fn type_word(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "unknown",
        other => other.type_word(),
    }
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Timestamp(_) => Type::TimestampTz,
        Value::Json(_) => Type::Json,
        _ => Type::Text,
    }
}

impl From<&TransactionEffects> for EffectsView {
    fn from(effects: &TransactionEffects) -> Self {
        Self {
            code: effects.outcome.code.as_str().to_owned(),
            rows_affected: effects.outcome.rows_affected,
            digest: effects.outcome.changes.to_hex(),
            changes: effects.changes.iter().map(ChangeView::from).collect(),
        }
    }
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        match change {
            Change::Row(row) => Self::Row {
                table: row.table.0,
                key: STANDARD.encode(&row.key),
                before: row.before.as_ref().map(|row| STANDARD.encode(row)),
                after: row.after.as_ref().map(|row| STANDARD.encode(row)),
            },
            Change::Schema {
                table,
                before,
                after,
            } => {
                let name = |table: &Option<Box<stele_core::schema::Table>>| {
                    table
                        .as_ref()
                        .map(|table| format!("{}.{}", table.schema, table.name))
                };
                let definition = |table: &Option<Box<stele_core::schema::Table>>| {
                    table
                        .as_ref()
                        .map(|table| STANDARD.encode(table.encode_to_vec()))
                };
                Self::Schema {
                    table: table.0,
                    name_before: name(before),
                    name_after: name(after),
                    before: definition(before),
                    after: definition(after),
                }
            }
        }
    }
}
