//! Where blocks come from.

use crate::cursor::Cursor;

/// A chain read block by block, in order.
pub trait Source: Send {
    /// A block, verified by the source before it is given out.
    type Block;
    /// Why no block can be given.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The name cursors carry.
    fn id(&self) -> &str;

    /// The block after `cursor`, or `None` while there is none yet.
    ///
    /// # Errors
    /// When the source cannot be read, or what it gave does not verify, or the cursor's block is
    /// not on its chain.
    fn next_after(&mut self, cursor: &Cursor) -> Result<Option<Self::Block>, Self::Error>;
}
