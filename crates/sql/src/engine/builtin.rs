//! The tables every ledger has: key-value state, its namespaces, and account keys.

use stele_core::schema::{Column, ColumnId, Table, TableId};
use stele_core::{AccountId, Type};

use crate::catalogue::LEDGER_SCHEMA;

/// `stele.kv`: key-value state.
pub const KV_TABLE: TableId = TableId(1);
/// `stele.kv_namespaces`: who owns a namespace, and whether it is append-only.
pub const KV_NAMESPACES_TABLE: TableId = TableId(2);
/// `stele.accounts`: the current key of accounts that rotated theirs.
pub const ACCOUNTS_TABLE: TableId = TableId(3);

/// Longest namespace, in characters.
const NAMESPACE_LEN_MAX: u32 = 63;
/// Longest key of the key-value state, in characters.
const KV_KEY_LEN_MAX: u32 = 512;

/// Definitions of the built-in tables, in id order. Frozen: they are part of the state at genesis.
#[must_use]
pub fn tables() -> Vec<Table> {
    let namespace = Type::Varchar(NAMESPACE_LEN_MAX);
    vec![
        table(
            KV_TABLE,
            "kv",
            2,
            &[
                ("namespace", namespace, true),
                ("key", Type::Varchar(KV_KEY_LEN_MAX), true),
                ("value", Type::Bytea, false),
            ],
        ),
        table(
            KV_NAMESPACES_TABLE,
            "kv_namespaces",
            1,
            &[
                ("namespace", namespace, true),
                ("owner", Type::Bytea, true),
                ("append_only", Type::Bool, true),
            ],
        ),
        table(
            ACCOUNTS_TABLE,
            "accounts",
            1,
            &[
                ("account", Type::Bytea, true),
                ("name", namespace, false),
                ("key", Type::Bytea, true),
            ],
        ),
    ]
}

/// A built-in table whose first `key` columns are its primary key.
fn table(id: TableId, name: &str, key: usize, columns: &[(&str, Type, bool)]) -> Table {
    let columns: Vec<Column> = columns
        .iter()
        .zip(1u16..)
        .map(|((name, ty, not_null), id)| Column {
            not_null: *not_null,
            ..Column::plain(ColumnId(id), (*name).to_owned(), *ty)
        })
        .collect();
    let key = columns.iter().take(key).map(|column| column.id).collect();
    Table::plain(id, (LEDGER_SCHEMA, name), AccountId::LEDGER, columns, key)
}
