//! SQL reads and previews.

use std::sync::Arc;

use stele_core::transaction::Statement;
use stele_core::{AccountId, Type, Value};
use stele_sql::engine::EngineError;
use stele_sql::{Bound, SqlError, StatementResult};

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

    /// Runs statements on the newest state and undoes them: what an open interactive transaction
    /// sees. `time_us` and `seed` are those the transaction will carry.
    ///
    /// # Errors
    /// What is wrong with a statement; or the state cannot be read.
    pub fn preview(
        &self,
        account: AccountId,
        statements: &[Statement],
        time_us: i64,
        seed: [u8; 16],
    ) -> Result<Vec<StatementResult>, NodeError> {
        let mut engine = self.inner.engine.lock();
        let previewed = engine.preview(account, statements, time_us, seed);
        // The apply loop waits for this lock too; it must not starve behind a busy session.
        parking_lot::MutexGuard::unlock_fair(engine);
        Ok(previewed?)
    }
}
