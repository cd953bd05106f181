//! What a thread does with a unit: everything that needs no other unit.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use stele_core::block::BlockView;
use stele_core::leaf::Entry;
use stele_core::log::leaf_hash;
use stele_core::{Decode, Encode, Hash, Suite};

use super::plan::Unit;
use super::skim::{EffectsFacts, skim};
use super::{Fault, Judge, damage};
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::segment::{BadRecord, Footer, Frame, Kind, Scanner, record_digest};

/// A block that waits for its effects.
pub(super) struct PendingBlock {
    pub(super) height: u64,
    pub(super) hash: Hash,
    pub(super) time_us: i64,
    pub(super) transaction_ids: Vec<Hash>,
}

/// What is merged in order.
pub(super) enum Event {
    /// A block and its effects fit: so many leaves of [`Examined::leaves`] are theirs.
    Closed { height: u64, leaf_count: usize },
    /// A certificate of a height stands at an offset.
    Certificate {
        height: u64,
        stated: Option<(u64, Hash)>,
        offset: u64,
    },
    /// Effects of a block in an earlier unit.
    Orphan(EffectsFacts),
}

/// What was found in a unit.
#[derive(Default)]
pub(super) struct Examined {
    /// Height, parent and offset of the first block.
    pub(super) first: Option<(u64, Hash, u64)>,
    /// Height and hash of the last block.
    pub(super) last: Option<(u64, Hash)>,
    pub(super) block_count: u64,
    pub(super) transaction_count: u64,
    pub(super) events: Vec<Event>,
    pub(super) leaves: Vec<Hash>,
    /// Blocks whose effects stand in a later unit, or nowhere yet.
    pub(super) waiting: VecDeque<PendingBlock>,
    /// Kind, height and digest of each record, for the footer.
    pub(super) digests: Vec<(Kind, u64, Hash)>,
    pub(super) footer: Option<(Footer, u64)>,
    /// A place without a whole record, which ended the examination.
    pub(super) bad: Option<BadRecord>,
    /// A record that is not what it must be, which ended the examination.
    pub(super) damage: Option<Damage>,
}

/// Examines the records of a unit that belong to blocks in `heights`.
pub(super) fn examine(
    unit: &Unit,
    ledger: Hash,
    suite: Suite,
    heights: &RangeInclusive<u64>,
    judge: &dyn Judge,
) -> Result<Examined, StoreError> {
    let mut examiner = Examiner {
        ledger,
        suite,
        heights,
        judge,
        found: Examined::default(),
        scratch: Vec::new(),
    };
    let mut scanner = Scanner::new(unit.file.clone(), unit.start, unit.end);
    loop {
        let (offset, frame) = match scanner.next_record()? {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(bad) => {
                examiner.found.bad = Some(bad);
                break;
            }
        };
        if let Err(fault) = examiner.record(offset, &frame) {
            examiner.found.damage = Some(damage(unit, offset, frame.height, fault));
            break;
        }
    }
    Ok(examiner.found)
}

struct Examiner<'a> {
    ledger: Hash,
    suite: Suite,
    heights: &'a RangeInclusive<u64>,
    judge: &'a dyn Judge,
    found: Examined,
    scratch: Vec<u8>,
}

pub(super) fn mismatch(detail: impl Into<String>) -> Fault {
    Fault {
        kind: DamageKind::HashMismatch,
        detail: detail.into(),
    }
}

pub(super) fn link(detail: impl Into<String>) -> Fault {
    Fault {
        kind: DamageKind::Link,
        detail: detail.into(),
    }
}

impl Examiner<'_> {
    fn record(&mut self, offset: u64, frame: &Frame<'_>) -> Result<(), Fault> {
        if let Some((_, _)) = self.found.footer {
            return Err(link("a record follows the footer"));
        }
        let is_wanted = self.heights.contains(&frame.height);
        let digest = match frame.kind {
            Kind::Footer => {
                self.found.footer = Some((Footer::decode_all(frame.payload)?, offset));
                return Ok(());
            }
            Kind::Block => {
                let hash = self.block(offset, frame, is_wanted)?;
                record_digest(self.suite, frame.kind, frame.height, &hash.0)
            }
            kind => {
                match kind {
                    Kind::Genesis => self.judge.genesis(frame.payload)?,
                    Kind::Effects if is_wanted => self.effects(offset, frame)?,
                    Kind::Certificate if is_wanted => {
                        self.certificate(frame.height, offset, frame.payload)?;
                    }
                    _ => {}
                }
                record_digest(self.suite, kind, frame.height, frame.payload)
            }
        };
        self.found.digests.push((frame.kind, frame.height, digest));
        Ok(())
    }

    fn block(&mut self, offset: u64, frame: &Frame<'_>, is_wanted: bool) -> Result<Hash, Fault> {
        let view = BlockView::parse(frame.payload)?;
        let header = &view.header;
        let hash = header.hash(self.suite);
        if !is_wanted {
            return Ok(hash);
        }
        if header.ledger != self.ledger {
            return Err(link("a block of another ledger"));
        }
        if header.height != frame.height {
            return Err(link("the record is of another height than its block"));
        }
        if view.transaction_root(self.suite) != header.transaction_root {
            return Err(mismatch(
                "the transactions do not have the root the header states",
            ));
        }
        if let Some((height, before)) = self.found.last
            && (header.height != height + 1 || header.parent != before)
        {
            return Err(link(format!("it does not follow block {height}")));
        }
        let transaction_ids = view.transaction_ids(self.suite)?;
        self.judge.block(&view, &transaction_ids)?;
        self.found
            .first
            .get_or_insert((header.height, header.parent, offset));
        self.found.last = Some((header.height, hash));
        self.found.block_count += 1;
        self.found.transaction_count += transaction_ids.len() as u64;
        self.found.waiting.push_back(PendingBlock {
            height: header.height,
            hash,
            time_us: header.time_us,
            transaction_ids,
        });
        Ok(hash)
    }

    fn effects(&mut self, offset: u64, frame: &Frame<'_>) -> Result<(), Fault> {
        let facts = skim(frame.payload, self.suite, frame.height, offset)?;
        let is_orphan = self
            .found
            .first
            .is_none_or(|(first, _, _)| facts.height < first);
        if is_orphan {
            self.found.events.push(Event::Orphan(facts));
            return Ok(());
        }
        let Some(block) = self.found.waiting.pop_front() else {
            return Err(link("effects stand before their block"));
        };
        let leaves = &mut self.found.leaves;
        let leaf_count = join(&block, &facts, self.suite, leaves, &mut self.scratch)?;
        self.found.events.push(Event::Closed {
            height: facts.height,
            leaf_count,
        });
        if !facts.certificate.is_empty() {
            self.certificate(facts.height, offset, &facts.certificate)?;
        }
        Ok(())
    }

    fn certificate(&mut self, height: u64, offset: u64, note: &[u8]) -> Result<(), Fault> {
        let stated = self.judge.certificate(height, note)?;
        self.found.events.push(Event::Certificate {
            height,
            stated,
            offset,
        });
        Ok(())
    }
}

/// Puts a block and its effects together: appends the hashes of their log leaves, and counts them.
pub(super) fn join(
    block: &PendingBlock,
    effects: &EffectsFacts,
    suite: Suite,
    leaves: &mut Vec<Hash>,
    scratch: &mut Vec<u8>,
) -> Result<usize, Fault> {
    let leaf = &effects.leaf;
    if effects.height != block.height {
        return Err(link(format!(
            "effects stand where those of block {} belong",
            block.height
        )));
    }
    if leaf.height != block.height || leaf.block != block.hash || leaf.time_us != block.time_us {
        return Err(mismatch("the block leaf is of another block"));
    }
    if effects.outcomes.len() != block.transaction_ids.len() {
        return Err(mismatch("there are other outcomes than transactions"));
    }
    let pairs = block.transaction_ids.iter().zip(&effects.outcomes);
    for ((transaction, outcome), index) in pairs.zip(0u32..) {
        scratch.clear();
        Entry {
            height: block.height,
            index,
            transaction: *transaction,
            outcome: *outcome,
        }
        .encode(scratch);
        leaves.push(leaf_hash(suite, scratch));
    }
    scratch.clear();
    leaf.encode(scratch);
    leaves.push(leaf_hash(suite, scratch));
    Ok(block.transaction_ids.len() + 1)
}
