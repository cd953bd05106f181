//! What an audit found.

use serde::Serialize;
use stele_flow::HeldTable;

use super::{AuditFailure, DIFFERENCES_TOLD_MAX};

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AuditReport {
    /// Which database.
    pub target: String,
    /// Height the rows were read as of.
    pub height: u64,
    /// Hash of its block.
    pub block_hash: String,
    /// Rows read.
    pub rows: u64,
    /// How long it took.
    pub seconds: f64,
    /// Each table.
    pub tables: Vec<TableReport>,
    /// Rows and tables that were mended, once they are.
    pub mended: Vec<String>,
}

/// What an audit found of one table.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableReport {
    /// In the source, `schema.name`.
    pub table: String,
    /// In the target.
    pub name: String,
    /// Rows read.
    pub rows: u64,
    /// The certified root.
    pub root_expected: String,
    /// The root that follows from the rows read; empty when they give none.
    pub root_found: String,
    /// In which ways the table is not as it was made.
    pub drift: Vec<String>,
    /// Rows that differ, at most [`DIFFERENCES_TOLD_MAX`].
    pub differences: Vec<RowDifference>,
    /// How many differ.
    pub differences_total: u64,
    /// Why it was not compared.
    pub skipped: Option<String>,
    /// Height at which it was last found as it should be, if one is known.
    pub clean_at: Option<u64>,
    #[serde(skip)]
    pub(super) held: Option<HeldTable>,
    /// Encoded keys of the rows that differ.
    #[serde(skip)]
    pub(super) keys: Vec<Vec<u8>>,
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowDifference {
    /// Its key: `id = 1`.
    pub key: String,
    /// `changed`, `missing`, `foreign` or `unreadable`.
    pub kind: &'static str,
    /// The column, where one differs.
    pub column: Option<String>,
    /// What is certified.
    pub expected: Option<String>,
    /// What was found.
    pub found: Option<String>,
    /// Lowest height since which it can be wrong: that of the block that wrote the row, or of the last audit that
    /// found the table as it should be.
    pub wrong_since: u64,
}

impl AuditReport {
    /// Whether every table was compared.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.tables.is_empty() && self.tables.iter().all(|table| table.skipped.is_none())
    }

    /// Tables of which rows were mended.
    pub(crate) fn mended_by_row(&self) -> Vec<String> {
        let tables = self.tables.iter().filter(|table| {
            let rows = table.differences_total;
            table.drift.is_empty() && rows > 0 && rows == table.keys.len() as u64
        });
        tables.map(|table| table.table.clone()).collect()
    }

    /// That tables are as they should be after they were mended.
    pub(crate) fn check_mended(&self) -> Result<(), AuditFailure> {
        match self.tables.iter().find(|table| !table.is_clean()) {
            None => Ok(()),
            Some(table) => Err(AuditFailure::Unmended {
                target: self.target.clone(),
                table: table.table.clone(),
                name: table.name.clone(),
            }),
        }
    }

    /// Whether all that was compared is as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.tables.iter().all(TableReport::is_clean)
    }
}

impl TableReport {
    pub(super) fn of(held: &HeldTable, clean_at: Option<u64>) -> Self {
        Self {
            table: held.table.to_string(),
            name: held.target.clone(),
            held: Some(held.clone()),
            clean_at,
            ..Self::default()
        }
    }

    /// Whether it is as it should be, as far as it was compared.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.drift.is_empty() && self.differences_total == 0
    }

    /// Tells of a row that differs; `key` is its encoded key, to be mended by.
    pub(super) fn tell(&mut self, key: Option<Vec<u8>>, difference: RowDifference) {
        self.differences_total += 1;
        self.keys.extend(key);
        if self.differences.len() < DIFFERENCES_TOLD_MAX {
            self.differences.push(difference);
        }
    }

    /// Lowest height since which a row written at `written` can be wrong.
    pub(super) fn wrong_since(&self, written: Option<u64>) -> u64 {
        self.clean_at.unwrap_or(0).max(written.unwrap_or(0))
    }
}
