//! SQL reads, and the way to the executor.

use std::sync::Arc;

use stele_core::{AccountId, Type, Value};
use stele_sql::engine::{Engine, EngineError};
use stele_sql::{Bound, SqlError};

use crate::error::NodeError;
use crate::node::Node;
use crate::receipt::Answer;

impl From<EngineError> for NodeError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Sql(error) => Self::Sql(error),
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
        self.inner.readers.describe(account, sql, declared)
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
        let (result, height) = self.inner.readers.query(account, sql, parameters)?;
        Ok(Answer { result, height })
    }

    /// Works with the executor between two blocks.
    pub(crate) fn with_engine<R>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<R, EngineError>,
    ) -> Result<R, NodeError> {
        let mut engine = self.inner.engine.lock();
        let done = work(&mut engine);
        // The apply loop waits for this lock too; it must not starve behind a busy session.
        parking_lot::MutexGuard::unlock_fair(engine);
        Ok(done?)
    }
}
