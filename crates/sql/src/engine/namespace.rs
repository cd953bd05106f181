//! Rules of the built-in tables that a definition cannot say.
//!
//! - A namespace of the key-value state belongs to the account that wrote to it first; only its owner
//!   writes to it. An append-only namespace takes new keys and nothing else, for ever.
//! - `stele.accounts` takes an account's new key from the account itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use stele_core::key::encode_key;
use stele_core::outcome::RowChange;
use stele_core::row::{Row, decode_row, encode_row};
use stele_core::schema::{Table, TableId};
use stele_core::{AccountId, Type, Value};

use super::Engine;
use super::account::bytes;
use super::builtin::{ACCOUNTS_TABLE, KV_NAMESPACES_TABLE, KV_TABLE};
use super::error::EngineError;
use super::layout::Layout;
use super::outcome::Failure;
use super::row_log::{Net, NetChange, Stamp, Touch};
use crate::error::SqlError;

impl Engine {
    /// Checks a transaction's changes of built-in tables; adds the namespaces it created.
    pub(super) fn check_builtin(
        &self,
        account: AccountId,
        net: &mut Net,
        stamp: Stamp,
    ) -> Result<(), Failure> {
        if net
            .changes
            .first()
            .is_none_or(|first| first.change.table > ACCOUNTS_TABLE)
        {
            return Ok(());
        }
        for change in of_table(net, KV_NAMESPACES_TABLE) {
            self.check_namespace_row(account, &change.change)?;
        }
        for change in of_table(net, ACCOUNTS_TABLE) {
            self.check_account_row(account, &change.change)?;
        }
        let mut created = Vec::new();
        let mut seen = BTreeSet::new();
        for change in of_table(net, KV_TABLE) {
            let is_append = change.change.before.is_none();
            let Some(namespace) = self.namespace_of(&change.change)? else {
                continue;
            };
            if is_append && !seen.insert(namespace.clone()) {
                continue;
            }
            match self.namespace(&namespace)? {
                None => created.push(self.create_namespace(account, &namespace, stamp)?),
                Some((owner, _)) if owner != account.0 => {
                    return Err(refused(format!(
                        "namespace \"{namespace}\" belongs to another account"
                    )));
                }
                Some((_, true)) if !is_append => {
                    return Err(refused(format!("namespace \"{namespace}\" is append-only")));
                }
                Some(_) => {}
            }
        }
        if !created.is_empty() {
            net.changes.extend(created);
            net.changes.sort_by(|a, b| {
                (a.change.table, &a.change.key).cmp(&(b.change.table, &b.change.key))
            });
        }
        Ok(())
    }

    fn namespace_of(&self, change: &RowChange) -> Result<Option<String>, Failure> {
        let table = self.builtin(KV_TABLE)?;
        let row = change.after.as_ref().or(change.before.as_ref());
        let values = row.map(|row| decoded(&table.table, row)).transpose()?;
        Ok(match values.as_deref().and_then(<[Value]>::first) {
            Some(Value::Text(namespace)) => Some(namespace.clone()),
            _ => None,
        })
    }

    /// Owner of a namespace, and whether it is append-only.
    fn namespace(&self, name: &str) -> Result<Option<(Vec<u8>, bool)>, Failure> {
        let layout = self.builtin(KV_NAMESPACES_TABLE)?;
        let Some((row, _)) = layout.get(&self.writer, &namespace_key(name)?)? else {
            return Ok(None);
        };
        let values = decoded(&layout.table, &row)?;
        let owner = bytes(values.get(1)).unwrap_or_default().to_vec();
        Ok(Some((owner, values.get(2) == Some(&Value::Bool(true)))))
    }

    fn create_namespace(
        &self,
        account: AccountId,
        name: &str,
        stamp: Stamp,
    ) -> Result<NetChange, Failure> {
        let layout = self.builtin(KV_NAMESPACES_TABLE)?;
        let row = Row::new(vec![
            Value::Text(name.to_owned()),
            Value::Bytes(account.0.to_vec()),
            Value::Bool(false),
        ]);
        let after = encode_row(&layout.table, &row)
            .map_err(|error| SqlError::new(error.sqlstate(), error.to_string()))?;
        layout.insert(&self.writer, &after, stamp)?;
        let key = namespace_key(name)?;
        // Counted like any other touch, though it is complete already.
        self.writer.sink(|log| {
            log.push(Touch {
                table: KV_NAMESPACES_TABLE,
                key: key.clone(),
                before: None,
                after: Some(after.clone()),
                moved: None,
            });
        });
        Ok(NetChange {
            change: RowChange {
                table: KV_NAMESPACES_TABLE,
                key,
                before: None,
                after: Some(after),
            },
            written: None,
        })
    }

    fn check_namespace_row(&self, account: AccountId, change: &RowChange) -> Result<(), Failure> {
        let layout = self.builtin(KV_NAMESPACES_TABLE)?;
        let read = |row: Option<&Vec<u8>>| row.map(|row| decoded(&layout.table, row)).transpose();
        let (before, after) = (read(change.before.as_ref())?, read(change.after.as_ref())?);
        let owner = |values: &[Value]| bytes(values.get(1)) == Some(account.0.as_slice());
        let append_only = |values: &[Value]| values.get(2) == Some(&Value::Bool(true));
        match (before.as_deref(), after.as_deref()) {
            (_, None) => Err(refused("a namespace cannot be deleted")),
            (None, Some(after)) if !owner(after) => {
                Err(refused("a namespace is created by its owner"))
            }
            (Some(before), Some(_)) if !owner(before) => {
                Err(refused("the namespace belongs to another account"))
            }
            (Some(before), Some(after)) if append_only(before) && !append_only(after) => {
                Err(refused("an append-only namespace stays append-only"))
            }
            _ => Ok(()),
        }
    }

    fn check_account_row(&self, account: AccountId, change: &RowChange) -> Result<(), Failure> {
        let layout = self.builtin(ACCOUNTS_TABLE)?;
        let Some(after) = &change.after else {
            return Err(refused("an account's key can be replaced, not deleted"));
        };
        let values = decoded(&layout.table, after)?;
        if bytes(values.first()) != Some(account.0.as_slice()) {
            return Err(refused("only the account itself changes its key"));
        }
        if bytes(values.get(2)).map(<[u8]>::len) != Some(32) {
            return Err(SqlError::new("22023", "a public key has 32 bytes").into());
        }
        Ok(())
    }

    fn builtin(&self, id: TableId) -> Result<Arc<Layout>, EngineError> {
        let layout = self.writer.sink(|log| log.layout(id));
        layout.ok_or(EngineError::NoTable(id))
    }
}

fn of_table(net: &Net, table: TableId) -> impl Iterator<Item = &NetChange> {
    net.changes
        .iter()
        .filter(move |change| change.change.table == table)
}

fn namespace_key(name: &str) -> Result<Vec<u8>, SqlError> {
    encode_key(&[(Type::Text, &Value::Text(name.to_owned()))])
        .map_err(|error| SqlError::new(error.sqlstate(), error.to_string()))
}

fn decoded(table: &Table, row: &[u8]) -> Result<Vec<Value>, SqlError> {
    decode_row(table, row)
        .map(|row| row.values)
        .map_err(|error| SqlError::new(error.sqlstate(), error.to_string()))
}

fn refused(what: impl Into<String>) -> Failure {
    SqlError::new("42501", what).into()
}
