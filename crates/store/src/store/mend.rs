//! Making a damaged segment whole again, from blocks that come from elsewhere, while the store goes on (row B5).
//!
//! A new file is written beside the damaged one: what is good of it up to the damage, then what comes, each block checked
//! and put to a [`Verifier`]. Once it is whole and synced it takes the damaged one's name; that one is kept
//! in the folder `quarantine` beside the segments. A crash before leaves the damaged file as it was; after a crash
//! between there and the index, the index is told at the next start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stele_core::Decode;
use stele_core::block::{BlockView, FIRST_HEIGHT};
use stele_core::outcome::BlockEffects;
use stele_flow::{File, Files, OpenMode};

use super::recover::digest;
use super::restore::{RestoreError, VerifiedLink, Verifier, check_effects};
use super::writer::Summary;
use super::{BlockStore, Inner};
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::index::{BlockMeta, Index, IndexedBlock};
use crate::location::{Location, Position};
use crate::record::BlockRecord;
use crate::segment::{
    self, Frame, HEADER_LEN, Header, Kind, RECORD_HEAD_LEN, Scanner, record_digest,
};
use stele_core::{Encode, Hash};

/// Folder of damaged files, beside the segments.
pub(super) const QUARANTINE_FOLDER: &str = "quarantine";
/// Ending of a segment under way.
const MEND_ENDING: &str = "mend";
/// A file that names a segment whose places in the index may be old, because it was mended.
const MENDED_FILE: &str = "mended";
/// Bytes gathered before they are written.
const WRITE_LEN: usize = 1024 * 1024;

/// A segment being made whole.
pub struct Mending {
    store: BlockStore,
    number: u64,
    file: Arc<dyn File>,
    path: PathBuf,
    written: u64,
    waiting: Vec<u8>,
    summary: Summary,
    /// Height and hash of the newest block before or in what is written.
    tip: (u64, Hash),
    /// The newest block whose effects stand before or in what is written.
    effects_height: u64,
    /// The last block of the segment, and the last whose effects stand in it.
    blocks_end: u64,
    effects_end: u64,
    /// Where records stand now.
    places: Places,
}

/// Where block and effects of heights stand.
#[derive(Clone, Default)]
struct Places(BTreeMap<u64, BlockPlaces>);

#[derive(Clone, Copy, Default)]
struct BlockPlaces {
    block: Option<Location>,
    effects: Option<Location>,
}

impl BlockPlaces {
    fn put_into(self, meta: &mut BlockMeta) {
        meta.block = self.block.unwrap_or(meta.block);
        meta.effects = self.effects.or(meta.effects);
    }
}

impl Places {
    fn add(&mut self, kind: Kind, height: u64, location: Location) {
        let places = self.0.entry(height).or_default();
        match kind {
            Kind::Block => places.block = Some(location),
            Kind::Effects => places.effects = Some(location),
            _ => {}
        }
    }

    /// Tells an index that knows these blocks.
    fn tell(&self, index: &dyn Index) -> Result<(), StoreError> {
        let mut indexed = Vec::new();
        for (height, places) in &self.0 {
            if let Some(mut meta) = index.block(*height)? {
                places.put_into(&mut meta);
                indexed.push(IndexedBlock {
                    meta,
                    transaction_ids: Vec::new(),
                });
            }
        }
        index.add(&indexed, &[])
    }
}

/// Brings the index up to a segment that was being mended when the process ended: either file may be in its place.
pub(super) fn finish_interrupted(
    files: &dyn Files,
    directory: &Path,
    index: &dyn Index,
) -> Result<(), StoreError> {
    let mended = directory.join(MENDED_FILE);
    if !files.exists(&mended)? {
        return Ok(());
    }
    let number = files
        .read(&mended)?
        .first_chunk()
        .map(|bytes| u64::from_be_bytes(*bytes));
    let path = directory.join(segment::file_name(number.unwrap_or(0)));
    if let Some(number) = number
        && files.exists(&path)?
    {
        let file = files.open(&path, OpenMode::Read)?;
        let end = file.len()?;
        let mut scanner = Scanner::new(file, HEADER_LEN as u64, end);
        let mut places = Places::default();
        while let Ok(Some((offset, frame))) = scanner.next_record()? {
            let location = Location {
                segment: number,
                offset: offset + RECORD_HEAD_LEN as u64,
                len: u32::try_from(frame.payload.len()).unwrap_or(u32::MAX),
            };
            places.add(frame.kind, frame.height, location);
        }
        places.tell(index)?;
        index.persist()?;
    }
    Ok(files.remove(&mended)?)
}

impl BlockStore {
    /// Refuses look-ups in the damaged part of a segment: from the damage to the segment's last block.
    /// Everything else goes on.
    pub fn hold(&self, damage: Damage) {
        let inner = &*self.inner;
        let after = Position {
            segment: damage.segment + 1,
            offset: 0,
        };
        let stored = inner.durable.height();
        let last = inner.first_from(after).map_or(stored, |next| next - 1);
        // Never what is still to come.
        let to = last.max(damage.height).min(stored);
        let mut held = inner.held.write();
        let covered = held
            .as_ref()
            .is_some_and(|(known, to_known)| known.height <= damage.height && *to_known >= to);
        if !covered {
            *held = Some((damage, to));
        }
    }

    /// The damage for which look-ups are refused, and the last height concerned.
    #[must_use]
    pub fn held(&self) -> Option<(Damage, u64)> {
        self.inner.held.read().clone()
    }

    /// Answers look-ups everywhere again: a check of everything has found nothing.
    pub fn release(&self) {
        *self.inner.held.write() = None;
    }

    /// Begins to make the segment whole in which damage was found; the open segment is sealed first. Everything
    /// before the damage must be good. Only one may be under way at a time.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when something before is damaged too: that comes first. When files cannot
    /// be read or written.
    pub fn begin_mend(&self, damage: &Damage, genesis: &[u8]) -> Result<Mending, StoreError> {
        let inner = &*self.inner;
        let number = damage.segment;
        inner.seal_if_open(number)?;
        self.flush()?;
        let meta = |height| inner.meta_even_if_damaged(height);
        let place = |wanted| inner.first_from(wanted).ok_or(StoreError::Rebuilding);
        // A block in this segment that is under suspicion is not kept.
        let mut end = damage.offset;
        if let Some(suspect) = meta(damage.height)?
            && suspect.block.segment == number
        {
            end = end.min(suspect.block.offset - RECORD_HEAD_LEN as u64);
        }
        let end = Position {
            segment: number,
            offset: end.max(HEADER_LEN as u64),
        };
        let following = Position {
            segment: number + 1,
            offset: 0,
        };
        let first = place(Position {
            segment: number,
            offset: 0,
        })?;
        let blocks_end = place(following)? - 1;
        let before = place(end)? - 1;
        let tip = match meta(before)? {
            Some(meta) => (before, meta.hash),
            None => (0, inner.ledger),
        };
        let effects_end = inner.effects_before(blocks_end, following)?;
        let effects_height = inner.effects_before(before, end)?;
        let path = self.mend_path(number);
        let file = inner.files.open(&path, OpenMode::Create)?;
        file.truncate(0)?;
        let header = Header {
            number,
            ledger: inner.ledger,
            first_height: first,
        };
        let mut mending = Mending {
            store: self.clone(),
            number,
            file,
            path,
            written: 0,
            waiting: header.to_bytes(),
            summary: Summary::new(inner.config.suite),
            tip,
            effects_height,
            blocks_end,
            effects_end,
            places: Places::default(),
        };
        mending.keep_good(end)?;
        if number == 1 && mending.summary.digests.count() == 0 {
            let digest = inner.digest(Kind::Genesis, 0, genesis);
            mending.put(Kind::Genesis, 0, genesis, digest)?;
        }
        Ok(mending)
    }

    fn mend_path(&self, number: u64) -> PathBuf {
        let name = format!("{}.{MEND_ENDING}", segment::file_name(number));
        self.inner.directory.join(name)
    }
}

impl Mending {
    /// The newest block that is there with its effects.
    #[must_use]
    pub fn effects_height(&self) -> u64 {
        self.effects_height
    }

    /// Height of the next block that is needed; none when all are there.
    #[must_use]
    pub fn next_height(&self) -> Option<u64> {
        let next = self.effects_height + 1;
        (next <= self.blocks_end.max(self.effects_end)).then_some(next)
    }

    /// The last height needed.
    #[must_use]
    pub fn last_height(&self) -> u64 {
        self.blocks_end.max(self.effects_end)
    }

    /// Takes the next block with its effects.
    ///
    /// # Errors
    /// When it is not the next block, or not believed: nothing was taken. [`RestoreError::Store`] when it cannot be
    /// written.
    pub fn take(
        &mut self,
        block: &[u8],
        effects: &[u8],
        verifier: &mut Verifier<'_>,
    ) -> Result<(), RestoreError> {
        let (suite, ledger) = (self.store.inner.config.suite, self.store.inner.ledger);
        let record = BlockRecord::parse(block, suite)?;
        let header = &record.header;
        if header.ledger != ledger {
            return Err(RestoreError::Store(StoreError::WrongLedger {
                height: header.height,
                expected: ledger,
                found: header.ledger,
            }));
        }
        let expected = self.effects_height + 1;
        if header.height != expected {
            return Err(RestoreError::Store(StoreError::WrongHeight {
                what: "a block",
                expected,
                found: header.height,
            }));
        }
        if BlockView::parse(block)?.transaction_root(suite) != header.transaction_root {
            return Err(RestoreError::TransactionRoot);
        }
        let is_kept = expected <= self.tip.0;
        if is_kept {
            let kept = self.store.inner.meta_even_if_damaged(expected)?;
            if kept.is_none_or(|kept| kept.hash != record.hash) {
                return Err(RestoreError::Differs);
            }
        } else if header.parent != self.tip.1 {
            return Err(RestoreError::Store(StoreError::WrongParent {
                height: expected,
                expected: self.tip.1,
                found: header.parent,
            }));
        }
        let decoded = BlockEffects::decode_all(effects)?;
        check_effects(&record, &decoded, suite)?;
        verifier(&VerifiedLink {
            block: &record,
            effects: Some(&decoded),
            certificate: Some(&decoded.certificate),
        })
        .map_err(RestoreError::Refused)?;
        if !is_kept && expected <= self.blocks_end {
            let digest = self
                .store
                .inner
                .digest(Kind::Block, expected, &record.hash.0);
            let location = self.put(Kind::Block, expected, block, digest)?;
            self.places.add(Kind::Block, expected, location);
            self.tip = (expected, record.hash);
        }
        if expected <= self.effects_end {
            let digest = self.store.inner.digest(Kind::Effects, expected, effects);
            let location = self.put(Kind::Effects, expected, effects, digest)?;
            self.places.add(Kind::Effects, expected, location);
        }
        self.effects_height = expected;
        Ok(())
    }

    /// Puts the segment in the place of the damaged one, durably, and answers look-ups there again.
    ///
    /// # Errors
    /// When blocks are missing yet, or files cannot be written; the damaged segment is as it was then, or
    /// this one is in its place.
    pub fn finish(mut self) -> Result<(), StoreError> {
        if let Some(height) = self.next_height() {
            return Err(StoreError::WrongHeight {
                what: "the end of a segment",
                expected: self.last_height(),
                found: height - 1,
            });
        }
        let footer = self.summary.footer();
        let height = footer.last_height;
        Frame::put(
            &mut self.waiting,
            Kind::Footer,
            height,
            &footer.encode_to_vec(),
        );
        self.write()?;
        self.file.sync()?;
        let inner = &*self.store.inner;
        let files = &*inner.files;
        let quarantine = inner.directory.join(QUARANTINE_FOLDER);
        files.create_dir(&quarantine)?;
        let damaged = self.store.segment_path(self.number);
        let aside = quarantine.join(segment::file_name(self.number));
        // Held while names and places change: who reads meanwhile is refused.
        let _indexing = inner.indexing.lock();
        if files.exists(&damaged)? {
            // A copy, so that there is a file of this name at any time.
            copy(inner, &damaged, &aside)?;
        }
        let mended = inner.directory.join(MENDED_FILE);
        files.replace(&mended, &self.number.to_be_bytes())?;
        // The mark may say that more was durable than this one holds.
        inner.durable.unmark(self.number)?;
        files.rename(&self.path, &damaged)?;
        files.sync_dir(&quarantine)?;
        files.sync_dir(&inner.directory)?;
        inner.readers.clear();
        inner.durable.moved(Position {
            segment: self.number,
            offset: self.written,
        })?;
        self.place()?;
        inner.index.persist()?;
        files.remove(&mended)?;
        let mut held = inner.held.write();
        if held
            .as_ref()
            .is_some_and(|(damage, _)| damage.segment == self.number)
        {
            *held = None;
        }
        Ok(())
    }

    /// Tells tail and index where the records stand now.
    fn place(&self) -> Result<(), StoreError> {
        let inner = &*self.store.inner;
        let mut tail = inner.tail.write();
        let mut indexed = self.places.clone();
        for (height, places) in &self.places.0 {
            if let Some(block) = tail.blocks.get_mut(height) {
                places.put_into(&mut block.meta);
                indexed.0.remove(height);
            }
        }
        indexed.tell(&*inner.index)
    }

    /// Copies what stands before a place of the damaged segment.
    fn keep_good(&mut self, end: Position) -> Result<(), StoreError> {
        if end.offset <= HEADER_LEN as u64 {
            return Ok(());
        }
        let path = self.store.segment_path(self.number);
        let file = self.store.inner.files.open(&path, OpenMode::Read)?;
        let suite = self.store.inner.config.suite;
        let mut scanner = Scanner::new(file, HEADER_LEN as u64, end.offset);
        loop {
            let (_, frame) = match scanner.next_record()? {
                // Whatever follows a footer is not good.
                Ok(Some((_, frame))) if frame.kind == Kind::Footer => return Ok(()),
                Ok(Some(record)) => record,
                Ok(None) => return Ok(()),
                Err(bad) => {
                    return Err(StoreError::Damaged(Damage {
                        kind: DamageKind::Checksum,
                        segment: self.number,
                        offset: bad.offset,
                        height: bad.height.unwrap_or(0).clamp(FIRST_HEIGHT, self.tip.0 + 1),
                        detail: bad.detail.to_owned(),
                    }));
                }
            };
            let content = match frame.kind {
                Kind::Block => BlockView::parse(frame.payload)
                    .ok()
                    .map(|view| view.header.hash(suite)),
                _ => None,
            };
            let digest = digest(suite, &frame, content);
            let (kind, height) = (frame.kind, frame.height);
            Frame::put(&mut self.waiting, kind, height, frame.payload);
            self.summary.add(kind, height, digest);
            if self.waiting.len() >= WRITE_LEN {
                self.write()?;
            }
        }
    }

    fn put(
        &mut self,
        kind: Kind,
        height: u64,
        payload: &[u8],
        digest: Hash,
    ) -> Result<Location, StoreError> {
        let location = Location {
            segment: self.number,
            offset: self.written + (self.waiting.len() + RECORD_HEAD_LEN) as u64,
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        };
        Frame::put(&mut self.waiting, kind, height, payload);
        self.summary.add(kind, height, digest);
        if self.waiting.len() >= WRITE_LEN {
            self.write()?;
        }
        Ok(location)
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.file.write_at(self.written, &self.waiting)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

impl Drop for Mending {
    fn drop(&mut self) {
        // After `finish` it has another name.
        if let Err(error) = self.store.inner.files.remove(&self.path)
            && !error.is_not_found()
        {
            tracing::warn!(%error, "a segment that was not made whole is left behind; the next try writes over it");
        }
    }
}

impl Inner {
    /// Seals a segment if it is the open one.
    fn seal_if_open(&self, number: u64) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        if writer
            .open
            .as_ref()
            .is_none_or(|open| open.number != number)
        {
            return Ok(());
        }
        let height = writer.tip.height;
        match writer.seal() {
            Ok(Some(end)) => self.durable.advance(end, height),
            Ok(None) => {}
            Err(failure) => return Err(self.failed(failure)),
        }
        Ok(())
    }

    /// The newest block up to a height whose effects stand before a place.
    fn effects_before(&self, height: u64, place: Position) -> Result<u64, StoreError> {
        for height in (FIRST_HEIGHT..=height).rev() {
            let effects = self
                .meta_even_if_damaged(height)?
                .and_then(|meta| meta.effects);
            let is_before =
                effects.is_some_and(|at| (at.segment, at.offset) < (place.segment, place.offset));
            if is_before {
                return Ok(height);
            }
        }
        Ok(0)
    }

    pub(super) fn digest(&self, kind: Kind, height: u64, content: &[u8]) -> Hash {
        record_digest(self.config.suite, kind, height, content)
    }
}

/// Copies a file durably.
pub(super) fn copy(inner: &Inner, from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = inner.files.open(from, OpenMode::Read)?;
    let target = inner.files.open(to, OpenMode::Create)?;
    target.truncate(0)?;
    let mut buffer = vec![0; WRITE_LEN];
    let mut offset = 0;
    loop {
        let len = source.read_up_to(offset, &mut buffer)?;
        if len == 0 {
            break;
        }
        target.write_at(offset, buffer.get(..len).unwrap_or_default())?;
        offset += len as u64;
    }
    Ok(target.sync()?)
}
