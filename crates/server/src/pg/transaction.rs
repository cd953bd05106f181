//! An open transaction of a session: what it will submit ([`OpenTransaction`]), its savepoints, and
//! the settings it changes.
//!
//! A savepoint is a place in the list of statements.

use stele_node::OpenTransaction;
use stele_sql::SqlError;

use super::settings::Settings;

/// Most savepoints of a transaction.
pub(crate) const SAVEPOINTS_MAX: usize = 1_000;

/// Bounds of a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Previews.
    pub(crate) previews_max: usize,
}

/// An open transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// Whether BEGIN opened it; otherwise the next Sync ends it.
    pub(crate) explicit: bool,
    /// Whether writes are refused.
    pub(crate) read_only: bool,
    /// Settings to go back to on ROLLBACK; saved by BEGIN.
    pub(crate) settings: Option<Settings>,
    /// Settings set with SET LOCAL and their value before.
    pub(crate) local: Vec<(String, Option<String>)>,
    /// Its statements and what the client has seen.
    pub(crate) open: OpenTransaction,
    previews: usize,
    savepoints: Vec<(String, usize)>,
    failed: bool,
}

impl Transaction {
    pub(crate) fn new(explicit: bool, read_only: bool, open: OpenTransaction) -> Self {
        Self {
            explicit,
            read_only,
            settings: None,
            local: Vec::new(),
            open,
            previews: 0,
            savepoints: Vec::new(),
            failed: false,
        }
    }

    /// Whether only ROLLBACK helps.
    pub(crate) fn is_failed(&self) -> bool {
        self.failed
    }

    /// Counts a preview.
    ///
    /// # Errors
    /// 54000 when there were too many: each may run all statements so far again.
    pub(crate) fn count_preview(&mut self, bounds: Bounds) -> Result<(), SqlError> {
        self.previews += 1;
        if self.previews <= bounds.previews_max {
            return Ok(());
        }
        Err(SqlError::new(
            "54000",
            format!("more than {} steps in one transaction", bounds.previews_max),
        )
        .hint("COMMIT more often, or send statements in batches (pipeline mode, executemany, addBatch): a batch is one step."))
    }

    /// A statement failed; the first `kept` stay, for ROLLBACK TO.
    pub(crate) fn fail(&mut self, kept: usize) {
        self.open.truncate(kept);
        self.savepoints.retain(|(_, len)| *len <= kept);
        self.failed = true;
    }

    /// SAVEPOINT.
    ///
    /// # Errors
    /// 54000 when there are too many.
    pub(crate) fn savepoint(&mut self, name: String) -> Result<(), SqlError> {
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            return Err(SqlError::new(
                "54000",
                format!("more than {SAVEPOINTS_MAX} savepoints in one transaction"),
            )
            .hint("RELEASE those no longer needed."));
        }
        self.savepoints.push((name, self.open.statements().len()));
        Ok(())
    }

    /// ROLLBACK TO SAVEPOINT: forgets what came after it; the savepoint stays.
    ///
    /// # Errors
    /// 3B001 when there is none of that name.
    pub(crate) fn rollback_to(&mut self, name: &str) -> Result<(), SqlError> {
        let (place, len) = self.find_savepoint(name)?;
        self.savepoints.truncate(place + 1);
        self.open.truncate(len);
        self.failed = false;
        Ok(())
    }

    /// RELEASE SAVEPOINT: forgets the savepoint and later ones.
    ///
    /// # Errors
    /// 3B001 when there is none of that name.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), SqlError> {
        let (place, _) = self.find_savepoint(name)?;
        self.savepoints.truncate(place);
        Ok(())
    }

    fn find_savepoint(&self, name: &str) -> Result<(usize, usize), SqlError> {
        self.savepoints
            .iter()
            .enumerate()
            .rev()
            .find(|(_, (known, _))| known == name)
            .map(|(place, (_, len))| (place, *len))
            .ok_or_else(|| SqlError::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }
}

#[cfg(test)]
mod tests;
