//! Others order; this node takes what they made final and believes none of it.
//!
//! [`Follow`] is the decision part, without threads: each [`Follow::step`] asks the [`Upstream`] once
//! and delivers what it gives. Whether a block is what the validators signed is for the
//! [`Application`] to find out, which executes it and compares. [`start`] runs it on a thread.

use std::sync::Arc;

use parking_lot::Mutex;
use stele_core::Suite;
use stele_core::block::BlockView;
use stele_core::certified::CertifiedBlock;
use stele_flow::Runtime;

use crate::application::{Application, DeliverError, OrderedBlock};
use crate::handle::{OrderError, OrderHandle, Signal};
use crate::solo::{RETRY_INTERVAL, Step};

/// Where final blocks come from. Nothing it says is believed.
pub trait Upstream: Send + Sync {
    /// Its name, for messages.
    fn name(&self) -> String;

    /// Blocks after a height, in order. May wait a few seconds for one; none when there is none yet.
    ///
    /// # Errors
    /// Why it does not answer, for people.
    fn blocks_after(&self, height: u64) -> Result<Vec<CertifiedBlock>, String>;
}

/// A follower.
pub struct Follow {
    application: Arc<dyn Application>,
    upstream: Arc<dyn Upstream>,
    suite: Suite,
    height: u64,
    stalled: bool,
}

impl Follow {
    /// A follower that has applied the blocks up to a height.
    #[must_use]
    pub fn new(
        application: Arc<dyn Application>,
        upstream: Arc<dyn Upstream>,
        suite: Suite,
        height: u64,
    ) -> Self {
        Self {
            application,
            upstream,
            suite,
            height,
            stalled: false,
        }
    }

    /// Asks once for blocks and delivers them.
    pub fn step(&mut self) -> Step {
        let blocks = match self.upstream.blocks_after(self.height) {
            Ok(blocks) => blocks,
            Err(reason) => return self.later(&reason),
        };
        for block in blocks {
            let height = self.height + 1;
            let ordered = match BlockView::parse(&block.block) {
                Ok(view) => OrderedBlock {
                    hash: view.header.hash(self.suite),
                    header: view.header,
                    bytes: block.block,
                    certificate: Some(block.certificate),
                },
                Err(error) => {
                    return Step::Halt(format!(
                        "{} lies: its block {height} does not decode: {error}",
                        self.upstream.name()
                    ));
                }
            };
            match self.application.deliver(&ordered) {
                Ok(()) => self.height = height,
                Err(DeliverError::Later(reason)) => return self.later(&reason),
                Err(DeliverError::Halt(reason)) => return Step::Halt(reason),
            }
        }
        if std::mem::take(&mut self.stalled) {
            self.application.stalled(None);
        }
        Step::Again
    }

    fn later(&mut self, reason: &str) -> Step {
        self.stalled = true;
        self.application.stalled(Some(reason));
        Step::Retry(RETRY_INTERVAL)
    }
}

/// Starts following on a thread of its own.
///
/// # Errors
/// When the machine gives no thread.
pub fn start(mut follow: Follow, runtime: &Runtime) -> Result<OrderHandle, OrderError> {
    let signal = Arc::new(Signal::default());
    let waits_on = signal.clone();
    let task = move || {
        loop {
            let stop = match follow.step() {
                Step::Again => waits_on.stopping(),
                Step::Wait(limit) => waits_on.wait(limit),
                Step::Retry(pause) => waits_on.wait(Some(pause)),
                Step::Halt(reason) => {
                    follow.application.halted(&reason);
                    return;
                }
            };
            if stop {
                return;
            }
        }
    };
    let thread = runtime.spawner.spawn("stele-follow", Box::new(task))?;
    Ok(OrderHandle {
        signal,
        thread: Mutex::new(Some(thread)),
    })
}

#[cfg(test)]
mod tests;
