//! What nodes tell each other beside votes and blocks.

use std::sync::Arc;

use futures::channel::mpsc;
use parking_lot::Mutex;
use stele_core::crypto::PublicKey;

/// Longest message, in bytes.
pub const MESSAGE_LEN_MAX: usize = 512 * 1024;
/// Messages that wait to be sent; more are dropped.
const WAITING_MAX: usize = 1_024;

/// A message, and whom it is for; none: everyone.
pub(super) type Message = (Option<PublicKey>, Vec<u8>);

/// Sends messages to other validators. What cannot be sent now is dropped: the node tells it again.
#[derive(Clone)]
pub struct Messenger(Arc<Mutex<mpsc::Sender<Message>>>);

/// Messages on their way to the engine.
pub struct Outbox(pub(super) mpsc::Receiver<Message>);

/// A messenger, and what an engine is started with to carry its messages.
#[must_use]
pub fn messages() -> (Messenger, Outbox) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Messenger(Arc::new(Mutex::new(sender))), Outbox(receiver))
}

impl Messenger {
    /// Sends to one validator, or to all others; true when it is on its way, which promises nothing.
    pub fn send(&self, to: Option<PublicKey>, message: Vec<u8>) -> bool {
        // One sender for all: each of a channel's senders has a place more than its bound.
        message.len() <= MESSAGE_LEN_MAX && self.0.lock().try_send((to, message)).is_ok()
    }
}
