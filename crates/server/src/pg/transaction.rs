//! An open transaction of a session: the statements it will submit.
//!
//! Nothing of it is on the ledger before COMMIT. Each statement's result is a preview: the node
//! runs all statements so far on the newest state and undoes them. Reads are previewed or queried
//! but not collected. A savepoint is a place in the list of statements.

use stele_core::Value;
use stele_core::transaction::{Statement, TRANSACTION_LEN_MAX};
use stele_sql::SqlError;

use super::settings::Settings;

/// Most savepoints of a transaction.
pub(crate) const SAVEPOINTS_MAX: usize = 1_000;

/// Bounds of a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Statements.
    pub(crate) statements_max: usize,
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
    /// What `now()` gives: microseconds since 1970 UTC.
    pub(crate) time_us: i64,
    /// What `random()` is drawn from.
    pub(crate) seed: [u8; 16],
    /// Settings to go back to on ROLLBACK; saved by BEGIN.
    pub(crate) settings: Option<Settings>,
    /// Settings set with SET LOCAL and their value before.
    pub(crate) local: Vec<(String, Option<String>)>,
    statements: Vec<Statement>,
    bytes: usize,
    /// Places of statements that change the catalogue.
    schema: Vec<usize>,
    /// How many of the statements the client has been given a result of.
    answered: usize,
    previews: usize,
    savepoints: Vec<(String, usize)>,
    failed: bool,
}

impl Transaction {
    pub(crate) fn new(explicit: bool, read_only: bool, time_us: i64, seed: [u8; 16]) -> Self {
        Self {
            explicit,
            read_only,
            time_us,
            seed,
            settings: None,
            local: Vec::new(),
            statements: Vec::new(),
            bytes: 0,
            schema: Vec::new(),
            answered: 0,
            previews: 0,
            savepoints: Vec::new(),
            failed: false,
        }
    }

    /// Whether only ROLLBACK helps.
    pub(crate) fn is_failed(&self) -> bool {
        self.failed
    }

    /// Statements so far.
    pub(crate) fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// How many of them the client has been given a result of.
    pub(crate) fn answered(&self) -> usize {
        self.answered
    }

    /// Whether it changes the catalogue, so that binding as of the newest state can be wrong.
    pub(crate) fn changes_schema(&self) -> bool {
        !self.schema.is_empty()
    }

    /// Adds a statement.
    ///
    /// # Errors
    /// 54000 when there are too many or they are too long.
    pub(crate) fn push(
        &mut self,
        statement: Statement,
        schema: bool,
        bounds: Bounds,
    ) -> Result<(), SqlError> {
        if self.statements.len() >= bounds.statements_max {
            return Err(SqlError::new(
                "54000",
                format!(
                    "more than {} statements in one transaction",
                    bounds.statements_max
                ),
            )
            .hint("COMMIT more often, or put more rows into one statement."));
        }
        let bytes = self.bytes.saturating_add(len_of(&statement));
        if bytes > TRANSACTION_LEN_MAX {
            return Err(SqlError::new(
                "54000",
                format!("the transaction has more than {TRANSACTION_LEN_MAX} bytes"),
            )
            .hint("COMMIT more often, or append large data as records over HTTP."));
        }
        if schema {
            self.schema.push(self.statements.len());
        }
        self.bytes = bytes;
        self.statements.push(statement);
        Ok(())
    }

    /// Counts a preview.
    ///
    /// # Errors
    /// 54000 when there were too many: each runs all statements so far again.
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

    /// The client has been given the result of every statement.
    pub(crate) fn mark_answered(&mut self) {
        self.answered = self.statements.len();
    }

    /// A statement failed; the first `kept` stay, for ROLLBACK TO.
    pub(crate) fn fail(&mut self, kept: usize) {
        self.truncate(kept);
        self.mark_answered();
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
        self.savepoints.push((name, self.statements.len()));
        Ok(())
    }

    /// ROLLBACK TO SAVEPOINT: forgets what came after it; the savepoint stays.
    ///
    /// # Errors
    /// 3B001 when there is none of that name.
    pub(crate) fn rollback_to(&mut self, name: &str) -> Result<(), SqlError> {
        let (place, len) = self.find_savepoint(name)?;
        self.savepoints.truncate(place + 1);
        self.truncate(len);
        self.answered = self.answered.min(len);
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

    /// Gives all statements, and one more that is not added, to `run`.
    pub(crate) fn with<R>(
        &mut self,
        extra: Option<Statement>,
        run: impl FnOnce(&[Statement]) -> R,
    ) -> R {
        let len = self.statements.len();
        self.statements.extend(extra);
        let result = run(&self.statements);
        self.statements.truncate(len);
        result
    }

    /// The statements, to be submitted.
    pub(crate) fn into_statements(self) -> Vec<Statement> {
        self.statements
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

    fn truncate(&mut self, len: usize) {
        let dropped: usize = self.statements.iter().skip(len).map(len_of).sum();
        self.bytes = self.bytes.saturating_sub(dropped);
        self.statements.truncate(len);
        self.schema.retain(|place| *place < len);
    }
}

/// About how long a statement is when encoded, in bytes.
fn len_of(statement: &Statement) -> usize {
    let values: usize = statement
        .parameters
        .iter()
        .map(|value| match value {
            Value::Text(text) | Value::Json(text) => text.len() + 5,
            Value::Bytes(bytes) => bytes.len() + 5,
            _ => 9,
        })
        .sum();
    statement.sql.len() + values + 16
}

#[cfg(test)]
mod tests;
