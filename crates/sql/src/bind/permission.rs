//! Who may do what. Owners may do everything with their tables; the ledger's own tables are read by
//! all, and of them the key-value state is written by all, each in namespaces of its own.

use stele_core::account::AccountId;
use stele_core::schema::{Table, TableId};

use super::Binder;
use crate::error::SqlError;

/// The built-in tables anyone may write: key-value state, its namespaces, account keys. Each has
/// rules of its own, which the executor checks on what a transaction changed.
pub const OPEN_TABLES: [TableId; 3] = [TableId(1), TableId(2), TableId(3)];

impl Binder<'_> {
    pub(super) fn check_readable(&self, table: &Table) -> Result<(), SqlError> {
        if table.owner == AccountId::LEDGER || table.owner == self.context.account {
            return Ok(());
        }
        Err(denied(table))
    }

    pub(super) fn check_writable(&self, table: &Table) -> Result<(), SqlError> {
        if OPEN_TABLES.contains(&table.id)
            || table.owner != AccountId::LEDGER && table.owner == self.context.account
        {
            return Ok(());
        }
        Err(denied(table))
    }

    pub(super) fn check_owned(&self, table: &Table) -> Result<(), SqlError> {
        if table.owner != AccountId::LEDGER && table.owner == self.context.account {
            return Ok(());
        }
        Err(
            SqlError::new("42501", format!("must be owner of table {}", table.name))
                .hint(owner_hint(table)),
        )
    }
}

fn denied(table: &Table) -> SqlError {
    SqlError::new(
        "42501",
        format!("permission denied for table {}", table.name),
    )
    .hint(owner_hint(table))
}

fn owner_hint(table: &Table) -> String {
    if table.owner == AccountId::LEDGER {
        return "The table belongs to the ledger itself.".to_owned();
    }
    format!("The table belongs to {}.", table.owner)
}
