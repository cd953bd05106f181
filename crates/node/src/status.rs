//! What an operator sees.

use std::sync::atomic::Ordering;

use serde::Serialize;
use stele_core::log::LogTree;
use stele_core::note::SignedNote;
use stele_store::Damage;

use crate::care::{Receiving, StoreEvent};
use crate::evidence::Evidence;
use crate::followed::Role;
use crate::node::Node;

/// State of the block store. What is damaged, or on its way, is not read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreStatus {
    /// Checked or believed good.
    Valid,
    /// A self-check is running.
    Verifying,
    /// A check found damage.
    Invalid,
    /// Sends ranges to a peer.
    Sending,
    /// Receives ranges from a peer.
    Receiving,
}

/// The node at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Ledger id, hexadecimal.
    pub ledger: String,
    /// Origin of its checkpoints.
    pub origin: String,
    /// `validator`, which orders and signs, or `follower`.
    pub role: &'static str,
    /// This validator's name in the ledger.
    pub validator: Option<String>,
    /// Names of all validators.
    pub validators: Vec<String>,
    /// Names of those who signed the checkpoint after the last block, as far as this node gathered signatures.
    pub signed_by: Vec<String>,
    /// Program version.
    pub version: String,
    /// Height of the last applied block; 0 before the first.
    pub height: u64,
    /// Hash of that block, hexadecimal.
    pub block: String,
    /// State root after it, hexadecimal.
    pub state_root: String,
    /// Leaves in the log.
    pub log_size: u64,
    /// Transactions in all blocks.
    pub transactions: u64,
    /// Time of the last block, microseconds since 1970 UTC.
    pub time_us: i64,
    /// Transactions that wait for a block.
    pub mempool: usize,
    /// State of the block store.
    pub store: StoreStatus,
    /// Why the node takes no writes, if so.
    pub halted: Option<String>,
    /// First bad height the last check found.
    pub first_bad_height: Option<u64>,
    /// What was wrong there.
    pub damage: Option<String>,
    /// Blocks that are on their way to the store, if so.
    pub receiving: Option<Receiving>,
    /// Which node is being given blocks, if so.
    pub sending_to: Option<String>,
    /// What happened to the store lately, oldest first.
    pub store_events: Vec<StoreEvent>,
    /// How many times validators were seen to contradict themselves, see [`Node::evidence`].
    pub evidence: usize,
    /// Bytes in all segments.
    pub segment_bytes: u64,
    /// Number of the newest segment.
    pub segment: u64,
    /// Seconds since the node started.
    pub uptime_s: u64,
}

/// What a self-check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditReport {
    /// Height up to which blocks were checked.
    pub height: u64,
    /// The newest block whose effects were found good.
    pub effects_height: u64,
    /// Blocks checked.
    pub blocks: u64,
    /// Transactions checked.
    pub transactions: u64,
    /// Bytes of segments read.
    pub bytes: u64,
    /// Rows of the state read and hashed.
    pub rows: u64,
    /// Transactions executed again and compared.
    pub executed: u64,
    /// Superseded versions of rows read and compared with the blocks.
    pub versions: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Everything that was wrong; empty if all is well.
    pub findings: Vec<Finding>,
    /// The first bad place among the blocks.
    #[serde(skip)]
    pub(crate) damage: Option<Damaged>,
}

/// The first bad place among the blocks, and the log up to there.
#[derive(Clone, Debug)]
pub(crate) struct Damaged {
    pub(crate) damage: Damage,
    /// Height of the newest block whose effects were found good, and the log after it.
    pub(crate) log: Option<(u64, LogTree)>,
}

/// One thing that was wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// `block`, `segment`, `log`, `state`, `history` or `execution`.
    pub part: &'static str,
    /// The first height concerned, if it can be told.
    pub height: Option<u64>,
    /// File or table.
    pub place: String,
    /// Key of the row or offset in the file.
    pub item: String,
    /// What is wrong and what helps.
    pub reason: String,
}

impl Node {
    /// What validators signed that contradicts itself, oldest first.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence> {
        self.inner.evidence.all()
    }

    /// The node at a glance.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = &*self.inner;
        let tip = inner.tip();
        let check = inner.care.lock().clone();
        let trouble = inner.trouble.read().clone();
        let damage = inner.store.damage();
        let first = check.findings.iter().min_by_key(|finding| finding.height);
        let now_us = inner.runtime.clock.monotonic_us();
        let held = inner.store.held();
        let is_cut = inner.is_cut.load(Ordering::Acquire);
        let store = check.status(damage.is_some() || held.is_some() || is_cut, now_us);
        let damage = damage.or(held.map(|(damage, _)| damage));
        let segment = inner.store.segment_number();
        let segment_bytes = (1..=segment)
            .filter_map(|number| inner.store.segment_len(number).ok().flatten())
            .sum();
        let prefix = format!("{}/v/", inner.genesis.origin);
        let plain = |key: &str| key.strip_prefix(&prefix).map(str::to_owned);
        let note = SignedNote::parse(tip.certificate.as_bytes());
        let signatures = note.iter().flat_map(SignedNote::signatures);
        let signed_by = signatures
            .filter_map(|signature| plain(signature.name()))
            .collect();
        let validators = inner.genesis.validators.validators().iter();
        let (role, key) = match &inner.role {
            Role::Orders(signer) => ("validator", Some(signer.verifier().key())),
            Role::Votes(voting) => ("validator", Some(voting.checkpoints.key())),
            Role::Follows(_) => ("follower", None),
        };
        let own = validators
            .clone()
            .find(|validator| Some(validator.key) == key);
        Status {
            ledger: inner.ledger.to_hex(),
            origin: inner.genesis.origin.clone(),
            role,
            validator: own.map(|validator| validator.name.clone()),
            validators: validators.map(|validator| validator.name.clone()).collect(),
            signed_by,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            height: tip.height,
            block: tip.hash.to_hex(),
            state_root: tip.state_root.to_hex(),
            log_size: tip.log_size,
            transactions: tip.transactions,
            time_us: tip.time_us,
            mempool: inner.mempool.len(),
            store,
            halted: trouble.reason().cloned(),
            first_bad_height: first
                .and_then(|finding| finding.height)
                .or(damage.as_ref().map(|damage| damage.height)),
            damage: first
                .map(|finding| format!("{} {}: {}", finding.place, finding.item, finding.reason))
                .or(damage.map(|damage| damage.to_string())),
            receiving: check.receiving(now_us),
            sending_to: check.sending_to(now_us),
            store_events: check.events(),
            evidence: inner.evidence.len(),
            segment_bytes,
            segment,
            uptime_s: (inner.runtime.clock.monotonic_us() - inner.started_us) / 1_000_000,
        }
    }
}
