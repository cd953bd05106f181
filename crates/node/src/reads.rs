//! SQL reads, and the way to the executor.

use std::sync::Arc;

use stele_core::{AccountId, Type, Value};
use stele_sql::engine::{Engine, EngineError};
use stele_sql::{Bound, SqlError};

use crate::error::NodeError;
use crate::followed::Role;
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
        self.check_server()?;
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
        self.check_server()?;
        let (result, height) = self.inner.readers.query(account, sql, parameters)?;
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
        let mut engine = self.inner.engine.lock();
        let done = work(&mut engine);
        // The apply loop waits for this lock too; it must not starve behind a busy session.
        parking_lot::MutexGuard::unlock_fair(engine);
        Ok(done?)
    }
}
