//! Following the records of segments in order, checking that each belongs where it stands.

use stele_core::block::BlockView;
use stele_core::{DecodeError, Hash, Suite};

use super::tail::Tail;
use super::writer::Tip;
use crate::damage::DamageKind;
use crate::index::BlockMeta;
use crate::location::{Location, Position};
use crate::record::BlockRecord;
use crate::segment::{Frame, Kind, RECORD_HEAD_LEN};

/// Why a whole record does not belong where it stands.
pub(super) struct Misplaced {
    pub(super) kind: DamageKind,
    pub(super) detail: String,
}

fn misplaced(kind: DamageKind, detail: impl Into<String>) -> Misplaced {
    Misplaced {
        kind,
        detail: detail.into(),
    }
}

/// Follows records from some block on.
#[derive(Clone)]
pub(super) struct Walk {
    ledger: Hash,
    suite: Suite,
    /// Records of blocks up to this height were followed before and are passed over.
    known_height: u64,
    pub(super) tip: Tip,
    pub(super) effects_height: u64,
    pub(super) effects: Option<Location>,
    pub(super) has_genesis: bool,
}

impl Walk {
    /// Starts at the beginning.
    pub(super) fn new(ledger: Hash, suite: Suite) -> Self {
        Self {
            ledger,
            suite,
            known_height: 0,
            tip: Tip {
                height: 0,
                hash: ledger,
                transactions: 0,
            },
            effects_height: 0,
            effects: None,
            has_genesis: false,
        }
    }

    /// Starts after a block that is indexed with its effects.
    pub(super) fn after(ledger: Hash, suite: Suite, meta: &BlockMeta) -> Self {
        Self {
            known_height: meta.height,
            tip: Tip {
                height: meta.height,
                hash: meta.hash,
                transactions: meta.transactions_through(),
            },
            effects_height: meta.height,
            effects: meta.effects,
            has_genesis: true,
            ..Self::new(ledger, suite)
        }
    }

    /// Follows one record, adding what it tells to `tail`. Returns the record's content for its
    /// digest if that is not the payload.
    pub(super) fn follow(
        &mut self,
        segment: u64,
        offset: u64,
        frame: &Frame<'_>,
        tail: &mut Tail,
    ) -> Result<Option<Hash>, Misplaced> {
        let location = Location {
            segment,
            offset: offset + RECORD_HEAD_LEN as u64,
            len: u32::try_from(frame.payload.len()).unwrap_or(u32::MAX),
        };
        let end = Position {
            segment,
            offset: offset + frame.frame_len(),
        };
        if frame.height == 0 && matches!(frame.kind, Kind::Block | Kind::Effects) {
            return Err(misplaced(
                DamageKind::Link,
                "a record of height 0: blocks begin at 1",
            ));
        }
        match frame.kind {
            Kind::Genesis => self.genesis(frame, location).map(|()| None),
            Kind::Block => self.block(frame, location, tail).map(Some),
            Kind::Effects => self.effects(frame, location, end, tail).map(|()| None),
            Kind::Certificate => {
                if frame.height == 0 || frame.height > self.effects_height {
                    return Err(misplaced(
                        DamageKind::Link,
                        "a certificate stands before its block's effects",
                    ));
                }
                tail.certificates.insert(frame.height, (location, end));
                Ok(None)
            }
            Kind::Tombstone | Kind::Footer => Ok(None),
        }
    }

    fn genesis(&mut self, frame: &Frame<'_>, location: Location) -> Result<(), Misplaced> {
        let is_first = location.segment == 1
            && location.offset == (crate::segment::HEADER_LEN + RECORD_HEAD_LEN) as u64;
        if !is_first || frame.height != 0 {
            return Err(misplaced(
                DamageKind::Link,
                "a genesis record stands elsewhere than first",
            ));
        }
        self.has_genesis = true;
        Ok(())
    }

    fn block(
        &mut self,
        frame: &Frame<'_>,
        location: Location,
        tail: &mut Tail,
    ) -> Result<Hash, Misplaced> {
        let undecodable =
            |error: DecodeError| misplaced(DamageKind::Undecodable, error.to_string());
        if frame.height <= self.known_height {
            let view = BlockView::parse(frame.payload).map_err(undecodable)?;
            return Ok(view.header.hash(self.suite));
        }
        let block = BlockRecord::parse(frame.payload, self.suite).map_err(undecodable)?;
        let header = &block.header;
        if header.height != frame.height {
            return Err(misplaced(
                DamageKind::Link,
                format!(
                    "block {} stands in a record of height {}",
                    header.height, frame.height
                ),
            ));
        }
        if header.ledger != self.ledger {
            return Err(misplaced(DamageKind::Link, "a block of another ledger"));
        }
        if frame.height != self.tip.height + 1 {
            return Err(misplaced(
                DamageKind::Link,
                format!("block {} follows block {}", frame.height, self.tip.height),
            ));
        }
        if header.parent != self.tip.hash {
            return Err(misplaced(
                DamageKind::Link,
                format!(
                    "its parent is {}, stored is {}",
                    header.parent, self.tip.hash
                ),
            ));
        }
        let meta = BlockMeta {
            height: frame.height,
            hash: block.hash,
            time_us: header.time_us,
            block: location,
            effects: None,
            transaction_count: header.transaction_count,
            transactions_before: self.tip.transactions,
        };
        self.tip = Tip {
            height: meta.height,
            hash: meta.hash,
            transactions: meta.transactions_through(),
        };
        tail.add_block(meta, block.transaction_ids);
        Ok(block.hash)
    }

    fn effects(
        &mut self,
        frame: &Frame<'_>,
        location: Location,
        end: Position,
        tail: &mut Tail,
    ) -> Result<(), Misplaced> {
        if frame.height <= self.known_height {
            return Ok(());
        }
        if frame.height != self.effects_height + 1 || frame.height > self.tip.height {
            return Err(misplaced(
                DamageKind::Link,
                format!(
                    "effects of {} follow those of {}",
                    frame.height, self.effects_height
                ),
            ));
        }
        self.effects_height = frame.height;
        self.effects = Some(location);
        tail.add_effects(frame.height, location, end, None);
        Ok(())
    }
}
