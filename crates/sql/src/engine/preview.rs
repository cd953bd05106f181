//! Statements tried on top of the state and taken back.

use stele_core::AccountId;
use stele_core::transaction::Statement;

use super::Engine;
use super::error::EngineError;
use super::outcome::Failure;
use super::row_log::Stamp;
use crate::result::StatementResult;

impl Engine {
    /// Executes an account's statements as the next block would, gives their results and takes
    /// everything back. A statement with a result digest fails with 40001 when its result is another
    /// one. `now_us` and `seed` are what `now()` and `random()` give.
    ///
    /// # Errors
    /// [`EngineError::Sql`] of the first statement that fails, or the node's own trouble. A block must not be open.
    pub fn preview(
        &mut self,
        account: AccountId,
        statements: &[Statement],
        now_us: i64,
        seed: [u8; 16],
    ) -> Result<Vec<StatementResult>, EngineError> {
        let previewed = self.try_preview(account, statements, now_us, seed);
        let previewed = match previewed {
            Err(Failure::Engine(error)) => return Err(self.undone(error)),
            Err(Failure::Outcome(error) | Failure::Swept(error)) => Err(error.into()),
            Ok(results) => Ok(results),
        };
        self.rollback().map_err(|error| error.at(&self.path))?;
        previewed
    }

    fn try_preview(
        &mut self,
        account: AccountId,
        statements: &[Statement],
        now_us: i64,
        seed: [u8; 16],
    ) -> Result<Vec<StatementResult>, Failure> {
        let stamp = Stamp {
            height: self.meta.height + 1,
            index: 0,
        };
        self.begin(stamp.height)?;
        self.context.begin_read(now_us, seed, self.meta.height);
        let done = self.in_savepoint(false, |engine| {
            engine.run_statements(account, statements, stamp, false)
        })?;
        Ok(done.results)
    }
}
