//! Several validators order together: commonware's simplex and marshal behind this crate's facade.
//!
//! The engine runs on a thread and a runtime of its own; blocks that are final come out on another thread, one after
//! another, and count as taken once the [`Voter`] has applied them. A restarted engine gives those that were not.
//! One engine instance serves one set of validators and begins after a base, the newest block before it.
//!
//! No name of the engine's leaves this module.

mod automaton;
mod block;
mod conflicts;
mod deliver;
mod engine;
mod messages;
pub mod simulated;

use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stele_core::crypto::{PublicKey, SecretKey};
use stele_core::{Hash, Suite};
use stele_flow::Runtime;

use crate::application::{Link, Voter};
use crate::handle::{OrderError, OrderHandle, Signal};
use deliver::Inbox;
pub use messages::{MESSAGE_LEN_MAX, Messenger, Outbox, messages};

/// Shortest time between two blocks.
pub const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// A validator, and where it listens for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Votes, and speaks to others, with this key.
    pub key: PublicKey,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What an engine needs to know.
pub struct BftConfig {
    /// The ledger: messages of others are refused.
    pub ledger: Hash,
    /// Its algorithms.
    pub suite: Suite,
    /// The block it begins after; that before block 1 has the ledger's identity as its hash.
    pub base: Link,
    /// Who orders, this node among them.
    pub validators: Vec<Peer>,
    /// This node's key.
    pub secret: SecretKey,
    /// Where this node listens.
    pub listen: SocketAddr,
    /// Folder of votes and blocks that are not applied yet.
    pub directory: PathBuf,
    /// Time between two blocks, at least [`INTERVAL_MIN`].
    pub interval: Duration,
}

/// Starts ordering with others, on threads of its own.
///
/// # Errors
/// When the machine gives no thread, or this node cannot listen where it is to.
pub fn start(
    config: BftConfig,
    voter: &Arc<dyn Voter>,
    outbox: Outbox,
    runtime: &Runtime,
) -> Result<OrderHandle, OrderError> {
    // The engine would only stop over it.
    if let Err(error) = TcpListener::bind(config.listen) {
        return Err(OrderError::Listen {
            address: config.listen,
            error,
        });
    }
    let signal = Arc::new(Signal::default());
    let inbox = Arc::new(Inbox::default());
    let delivering = (inbox.clone(), voter.clone(), signal.clone());
    let deliver = runtime.spawner.spawn(
        "stele-order",
        Box::new(move || deliver::run(&delivering.0, &delivering.1, &delivering.2)),
    )?;
    let (voter, stop) = (voter.clone(), signal.clone());
    let task = move || {
        // The engine ends by a panic when it cannot read or write its folder.
        let run = || engine::run(config, &voter, outbox, &inbox, &stop);
        let ended = catch_unwind(AssertUnwindSafe(run));
        inbox.close();
        if ended.is_err() || !stop.stopping() {
            voter.halted(
                "the ordering engine has ended: the log says why, its folder `engine` may not be readable or writable; start the node again",
            );
        }
        if let Err(panicked) = deliver.join() {
            tracing::error!(%panicked, "the thread that applies blocks ended by a panic");
        }
    };
    let thread = runtime.spawner.spawn("stele-bft", Box::new(task))?;
    Ok(OrderHandle {
        signal,
        thread: Mutex::new(Some(thread)),
    })
}

#[cfg(test)]
mod tests;
