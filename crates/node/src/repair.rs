//! A damaged store is made whole from others, and one that lacks blocks gets them (rows B5, A15).
//!
//! Every block is put to the log that grows from the blocks before it, and that to what the validators signed, before it
//! is kept: so whoever sends can be late, and is found out if it lies. One that lies, or does not answer, is named, and
//! the next is asked. Blocks that are ordered meanwhile go into another segment, and into the state.

use std::sync::atomic::Ordering;
use std::time::Duration;

use stele_consensus::{Application as _, DeliverError, OrderedBlock};
use stele_core::block::BlockView;
use stele_core::certified::KeptBlock;
use stele_core::log::{LogTree, leaf_hash};
use stele_core::note::{CertificateVerifier, SignedNote};
use stele_core::outcome::BlockEffects;
use stele_core::peer::{Ask, PIECE_LEN_MAX};
use stele_core::{Decode, Encode};
use stele_store::store::{Mending, RestoreError, VerifiedLink};
use stele_store::{BlockRecord, Damage, StoreError};

use crate::audit::check_store;
use crate::care::Receiving;
use crate::checker::Trouble;
use crate::error::NodeError;
use crate::followed::Role;
use crate::node::Inner;
use crate::peers::Peers;
use crate::pieces::Stream;
use crate::status::{AuditReport, Damaged};

/// How often earlier damage may turn up while a segment is made whole.
const EARLIER_MAX: usize = 100;

/// How long after nobody answered others are asked again.
const PULL_RETRY: Duration = Duration::from_secs(1);

/// Whether to go on.
pub(crate) type KeepOn<'k> = &'k (dyn Fn() -> bool + Sync);

impl Inner {
    /// Makes the segment whole that is damaged there.
    ///
    /// # Errors
    /// When nobody gives what is missing, or files cannot be read or written; it can be tried again.
    pub(crate) fn repair(&self, damaged: &Damaged, keep_on: KeepOn<'_>) -> Result<(), NodeError> {
        let peers = self.peers().ok_or_else(|| {
            NodeError::Storage("this node has nobody to get blocks from".to_owned())
        })?;
        let genesis = self.genesis.encode_to_vec();
        let mut damage = damaged.damage.clone();
        for _ in 0..EARLIER_MAX {
            self.store.hold(damage.clone());
            let mut mending = match self.store.begin_mend(&damage, &genesis) {
                Ok(mending) => mending,
                Err(StoreError::Damaged(earlier)) => {
                    damage = earlier;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let log = match &damaged.log {
                Some((height, log)) if *height == mending.effects_height() => log.clone(),
                _ => match self.log_after(mending.effects_height(), keep_on)? {
                    Ok(log) => log,
                    Err(earlier) => {
                        damage = earlier;
                        continue;
                    }
                },
            };
            let mended = self.mend(&mut mending, log, &*peers, keep_on);
            self.care.lock().received();
            mended?;
            let (from, to) = (damage.height, mending.last_height());
            mending.finish()?;
            metrics::counter!("stele_repairs_total").increment(1);
            let path = self.store.segment_path(damage.segment);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.happened(
                "repaired",
                format!(
                    "{name} is whole again, from block {from} to block {to}; the damaged file is in segments/quarantine"
                ),
            );
            return Ok(());
        }
        Err(NodeError::Storage(format!(
            "damage before damage, {EARLIER_MAX} times: {damage}"
        )))
    }

    /// The log after a block, from all blocks up to it; or what is damaged among them.
    fn log_after(
        &self,
        height: u64,
        keep_on: KeepOn<'_>,
    ) -> Result<Result<LogTree, Damage>, NodeError> {
        if height == 0 {
            return Ok(Ok(LogTree::new(self.suite)));
        }
        let trust = stele_core::trust::Trust::of_genesis(&self.genesis);
        let checked = check_store(
            &self.store,
            None,
            &trust,
            1..=height,
            &self.runtime,
            0,
            &|_, _| keep_on(),
        )?;
        if let Some(damage) = checked.damage {
            return Ok(Err(damage));
        }
        match checked.tree {
            Some(tree) if checked.is_complete && checked.effects_height == height => Ok(Ok(tree)),
            _ if keep_on() => Err(NodeError::Storage(format!(
                "the blocks up to {height} could not be gone through: effects end with block {}",
                checked.effects_height
            ))),
            _ => Err(NodeError::Stopping),
        }
    }

    fn verifier(&self) -> Result<CertificateVerifier, NodeError> {
        CertificateVerifier::new(&self.genesis.origin, &self.genesis.validators)
            .map(CertificateVerifier::prepared)
            .map_err(|error| NodeError::Invalid(error.to_string()))
    }

    fn mend(
        &self,
        mending: &mut Mending,
        log: LogTree,
        peers: &dyn Peers,
        keep_on: KeepOn<'_>,
    ) -> Result<(), NodeError> {
        let verifier = self.verifier()?;
        let mut log = log;
        let Some(first) = mending.next_height() else {
            return Ok(());
        };
        let mut wanted = Wanted {
            first,
            next: Some(first),
            last: mending.last_height(),
            is_at_end: false,
        };
        self.gather(&mut wanted, peers, keep_on, &mut |kept, wanted| {
            let taken = mending.take(&kept.block, &kept.effects, &mut |link| {
                log = proven(link, &log, &verifier)?;
                Ok(())
            });
            wanted.next = mending.next_height();
            match taken {
                Ok(()) => Ok(()),
                Err(RestoreError::Store(
                    error @ (StoreError::File(_) | StoreError::NoSpace(_)),
                )) => Err(Refusal::Own(error.into())),
                Err(error) => Err(Refusal::Lie(error.to_string())),
            }
        })
    }

    /// Gets the blocks that are ordered and missing here, up to a height, and applies them. Without an end
    /// (`u64::MAX`) as many as somebody has.
    pub(crate) fn pull(&self, to: u64) -> Result<(), DeliverError> {
        let Some(peers) = self.peers() else {
            return Ok(());
        };
        let first = self.tip().height + 1;
        let mut wanted = Wanted {
            first,
            next: Some(first),
            last: to,
            is_at_end: false,
        };
        let verifier = self
            .verifier()
            .map_err(|error| DeliverError::Halt(error.to_string()))?;
        let keep_on = || match &self.role {
            Role::Votes(voting) => !voting.queues.stopping(),
            _ => true,
        };
        let mut failed = None;
        let pulled = self.gather(&mut wanted, &*peers, &keep_on, &mut |kept, wanted| {
            let effects = BlockEffects::decode_all(&kept.effects)
                .map_err(|error| Refusal::Lie(error.to_string()))?;
            let block = ordered(self.suite, kept.block, &effects).map_err(Refusal::Lie)?;
            let transactions = self.believable(&block).map_err(Refusal::Lie)?;
            // Before it is executed: what differs then is this node's.
            let record = BlockRecord {
                bytes: &block.bytes,
                header: block.header.clone(),
                hash: block.hash,
                transaction_ids: transactions.iter().map(|tx| tx.id).collect(),
            };
            if effects.leaf.block != block.hash {
                return Err(Refusal::Lie("the effects are of another block".to_owned()));
            }
            let link = VerifiedLink {
                block: &record,
                effects: Some(&effects),
                certificate: Some(&effects.certificate),
            };
            let log = self.applier.lock().log.tree().clone();
            proven(&link, &log, &verifier).map_err(Refusal::Lie)?;
            match self.apply_or_rebuild(&block, &transactions) {
                Ok(_) => {
                    self.told(&block, &transactions);
                    let next = block.header.height + 1;
                    wanted.next = (next <= to).then_some(next);
                    Ok(())
                }
                Err(error) => {
                    failed = Some(error);
                    Err(Refusal::Own(NodeError::Stopping))
                }
            }
        });
        self.care.lock().received();
        match (pulled, failed) {
            (_, Some(error)) => Err(error),
            (Ok(()), None) => Ok(()),
            (Err(_), None) if to == u64::MAX && wanted.is_at_end => Ok(()),
            (Err(error), None) => Err(DeliverError::Later(error.to_string())),
        }
    }

    /// Gets what was cut off at the start, as far as others have it.
    pub(crate) fn pull_back(&self, keep_on: KeepOn<'_>) {
        let Role::Votes(voting) = &self.role else {
            // A follower is only behind: its server gives what it lacks.
            self.is_cut.store(false, Ordering::Release);
            return;
        };
        while keep_on() {
            let pulled = {
                let _applying = voting.applying.lock();
                self.pull(u64::MAX)
            };
            match pulled {
                Ok(()) => {
                    let height = self.tip().height;
                    self.is_cut.store(false, Ordering::Release);
                    self.happened("repaired", format!("blocks up to {height} are there again"));
                    return;
                }
                Err(DeliverError::Halt(reason)) => return self.halted(&reason),
                Err(DeliverError::Later(_)) => std::thread::sleep(PULL_RETRY),
            }
        }
    }

    /// As [`Self::pull_back`], tried once; for one that was cut at the start.
    pub(crate) fn pull_back_once(&self) {
        if let Role::Votes(voting) = &self.role
            && self.is_cut.load(Ordering::Acquire)
        {
            let _applying = voting.applying.lock();
            if self.pull(u64::MAX).is_ok() {
                self.is_cut.store(false, Ordering::Release);
            }
        }
    }

    /// Makes whole what a check found first; whether there was something.
    ///
    /// # Errors
    /// When it cannot be made whole now.
    pub(crate) fn make_whole(&self, report: &AuditReport) -> Result<bool, NodeError> {
        match Trouble::of(report) {
            None => return Ok(false),
            Some(Trouble::Blocks(damaged)) => self.repair(&damaged, &|| true)?,
            Some(Trouble::Tiles) => self.rebuild_tiles()?,
            Some(Trouble::State) => self.rebuild_state()?,
        }
        Ok(true)
    }

    /// Asks one after another for blocks until all are there.
    fn gather(
        &self,
        wanted: &mut Wanted,
        peers: &dyn Peers,
        keep_on: KeepOn<'_>,
        take: &mut dyn FnMut(KeptBlock, &mut Wanted) -> Result<(), Refusal>,
    ) -> Result<(), NodeError> {
        let names = peers.names();
        let mut seed = [0];
        self.runtime.random.fill(&mut seed);
        let begin = usize::from(seed[0]);
        let mut reasons = Vec::new();
        for turn in 0..names.len() {
            let peer = (begin + turn) % names.len();
            let name = names.get(peer).map_or("", String::as_str);
            match self.gather_from((peer, name), wanted, peers, keep_on, take) {
                Ok(()) => return Ok(()),
                Err(Refusal::Own(error)) => return Err(error),
                Err(Refusal::Silent(reason)) => {
                    self.happened("unanswered", format!("{name}: {reason}"));
                    reasons.push(format!("{name}: {reason}"));
                }
                Err(Refusal::Lie(reason)) => {
                    let what = format!("{name} gives blocks that are not the ledger's: {reason}");
                    tracing::error!(peer = name, reason, "another node lies");
                    metrics::counter!("stele_peer_lies_total", "peer" => name.to_owned())
                        .increment(1);
                    self.happened("refused", what.clone());
                    reasons.push(what);
                }
            }
        }
        let next = wanted.next.unwrap_or(wanted.last);
        Err(NodeError::Storage(format!(
            "nobody gives block {next}: {}",
            reasons.join("; ")
        )))
    }

    fn gather_from(
        &self,
        (peer, name): (usize, &str),
        wanted: &mut Wanted,
        peers: &dyn Peers,
        keep_on: KeepOn<'_>,
        take: &mut dyn FnMut(KeptBlock, &mut Wanted) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut stream = Stream::default();
        let mut is_told = false;
        while let Some(next) = wanted.next {
            if !keep_on() {
                return Err(Refusal::Own(NodeError::Stopping));
            }
            let receiving = Receiving {
                from: name.to_owned(),
                first: wanted.first,
                next,
                last: wanted.last,
            };
            if !std::mem::replace(&mut is_told, true) {
                self.happened(
                    "receiving",
                    format!("blocks {next} to {} from {name}", wanted.last),
                );
            }
            let now_us = self.runtime.clock.monotonic_us();
            self.care.lock().receives(receiving, now_us);
            let ask = Ask {
                from: next,
                to: wanted.last,
                skip: stream.begun(),
            };
            let piece = peers.ask(peer, &ask).map_err(Refusal::Silent)?;
            if piece.is_empty() {
                wanted.is_at_end = true;
                return Err(Refusal::Silent(format!("it has no block {next}")));
            }
            stream.add(&piece);
            while let Some(kept) = stream.next().map_err(Refusal::Lie)? {
                if wanted.next.is_none() {
                    return Err(Refusal::Lie("it gives more than was asked for".to_owned()));
                }
                take(kept, wanted)?;
            }
            // Drop by drop it would never end.
            if piece.len() < PIECE_LEN_MAX && stream.begun() > 0 {
                return Err(Refusal::Lie("its pieces are cut short".to_owned()));
            }
        }
        Ok(())
    }

    /// Notes an event of the store.
    pub(crate) fn happened(&self, kind: &'static str, detail: String) {
        tracing::info!(kind, detail, "block store");
        let time_us = self.runtime.clock.now_us();
        self.care.lock().happened(time_us, kind, detail);
    }
}

/// Blocks that are wanted.
struct Wanted {
    first: u64,
    /// The next; none when all are there.
    next: Option<u64>,
    last: u64,
    /// Whether somebody has said that there is no next one.
    is_at_end: bool,
}

/// Why a block did not come.
enum Refusal {
    /// What was given is not the ledger's.
    Lie(String),
    /// It was not given.
    Silent(String),
    /// This node cannot take it.
    Own(NodeError),
}

/// The log after a block, if that is what the validators signed.
fn proven(
    link: &VerifiedLink<'_>,
    log: &LogTree,
    verifier: &CertificateVerifier,
) -> Result<LogTree, String> {
    let (Some(effects), Some(note)) = (link.effects, link.certificate) else {
        return Err("it comes without effects and certificate".to_owned());
    };
    let mut log = log.clone();
    let suite = log.suite();
    for leaf in effects.log_leaves(suite, &link.block.transaction_ids) {
        log.append(leaf_hash(suite, &leaf), &mut Vec::new());
    }
    let note = SignedNote::parse(note).map_err(|error| error.to_string())?;
    let checkpoint = verifier.verify(&note).map_err(|error| error.to_string())?;
    if (checkpoint.size(), checkpoint.root()) != (log.size(), log.root()) {
        return Err(format!(
            "the validators signed {} leaves with root {}, with this block there are {} with root {}",
            checkpoint.size(),
            checkpoint.root(),
            log.size(),
            log.root()
        ));
    }
    Ok(log)
}

/// A kept block as one that others ordered.
fn ordered(
    suite: stele_core::Suite,
    bytes: Vec<u8>,
    effects: &BlockEffects,
) -> Result<OrderedBlock, String> {
    let view = BlockView::parse(&bytes).map_err(|error| error.to_string())?;
    let (header, hash) = (view.header.clone(), view.header.hash(suite));
    let certificate = String::from_utf8(effects.certificate.clone());
    Ok(OrderedBlock {
        header,
        hash,
        bytes,
        certificate: Some(certificate.map_err(|_| "its certificate is no text".to_owned())?),
    })
}
