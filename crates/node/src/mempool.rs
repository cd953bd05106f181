//! Transactions that wait for a block: bounded, in order of arrival, each identity once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use parking_lot::Mutex;
use stele_consensus::Due;
use stele_core::Hash;
use stele_core::transaction::SignedTransaction;

use crate::config::{BlockPolicy, MempoolConfig};
use crate::error::NodeError;
use crate::receipt::Receipt;

/// How long a block waits for the sessions that work on open transactions, in microseconds: their
/// COMMITs then share its cost.
const PATIENCE_US: u64 = 14_000;
/// How many sessions in line for the executor make waiting worth while.
const COMING_MIN: usize = 3;
/// How often a block that waits looks at the line, in microseconds.
const LOOK_US: u64 = 500;

/// Where the outcome is sent.
pub(crate) type ReceiptSender = oneshot::Sender<Result<Receipt, NodeError>>;

/// A transaction on its way.
pub(crate) struct Waiting {
    /// Its identity.
    pub(crate) id: Hash,
    /// Decoded.
    pub(crate) signed: Arc<SignedTransaction>,
    /// Its canonical encoding, as it will stand in the block.
    pub(crate) bytes: Vec<u8>,
    /// Who waits for it.
    pub(crate) sender: ReceiptSender,
}

/// The queue.
pub(crate) struct Mempool {
    bounds: MempoolConfig,
    policy: BlockPolicy,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    known: HashMap<Hash, Arc<SignedTransaction>>,
    bytes: usize,
    /// When the oldest waiting transaction came, by the monotonic clock.
    oldest_us: u64,
    closed: bool,
}

impl Mempool {
    /// An empty one.
    #[must_use]
    pub(crate) fn new(bounds: MempoolConfig, policy: BlockPolicy) -> Self {
        Self {
            bounds,
            policy,
            queue: Mutex::new(Queue::default()),
        }
    }

    /// Adds a transaction at the end. `now_us` is monotonic time.
    ///
    /// # Errors
    /// When it is known already, the bounds are reached or the node is stopping.
    pub(crate) fn push(&self, waiting: Waiting, now_us: u64) -> Result<(), NodeError> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(NodeError::Stopping);
        }
        if queue.known.contains_key(&waiting.id) {
            return Err(NodeError::Duplicate {
                id: waiting.id,
                known: None,
            });
        }
        if queue.known.len() >= self.bounds.transactions_max
            || queue.bytes.saturating_add(waiting.bytes.len()) > self.bounds.bytes_max
        {
            return Err(NodeError::Busy {
                waiting: queue.known.len(),
            });
        }
        if queue.waiting.is_empty() {
            queue.oldest_us = now_us;
        }
        queue.bytes += waiting.bytes.len();
        queue.known.insert(waiting.id, waiting.signed.clone());
        queue.waiting.push_back(waiting);
        Ok(())
    }

    /// Whether a block should be closed now. `now_us` is monotonic time, `coming` how many sessions
    /// are in line for the executor.
    #[must_use]
    pub(crate) fn due(&self, now_us: u64, coming: usize) -> Due {
        let queue = self.queue.lock();
        if queue.waiting.is_empty() {
            return Due::Idle;
        }
        let full = queue.waiting.len() >= self.policy.transactions_max
            || queue.bytes >= self.policy.bytes_max;
        if full {
            return Due::Now;
        }
        let age = now_us.saturating_sub(queue.oldest_us);
        if age < self.policy.interval_us {
            return Due::After(Duration::from_micros(self.policy.interval_us - age));
        }
        if age < PATIENCE_US && coming >= COMING_MIN {
            return Due::After(Duration::from_micros(LOOK_US));
        }
        Due::Now
    }

    /// Takes the transactions of the next block, in order of arrival. They stay known until
    /// [`Self::forget`].
    #[must_use]
    pub(crate) fn take(&self, now_us: u64) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(next) = queue.waiting.front() {
            let full = taken.len() >= self.policy.transactions_max
                || (!taken.is_empty() && bytes + next.bytes.len() > self.policy.bytes_max);
            if full {
                break;
            }
            if let Some(next) = queue.waiting.pop_front() {
                bytes += next.bytes.len();
                taken.push(next);
            }
        }
        queue.bytes = queue.bytes.saturating_sub(bytes);
        queue.oldest_us = now_us;
        taken
    }

    /// The transactions of a next block, in order of arrival, without those in `ordered` and those that would have expired
    /// at `now_us`, microseconds since 1970 UTC. They stay until [`Self::settle`].
    #[must_use]
    pub(crate) fn pick(&self, ordered: &HashSet<Hash>, now_us: i64) -> Vec<Vec<u8>> {
        let queue = self.queue.lock();
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            let begun = bytes > 0;
            bytes += waiting.bytes.len();
            !begun || bytes <= self.policy.bytes_max
        };
        let open = |waiting: &&Waiting| {
            waiting.signed.transaction.expiry_us > now_us && !ordered.contains(&waiting.id)
        };
        let picked = queue.waiting.iter().filter(open).take_while(fits);
        let picked = picked.take(self.policy.transactions_max);
        picked.map(|waiting| waiting.bytes.clone()).collect()
    }

    /// Removes the transactions of an applied block, and those that have expired by its time, and gives them.
    #[must_use]
    pub(crate) fn settle(&self, ids: &HashSet<Hash>, time_us: i64) -> HashMap<Hash, Waiting> {
        let mut queue = self.queue.lock();
        let mut settled = HashMap::new();
        let mut left = VecDeque::with_capacity(queue.waiting.len());
        for waiting in std::mem::take(&mut queue.waiting) {
            if ids.contains(&waiting.id) || waiting.signed.transaction.expiry_us <= time_us {
                queue.known.remove(&waiting.id);
                queue.bytes = queue.bytes.saturating_sub(waiting.bytes.len());
                settled.insert(waiting.id, waiting);
            } else {
                left.push_back(waiting);
            }
        }
        queue.waiting = left;
        settled
    }

    /// Takes the transaction that came first, if one waits. It stays known until [`Self::forget`].
    #[must_use]
    pub(crate) fn take_one(&self) -> Option<Waiting> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(next.bytes.len());
        Some(next)
    }

    /// Lets go of transactions that stand in an applied block.
    pub(crate) fn forget<'a>(&self, ids: impl Iterator<Item = &'a Hash>) {
        let mut queue = self.queue.lock();
        for id in ids {
            queue.known.remove(id);
        }
    }

    /// A transaction that waits or is being applied.
    #[must_use]
    pub(crate) fn get(&self, id: &Hash) -> Option<Arc<SignedTransaction>> {
        self.queue.lock().known.get(id).cloned()
    }

    /// How many wait or are being applied.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.queue.lock().known.len()
    }

    /// Takes no more, and gives those that wait back.
    #[must_use]
    pub(crate) fn close(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        queue.bytes = 0;
        let waiting: Vec<Waiting> = queue.waiting.drain(..).collect();
        for transaction in &waiting {
            queue.known.remove(&transaction.id);
        }
        waiting
    }
}

#[cfg(test)]
mod tests;
