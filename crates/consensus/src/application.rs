//! What an engine asks of the node.

use std::time::Duration;

use stele_core::Hash;
use stele_core::block::Header;
use thiserror::Error;

/// A block as the engine carries it.
#[derive(Clone, Debug)]
pub struct OrderedBlock {
    /// Its header.
    pub header: Header,
    /// Its hash.
    pub hash: Hash,
    /// Its canonical encoding.
    pub bytes: Vec<u8>,
    /// Where others ordered it: what they say the validators signed after it.
    pub certificate: Option<String>,
}

/// When the node has something to order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now,
    /// After this long, unless woken before.
    After(Duration),
    /// Not before it wakes the engine.
    Idle,
}

/// Why a final block was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeliverError {
    /// Something that can pass (no room on the disk): deliver the same block again later.
    #[error("{0}")]
    Later(String),
    /// The node must stop ordering: its store or state cannot be trusted.
    #[error("{0}")]
    Halt(String),
}

/// The node, as the engine sees it. Methods are called from one thread at a time.
pub trait Application: Send + Sync {
    /// Whether a block is wanted now.
    fn due(&self) -> Due;

    /// Builds the next block on top of the last delivered one; none when there is nothing to order.
    ///
    /// What it takes from the mempool stays the engine's until that block is delivered.
    fn propose(&self) -> Option<OrderedBlock>;

    /// Takes a final block. Returns once the block is durable and applied. A height that was
    /// delivered before is answered well without effect.
    ///
    /// # Errors
    /// When it was not applied.
    fn deliver(&self, block: &OrderedBlock) -> Result<(), DeliverError>;

    /// Told when ordering waits for something to pass, with the reason; and with none when it goes on.
    fn stalled(&self, reason: Option<&str>);

    /// Told once when ordering ends for good, with the reason.
    fn halted(&self, reason: &str);
}
