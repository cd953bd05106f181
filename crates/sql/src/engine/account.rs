//! Who may sign for an account.

use rusqlite::OptionalExtension;
use stele_core::transaction::SignedTransaction;
use stele_core::{AccountId, Value};

use super::Engine;
use super::builtin::ACCOUNTS_TABLE;
use super::error::EngineError;
use super::outcome::Failure;
use crate::error::SqlError;
use crate::physical;

impl Engine {
    /// Checks that the key of a transaction is a current one of its account: the key `stele.accounts`
    /// holds, or the account's first key while it holds none.
    pub(super) fn check_account(&self, signed: &SignedTransaction) -> Result<(), Failure> {
        let account = signed.transaction.account;
        let fits = match self.rotated_key(account)? {
            Some(key) => key == signed.key.0,
            None => AccountId::of_key(self.suite, &signed.key) == account,
        };
        if fits {
            return Ok(());
        }
        Err(SqlError::new(
            "28000",
            format!("the signing key is no current key of {account}"),
        )
        .hint("sign with the key that stele.accounts holds for the account")
        .into())
    }

    fn rotated_key(&self, account: AccountId) -> Result<Option<Vec<u8>>, EngineError> {
        let Some(table) = self.catalogue.table(ACCOUNTS_TABLE) else {
            return Ok(None);
        };
        let name = |column: &str| {
            let column = table.column_named(column);
            column.map_or_else(String::new, |column| physical::column_name(column.id))
        };
        let sql = format!(
            "SELECT {} FROM {} WHERE {} = ?1",
            name("key"),
            physical::table_name(ACCOUNTS_TABLE),
            name("account"),
        );
        let mut statement = self.writer.prepare_cached(&sql)?;
        Ok(statement
            .query_row([account.0], |row| row.get(0))
            .optional()?)
    }
}

/// The bytes of a BYTEA value.
pub(super) fn bytes(value: Option<&Value>) -> Option<&[u8]> {
    match value {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}
