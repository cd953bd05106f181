//! Putting the content of another state in the place of a damaged one, while readers go on.

use rusqlite::backup::{Backup, StepResult};

use super::Engine;
use super::error::EngineError;
use super::state::StateTree;
use super::statement::StatementCache;

/// Pages copied at once; all of them are one transaction.
const PAGES: i32 = 4_096;

impl Engine {
    /// Replaces the whole state by that of `fresh`, in one transaction of the database: after a crash it is the one or the
    /// other. What was open is undone; reads under way end on the state they began with.
    ///
    /// # Errors
    /// When it cannot be written or is not a state; the engine must be opened anew then.
    pub fn replace_content(&mut self, fresh: &Self) -> Result<(), EngineError> {
        self.end_preview()?;
        self.rollback()?;
        self.copied_from(fresh)
            .map_err(|error| EngineError::from(error).at(&self.path))?;
        self.statements = StatementCache::default();
        self.state = StateTree::new(self.suite);
        self.load().map_err(|error| error.at(&self.path))?;
        self.schema_version = self.read_version("PRAGMA schema_version")?;
        self.data_version = self.read_version("PRAGMA data_version")?;
        self.readers.forget_statements();
        self.publish();
        Ok(())
    }

    fn copied_from(&mut self, fresh: &Self) -> Result<(), rusqlite::Error> {
        let backup = Backup::new(&fresh.writer, &mut self.writer)?;
        loop {
            match backup.step(PAGES)? {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                // A reader that holds the log open; it ends.
                _ => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
    }
}
