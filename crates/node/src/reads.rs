//! SQL reads, and the way to the executor.

use std::sync::Arc;

use stele_core::schema::TableId;
use stele_core::{AccountId, Type, Value};
use stele_sql::engine::{Engine, EngineError, ReadOptions};
use stele_sql::{Bound, SqlError};

use crate::error::NodeError;
use crate::followed::Role;
use crate::node::Node;
use crate::receipt::Answer;

impl From<EngineError> for NodeError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Sql(error) => Self::Sql(error),
            EngineError::ReadersBusy => Self::Sql(
                SqlError::new("53300", "all read connections are busy").hint(
                    "Try again later; `node.readers` in the configuration sets how many there are.",
                ),
            ),
            other => Self::Storage(other.to_string()),
        }
    }
}

impl Node {
    /// Binds a statement as of the newest state without running it.
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub fn describe(
        &self,
        account: AccountId,
        sql: &str,
        declared: &[Option<Type>],
    ) -> Result<Arc<Bound>, SqlError> {
        self.check_server()?;
        self.inner.readers.describe(account, sql, declared)
    }

    /// As [`Self::describe`], of a statement whose reads are as of a moment.
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub fn describe_as_of(
        &self,
        account: AccountId,
        sql: &str,
        declared: &[Option<Type>],
        as_of: Option<&str>,
    ) -> Result<Arc<Bound>, SqlError> {
        self.check_server()?;
        let readers = &self.inner.readers;
        readers.describe_as_of(account, sql, declared, as_of)
    }

    /// Tables in an order in which they can be emptied, see [`stele_sql::Catalogue::referring_first`].
    #[must_use]
    pub fn referring_first(&self, tables: &[TableId]) -> Vec<TableId> {
        self.inner.readers.catalogue().referring_first(tables)
    }

    /// The plan of a statement, one line a step.
    ///
    /// # Errors
    /// What is wrong with the statement; or the state cannot be read.
    pub fn explain(
        &self,
        account: AccountId,
        sql: &str,
        options: ReadOptions<'_>,
    ) -> Result<Vec<String>, NodeError> {
        self.check_server()?;
        Ok(self.inner.readers.explain(account, sql, options)?)
    }

    /// Runs a read on the newest committed state.
    ///
    /// # Errors
    /// What is wrong with the statement; or the state cannot be read.
    pub fn query(
        &self,
        account: AccountId,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Answer, NodeError> {
        self.query_with(account, sql, parameters, ReadOptions::default())
    }

    /// As [`Self::query`], with options.
    ///
    /// # Errors
    /// As [`Self::query`]; 57014 when it was stopped.
    pub fn query_with(
        &self,
        account: AccountId,
        sql: &str,
        parameters: &[Value],
        options: ReadOptions<'_>,
    ) -> Result<Answer, NodeError> {
        self.check_server()?;
        let readers = &self.inner.readers;
        let (result, height) = readers.query_with(account, sql, parameters, options)?;
        Ok(Answer { result, height })
    }

    /// That the server this node follows, if it follows one, was not caught lying: what it has shown
    /// since may be old, and nobody can tell how old.
    fn check_server(&self) -> Result<(), SqlError> {
        let Role::Follows(_) = &self.inner.role else {
            return Ok(());
        };
        match &self.inner.trouble.read().halted {
            None => Ok(()),
            Some(reason) => Err(SqlError::new("XX001", reason.clone())),
        }
    }

    /// Works with the executor between two blocks.
    pub(crate) fn with_engine<R>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<R, EngineError>,
    ) -> Result<R, NodeError> {
        self.check_server()?;
        let turn = self.inner.line.wait();
        let mut engine = self.inner.engine.lock();
        let done = work(&mut engine);
        // Only the apply loop can wait here; it must not starve behind busy sessions.
        parking_lot::MutexGuard::unlock_fair(engine);
        drop(turn);
        Ok(done?)
    }
}
