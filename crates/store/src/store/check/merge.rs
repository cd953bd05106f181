//! Putting together, in order, what the threads found.

use std::collections::VecDeque;

use stele_core::log::LogTree;
use stele_core::{Hash, Suite};

use super::examine::{Event, Examined, PendingBlock, join, link, mismatch};
use super::plan::Unit;
use super::skim::EffectsFacts;
use super::tiles::TileCheck;
use super::{CheckOptions, CheckReport, Fault, Judge, behind, damage};
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::location::Position;
use crate::segment::{BadRecord, HEADER_LEN, Kind};
use crate::store::BlockStore;
use crate::store::writer::Summary;

/// How many log roots are kept for certificates that come later. Certificates over older blocks are
/// not judged; a newer one commits to all that they do.
const ROOTS_KEPT: usize = 65_536;

/// Why merging ends.
pub(super) enum Stop {
    /// Something is damaged.
    Damage(Damage),
    /// Tile files cannot be read.
    Unread(StoreError),
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Unread(error)
    }
}

/// What was found so far.
pub(super) struct Merge<'t> {
    suite: Suite,
    /// Blocks up to this height, but not after `heights`, must be found.
    height_wanted: u64,
    height_expected: u64,
    /// Height and hash of the block before.
    before: (u64, Hash),
    carried: VecDeque<PendingBlock>,
    tree: Option<LogTree>,
    tiles: Option<TileCheck<'t>>,
    new_hashes: Vec<(u8, Hash)>,
    /// Height, log size and root after recent blocks.
    roots: VecDeque<(u64, u64, Hash)>,
    /// Of the segment under way, if it was read from its beginning.
    summary: Option<Summary>,
    report: CheckReport,
}

impl<'t> Merge<'t> {
    pub(super) fn new(
        store: &BlockStore,
        options: &CheckOptions,
        durable_height: u64,
        tiles: Option<TileCheck<'t>>,
    ) -> Result<Self, StoreError> {
        let suite = store.inner.config.suite;
        let first = (*options.heights.start()).max(1);
        let before = match store.inner.meta_even_if_damaged(first - 1)? {
            Some(meta) => (meta.height, meta.hash),
            None => (0, store.ledger()),
        };
        Ok(Self {
            suite,
            height_wanted: durable_height.min(*options.heights.end()),
            height_expected: options.height_expected,
            before,
            carried: VecDeque::new(),
            tree: (first == 1).then(|| LogTree::new(suite)),
            tiles,
            new_hashes: Vec::new(),
            roots: VecDeque::new(),
            summary: None,
            report: CheckReport::default(),
        })
    }

    pub(super) fn height(&self) -> u64 {
        self.before.0
    }

    /// Adds what was found in the next unit.
    pub(super) fn add(
        &mut self,
        unit: &Unit,
        mut examined: Examined,
        judge: &dyn Judge,
    ) -> Result<(), Stop> {
        if let Some((height, parent, offset)) = examined.first
            && (height != self.before.0 + 1 || parent != self.before.1)
        {
            let fault = link(format!("it does not follow block {}", self.before.0));
            return Err(damage(unit, offset, height, fault).into());
        }
        let events = std::mem::take(&mut examined.events);
        let leaves = std::mem::take(&mut examined.leaves);
        let mut leaves = leaves.as_slice();
        for event in events {
            match event {
                Event::Orphan(facts) => self.orphan(unit, facts, judge)?,
                Event::Closed { height, leaf_count } => {
                    if let Some(block) = self.carried.front() {
                        let fault = link(format!(
                            "the effects of block {} are not there",
                            block.height
                        ));
                        return Err(damage(unit, unit.start, block.height, fault).into());
                    }
                    let (own, rest) = leaves.split_at(leaf_count.min(leaves.len()));
                    leaves = rest;
                    self.close(height, own)?;
                }
                Event::Certificate {
                    height,
                    stated,
                    offset,
                } => self
                    .certificate(height, stated)
                    .map_err(|fault| damage(unit, offset, height, fault))?,
            }
        }
        self.carried.append(&mut examined.waiting);
        self.before = examined.last.unwrap_or(self.before);
        self.report.blocks += examined.block_count;
        self.report.transactions += examined.transaction_count;
        self.report.bytes += unit.end - unit.start;
        self.report.height = self.before.0;
        if let Some(bad) = &examined.bad {
            return Err(self.bad_record(unit, bad).into());
        }
        match examined.damage.take() {
            Some(damage) => Err(damage.into()),
            None => Ok(self.footer(unit, &examined)?),
        }
    }

    fn bad_record(&self, unit: &Unit, bad: &BadRecord) -> Damage {
        // What a bad record claims is believed if it can be so: the next block, or effects that are
        // still to come. Else the next block is named.
        let next = self.before.0 + 1;
        let oldest = self.carried.front().map_or(next, |block| block.height);
        let height = bad
            .height
            .filter(|claimed| (oldest..=next).contains(claimed))
            .unwrap_or(next);
        let fault = Fault {
            kind: DamageKind::Checksum,
            detail: bad.detail.to_owned(),
        };
        damage(unit, bad.offset, height, fault)
    }

    fn orphan(&mut self, unit: &Unit, facts: EffectsFacts, judge: &dyn Judge) -> Result<(), Stop> {
        let (height, offset) = (facts.height, facts.offset);
        let at = |fault| Stop::from(damage(unit, offset, height, fault));
        let Some(block) = self.carried.pop_front() else {
            // Of a block before the range that is checked.
            return match self.tree {
                Some(_) => Err(at(link("effects stand before their block"))),
                None => Ok(()),
            };
        };
        let mut leaves = Vec::new();
        join(&block, &facts, self.suite, &mut leaves, &mut Vec::new()).map_err(at)?;
        self.close(height, &leaves)?;
        if !facts.certificate.is_empty() {
            let stated = judge.certificate(height, &facts.certificate).map_err(at)?;
            self.certificate(height, stated).map_err(at)?;
        }
        Ok(())
    }

    fn close(&mut self, height: u64, leaves: &[Hash]) -> Result<(), StoreError> {
        self.report.effects_height = height;
        let Some(tree) = &mut self.tree else {
            return Ok(());
        };
        for leaf in leaves {
            tree.append(*leaf, &mut self.new_hashes);
            if let Some(tiles) = &mut self.tiles {
                tiles.add(&self.new_hashes, tree.size(), height)?;
            }
            self.new_hashes.clear();
        }
        if self.roots.len() == ROOTS_KEPT {
            self.roots.pop_front();
        }
        self.roots.push_back((height, tree.size(), tree.root()));
        Ok(())
    }

    fn certificate(&mut self, height: u64, stated: Option<(u64, Hash)>) -> Result<(), Fault> {
        let Ok(found) = self
            .roots
            .binary_search_by_key(&height, |(height, _, _)| *height)
        else {
            return Ok(());
        };
        let Some((_, size, root)) = self.roots.get(found) else {
            return Ok(());
        };
        if let Some((signed_size, signed_root)) = stated
            && (signed_size, signed_root) != (*size, *root)
        {
            return Err(Fault {
                kind: DamageKind::Certificate,
                detail: format!(
                    "the validators signed {signed_size} leaves with root {signed_root}, the blocks give {size} with root {root}"
                ),
            });
        }
        self.report.certificates += 1;
        self.report.certified_height = self.report.certified_height.max(height);
        Ok(())
    }

    fn footer(&mut self, unit: &Unit, examined: &Examined) -> Result<(), Damage> {
        if unit.start == HEADER_LEN as u64 {
            self.summary = Some(Summary::new(self.suite));
        }
        let Some(summary) = &mut self.summary else {
            return Ok(());
        };
        for (kind, height, digest) in &examined.digests {
            debug_assert_ne!(*kind, Kind::Footer);
            summary.add(*kind, *height, *digest);
        }
        let height = summary.first_height.max(1);
        match &examined.footer {
            Some((footer, offset)) if *footer != summary.footer() => {
                let fault = mismatch("the footer does not fit the records");
                Err(damage(unit, *offset, height, fault))
            }
            None if unit.is_sealed_end => {
                let fault = link("a sealed segment does not end with its footer");
                Err(damage(unit, unit.end, height, fault))
            }
            _ => Ok(()),
        }
    }

    /// Ends a check that came to the end of the files.
    pub(super) fn finish(mut self, end: Position) -> CheckReport {
        let found = self.before.0;
        if found < self.height_wanted {
            let detail = format!(
                "the files end at block {found}, {} is stored",
                self.height_wanted
            );
            return self.stop(behind(end, found + 1, detail, DamageKind::Missing));
        }
        if found < self.height_expected {
            let detail = format!(
                "the newest block is {found}, but block {} is known to exist",
                self.height_expected
            );
            return self.stop(behind(end, found + 1, detail, DamageKind::Behind));
        }
        self.report.is_complete = true;
        self.report()
    }

    pub(super) fn stop(mut self, damage: Damage) -> CheckReport {
        self.report.damage = Some(damage);
        self.report()
    }

    pub(super) fn report(mut self) -> CheckReport {
        self.report.log = self.tree.as_ref().map(|tree| (tree.size(), tree.root()));
        self.report.tree = self.tree.take();
        self.report.tiles = self.tiles.and_then(TileCheck::into_fault);
        self.report
    }
}
