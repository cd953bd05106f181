//! Transactions and checkpoints on their way between validators.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex};
use stele_consensus::Application as _;
use stele_consensus::bft::MESSAGE_LEN_MAX;
use stele_core::crypto::PublicKey;
use stele_core::note::SignedNote;
use stele_core::peer::{Ask, PEER_TRANSACTIONS_MAX, PeerMessage, REASON_LEN_MAX};
use stele_core::transaction::{SignedTransaction, TIME_SKEW_MAX_US};
use stele_core::{Decode, Encode};
use stele_flow::Join;
use stele_sql::SqlError;

use super::Voting;
use super::checkpoints::Taken;
use crate::error::NodeError;
use crate::followed::Role;
use crate::mempool::Waiting;
use crate::node::Inner;

/// How long transactions wait for company on their way to others.
const TOGETHER: Duration = Duration::from_millis(2);
/// Bytes of transactions in one message.
const MESSAGE_BYTES: usize = MESSAGE_LEN_MAX - 64 * 1024;
/// Bytes of messages that wait to be looked at; more are dropped.
const RECEIVED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often transactions that came into no block are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);
/// Questions for kept blocks that wait to be answered.
const ASKED_MAX: usize = 256;
/// Of them, those of one validator.
const ASKED_OF_ONE_MAX: usize = 4;
/// Kept certificates that are searched for a validator's newest signature.
const CERTIFICATES_SEARCHED: u64 = 50;
/// Threads that look at messages of others.
const RECEIVERS: usize = 2;

/// What goes out and what came in.
#[derive(Default)]
pub(crate) struct RelayQueues {
    out: Mutex<Out>,
    out_changed: Condvar,
    came: Mutex<Came>,
    came_changed: Condvar,
    asked: Mutex<Asked>,
    asked_changed: Condvar,
}

#[derive(Default)]
struct Out {
    transactions: Vec<Vec<u8>>,
    stopping: bool,
}

#[derive(Default)]
struct Came {
    messages: VecDeque<(PublicKey, Vec<u8>)>,
    bytes: usize,
    stopping: bool,
}

impl Came {
    fn pop(&mut self) -> Option<(PublicKey, Vec<u8>)> {
        let (from, message) = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some((from, message))
    }
}

/// A question for kept blocks: who asks, its number, and for what.
type Question = (PublicKey, u64, Matter);

/// What is asked.
enum Matter {
    /// Kept blocks.
    Blocks(Ask),
    /// The newest checkpoint of the asker that is known here.
    Signed,
}

#[derive(Default)]
struct Asked {
    questions: VecDeque<Question>,
    stopping: bool,
}

impl RelayQueues {
    /// Hands a transaction of this node's clients to the other validators.
    pub(crate) fn tell(&self, transaction: Vec<u8>) {
        let mut out = self.out.lock();
        out.transactions.push(transaction);
        self.out_changed.notify_one();
    }

    /// Takes a message of another validator.
    pub(super) fn received(&self, from: PublicKey, message: Vec<u8>) {
        let mut came = self.came.lock();
        if came.bytes + message.len() > RECEIVED_BYTES_MAX {
            metrics::counter!("stele_peer_messages_dropped_total").increment(1);
            return;
        }
        came.bytes += message.len();
        came.messages.push_back((from, message));
        self.came_changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.out.lock().stopping = true;
        self.came.lock().stopping = true;
        self.asked.lock().stopping = true;
        self.asked_changed.notify_all();
        self.out_changed.notify_all();
        self.came_changed.notify_all();
    }

    fn next_out(&self) -> Option<Vec<Vec<u8>>> {
        let mut out = self.out.lock();
        if out.transactions.is_empty() && !out.stopping {
            self.out_changed.wait_for(&mut out, EXPIRY_INTERVAL);
        }
        if out.stopping {
            return None;
        }
        if out.transactions.is_empty() {
            return Some(Vec::new());
        }
        drop(out);
        std::thread::sleep(TOGETHER);
        Some(std::mem::take(&mut self.out.lock().transactions))
    }

    /// Takes a question of another validator; one too many is dropped, and asked again.
    fn asked(&self, question: Question) {
        let mut asked = self.asked.lock();
        let of_one = asked.questions.iter().filter(|one| one.0 == question.0);
        if asked.questions.len() < ASKED_MAX && of_one.count() < ASKED_OF_ONE_MAX {
            asked.questions.push_back(question);
            self.asked_changed.notify_one();
        }
    }

    pub(crate) fn stopping(&self) -> bool {
        self.asked.lock().stopping
    }

    fn next_asked(&self) -> Option<Question> {
        let mut asked = self.asked.lock();
        loop {
            if asked.stopping {
                return None;
            }
            if let Some(question) = asked.questions.pop_front() {
                return Some(question);
            }
            self.asked_changed.wait(&mut asked);
        }
    }

    fn next_came(&self) -> Option<(PublicKey, Vec<u8>)> {
        let mut came = self.came.lock();
        loop {
            if came.stopping {
                return None;
            }
            if let Some(message) = came.pop() {
                return Some(message);
            }
            self.came_changed.wait(&mut came);
        }
    }
}

/// The threads that send and look at messages.
pub(crate) struct Relay {
    inner: Arc<Inner>,
    threads: Mutex<Vec<Box<dyn Join>>>,
}

impl Relay {
    /// Starts them for a node that votes; others have none.
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<Option<Self>, NodeError> {
        let Role::Votes(_) = &inner.role else {
            return Ok(None);
        };
        let mut threads = Vec::new();
        let mut spawn = |name: &str, task: Box<dyn FnOnce() + Send>| {
            let thread = inner.runtime.spawner.spawn(name, task);
            thread
                .map(|thread| threads.push(thread))
                .map_err(|error| NodeError::Storage(error.to_string()))
        };
        let sending = inner.clone();
        spawn("stele-tell", Box::new(move || send(&sending)))?;
        for _ in 0..RECEIVERS {
            let receiving = inner.clone();
            spawn("stele-received", Box::new(move || receive(&receiving)))?;
        }
        let asking = inner.clone();
        spawn("stele-confirm", Box::new(move || confirm(&asking)))?;
        let giving = inner.clone();
        spawn("stele-give", Box::new(move || give(&giving)))?;
        Ok(Some(Self {
            inner: inner.clone(),
            threads: Mutex::new(threads),
        }))
    }

    /// Ends them. Idempotent.
    pub(crate) fn stop(&self) {
        if let Role::Votes(voting) = &self.inner.role {
            voting.stop();
        }
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if let Err(panicked) = thread.join() {
                tracing::error!(%panicked, "a thread between validators ended by a panic");
            }
        }
    }
}

/// Sends and looks at what waits, without waiting for more.
pub(crate) fn pump(inner: &Inner) {
    let Role::Votes(voting) = &inner.role else {
        return;
    };
    let out = std::mem::take(&mut voting.queues.out.lock().transactions);
    tell(voting, out);
    inner.give_up_late();
    loop {
        let came = voting.queues.came.lock().pop();
        let Some((from, message)) = came else { break };
        inner.look_at(voting, from, &message);
    }
    loop {
        let asked = voting.queues.asked.lock().questions.pop_front();
        let Some(question) = asked else { break };
        inner.answer(voting, question);
    }
}

fn send(inner: &Inner) {
    let Role::Votes(voting) = &inner.role else {
        return;
    };
    let mut looked = Instant::now();
    while let Some(transactions) = voting.queues.next_out() {
        tell(voting, transactions);
        if looked.elapsed() >= EXPIRY_INTERVAL {
            inner.give_up_late();
            looked = Instant::now();
        }
    }
}

/// Sends transactions, as many together as a message takes.
fn tell(voting: &Voting, transactions: Vec<Vec<u8>>) {
    let mut together = Vec::new();
    let mut bytes = 0;
    for transaction in transactions {
        if bytes + transaction.len() > MESSAGE_BYTES || together.len() >= PEER_TRANSACTIONS_MAX {
            flush(voting, &mut together);
            bytes = 0;
        }
        bytes += transaction.len() + 4;
        together.push(transaction);
    }
    flush(voting, &mut together);
}

fn flush(voting: &Voting, together: &mut Vec<Vec<u8>>) {
    if together.is_empty() {
        return;
    }
    let message = PeerMessage::Transactions(std::mem::take(together)).encode_to_vec();
    // One that is longer than a message, or cannot be sent now, waits for this node's own turn.
    voting.messenger.send(None, message);
}

/// Finds out whether this node may vote and sign.
fn confirm(inner: &Inner) {
    let Role::Votes(voting) = &inner.role else {
        return;
    };
    let own = voting.checkpoints.key();
    let validators = inner.genesis.validators.validators().iter();
    let others: Vec<PublicKey> = validators
        .map(|one| one.key)
        .filter(|key| *key != own)
        .collect();
    if let Err(reason) = voting.confirm(&others, &|| voting.queues.stopping()) {
        inner.halted(&reason);
    }
}

/// Answers questions for kept blocks.
fn give(inner: &Inner) {
    let Role::Votes(voting) = &inner.role else {
        return;
    };
    while let Some(question) = voting.queues.next_asked() {
        inner.answer(voting, question);
    }
}

fn receive(inner: &Inner) {
    let Role::Votes(voting) = &inner.role else {
        return;
    };
    while let Some((from, message)) = voting.queues.next_came() {
        inner.look_at(voting, from, &message);
    }
}

impl Inner {
    /// Answers a question of another validator.
    fn answer(&self, voting: &Voting, (from, number, matter): Question) {
        let answer = match matter {
            Matter::Blocks(ask) => self.piece(&ask, &self.name_of(&from)),
            Matter::Signed => Ok(self.newest_signed_by(voting, &from)),
        };
        let (reason, bytes) = match answer {
            Ok(bytes) => (String::new(), bytes),
            Err(error) => {
                let mut reason = error.to_string();
                let end = reason.floor_char_boundary(REASON_LEN_MAX);
                reason.truncate(end);
                (reason, Vec::new())
            }
        };
        let message = PeerMessage::Piece {
            number,
            reason,
            bytes,
        };
        voting.messenger.send(Some(from), message.encode_to_vec());
    }

    /// Looks at a message of another validator.
    fn look_at(&self, voting: &Voting, from: PublicKey, message: &[u8]) {
        match PeerMessage::decode_all(message) {
            Ok(PeerMessage::Transactions(transactions)) => {
                for bytes in transactions {
                    if let Err(reason) = self.take_transaction(&bytes) {
                        tracing::debug!(
                            from = from.to_hex(),
                            reason,
                            "a transaction of another validator is not taken"
                        );
                    }
                }
            }
            Ok(PeerMessage::Checkpoint { height, note }) => match voting.checkpoints.take(&note) {
                Taken::Kept => {}
                Taken::Late(size) => self.answer_late(voting, from, (height, size), &note),
                Taken::Contradicts(two) => {
                    self.keep_evidence(two.validator, "checkpoint", two.size, two.signed.to_vec());
                }
                Taken::Refused(reason) => {
                    tracing::warn!(
                        from = from.to_hex(),
                        height,
                        reason,
                        "a checkpoint of another validator is refused"
                    );
                }
            },
            Ok(PeerMessage::Ask { number, ask }) => {
                voting.queues.asked((from, number, Matter::Blocks(ask)));
            }
            Ok(PeerMessage::Signed { number }) => {
                voting.queues.asked((from, number, Matter::Signed));
            }
            Ok(PeerMessage::Piece {
                number,
                reason,
                bytes,
            }) => {
                let answer = match reason.is_empty() {
                    true => Ok(bytes),
                    false => Err(reason),
                };
                voting.answers.take(from, number, answer);
            }
            Err(error) => {
                tracing::warn!(from = from.to_hex(), %error, "a message of another validator does not decode");
            }
        }
    }

    /// The newest checkpoint that a validator is known to have signed; nothing if none is.
    fn newest_signed_by(&self, voting: &Voting, key: &PublicKey) -> Vec<u8> {
        if let Some(seen) = voting.checkpoints.newest_of(key) {
            return seen.into_bytes();
        }
        // Not since the start of this node.
        let verifier = voting.checkpoints.verifier_of(key);
        let tip = self.tip().height;
        for height in (tip.saturating_sub(CERTIFICATES_SEARCHED) + 1..=tip).rev() {
            let Ok(effects) = self.effects(height) else {
                continue;
            };
            let names = |note: &SignedNote| {
                let mut signatures = note.signatures().iter();
                signatures.any(|one| verifier.is_some_and(|key| key.is_named_by(one)))
            };
            if SignedNote::parse(&effects.certificate).is_ok_and(|note| names(&note)) {
                return effects.certificate;
            }
        }
        Vec::new()
    }

    /// Answers those whose transaction came into no block for long after it has expired: too few validators answer.
    fn give_up_late(&self) {
        let late_us = self.runtime.clock.now_us() - 2 * TIME_SKEW_MAX_US;
        for (id, waiting) in self.mempool.settle(&HashSet::new(), late_us) {
            let error = SqlError::new(
                "08007",
                format!("transaction {id} came into no block until it expired: too few validators answer"),
            )
            .hint("Once they do, ask for it by its id: it may still stand in a block that was begun.");
            let _ = waiting.sender.send(Err(error.into()));
        }
    }

    /// Takes a transaction that a client gave to another validator.
    fn take_transaction(&self, bytes: &[u8]) -> Result<(), String> {
        let signed = SignedTransaction::decode_all(bytes).map_err(|error| error.to_string())?;
        let id = signed.id(self.suite);
        if self.mempool.get(&id).is_some() || self.recent.read().contains(&id) {
            return Ok(());
        }
        let body = &signed.transaction;
        let now_us = self.runtime.clock.now_us();
        if body.expiry_us <= now_us
            || body.time_us.abs_diff(now_us) > TIME_SKEW_MAX_US.unsigned_abs()
        {
            return Err("its time has passed or is to come".to_owned());
        }
        signed
            .verify(self.suite, &self.ledger)
            .map_err(|error| error.to_string())?;
        let waiting = Waiting {
            id,
            signed: Arc::new(signed),
            bytes: bytes.to_vec(),
            // Its client waits elsewhere.
            sender: oneshot::channel().0,
        };
        let pushed = self
            .mempool
            .push(waiting, self.runtime.clock.monotonic_us());
        match pushed {
            Ok(()) | Err(NodeError::Duplicate { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends the certificate of a height to one that still gathers signatures for it.
    fn answer_late(&self, voting: &Voting, to: PublicKey, (height, size): (u64, u64), note: &[u8]) {
        let alone = SignedNote::parse(note).is_ok_and(|note| note.signatures().len() == 1);
        if !alone {
            return;
        }
        let note = match voting.checkpoints.recent(size) {
            Some(recent) => recent.to_string().into_bytes(),
            // Older than those that are remembered: where the asker says it is, if it is there.
            None => match self.store.meta(height) {
                Ok(Some(meta)) if meta.block_leaf() + 1 == size => match self.effects(height) {
                    Ok(effects) => effects.certificate,
                    Err(_) => return,
                },
                _ => return,
            },
        };
        let message = PeerMessage::Checkpoint { height, note };
        voting.messenger.send(Some(to), message.encode_to_vec());
    }
}
