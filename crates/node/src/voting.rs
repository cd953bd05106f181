//! A node that orders together with others.
//!
//! The engine orders; every validator executes the final blocks and signs the checkpoint it comes to. A block is kept
//! and shown once a quorum has signed the same checkpoint: so whatever a client was ever shown is certified,
//! and a validator whose own result differs from the others' stops before anybody sees it.

mod checkpoints;
mod own;
pub(crate) mod relay;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use stele_consensus::bft::{Messenger, Outbox, messages};
use stele_consensus::{Conflict, DeliverError, Link, OrderedBlock, Verdict, Voter};
use stele_core::block::{BLOCK_LEN_MAX, BLOCK_TRANSACTIONS_MAX, BlockView, Header};
use stele_core::crypto::PublicKey;
use stele_core::note::{CertificateVerifier, SignedNote, SignerKey};
use stele_core::transaction::SignedTransaction;
use stele_core::validators::ValidatorSet;
use stele_core::{Decode, Hash};
use stele_store::StoreError;

use crate::apply::{ApplyError, BlockTransaction};
use crate::driven::AskFn;
use crate::error::NodeError;
use crate::evidence::Evidence;
use crate::followed::Role;
use crate::node::{Inner, decode};
use crate::peers::Answers;
use crate::propose::{Parent, build_block};
use checkpoints::Checkpoints;
pub(crate) use own::OwnSignatures;
pub(crate) use relay::Relay;
use relay::RelayQueues;

/// How far a block's time may be ahead of a voter's clock, in microseconds (2 s).
const TIME_AHEAD_MAX_US: i64 = 2 * 1_000_000;
/// Transactions a thread verifies at least, to be worth it.
const VERIFIED_TOGETHER_MIN: usize = 32;
/// Threads that verify the transactions of one block.
const VERIFIERS: usize = 4;

/// What only a validator of several has.
pub(crate) struct Voting {
    pub(crate) checkpoints: Checkpoints,
    verifier: CertificateVerifier,
    pub(crate) messenger: Messenger,
    outbox: Mutex<Option<Outbox>>,
    pub(crate) queues: RelayQueues,
    pub(crate) answers: Answers,
    pub(crate) own: OwnSignatures,
    /// How others are asked in a simulation.
    asker: OnceLock<Arc<AskFn>>,
    /// Held while a block is applied, from wherever it came.
    pub(crate) applying: Mutex<()>,
    /// The certificate in a header that was found good last.
    good_certificate: Mutex<Vec<u8>>,
}

impl Voting {
    pub(crate) fn new(
        signer: SignerKey,
        origin: &str,
        set: &ValidatorSet,
        own: OwnSignatures,
    ) -> Result<Self, NodeError> {
        let invalid = |error: stele_core::note::NoteError| NodeError::Invalid(error.to_string());
        let (messenger, outbox) = messages();
        let verifier = CertificateVerifier::new(origin, set).map_err(invalid)?;
        Ok(Self {
            checkpoints: Checkpoints::new(signer, origin, set).map_err(invalid)?,
            verifier: verifier.prepared(),
            messenger,
            outbox: Mutex::new(Some(outbox)),
            queues: RelayQueues::default(),
            answers: Answers::default(),
            own,
            asker: OnceLock::new(),
            applying: Mutex::default(),
            good_certificate: Mutex::default(),
        })
    }

    /// What the engine carries; the first time.
    pub(crate) fn take_outbox(&self) -> Option<Outbox> {
        self.outbox.lock().take()
    }

    /// Makes it one that is moved step by step, and never waits.
    pub(crate) fn drive(&self, ask: Arc<AskFn>) {
        self.checkpoints.be_impatient();
        self.own.trust();
        let _ = self.asker.set(ask);
    }

    /// Tells all a signed checkpoint that is not so, for simulations.
    pub(crate) fn sign_wrongly(&self, height: u64, size: u64) {
        if let Ok(message) = self.checkpoints.wrong(height, size) {
            self.messenger.send(None, message);
        }
    }

    /// How others are asked, if not by messages.
    pub(crate) fn asker(&self) -> Option<&Arc<AskFn>> {
        self.asker.get()
    }

    /// Ends whatever waits for others.
    pub(crate) fn stop(&self) {
        self.checkpoints.stop();
        self.queues.stop();
        self.answers.stop();
    }

    /// Signs the checkpoint after a block, and waits until a quorum has signed the same.
    pub(crate) fn certified(
        &self,
        block: &OrderedBlock,
        size: u64,
        root: Hash,
    ) -> Result<String, ApplyError> {
        let height = block.header.height;
        if let Some(given) = &block.certificate {
            let note = self
                .given(height, given, size)
                .map_err(DeliverError::Halt)?;
            if note.1 != root {
                return Err(ApplyError::suspect(format!(
                    "the validators came to another result after block {height}: the log has root {} for them and {root} here; this node's state is damaged or its program another",
                    note.1
                )));
            }
            self.checkpoints.begin_at(size);
            return Ok(note.0.to_string());
        }
        if !self.own.is_confirmed() {
            return Err(DeliverError::Later(
                "the other validators have not told yet what they have seen of this one's key"
                    .to_owned(),
            )
            .into());
        }
        self.own
            .note(size)
            .map_err(|error| DeliverError::Halt(error.to_string()))?;
        let note = self
            .checkpoints
            .gather(height, (size, root), &self.messenger)?;
        match self.verifier.verify(&note) {
            Ok(_) => Ok(note.to_string()),
            Err(error) => Err(DeliverError::Halt(format!(
                "a certificate that was gathered is none: {error}"
            ))
            .into()),
        }
    }

    /// The certificate that came with a block, and the root that is signed in it; or why it is none.
    fn given(&self, height: u64, given: &str, size: u64) -> Result<(SignedNote, Hash), String> {
        let none = |why: String| format!("block {height} comes without a good certificate: {why}");
        let note = SignedNote::parse(given.as_bytes()).map_err(|error| none(error.to_string()))?;
        let checkpoint = self
            .verifier
            .verify(&note)
            .map_err(|error| none(error.to_string()))?;
        if checkpoint.size() != size {
            return Err(none(format!(
                "it is over {} leaves, with the block there are {size}",
                checkpoint.size()
            )));
        }
        let root = checkpoint.root();
        Ok((note, root))
    }

    fn is_good_certificate(&self, note: &[u8]) -> bool {
        let mut good = self.good_certificate.lock();
        if note.is_empty() || *good == note {
            return true;
        }
        let verified =
            SignedNote::parse(note).is_ok_and(|note| self.verifier.verify(&note).is_ok());
        if verified {
            *good = note.to_vec();
        }
        verified
    }
}

impl Inner {
    /// Takes a block that the validators made final.
    pub(crate) fn deliver_voted(
        &self,
        voting: &Voting,
        block: &OrderedBlock,
    ) -> Result<(), DeliverError> {
        let _applying = voting.applying.lock();
        let tip = self.tip();
        let (height, header) = (block.header.height, &block.header);
        if height <= tip.height {
            return Ok(());
        }
        let halt = |what: String| Err(DeliverError::Halt(what));
        let tip = match height == tip.height + 1 {
            true => tip,
            false => {
                self.pull(height - 1)?;
                self.tip()
            }
        };
        if header.parent != tip.hash || header.ledger != self.ledger {
            return halt(format!(
                "the ordering engine gives a block {height} that does not follow the stored block {}: the folder `engine` is of another ledger or time",
                tip.height
            ));
        }
        let kept = match self.store.meta(height) {
            Err(error @ StoreError::Damaged(_)) => {
                return Err(DeliverError::Later(error.to_string()));
            }
            kept => kept.map_err(|error| DeliverError::Halt(error.to_string()))?,
        };
        if kept.is_some_and(|kept| kept.hash != block.hash) {
            return halt(format!(
                "block {height} is stored, and the validators ordered another in its place"
            ));
        }
        let transactions = self.transactions_of(block)?;
        let applied = self.apply_or_rebuild(block, &transactions)?;
        self.told(block, &transactions);
        let ids: HashSet<Hash> = transactions.iter().map(|tx| tx.id).collect();
        let mut waiting = self.mempool.settle(&ids, header.time_us);
        for (transaction, receipt) in transactions.iter().zip(applied.receipts) {
            if let Some(waiting) = waiting.remove(&transaction.id) {
                let _ = waiting.sender.send(Ok(receipt));
            }
        }
        for late in waiting.into_values() {
            let _ = late.sender.send(Err(NodeError::Expired));
        }
        Ok(())
    }

    /// A block's transactions; those that are known need not be decoded.
    fn transactions_of(&self, block: &OrderedBlock) -> Result<Vec<BlockTransaction>, DeliverError> {
        let broken = |error: stele_core::DecodeError| {
            DeliverError::Halt(format!("a final block does not decode: {error}"))
        };
        let view = BlockView::parse(&block.bytes).map_err(broken)?;
        let ids = view.transaction_ids(self.suite).map_err(broken)?;
        let pairs = ids.iter().zip(&view.transactions);
        pairs
            .map(|(id, bytes)| {
                let signed = match self.mempool.get(id) {
                    // The same body may come with another signature, which is part of the block.
                    Some(known) if stele_core::Encode::encode_to_vec(&*known) == **bytes => known,
                    _ => Arc::new(SignedTransaction::decode_all(bytes).map_err(broken)?),
                };
                Ok(BlockTransaction { id: *id, signed })
            })
            .collect()
    }

    fn check_block(
        &self,
        voting: &Voting,
        parent: Link,
        block: &OrderedBlock,
        leader: PublicKey,
    ) -> Result<(), String> {
        let header: &Header = &block.header;
        if header.ledger != self.ledger {
            return Err("it is of another ledger".to_owned());
        }
        if header.height != parent.height + 1 || header.parent != parent.hash {
            return Err("it does not follow its parent".to_owned());
        }
        if header.time_us <= parent.time_us {
            return Err("its time is not after its parent's".to_owned());
        }
        if header.proposer != leader {
            return Err("it names another proposer than the leader".to_owned());
        }
        if header.transaction_count == 0
            || header.transaction_count as usize > BLOCK_TRANSACTIONS_MAX
        {
            return Err("it holds no transactions, or too many".to_owned());
        }
        if block.bytes.len() > BLOCK_LEN_MAX {
            return Err("it is longer than a block may be".to_owned());
        }
        if !voting.is_good_certificate(&header.certificate) {
            return Err("its certificate is none".to_owned());
        }
        let decoded = decode(self.suite, &block.bytes).map_err(|error| error.to_string())?;
        // Those of the mempool were checked when they came.
        let unknown: Vec<&BlockTransaction> = decoded
            .iter()
            .filter(|tx| self.mempool.get(&tx.id).as_deref() != Some(&*tx.signed))
            .collect();
        let each = unknown.len().div_ceil(VERIFIERS).max(VERIFIED_TOGETHER_MIN);
        let verify = |some: &[&BlockTransaction]| {
            some.iter().try_for_each(|tx| {
                let verified = tx.signed.verify(self.suite, &self.ledger);
                verified
                    .map(drop)
                    .map_err(|error| format!("its transaction {} is forged: {error}", tx.id))
            })
        };
        std::thread::scope(|scope| {
            let parts: Vec<_> = unknown
                .chunks(each)
                .map(|some| scope.spawn(move || verify(some)))
                .collect();
            parts.into_iter().try_for_each(|part| {
                part.join()
                    .unwrap_or_else(|_| Err("its transactions could not be checked".to_owned()))
            })
        })
    }
}

impl Inner {
    /// Keeps what a validator signed that contradicts itself.
    fn keep_evidence(&self, validator: String, what: &str, height: u64, signed: Vec<String>) {
        let evidence = Evidence {
            validator: validator.clone(),
            what: what.to_owned(),
            number: height,
            time_us: self.runtime.clock.now_us(),
            signed,
        };
        match self.evidence.keep(evidence) {
            Ok(true) => {
                metrics::counter!("stele_evidence_total", "validator" => validator.clone())
                    .increment(1);
                tracing::error!(
                    validator,
                    what,
                    height,
                    "a validator contradicts itself: both signed things are kept in the folder `evidence`"
                );
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, validator, what, height, "evidence could not be kept")
            }
        }
    }
}

impl Voter for Inner {
    fn height(&self) -> u64 {
        self.tip().height
    }

    fn now_us(&self) -> i64 {
        self.runtime.clock.now_us()
    }

    fn propose_on(&self, parent: Link, ordered: &HashSet<Hash>) -> Option<OrderedBlock> {
        let Role::Votes(voting) = &self.role else {
            return None;
        };
        if !voting.own.is_confirmed() {
            return None;
        }
        let now_us = self.runtime.clock.now_us();
        let transactions = self.mempool.pick(ordered, now_us);
        if transactions.is_empty() {
            return None;
        }
        let tip = self.tip();
        let parent = Parent {
            ledger: self.ledger,
            height: parent.height,
            hash: parent.hash,
            time_us: parent.time_us,
            certificate: &tip.certificate,
        };
        Some(build_block(
            self.suite,
            &parent,
            voting.checkpoints.key(),
            now_us,
            &transactions,
        ))
    }

    fn check(&self, parent: Link, block: &OrderedBlock, leader: PublicKey) -> Verdict {
        let Role::Votes(voting) = &self.role else {
            return Verdict::Invalid("this node does not vote".to_owned());
        };
        if !voting.own.is_confirmed() {
            return Verdict::NotYet;
        }
        if block.header.time_us
            > self
                .runtime
                .clock
                .now_us()
                .saturating_add(TIME_AHEAD_MAX_US)
        {
            return Verdict::NotYet;
        }
        match self.check_block(voting, parent, block, leader) {
            Ok(()) => Verdict::Valid,
            Err(reason) => Verdict::Invalid(reason),
        }
    }

    fn may_vote(&self) -> bool {
        matches!(&self.role, Role::Votes(voting) if voting.own.is_confirmed())
    }

    fn conflict(&self, conflict: Conflict) {
        self.keep_evidence(
            self.name_of(&conflict.validator),
            conflict.what,
            conflict.view,
            vec![format!("{}\n", hex::encode(&conflict.votes))],
        );
    }

    fn received(&self, from: PublicKey, message: Vec<u8>) {
        if let Role::Votes(voting) = &self.role {
            voting.queues.received(from, message);
        }
    }
}
