//! Who may sign for an account.

use rusqlite::{Connection, OptionalExtension};
use stele_core::crypto::PublicKey;
use stele_core::transaction::SignedTransaction;
use stele_core::{AccountId, Value};

use super::Engine;
use super::error::EngineError;
use super::outcome::Failure;
use super::readers::Readers;
use crate::error::SqlError;

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
        if !self.keys_rotated {
            return Ok(None);
        }
        Ok(rotated_key(&self.writer, account)?)
    }

    /// Looks whether any account ever rotated its key.
    pub(super) fn load_accounts(&mut self) -> Result<(), EngineError> {
        self.keys_rotated = self
            .writer
            .prepare_cached("SELECT 1 FROM t3 LIMIT 1")?
            .exists([])?;
        Ok(())
    }
}

impl Readers {
    /// Whether a key is the current one of an account after the newest block.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn may_sign(&self, account: AccountId, key: &PublicKey) -> Result<bool, EngineError> {
        let rotated = self.with_connection(|connection| rotated_key(connection, account))?;
        Ok(match rotated {
            Some(current) => current == key.0,
            None => AccountId::of_key(self.suite, key) == account,
        })
    }
}

fn rotated_key(connection: &Connection, account: AccountId) -> rusqlite::Result<Option<Vec<u8>>> {
    // Columns `account` and `key` of the built-in table, whose ids are frozen.
    let mut statement = connection.prepare_cached("SELECT c3 FROM t3 WHERE c1 = ?1")?;
    let key = statement.query_row([account.0], |row| row.get(0));
    key.optional()
}

/// The bytes of a BYTEA value.
pub(super) fn bytes(value: Option<&Value>) -> Option<&[u8]> {
    match value {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}
