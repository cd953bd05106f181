//! The self-check (row B4): every byte from the first block to the newest, read again and judged.
//!
//! Checked are: headers, checksums and footers of segments; that blocks follow one another; each
//! block's hash and transaction root; that outcomes commit to their changes and block leaves to their
//! blocks; and the log root over all leaves, at each certificate. What needs more than this crate
//! knows, above all the signatures of certificates, is asked of a [`Judge`].
//!
//! The files are cut into units read by several threads; what they find is merged in order by the
//! calling thread. Appends and look-ups go on meanwhile: the check ends at what was durable when it
//! began.

mod examine;
mod merge;
mod plan;
mod skim;
mod tiles;

use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::Mutex;
use stele_core::Hash;
use stele_core::block::{BlockView, FIRST_HEIGHT};
use stele_core::log::LogTree;
use stele_flow::Spawner;

use super::BlockStore;
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::location::Position;
use crate::tiles::TileStore;
use examine::Examined;
use merge::{Merge, Stop};
use plan::Unit;
use tiles::TileCheck;

/// Length of the units threads read, unless configured, in bytes.
pub const UNIT_LEN_DEFAULT: u64 = 16 * 1024 * 1024;

/// Something a [`Judge`] does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: DamageKind,
    /// What was found, for people.
    pub detail: String,
}

/// Checks what the store alone cannot.
pub trait Judge: Send + Sync {
    /// The genesis record.
    ///
    /// # Errors
    /// When it is not the ledger's.
    fn genesis(&self, _genesis: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    /// A block that is whole by itself, with its transaction ids. Called from several threads, in no order.
    ///
    /// # Errors
    /// When it is not acceptable.
    fn block(&self, _block: &BlockView<'_>, _transaction_ids: &[Hash]) -> Result<(), Fault> {
        Ok(())
    }

    /// A certificate over the checkpoint after the block of a height: the log's size and root it
    /// states, to be compared with those recomputed from all blocks and effects; none when whatever
    /// it states is accepted. Called from several threads, in no order.
    ///
    /// # Errors
    /// When it is not validly signed.
    fn certificate(&self, _height: u64, _note: &[u8]) -> Result<Option<(u64, Hash)>, Fault> {
        Ok(None)
    }
}

/// Accepts everything: for a check without certificates.
#[derive(Clone, Copy, Debug)]
pub struct AcceptAll;

impl Judge for AcceptAll {}

/// What is checked, and how fast.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Heights to check. The log root, and so certificates, can only be checked from height 1 on.
    pub heights: RangeInclusive<u64>,
    /// Threads that read, at least 1.
    pub threads: usize,
    /// Length of the pieces the threads take, in bytes. Shorter ones give finer progress, and a
    /// finer throttle.
    pub unit_len: u64,
    /// A height that is known to exist, such as that of the network's newest certificate.
    pub height_expected: u64,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            heights: FIRST_HEIGHT..=u64::MAX,
            threads: 2,
            unit_len: UNIT_LEN_DEFAULT,
            height_expected: 0,
        }
    }
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckProgress {
    /// Bytes read and judged.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
    /// The newest block found good.
    pub height: u64,
}

/// A hash in the tile files that is not what blocks and effects give. The files are derived: they can be
/// computed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileFault {
    /// Tile level, which is the name of the file.
    pub level: u8,
    /// Number of the hash in it; it stands at 32 times that.
    pub index: u64,
    /// The block one of whose leaves it covers last.
    pub height: u64,
    /// Whether the file is too short to hold it.
    pub is_missing: bool,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Whether it came to its end: false after damage or when stopped.
    pub is_complete: bool,
    /// The first bad place, in order of the files.
    pub damage: Option<Damage>,
    /// Blocks found good.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Certificates the judge accepted.
    pub certificates: u64,
    /// The newest block found good.
    pub height: u64,
    /// The newest block whose effects were found good.
    pub effects_height: u64,
    /// Size and root of the log after that block, if the check began at height 1.
    pub log: Option<(u64, Hash)>,
    /// The log itself.
    pub tree: Option<LogTree>,
    /// The newest certificate accepted: height.
    pub certified_height: u64,
    /// The first hash of the tile files that is wrong, if they were compared.
    pub tiles: Option<TileFault>,
}

impl BlockStore {
    /// Checks the store. `progress` is called after each round of units, from the calling thread; it
    /// may sleep to throttle the check, and returns false to stop it.
    ///
    /// From height 1 on, `tiles` are compared too, as far as they went when the check began.
    ///
    /// Does not [quarantine](BlockStore::quarantine) what it finds; the caller decides.
    ///
    /// # Errors
    /// When files cannot be read or threads cannot be had. Damage is no error: it is in the report.
    pub fn check(
        &self,
        spawner: &dyn Spawner,
        options: &CheckOptions,
        judge: &Arc<dyn Judge>,
        tiles: Option<&TileStore>,
        progress: &mut dyn FnMut(CheckProgress) -> bool,
    ) -> Result<CheckReport, StoreError> {
        let tiles = tiles.map(TileCheck::new);
        // In this order: blocks up to the height stand before the position.
        let height = self.durable_height();
        let end = self.inner.durable.position();
        let mut merge = Merge::new(self, options, height, tiles)?;
        let units = match plan::units(self, options, end)? {
            Ok(units) => units,
            Err(damage) => return Ok(merge.stop(damage)),
        };
        let mut done = CheckProgress {
            bytes_total: units.iter().map(|unit| unit.end - unit.start).sum(),
            ..CheckProgress::default()
        };
        for round in units.chunks(options.threads.max(1)) {
            let examined = self.examine_round(spawner, options, judge, round)?;
            for (unit, examined) in round.iter().zip(examined) {
                match merge.add(unit, examined, &**judge) {
                    Ok(()) => {}
                    Err(Stop::Damage(damage)) => return Ok(merge.stop(damage)),
                    Err(Stop::Unread(error)) => return Err(error),
                }
                done.bytes_done += unit.end - unit.start;
            }
            done.height = merge.height();
            if !progress(done) {
                return Ok(merge.report());
            }
        }
        Ok(merge.finish(end))
    }

    fn examine_round(
        &self,
        spawner: &dyn Spawner,
        options: &CheckOptions,
        judge: &Arc<dyn Judge>,
        round: &[Unit],
    ) -> Result<Vec<Examined>, StoreError> {
        let mut started = Vec::with_capacity(round.len());
        for unit in round {
            let slot = Arc::new(Mutex::new(None));
            let (unit, judge, filled) = (unit.clone(), judge.clone(), slot.clone());
            let (ledger, suite) = (self.inner.ledger, self.inner.config.suite);
            let heights = options.heights.clone();
            let task = move || {
                let examined = examine::examine(&unit, ledger, suite, &heights, &*judge);
                *filled.lock() = Some(examined);
            };
            let join = spawner
                .spawn("stele-check", Box::new(task))
                .map_err(|error| StoreError::Task(error.to_string()))?;
            started.push((join, slot));
        }
        let mut examined = Vec::with_capacity(started.len());
        for (join, slot) in started {
            join.join()
                .map_err(|error| StoreError::Task(error.to_string()))?;
            let filled = slot.lock().take();
            examined.push(filled.unwrap_or_else(|| {
                Err(StoreError::Task(
                    "a check task ended without a result".to_owned(),
                ))
            })?);
        }
        Ok(examined)
    }
}

/// A place in a unit, for reports.
fn damage(unit: &Unit, offset: u64, height: u64, fault: Fault) -> Damage {
    Damage {
        kind: fault.kind,
        segment: unit.segment,
        offset,
        height: height.max(FIRST_HEIGHT),
        detail: fault.detail,
    }
}

fn behind(at: Position, height: u64, detail: String, kind: DamageKind) -> Damage {
    Damage {
        kind,
        segment: at.segment,
        offset: at.offset,
        height,
        detail,
    }
}
