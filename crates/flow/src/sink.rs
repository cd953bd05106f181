//! Where row changes go.

use crate::cursor::Cursor;

/// A place that takes row changes exactly once.
pub trait Sink: Send {
    /// What is applied: the changes of one block.
    type Changes;
    /// Why changes cannot be applied.
    type Error: std::error::Error + Send + Sync + 'static;

    /// How far the sink has got in a source; `None` if it never saw it.
    ///
    /// # Errors
    /// When the sink cannot be read.
    fn cursor(&mut self, source_id: &str) -> Result<Option<Cursor>, Self::Error>;

    /// Applies changes and stores `cursor` in one step: after a crash both are there or neither.
    ///
    /// # Errors
    /// When nothing was applied.
    fn apply(&mut self, changes: &Self::Changes, cursor: &Cursor) -> Result<(), Self::Error>;
}
