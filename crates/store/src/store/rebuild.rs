//! Building the index anew, and rolling a copy back (row C11).

use std::sync::atomic::Ordering;

use super::recover::{Recovered, Recovery};
use super::tail::Tail;
use super::{BlockStore, Inner};
use crate::config::Access;
use crate::error::StoreError;
use crate::location::Position;
use crate::mark::MarkState;
use crate::segment::{self, HEADER_LEN, Kind, RECORD_FRAME_LEN, RECORD_HEAD_LEN, Scanner};

/// Effects and certificates that stand after the place a store is cut at, and are to stay.
type Kept = Vec<(Kind, u64, Vec<u8>)>;

impl BlockStore {
    /// Throws the index away and builds it from the segments. Look-ups are refused meanwhile, and so
    /// are appends.
    ///
    /// # Errors
    /// When segments cannot be read or the index cannot be written. Call it again then.
    pub fn rebuild_index(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        inner.check_writable()?;
        inner.sync()?;
        let _indexing = inner.indexing.lock();
        inner.rebuilding.store(true, Ordering::Release);
        let mut writer = inner.writer.lock();
        let mut tail = inner.tail.write();
        inner.index.clear()?;
        let recovered = inner.recover(MarkState::At(inner.durable.position()))?;
        inner.take(recovered, &mut writer, &mut tail);
        inner.rebuilding.store(false, Ordering::Release);
        Ok(())
    }

    /// Takes a copy back to the state it had at a height: blocks after it, their effects and
    /// certificates are removed, everything else stays.
    ///
    /// # Errors
    /// [`StoreError::RollBackRefused`] unless the store was opened as [`Access::Copy`];
    /// [`StoreError::NotStored`] if the height is not reached. After a file error the store is poisoned:
    /// open it again and call this again.
    pub fn roll_back(&self, height: u64) -> Result<(), StoreError> {
        let inner = &*self.inner;
        inner.check_writable()?;
        if inner.config.access != Access::Copy {
            return Err(StoreError::RollBackRefused);
        }
        inner.sync()?;
        let tip = self.durable_height();
        if height > tip {
            return Err(StoreError::NotStored { height, tip });
        }
        let Some(next) = self.meta(height + 1)? else {
            return Ok(());
        };
        let cut = Position {
            segment: next.block.segment,
            offset: next.block.offset - RECORD_HEAD_LEN as u64,
        };
        let kept = inner.kept_after(cut, height)?;
        let _indexing = inner.indexing.lock();
        inner.rebuilding.store(true, Ordering::Release);
        let rolled = inner.cut(cut, height, kept);
        if let Err(error) = &rolled {
            inner.durable.poison(error);
        }
        inner.rebuilding.store(false, Ordering::Release);
        drop(_indexing);
        rolled?;
        self.flush()
    }
}

impl Inner {
    fn recover(&self, mark: MarkState) -> Result<Recovered, StoreError> {
        Recovery {
            files: &*self.files,
            directory: &self.directory,
            ledger: self.ledger,
            config: &self.config,
            index: &*self.index,
            mark,
        }
        .run()
    }

    fn take(&self, recovered: Recovered, writer: &mut super::Writer, tail: &mut Tail) {
        *writer = recovered.writer;
        *tail = recovered.tail;
        self.durable
            .reset(recovered.durable, recovered.report.height);
        if let Some(damage) = recovered.report.damage {
            *self.damage.write() = Some(damage);
        }
        self.readers.clear();
    }

    /// Effects and certificates of blocks up to a height that stand after a place.
    fn kept_after(&self, cut: Position, height: u64) -> Result<Kept, StoreError> {
        let mut kept = Kept::new();
        let last = {
            let writer = self.writer.lock();
            writer
                .open
                .as_ref()
                .map_or(writer.next_number - 1, |open| open.number)
        };
        for number in cut.segment..=last {
            let file = self.file(number)?;
            let end = file.len()?;
            let start = if number == cut.segment {
                cut.offset
            } else {
                HEADER_LEN as u64
            };
            let mut scanner = Scanner::new(file, start, end);
            loop {
                match scanner.next_record()? {
                    Ok(Some((_, frame))) => {
                        let stays = matches!(frame.kind, Kind::Effects | Kind::Certificate);
                        if stays && frame.height <= height {
                            kept.push((frame.kind, frame.height, frame.payload.to_vec()));
                        }
                    }
                    Ok(None) => break,
                    Err(bad) => {
                        return Err(StoreError::Damaged(crate::damage::Damage {
                            kind: crate::damage::DamageKind::Checksum,
                            segment: number,
                            offset: bad.offset,
                            height,
                            detail: bad.detail.to_owned(),
                        }));
                    }
                }
            }
        }
        Ok(kept)
    }

    /// Removes everything from a place on, then appends again what is to stay.
    fn cut(&self, cut: Position, height: u64, kept: Kept) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let mut tail = self.tail.write();
        let last = writer
            .open
            .as_ref()
            .map_or(writer.next_number - 1, |open| open.number);
        // First what would call the shorter store damaged.
        self.index.clear()?;
        self.durable.lower_mark(cut)?;
        self.readers.clear();
        // Newest first, each durably: what a loss of power leaves is a whole, if longer, chain.
        for number in (cut.segment + 1..=last).rev() {
            let path = self.directory.join(segment::file_name(number));
            self.files.remove(&path)?;
            self.files.sync_dir(&self.directory)?;
        }
        let path = self.directory.join(segment::file_name(cut.segment));
        let file = self.files.open(&path, stele_flow::OpenMode::Write)?;
        // The footer goes with the rest: the segment is open again.
        file.truncate(cut.offset)?;
        for (kind, height, payload) in kept {
            let mut bytes = Vec::with_capacity(payload.len() + RECORD_FRAME_LEN);
            segment::Frame::put(&mut bytes, kind, height, &payload);
            let end = file.len()?;
            file.write_at(end, &bytes)?;
        }
        file.sync()?;
        let recovered = self.recover(MarkState::At(cut))?;
        debug_assert_eq!(recovered.report.height, height);
        self.take(recovered, &mut writer, &mut tail);
        Ok(())
    }
}
