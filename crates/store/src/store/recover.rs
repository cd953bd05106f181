//! Finding out at open what is stored.
//!
//! Sealed segments are trusted by their footers; the last segment is read whole. Bytes there that
//! are no whole record are a **torn tail** if nothing says they were ever durable, and cut away.
//! They are **damage** if the mark or the index says they were, and left as they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stele_core::outcome::BlockEffects;
use stele_core::{Decode, Hash};
use stele_flow::{File, Files, OpenMode};

use super::found::Found;
use super::read::read_payload;
use super::tail::Tail;
use super::walk::Walk;
use super::writer::{OpenSegment, Summary, Writer};
use crate::config::{Access, StoreConfig};
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::index::{BlockMeta, Index};
use crate::location::Position;
use crate::mark::MarkState;
use crate::segment::{self, BadRecord, Footer, Frame, HEADER_LEN, Kind, Scanner, record_digest};

/// Bytes rewritten at once when making what a dead process left durable.
const REWRITE_CHUNK_LEN: usize = 1024 * 1024;

/// Bytes that were cut from the end at open: a record begun but never durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub segment: u64,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut.
    pub len: u64,
}

/// What was found at open.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// Height of the newest block; 0 if there is none.
    pub height: u64,
    /// Height of the newest block with effects. Those after it are to be executed again.
    pub effects_height: u64,
    /// Number of segment files.
    pub segment_count: u64,
    /// What was cut away; never anything that was durable.
    pub torn: Option<TornTail>,
    /// What is wrong; look-ups from that height on, and appends, are refused.
    pub damage: Option<Damage>,
    /// A segment among others that is missing or has no good beginning or end: look-ups in it are refused, see
    /// [`BlockStore::hold`](super::BlockStore::hold).
    pub hole: Option<Damage>,
    /// Blocks added to the index.
    pub indexed_blocks: u64,
    /// Whether the index was missing or did not fit the segments, and was built anew.
    pub is_index_rebuilt: bool,
    /// Whether the mark of the durable length could not be read, which by itself harms nothing.
    pub is_mark_unreadable: bool,
}

/// What recovery gives.
pub(super) struct Recovered {
    pub(super) writer: Writer,
    pub(super) tail: Tail,
    pub(super) durable: Position,
    pub(super) report: RecoveryReport,
}

/// Recovery under way.
pub(super) struct Recovery<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) directory: &'a Path,
    pub(super) ledger: Hash,
    pub(super) config: &'a StoreConfig,
    pub(super) index: &'a dyn Index,
    pub(super) mark: MarkState,
}

/// How far a scan came.
struct Scanned {
    walk: Walk,
    tail: Tail,
    indexed_blocks: u64,
    /// Of the last segment scanned: what it holds, where its good records end, whether a footer ends it.
    last: Option<(Summary, u64, bool)>,
    bad: Option<BadRecord>,
    damage: Option<Damage>,
}

impl Recovery<'_> {
    pub(super) fn run(&self) -> Result<Recovered, StoreError> {
        let (mut found, mut hole, mut torn) = self.find()?;
        let mut damage = None;
        let known = self.index.last()?;
        let trusted = match known {
            Some(meta) => self.is_stored(&found, &meta)?.then_some(meta),
            None => None,
        };
        // Without an index that is known to be right, what lies after a hole cannot be told.
        let is_past = |segment| trusted.is_some_and(|meta| meta.block.segment > segment);
        if let Some(one) = hole.take_if(|hole| !is_past(hole.segment)) {
            found.retain(|segment| segment.number < one.segment);
            torn = None;
            damage = Some(one);
        }
        let is_index_rebuilt = trusted.is_none() && !found.is_empty();
        if trusted.is_none() && known.is_some() {
            // Look before the index, our only witness besides the mark, is thrown away.
            let scanned = self.scan(&found, None, false)?;
            let reached = scanned.walk.tip.height;
            damage = damage.or(scanned.damage);
            if let Some(meta) = known.filter(|meta| meta.height > reached) {
                damage = damage.or_else(|| Some(missing(&found, reached, &meta)));
            }
        }
        if trusted.is_none() && (known.is_none() || damage.is_none()) {
            self.index.clear()?;
        }
        // What is durable may be indexed even next to damage; but an index that does not fit is left
        // as it is then, as evidence.
        let is_indexing = trusted.is_some() || known.is_none() || damage.is_none();
        let mut scanned = self.scan(&found, trusted, is_indexing)?;
        let reached = scanned.walk.tip.height;
        damage = damage.or_else(|| scanned.damage.take());
        let durable_end = self.durable_end(&found, trusted);
        if damage.is_none() {
            damage = self.judge_end(&found, &scanned, durable_end, reached);
        }
        let is_read_only = self.config.access == Access::ReadOnly;
        let mut durable = Position::default();
        let mut open = None;
        if let (Some(last), Some((summary, end, is_sealed))) = (found.last(), scanned.last.take()) {
            durable = Position {
                segment: last.number,
                offset: end,
            };
            if let Some(bad) = scanned.bad.filter(|_| damage.is_none()) {
                torn = Some(TornTail {
                    segment: last.number,
                    offset: bad.offset,
                    len: bad.len,
                });
            }
            if damage.is_none() && !is_read_only {
                let file = self.make_durable(last, end)?;
                if !is_sealed {
                    open = Some(OpenSegment {
                        number: last.number,
                        file,
                        len: end,
                        summary,
                    });
                }
            }
        }
        let next_number = match (&open, found.last()) {
            (Some(open), _) => open.number,
            (None, Some(last)) => last.number + 1,
            (None, None) => 1,
        };
        let leaf = self.newest_leaf(&found, &scanned)?;
        scanned.tail.indexed_leaf = leaf;
        let report = RecoveryReport {
            height: reached,
            effects_height: scanned.walk.effects_height,
            segment_count: found.len() as u64,
            torn,
            damage,
            hole,
            indexed_blocks: scanned.indexed_blocks,
            is_index_rebuilt,
            is_mark_unreadable: self.mark == MarkState::Unreadable,
        };
        Ok(Recovered {
            writer: Writer {
                open,
                next_number,
                tip: scanned.walk.tip,
                effects_height: scanned.walk.effects_height,
                has_genesis: scanned.walk.has_genesis,
                scratch: Vec::new(),
            },
            tail: scanned.tail,
            durable,
            report,
        })
    }

    /// Whether the newest block of the index stands where the index says.
    fn is_stored(&self, found: &[Found], meta: &BlockMeta) -> Result<bool, StoreError> {
        let Some(segment) = found.iter().find(|one| one.number == meta.block.segment) else {
            return Ok(false);
        };
        match read_payload(&*segment.file, meta.block, Kind::Block, meta.height) {
            Ok(bytes) => Ok(stele_core::block::BlockView::parse(&bytes)
                .is_ok_and(|view| view.header.hash(self.config.suite) == meta.hash)),
            Err(StoreError::Damaged(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Everything before this is known to have been durable.
    fn durable_end(&self, found: &[Found], trusted: Option<BlockMeta>) -> Position {
        let marked = match self.mark {
            MarkState::At(position) => position,
            _ => Position::default(),
        };
        let sealed = found
            .iter()
            .rev()
            .nth(1)
            .map_or(Position::default(), |one| Position {
                segment: one.number,
                offset: one.len,
            });
        let indexed =
            trusted
                .and_then(|meta| meta.effects)
                .map_or(Position::default(), |effects| Position {
                    segment: effects.segment,
                    offset: effects.offset + u64::from(effects.len) + 4,
                });
        marked.max(sealed).max(indexed)
    }

    /// Reads records in order from the newest block the index knows, or from the first.
    fn scan(
        &self,
        found: &[Found],
        trusted: Option<BlockMeta>,
        is_indexing: bool,
    ) -> Result<Scanned, StoreError> {
        let mut scanned = Scanned {
            walk: match &trusted {
                Some(meta) => Walk::after(self.ledger, self.config.suite, meta),
                None => Walk::new(self.ledger, self.config.suite),
            },
            tail: Tail::default(),
            indexed_blocks: 0,
            last: None,
            bad: None,
            damage: None,
        };
        let durable = self.durable_end(found, trusted);
        let first = trusted.map_or(1, |meta| meta.block.segment);
        let bytes_total: u64 = found
            .iter()
            .filter(|one| one.number >= first)
            .map(|one| one.len)
            .sum();
        let mut bytes_done = 0;
        for segment in found.iter().filter(|one| one.number >= first) {
            let is_last = found
                .last()
                .is_some_and(|last| last.number == segment.number);
            self.scan_segment(segment, is_last, &mut scanned, &mut |scanned| {
                if is_indexing {
                    self.index_ready(scanned, durable)?;
                } else {
                    scanned.tail = Tail::default();
                }
                Ok(())
            })?;
            bytes_done += segment.len;
            if let Some(progress) = &self.config.progress {
                progress(bytes_done, bytes_total);
            }
            if scanned.damage.is_some() || scanned.bad.is_some() {
                break;
            }
        }
        Ok(scanned)
    }

    fn index_ready(&self, scanned: &mut Scanned, durable: Position) -> Result<(), StoreError> {
        loop {
            let batch = scanned.tail.ready(durable);
            if batch.blocks.is_empty() && batch.certificates.is_empty() {
                return Ok(());
            }
            self.index.add(&batch.blocks, &batch.certificates)?;
            scanned.indexed_blocks += batch.blocks.len() as u64;
            scanned.tail.remove(&batch);
        }
    }

    fn scan_segment(
        &self,
        segment: &Found,
        is_last: bool,
        scanned: &mut Scanned,
        after_some: &mut dyn FnMut(&mut Scanned) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let suite = self.config.suite;
        let mut scanner = Scanner::new(segment.file.clone(), HEADER_LEN as u64, segment.len);
        let mut summary = Summary::new(suite);
        let mut is_sealed = false;
        let mut end = HEADER_LEN as u64;
        let mut count = 0u64;
        loop {
            let (offset, frame) = match scanner.next_record()? {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(bad) => {
                    if is_last {
                        scanned.bad = Some(bad);
                    } else {
                        scanned.damage = Some(bad_record(segment.number, &bad, &scanned.walk));
                    }
                    break;
                }
            };
            let misplaced = |kind, height, detail| Damage {
                kind,
                segment: segment.number,
                offset,
                height,
                detail,
            };
            if is_sealed {
                let height = scanned.walk.tip.height + 1;
                let detail = "a record follows the footer".to_owned();
                scanned.damage = Some(misplaced(DamageKind::Link, height, detail));
                break;
            }
            if frame.kind == Kind::Footer {
                is_sealed = true;
                if is_last && Footer::decode_all(frame.payload) != Ok(summary.footer()) {
                    let detail = "the footer does not fit the records".to_owned();
                    let height = segment.first_height;
                    scanned.damage = Some(misplaced(DamageKind::HashMismatch, height, detail));
                    break;
                }
            } else {
                let (walk, tail) = (&mut scanned.walk, &mut scanned.tail);
                match walk.follow(segment.number, offset, &frame, tail) {
                    Ok(content) if is_last => {
                        summary.add(frame.kind, frame.height, digest(suite, &frame, content));
                    }
                    Ok(_) => {}
                    Err(found) => {
                        let height = frame.height.clamp(1, scanned.walk.tip.height + 1);
                        scanned.damage = Some(misplaced(found.kind, height, found.detail));
                        break;
                    }
                }
            }
            end = offset + frame.frame_len();
            count += 1;
            if count.is_multiple_of(1_024) {
                after_some(scanned)?;
            }
        }
        scanned.last = Some((summary, end, is_sealed));
        after_some(scanned)
    }

    /// Decides whether the end of the last segment is as it must be.
    fn judge_end(
        &self,
        found: &[Found],
        scanned: &Scanned,
        durable_end: Position,
        reached: u64,
    ) -> Option<Damage> {
        let last = found.last().map_or(Position::default(), |last| Position {
            segment: last.number,
            offset: scanned.last.as_ref().map_or(0, |(_, end, _)| *end),
        });
        if let Some(bad) = &scanned.bad {
            let at = Position {
                segment: last.segment,
                offset: bad.offset,
            };
            return (at < durable_end).then(|| bad_record(last.segment, bad, &scanned.walk));
        }
        (last < durable_end).then(|| Damage {
            kind: DamageKind::Missing,
            segment: last.segment.max(1),
            offset: last.offset,
            height: reached + 1,
            detail: format!(
                "the segments end here, but were durable to segment {}, offset {}",
                durable_end.segment, durable_end.offset
            ),
        })
    }

    /// Cuts the last segment to `end` and makes it durable.
    fn make_durable(&self, last: &Found, end: u64) -> Result<Arc<dyn File>, StoreError> {
        let path: PathBuf = self.directory.join(segment::file_name(last.number));
        let file = self.files.open(&path, OpenMode::Write)?;
        if end < last.len {
            file.truncate(end)?;
        }
        // A process whose sync failed may have left bytes that can be read and yet are on no disk,
        // in pages the system holds for clean. Writing them again makes the sync mean them.
        let mut offset = self.mark.durable_len(last.number).min(end);
        let mut buffer = vec![0; REWRITE_CHUNK_LEN];
        while offset < end {
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let chunk = buffer
                .get_mut(..left.min(REWRITE_CHUNK_LEN))
                .unwrap_or_default();
            file.read_exact_at(offset, chunk)?;
            file.write_at(offset, chunk)?;
            offset += chunk.len() as u64;
        }
        file.sync()?;
        self.files.sync_dir(self.directory)?;
        Ok(file)
    }

    /// The block leaf of the newest effects.
    fn newest_leaf(
        &self,
        found: &[Found],
        scanned: &Scanned,
    ) -> Result<Option<stele_core::leaf::BlockLeaf>, StoreError> {
        let Some(location) = scanned.walk.effects else {
            return Ok(None);
        };
        let Some(segment) = found.iter().find(|one| one.number == location.segment) else {
            return Ok(None);
        };
        let height = scanned.walk.effects_height;
        match read_payload(&*segment.file, location, Kind::Effects, height) {
            Ok(bytes) => Ok(BlockEffects::decode_all(&bytes)
                .ok()
                .map(|effects| effects.leaf)),
            Err(StoreError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn digest(suite: stele_core::Suite, frame: &Frame<'_>, content: Option<Hash>) -> Hash {
    match content {
        Some(hash) => record_digest(suite, frame.kind, frame.height, &hash.0),
        None => record_digest(suite, frame.kind, frame.height, frame.payload),
    }
}

fn bad_record(segment: u64, bad: &BadRecord, walk: &Walk) -> Damage {
    // The height it claims, if it can be that one; else the first height not yet whole.
    let height = bad
        .height
        .filter(|height| (1..=walk.tip.height + 1).contains(height))
        .unwrap_or(walk.effects_height + 1);
    Damage {
        kind: DamageKind::Checksum,
        segment,
        offset: bad.offset,
        height,
        detail: bad.detail.to_owned(),
    }
}

fn missing(found: &[Found], reached: u64, known: &BlockMeta) -> Damage {
    let last = found.last();
    Damage {
        kind: DamageKind::Missing,
        segment: last.map_or(1, |last| last.number),
        offset: last.map_or(0, |last| last.len),
        height: reached + 1,
        detail: format!(
            "the index knows block {}; if older segments were put back on purpose, delete the index",
            known.height
        ),
    }
}
