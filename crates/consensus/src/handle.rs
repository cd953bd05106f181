//! The node's hold on a running engine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stele_flow::{Join, SpawnError};
use thiserror::Error;

/// An engine did not start.
#[derive(Debug, Error)]
pub enum OrderError {
    /// No thread for it.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// Others cannot be listened for.
    #[error(
        "cannot listen for other validators on {address}: {error}; end what uses that address, or set cluster.listen"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
}

/// Wakes and stops an engine.
pub struct OrderHandle {
    pub(crate) signal: Arc<Signal>,
    pub(crate) thread: Mutex<Option<Box<dyn Join>>>,
}

/// What the engine's thread waits on.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Default)]
struct SignalState {
    woken: bool,
    stopping: bool,
}

impl Signal {
    /// Waits until woken, stopped, or `limit` has passed; whether to stop.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        if !state.woken && !state.stopping {
            match limit {
                Some(limit) => {
                    self.changed.wait_for(&mut state, limit);
                }
                None => self.changed.wait(&mut state),
            }
        }
        state.woken = false;
        state.stopping
    }

    pub(crate) fn stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Tells whoever waits to end.
    pub(crate) fn stop(&self) {
        self.set(true);
    }

    fn set(&self, stopping: bool) {
        let mut state = self.state.lock();
        state.woken = true;
        state.stopping |= stopping;
        self.changed.notify_all();
    }
}

impl OrderHandle {
    /// Tells the engine that something waits to be ordered. Never blocks.
    pub fn wake(&self) {
        self.signal.set(false);
    }

    /// Ends ordering after the block under way, and waits for that. Idempotent.
    pub fn stop(&self) {
        self.signal.set(true);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && let Err(panicked) = thread.join()
        {
            tracing::error!(%panicked, "the ordering engine ended by a panic");
        }
    }
}
