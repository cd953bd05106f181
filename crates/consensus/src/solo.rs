//! One node orders alone: what it proposes is final.
//!
//! [`Solo`] is the decision part, without threads or time: each [`Solo::step`] does one thing and
//! says what to wait for. [`start`] runs it on a thread.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stele_flow::Runtime;

use crate::application::{Application, DeliverError, Due, OrderedBlock};
use crate::handle::{OrderError, OrderHandle, Signal};

/// How long a block that could not be applied waits before the next try.
pub const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What to do after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on at once.
    Again,
    /// Wait to be woken, at most so long.
    Wait(Option<Duration>),
    /// Wait this long whether woken or not: a block could not be applied.
    Retry(Duration),
    /// End.
    Halt(String),
}

/// A single orderer.
pub struct Solo {
    application: Arc<dyn Application>,
    /// A block that is final but not yet applied; nothing is proposed before it is.
    undelivered: Option<OrderedBlock>,
}

impl Solo {
    /// An orderer for a node.
    #[must_use]
    pub fn new(application: Arc<dyn Application>) -> Self {
        Self {
            application,
            undelivered: None,
        }
    }

    /// Orders at most one block.
    pub fn step(&mut self) -> Step {
        let retried = self.undelivered.is_some();
        let block = match self.undelivered.take() {
            Some(block) => block,
            None => match self.application.due() {
                Due::Idle => return Step::Wait(None),
                Due::After(wait) => return Step::Wait(Some(wait)),
                Due::Now => match self.application.propose() {
                    Some(block) => block,
                    None => return Step::Wait(None),
                },
            },
        };
        match self.application.deliver(&block) {
            Ok(()) => {
                if retried {
                    self.application.stalled(None);
                }
                Step::Again
            }
            Err(DeliverError::Later(reason)) => {
                self.application.stalled(Some(&reason));
                self.undelivered = Some(block);
                Step::Retry(RETRY_INTERVAL)
            }
            Err(DeliverError::Halt(reason)) => Step::Halt(reason),
        }
    }
}

/// Starts ordering on a thread of its own.
///
/// # Errors
/// When the machine gives no thread.
pub fn start(
    application: Arc<dyn Application>,
    runtime: &Runtime,
) -> Result<OrderHandle, OrderError> {
    let signal = Arc::new(Signal::default());
    let waits_on = signal.clone();
    let thread = runtime.spawner.spawn(
        "stele-order",
        Box::new(move || run(&application, &waits_on)),
    )?;
    Ok(OrderHandle {
        signal,
        thread: Mutex::new(Some(thread)),
    })
}

fn run(application: &Arc<dyn Application>, signal: &Signal) {
    let mut solo = Solo::new(application.clone());
    loop {
        let stop = match solo.step() {
            Step::Again => signal.stopping(),
            Step::Wait(limit) => signal.wait(limit),
            Step::Retry(pause) => signal.wait(Some(pause)),
            Step::Halt(reason) => {
                application.halted(&reason);
                return;
            }
        };
        if stop {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
