//! Self-check: everything recomputed from block 1, judged by the validators' signatures, and every
//! row of the state compared with the root the newest block commits to, and with it every version the
//! history holds with what the blocks' effects say.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stele_core::genesis::Genesis;
use stele_core::note::{CertificateVerifier, SignedNote};
use stele_core::outcome::BlockEffects;
use stele_core::trust::Trust;
use stele_core::{Decode, Hash};
use stele_flow::Runtime;
use stele_sql::engine::{
    Engine, EngineConfig, EngineError, HistorySource, Readers, SECRET_LEN, StateAudit,
    StateDifference,
};
use stele_store::store::{CheckOptions, CheckProgress, CheckReport, Fault, Judge, TileFault};
use stele_store::{Access, BlockStore, Damage, DamageKind, MemoryIndex, StoreConfig, TileStore};

use crate::blocks::not_stored;
use crate::directory::{check_format, read_genesis};
use crate::endorse::endorse;
use crate::error::NodeError;
use crate::node::{Inner, Node};
use crate::recover::STATE_FILE;
use crate::status::{AuditReport, Damaged, Finding};

/// Threads that check.
const CHECK_THREADS: usize = 2;
/// Part of what is found in the segments.
const BLOCKS: &str = "block";
/// What helps against changed tile files.
const TILES_REMEDY: &str = "stop the node, remove the folder `log` and start it again, it is then computed anew from the blocks";
/// What helps where nobody else has the blocks, as far as is known.
const RESTORE: &str = "restore the file from another copy of the ledger";
/// Part of what is found in the tile files.
pub(crate) const TILES: &str = "log";
/// Shortest pause worth taking when a check is throttled.
const THROTTLE_STEP: Duration = Duration::from_millis(1);

/// Judges certificates by the validators of a ledger.
struct CertificateJudge(CertificateVerifier);

impl Judge for CertificateJudge {
    fn certificate(&self, _height: u64, note: &[u8]) -> Result<Option<(u64, Hash)>, Fault> {
        let refuse = |why: String| Fault {
            kind: DamageKind::Certificate,
            detail: why,
        };
        let note = SignedNote::parse(note).map_err(|error| refuse(error.to_string()))?;
        let checkpoint = self
            .0
            .verify(&note)
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Some((checkpoint.size(), checkpoint.root())))
    }
}

impl Node {
    /// Checks the blocks of a height range (all: `1..=u64::MAX`) and, if wanted, every row of the
    /// state, while the node goes on. `progress` is given (done, total) bytes of segments.
    ///
    /// What is found is also kept for [`Node::status`].
    ///
    /// # Errors
    /// When a file cannot be read. Damage is no error: it is in the report.
    pub fn audit(
        &self,
        heights: RangeInclusive<u64>,
        state: bool,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<AuditReport, NodeError> {
        let keep_on = |done, total| {
            progress(done, total);
            true
        };
        self.check_heights(&heights)?;
        let report = self.inner.checked(heights, state, 0, &keep_on)?;
        self.checker.found(&report);
        Ok(report)
    }

    /// Whether there is something to check in a range of heights.
    ///
    /// # Errors
    /// When the range is empty, or begins after the newest block.
    pub fn check_heights(&self, heights: &RangeInclusive<u64>) -> Result<(), NodeError> {
        let tip = self.inner.tip().height;
        let (from, to) = (*heights.start(), *heights.end());
        let what = match (from, to) {
            (0, _) => "heights begin with 1".to_owned(),
            _ if from > to => format!("the range from {from} to {to} is empty"),
            _ if from > tip.max(1) => match tip {
                0 => format!("the check is to begin at height {from}, and there is no block yet"),
                _ => format!(
                    "the check is to begin at height {from}, and the ledger has blocks 1 to {tip}"
                ),
            },
            _ => return Ok(()),
        };
        Err(NodeError::Invalid(what))
    }
}

impl Inner {
    /// A self-check whose findings the status shows. `progress` returns false to end it early.
    pub(crate) fn checked(
        &self,
        heights: RangeInclusive<u64>,
        state: bool,
        mib_per_s: u64,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<AuditReport, NodeError> {
        let alarms = {
            let mut care = self.care.lock();
            care.check_begins();
            care.alarms
        };
        let tip = self.tip().height;
        let report = self.audit(heights.clone(), state, mib_per_s, progress);
        let time_us = self.runtime.clock.now_us();
        let mut care = self.care.lock();
        care.check_ends();
        if let Ok(report) = &report {
            // What another check has found meanwhile, this one may have passed before.
            let everything = state
                && *heights.start() <= 1
                && tip <= report.height.min(*heights.end())
                && alarms == care.alarms;
            care.alarms += u64::from(!report.findings.is_empty());
            if everything {
                care.replace(&report.findings, time_us);
            } else {
                // Of what a part of a check did not look at, the one before still holds.
                care.add(&report.findings, time_us);
            }
            match &report.damage {
                Some(damaged) => self.store.hold(damaged.damage.clone()),
                None if everything && report.findings.is_empty() => self.store.release(),
                None => {}
            }
            self.note_damage(report, everything);
        }
        drop(care);
        for finding in report.iter().flat_map(|report| &report.findings) {
            tracing::error!(
                place = finding.place,
                item = finding.item,
                reason = finding.reason,
                "the self-check found damage"
            );
        }
        report
    }

    /// Nothing new is made of what is known to be damaged: writes are refused until a check of
    /// everything finds nothing.
    fn note_damage(&self, report: &AuditReport, everything: bool) {
        let mut trouble = self.trouble.write();
        // Damaged blocks do not touch the state, and others have them.
        let others = self.peers().is_some();
        let mut findings = report.findings.iter();
        let serious = findings.find(|finding| !others || finding.part != BLOCKS);
        match serious {
            Some(first) => {
                trouble.damaged = Some(format!(
                    "the self-check found damage: {} {}: {}",
                    first.place, first.item, first.reason
                ));
            }
            None if everything => trouble.damaged = None,
            None => {}
        }
    }

    fn audit(
        &self,
        heights: RangeInclusive<u64>,
        state: bool,
        mib_per_s: u64,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<AuditReport, NodeError> {
        let (heights_checked, tip) = (heights.clone(), self.tip().height);
        let begun = self.runtime.clock.monotonic_us();
        let trust = Trust::of_genesis(&self.genesis);
        let checked = check_store(
            &self.store,
            Some(&self.tiles),
            &trust,
            heights,
            &self.runtime,
            mib_per_s,
            progress,
        )?;
        let mut report = reported(&self.store, checked);
        if state {
            let pace = Pace::new(&self.runtime, mib_per_s);
            let (mut read, bytes) = (0, report.bytes);
            let effects = |height| {
                if !progress(bytes, bytes) {
                    return Err(NodeError::Stopping);
                }
                let location = self.meta(height)?.effects;
                read += location.map_or(0, |location| u64::from(location.len));
                pace.keep(read);
                self.effects(height)
            };
            let is_all = *heights_checked.start() <= 1 && *heights_checked.end() >= report.height;
            if is_all && report.damage.is_none() && report.height >= tip {
                // What was held is good again.
                self.store.release();
            }
            let whole = self.store.held().is_none();
            check_state(&self.readers, &self.runtime, effects, whole, &mut report)?;
        }
        if let Some(peers) = self.peers() {
            let own = format!(
                "it is made whole by itself, with blocks from {} where they are needed: `stele status` shows how far",
                peers.names().join(", ")
            );
            for finding in &mut report.findings {
                for remedy in [RESTORE, REMEDY, TILES_REMEDY] {
                    finding.reason = finding.reason.replace(remedy, &own);
                }
            }
        }
        report.seconds = (self.runtime.clock.monotonic_us() - begun) as f64 / 1e6;
        Ok(report)
    }
}

/// Where an offline check finds and puts states.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline<'p> {
    /// A copy of the directory's state database, for a directory that cannot be written: SQLite reads
    /// a write-ahead log only where it can write.
    pub state: Option<&'p Path>,
    /// A file that is not there yet: then every block is also executed again on a state kept there, and
    /// its effects compared; the progress starts over, in blocks.
    pub scratch: Option<&'p Path>,
}

/// Checks a whole data directory that no node uses, such as a copy, without changing it.
///
/// # Errors
/// When a file cannot be read. Damage is no error: it is in the report.
pub fn verify_directory(
    path: &Path,
    offline: Offline<'_>,
    runtime: &Runtime,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<AuditReport, NodeError> {
    let begun = runtime.clock.monotonic_us();
    // A back-up need not hold the file; the check would write it.
    if runtime.files.exists(&path.join("format"))? {
        check_format(&runtime.files, path)?;
    }
    let genesis = read_genesis(&runtime.files, path)?;
    let (suite, ledger) = (genesis.suite, genesis.ledger_id());
    let config = StoreConfig {
        access: Access::ReadOnly,
        suite,
        ..StoreConfig::default()
    };
    let index = Arc::new(MemoryIndex::new());
    let (store, opened) = BlockStore::open(runtime.files.clone(), path, ledger, config, index)?;
    let trust = Trust::of_genesis(&genesis);
    let keep_on = |done, total| {
        progress(done, total);
        true
    };
    let tiles = TileStore::open_read_only(runtime.files.clone(), path)?;
    let checked = check_store(
        &store,
        Some(&tiles),
        &trust,
        1..=u64::MAX,
        runtime,
        0,
        &keep_on,
    )?;
    let mut report = reported(&store, checked);
    if let Some(damage) = opened.damage
        && are_blocks_good(&report)
    {
        report.findings.push(block_finding(&store, &damage));
    }
    if are_blocks_good(&report) {
        check_genesis(&store, &genesis, &mut report)?;
        let state = match offline.state {
            Some(copy) => copy.to_owned(),
            None => path.join(STATE_FILE),
        };
        if runtime.files.exists(&state)? {
            let effects = |height| store.effects(height)?.ok_or_else(|| not_stored(height));
            match Engine::open(EngineConfig::new(Some(state), ledger, suite)) {
                Ok(engine) if engine.meta().height > report.effects_height => {
                    let (height, kept) = (engine.meta().height, report.effects_height);
                    report.findings.push(ahead(height, kept));
                }
                Ok(engine) => check_state(&engine.readers(), runtime, effects, true, &mut report)?,
                Err(EngineError::Corrupt { cause, .. }) => report.findings.push(unusable(&cause)),
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(scratch) = offline.scratch {
            endorse(&store, &genesis, scratch, progress, &mut report)?;
        }
    }
    report.seconds = (runtime.clock.monotonic_us() - begun) as f64 / 1e6;
    Ok(report)
}

/// A state of a block whose effects are not there.
fn ahead(height: u64, effects_height: u64) -> Finding {
    Finding {
        part: "state",
        height: Some(height),
        place: STATE_FILE.to_owned(),
        item: "as a whole".to_owned(),
        reason: format!(
            "it is of block {height}, the segments hold effects up to block {effects_height}: a loss of power, or a cut file; start a node on the directory, it makes the state anew"
        ),
    }
}

/// What helps against a changed state. Writes believe the rows they only read.
const REMEDY: &str = "stop the node, run `stele verify --data DIR --execute` (a write since the change may rest on it), move state.db away and start: it is made anew from the blocks";

/// A state that cannot be opened.
fn unusable(cause: &str) -> Finding {
    Finding {
        part: "state",
        height: None,
        place: STATE_FILE.to_owned(),
        item: "as a whole".to_owned(),
        reason: format!("{cause}; {REMEDY}"),
    }
}

/// The reading rate of a throttled check.
struct Pace<'r> {
    runtime: &'r Runtime,
    begun_us: u64,
    mib_per_s: u64,
}

impl<'r> Pace<'r> {
    /// A rate of 0 is no limit.
    fn new(runtime: &'r Runtime, mib_per_s: u64) -> Self {
        Self {
            runtime,
            begun_us: runtime.clock.monotonic_us(),
            mib_per_s,
        }
    }

    /// Sleeps as long as so many bytes were read too early.
    fn keep(&self, bytes: u64) {
        let Some(due_us) = (bytes * 1_000_000 / (1024 * 1024)).checked_div(self.mib_per_s) else {
            return;
        };
        let ahead = due_us.saturating_sub(self.runtime.clock.monotonic_us() - self.begun_us);
        let pause = Duration::from_micros(ahead);
        if pause >= THROTTLE_STEP {
            std::thread::sleep(pause);
        }
    }
}

/// Checks blocks by what the validators of a ledger signed. `progress` returns false to end it early.
pub(crate) fn check_store(
    store: &BlockStore,
    tiles: Option<&TileStore>,
    trust: &Trust,
    heights: RangeInclusive<u64>,
    runtime: &Runtime,
    mib_per_s: u64,
    progress: &dyn Fn(u64, u64) -> bool,
) -> Result<CheckReport, NodeError> {
    let options = CheckOptions {
        heights,
        threads: CHECK_THREADS,
        ..CheckOptions::default()
    };
    let verifier = CertificateVerifier::new(&trust.origin, &trust.validators)
        .map_err(|error| NodeError::Storage(error.to_string()))?;
    let judge: Arc<dyn Judge> = Arc::new(CertificateJudge(verifier.prepared()));
    let pace = Pace::new(runtime, mib_per_s);
    let mut step = |at: CheckProgress| {
        let keep_on = progress(at.bytes_done, at.bytes_total);
        pace.keep(at.bytes_done);
        keep_on
    };
    Ok(store.check(&*runtime.spawner, &options, &judge, tiles, &mut step)?)
}

/// What a check of the blocks found, for people.
pub(crate) fn reported(store: &BlockStore, checked: CheckReport) -> AuditReport {
    let blocks = checked.damage.iter();
    let blocks = blocks.map(|damage| block_finding(store, damage));
    let findings = blocks.chain(checked.tiles.iter().map(tile_finding));
    AuditReport {
        height: checked.height,
        effects_height: checked.effects_height,
        blocks: checked.blocks,
        transactions: checked.transactions,
        bytes: checked.bytes,
        findings: findings.collect(),
        damage: checked.damage.map(|damage| Damaged {
            damage,
            log: checked.tree.map(|tree| (checked.effects_height, tree)),
        }),
        ..AuditReport::default()
    }
}

fn check_genesis(
    store: &BlockStore,
    genesis: &Genesis,
    report: &mut AuditReport,
) -> Result<(), NodeError> {
    let stored = store.genesis()?;
    let fits = stored
        .as_deref()
        .is_none_or(|bytes| Genesis::decode_all(bytes).as_ref() == Ok(genesis));
    if !fits {
        report.findings.push(Finding {
            part: "segment",
            height: Some(0),
            place: store.segment_path(1).display().to_string(),
            item: "genesis record".to_owned(),
            reason: "it is not the document in the file `genesis`".to_owned(),
        });
    }
    Ok(())
}

fn block_finding(store: &BlockStore, damage: &Damage) -> Finding {
    Finding {
        part: BLOCKS,
        height: Some(damage.height),
        place: store.segment_path(damage.segment).display().to_string(),
        item: format!("offset {}", damage.offset),
        reason: format!("{}: {}; {RESTORE}", damage.kind, damage.detail),
    }
}

/// Whether state and history can be compared with the blocks.
fn are_blocks_good(report: &AuditReport) -> bool {
    report.findings.iter().all(|finding| finding.part == TILES)
}

fn tile_finding(fault: &TileFault) -> Finding {
    let what = match fault.is_missing {
        true => "the file is cut short",
        false => "the hash was changed",
    };
    Finding {
        part: TILES,
        height: Some(fault.height),
        place: format!("log/{}", fault.level),
        item: format!("offset {}", fault.index * 32),
        reason: format!("{what}; {TILES_REMEDY}"),
    }
}

/// Why a check of the state ended early.
enum Ended {
    /// The state's own trouble.
    Engine(EngineError),
    /// The node's.
    Node(NodeError),
}

impl From<EngineError> for Ended {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Compares the state with the newest block it has, and its history with all blocks; with damaged blocks
/// there is nothing to compare the history with. `whole` is false where some are known to be damaged.
fn check_state(
    readers: &Arc<Readers>,
    runtime: &Runtime,
    mut effects: impl FnMut(u64) -> Result<BlockEffects, NodeError>,
    whole: bool,
    report: &mut AuditReport,
) -> Result<(), NodeError> {
    let whole = whole && are_blocks_good(report);
    let mut secret = [0; SECRET_LEN];
    runtime.random.fill(&mut secret);
    let mut given = |height| effects(height).map_err(Ended::Node);
    let history = whole.then_some(HistorySource {
        secret,
        effects: &mut given,
    });
    let audited = match readers.audit(history, |_| {}) {
        Ok(audited) => audited,
        Err(Ended::Node(error)) => return Err(error),
        Err(Ended::Engine(
            error @ (EngineError::Corrupt { .. }
            | EngineError::Internal { .. }
            | EngineError::Decode { .. }),
        )) => {
            report.findings.push(unusable(&error.to_string()));
            return Ok(());
        }
        Err(Ended::Engine(error)) => return Err(error.into()),
    };
    let leaf_root = match audited.height {
        0 => None,
        // The block that says so may be the damaged one.
        height if whole => Some(effects(height)?.leaf.state_root),
        height => effects(height).ok().map(|effects| effects.leaf.state_root),
    };
    add_state(report, &audited, leaf_root);
    Ok(())
}

fn add_state(report: &mut AuditReport, audited: &StateAudit, leaf_root: Option<Hash>) {
    report.rows = audited.rows;
    report.versions = audited.versions;
    let findings = audited
        .differences
        .iter()
        .map(|difference: &StateDifference| Finding {
            part: match difference.height {
                Some(_) => "history",
                None => "state",
            },
            height: difference.height.or(Some(audited.height)),
            place: match difference.table.as_str() {
                "" => STATE_FILE.to_owned(),
                table => format!("table {table}"),
            },
            item: match difference.key.as_str() {
                "" => "as a whole".to_owned(),
                key => format!("key {key}"),
            },
            reason: format!("{}; {REMEDY}", difference.what),
        });
    report.findings.extend(findings);
    if let Some(expected) = leaf_root
        && expected != audited.state_root
        && audited.differences.is_empty()
    {
        report.findings.push(Finding {
            part: "state",
            height: Some(audited.height),
            place: "state.db".to_owned(),
            item: "state root".to_owned(),
            reason: format!(
                "the rows give root {}, block {} commits to {expected}; {REMEDY}",
                audited.state_root, audited.height
            ),
        });
    }
}
