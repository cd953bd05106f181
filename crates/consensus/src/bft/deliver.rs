//! Final blocks on their way from the engine to the node.

use std::collections::VecDeque;
use std::sync::Arc;

use commonware_actor::Feedback;
use commonware_consensus::Reporter;
use commonware_consensus::marshal::Update;
use commonware_utils::Acknowledgement as _;
use commonware_utils::acknowledgement::Exact;
use parking_lot::{Condvar, Mutex};

use super::block::Carried;
use crate::application::{DeliverError, OrderedBlock, Voter};
use crate::handle::Signal;
use crate::solo::RETRY_INTERVAL;

/// A final block, and how the engine learns that it was taken.
pub(super) struct Final(pub(super) Arc<OrderedBlock>, Exact);

impl Final {
    /// Tells the engine that it was applied.
    pub(super) fn taken(self) {
        self.1.acknowledge();
    }
}

/// Final blocks that are not applied yet: as many as the engine gives without an answer.
#[derive(Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    blocks: VecDeque<Final>,
    closed: bool,
}

impl Inbox {
    fn put(&self, block: Final) {
        self.queue.lock().blocks.push_back(block);
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.changed.notify_all();
    }

    /// The next block, if it is there.
    pub(super) fn try_take(&self) -> Option<Final> {
        self.queue.lock().blocks.pop_front()
    }

    fn take(&self) -> Option<Final> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(block) = queue.blocks.pop_front() {
                return Some(block);
            }
            self.changed.wait(&mut queue);
        }
    }
}

/// Where the engine reports final blocks.
#[derive(Clone)]
pub(super) struct Sink(pub(super) Arc<Inbox>);

impl Reporter for Sink {
    type Activity = Update<Carried>;

    fn report(&mut self, update: Self::Activity) -> Feedback {
        if let Update::Block(carried, taken) = update {
            match carried.inner().ordered() {
                Some(block) => self.0.put(Final(block.clone(), taken)),
                None => taken.acknowledge(),
            }
        }
        Feedback::Ok
    }
}

/// Applies final blocks until the engine ends.
pub(super) fn run(inbox: &Inbox, voter: &Arc<dyn Voter>, signal: &Signal) {
    while let Some(block) = inbox.take() {
        let mut stalled = false;
        loop {
            match voter.deliver(&block.0) {
                Ok(()) => break,
                Err(DeliverError::Later(reason)) => {
                    stalled = true;
                    voter.stalled(Some(&reason));
                    if signal.stopping() || signal.wait(Some(RETRY_INTERVAL)) {
                        return;
                    }
                }
                Err(DeliverError::Halt(reason)) => {
                    voter.halted(&reason);
                    signal.stop();
                    return;
                }
            }
        }
        if stalled {
            voter.stalled(None);
        }
        block.taken();
    }
}
