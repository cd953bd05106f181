//! A node that follows: others order, a server passes on what they made final, and nothing it says is
//! believed.
//!
//! Every block is executed here before it is kept; the log that grows from it must be the one the
//! validators signed. So the copy can lag behind, which nobody can tell from a quiet ledger, but it
//! is never wrong. Writes are signed here, handed to the server, and answered from what the block
//! that holds them gave here. A server that is caught ends the following: reads and writes are
//! refused, naming what it did.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stele_consensus::{DeliverError, OrderedBlock, Upstream};
use stele_core::Hash;
use stele_core::block::BlockView;
use stele_core::note::{CertificateVerifier, SignedNote, SignerKey};
use stele_core::peer::Ask;
use stele_core::transaction::TIME_SKEW_MAX_US;
use stele_core::trust::Trust;
use stele_flow::Join;
use stele_sql::SqlError;

use crate::apply::{ApplyError, BlockTransaction};
use crate::error::NodeError;
use crate::mempool::Waiting;
use crate::node::{Inner, decode};
use crate::voting::Voting;

/// Threads that hand transactions to the server.
const SENDERS: usize = 4;
/// How often transactions that came into no block are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// The server a node follows. Nothing it says is believed.
pub trait Server: Upstream {
    /// The ledger's genesis, encoded.
    ///
    /// # Errors
    /// When it does not answer.
    fn genesis(&self) -> Result<Vec<u8>, NodeError>;

    /// Hands over a signed transaction. That it was taken says nothing yet.
    ///
    /// # Errors
    /// When the server refuses it, or its answer did not come.
    fn submit(&self, id: &Hash, transaction: &[u8]) -> Result<(), NodeError>;

    /// A piece of the stream of kept blocks (docs/formats.md, 9.3); empty where it has none.
    ///
    /// # Errors
    /// Why it does not answer, for people.
    fn piece(&self, ask: &Ask) -> Result<Vec<u8>, String>;
}

/// What a node does about the order of blocks.
pub(crate) enum Role {
    /// It orders, and signs checkpoints.
    Orders(SignerKey),
    /// It orders together with others, and signs checkpoints.
    Votes(Box<Voting>),
    /// It takes what others ordered.
    Follows(Followed),
}

/// What only a follower has.
pub(crate) struct Followed {
    pub(crate) server: Arc<dyn Server>,
    verifier: CertificateVerifier,
    /// Handed to the server; each waits for its block. Bounded by the mempool, which counts them too.
    in_flight: Mutex<HashMap<Hash, Waiting>>,
    outbox: Arc<Outbox>,
}

/// What senders wait on.
#[derive(Default)]
struct Outbox {
    state: Mutex<OutboxState>,
    changed: Condvar,
}

#[derive(Default)]
struct OutboxState {
    /// Transactions put into the mempool since a sender last looked.
    news: bool,
    stopping: bool,
}

/// The running senders.
pub(crate) struct Senders {
    outbox: Arc<Outbox>,
    threads: Mutex<Vec<Box<dyn Join>>>,
}

impl Followed {
    pub(crate) fn new(server: Arc<dyn Server>, trust: &Trust) -> Result<Self, NodeError> {
        let verifier = CertificateVerifier::new(&trust.origin, &trust.validators)
            .map_err(|error| NodeError::Invalid(error.to_string()))?;
        Ok(Self {
            server,
            verifier: verifier.prepared(),
            in_flight: Mutex::new(HashMap::new()),
            outbox: Arc::default(),
        })
    }

    /// Tells the senders that a transaction waits.
    pub(crate) fn wake(&self) {
        self.outbox.state.lock().news = true;
        self.outbox.changed.notify_one();
    }

    /// The certificate of a block, if it is over that log.
    pub(crate) fn certified(
        &self,
        block: &OrderedBlock,
        size: u64,
        root: Hash,
    ) -> Result<String, ApplyError> {
        let height = block.header.height;
        let given = match &block.certificate {
            Some(certificate) => certificate.clone(),
            // A block kept without its effects before a crash.
            None => {
                let blocks = self.server.blocks_after(height - 1);
                let first = blocks.map_err(DeliverError::Later)?.into_iter().next();
                let first = first.filter(|first| first.block == block.bytes);
                first.map(|first| first.certificate).ok_or_else(|| {
                    self.lie(height, "is another than the one it gave before".to_owned())
                })?
            }
        };
        let lies = |why: String| self.lie(height, format!("has no good certificate: {why}"));
        let note = SignedNote::parse(given.as_bytes()).map_err(|error| lies(error.to_string()))?;
        let checkpoint = self
            .verifier
            .verify(&note)
            .map_err(|error| lies(error.to_string()))?;
        if (checkpoint.size(), checkpoint.root()) != (size, root) {
            let lie = self.lie(
                height,
                format!(
                    "is not what the validators signed: {} leaves with root {}, executing it gives {size} with root {root}",
                    checkpoint.size(),
                    checkpoint.root()
                 ),
            );
            // What the validators signed over as many leaves is their result.
            return Err(match checkpoint.size() == size {
                true => ApplyError::suspect(lie.to_string()),
                false => lie.into(),
            });
        }
        Ok(note.to_string())
    }

    fn lie(&self, height: u64, what: String) -> DeliverError {
        DeliverError::Halt(format!(
            "{} lies: its block {height} {what}; nothing of that block was taken. Name another server of the ledger",
            self.server.name()
        ))
    }

    /// Sends what waits; ends what waited too long.
    fn send(&self, inner: &Inner) {
        while let Some(waiting) = inner.mempool.take_one() {
            let (id, bytes) = (waiting.id, waiting.bytes.clone());
            // Before it is handed over: its block may be here sooner than the answer.
            self.in_flight.lock().insert(id, waiting);
            if let Err(error) = self.server.submit(&id, &bytes) {
                self.give_up(inner, &id, error);
            }
        }
    }

    fn expire(&self, inner: &Inner) {
        let now_us = inner.runtime.clock.now_us();
        let is_late = |waiting: &Waiting| {
            let end_us = waiting.signed.transaction.expiry_us;
            end_us.saturating_add(2 * TIME_SKEW_MAX_US) < now_us
        };
        let in_flight = self.in_flight.lock();
        let late: Vec<Hash> = in_flight
            .values()
            .filter(|waiting| is_late(waiting))
            .map(|waiting| waiting.id)
            .collect();
        drop(in_flight);
        for id in late {
            let error = SqlError::new(
                "08007",
                format!(
                    "{} took transaction {id}, but gave no block with it until it expired",
                    self.server.name()
                ),
            )
            .hint("Ask another server of the ledger what became of it.");
            self.give_up(inner, &id, error.into());
        }
    }

    fn give_up(&self, inner: &Inner, id: &Hash, error: NodeError) {
        inner.mempool.forget(std::iter::once(id));
        if let Some(waiting) = self.in_flight.lock().remove(id) {
            let _ = waiting.sender.send(Err(error));
        }
    }

    /// Answers everyone who waits for a block.
    pub(crate) fn fail_all(&self, inner: &Inner, error: impl Fn() -> NodeError) {
        let waiting: Vec<Hash> = self.in_flight.lock().keys().copied().collect();
        for id in waiting {
            self.give_up(inner, &id, error());
        }
    }
}

impl Senders {
    /// Starts them for a node that follows; a node that orders has none.
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<Option<Self>, NodeError> {
        let Role::Follows(followed) = &inner.role else {
            return Ok(None);
        };
        let outbox = followed.outbox.clone();
        let mut threads = Vec::with_capacity(SENDERS);
        for _ in 0..SENDERS {
            let sending = inner.clone();
            let task = move || run(&sending);
            let thread = inner.runtime.spawner.spawn("stele-send", Box::new(task));
            threads.push(thread.map_err(|error| NodeError::Storage(error.to_string()))?);
        }
        Ok(Some(Self {
            outbox,
            threads: Mutex::new(threads),
        }))
    }

    /// Ends them after what they are handing over. Idempotent.
    pub(crate) fn stop(&self) {
        self.outbox.state.lock().stopping = true;
        self.outbox.changed.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if let Err(panicked) = thread.join() {
                tracing::error!(%panicked, "a sender ended by a panic");
            }
        }
    }
}

fn run(inner: &Inner) {
    let Role::Follows(followed) = &inner.role else {
        return;
    };
    loop {
        followed.send(inner);
        followed.expire(inner);
        let mut state = followed.outbox.state.lock();
        if !state.news && !state.stopping {
            followed
                .outbox
                .changed
                .wait_for(&mut state, EXPIRY_INTERVAL);
        }
        state.news = false;
        if state.stopping {
            return;
        }
    }
}

impl Inner {
    /// Takes a block that others ordered: checked, executed, compared with what the validators signed,
    /// and only then kept.
    pub(crate) fn deliver_followed(
        &self,
        followed: &Followed,
        block: &OrderedBlock,
    ) -> Result<(), DeliverError> {
        let height = self.tip().height + 1;
        let transactions = self
            .believable(block)
            .map_err(|what| followed.lie(height, what))?;
        let applied = self.apply_or_rebuild(block, &transactions)?;
        self.told(block, &transactions);
        let mut in_flight = followed.in_flight.lock();
        for (transaction, receipt) in transactions.iter().zip(applied.receipts) {
            if let Some(waiting) = in_flight.remove(&transaction.id) {
                let _ = waiting.sender.send(Ok(receipt));
            }
        }
        Ok(())
    }

    /// The transactions of a block that another gave as the next one; or what is wrong with it by itself.
    pub(crate) fn believable(&self, block: &OrderedBlock) -> Result<Vec<BlockTransaction>, String> {
        let tip = self.tip();
        let header = &block.header;
        if header.ledger != self.ledger {
            return Err("is of another ledger".to_owned());
        }
        if header.height != tip.height + 1 {
            return Err(format!("says it is block {}", header.height));
        }
        if header.parent != tip.hash {
            return Err("does not follow the block before: the history was changed".to_owned());
        }
        let transactions = decode(self.suite, &block.bytes).map_err(|error| error.to_string())?;
        let root = BlockView::parse(&block.bytes).map(|view| view.transaction_root(self.suite));
        if root.ok() != Some(header.transaction_root) {
            return Err("holds other transactions than its header says".to_owned());
        }
        for transaction in &transactions {
            if let Err(error) = transaction.signed.verify(self.suite, &self.ledger) {
                return Err(format!(
                    "holds a forged transaction {}: {error}",
                    transaction.id
                ));
            }
        }
        Ok(transactions)
    }

    /// Counts a block that was applied.
    pub(crate) fn told(&self, block: &OrderedBlock, transactions: &[BlockTransaction]) {
        self.mempool.forget(transactions.iter().map(|tx| &tx.id));
        metrics::counter!("stele_transactions_total").increment(transactions.len() as u64);
        metrics::gauge!("stele_height").set(block.header.height as f64);
    }
}
