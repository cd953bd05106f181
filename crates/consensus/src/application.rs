//! What an engine asks of the node.

use std::collections::HashSet;
use std::time::Duration;

use stele_core::Hash;
use stele_core::block::Header;
use stele_core::crypto::PublicKey;
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

/// A block as the next one refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its height; 0 for what comes before block 1.
    pub height: u64,
    /// Its hash.
    pub hash: Hash,
    /// Its time, microseconds since 1970 UTC.
    pub time_us: i64,
}

/// What a voter says of a proposed block. It never depends on executing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be voted for.
    Valid,
    /// Not known yet, such as a time that is still to come: ask again.
    NotYet,
    /// It can never be voted for, and why.
    Invalid(String),
}

/// Two votes of a validator that no honest one gives together, both validly signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Whose.
    pub validator: PublicKey,
    /// The engine's number of the attempt at a block.
    pub view: u64,
    /// What they are.
    pub what: &'static str,
    /// Both votes, in the engine's encoding.
    pub votes: Vec<u8>,
}

/// The node of a validator, as an engine of several sees it. These methods are called from several threads.
pub trait Voter: Application {
    /// Height of the newest block delivered.
    fn height(&self) -> u64;

    /// Wall clock, microseconds since 1970 UTC.
    fn now_us(&self) -> i64;

    /// Builds a block on a parent that may not be delivered yet, without the transactions `ordered`, which stand in blocks
    /// before it that are not delivered either; none when there is nothing to order. What it takes stays in the
    /// mempool until a block with it is delivered.
    fn propose_on(&self, parent: Link, ordered: &HashSet<Hash>) -> Option<OrderedBlock>;

    /// Checks a block that `leader` proposed on `parent`.
    fn check(&self, parent: Link, block: &OrderedBlock, leader: PublicKey) -> Verdict;

    /// Whether this node may vote yet. Messages of others are taken and sent before.
    fn may_vote(&self) -> bool;

    /// Takes two votes of a validator that contradict each other.
    fn conflict(&self, conflict: Conflict);

    /// Takes a message of another validator. Must not block.
    fn received(&self, from: PublicKey, message: Vec<u8>);
}
