//! The mark: how far the segments were durable when last synced.
//!
//! The mark is written after each sync and never synced itself, so it may be old after a loss of
//! power, but it never claims too much. It tells a torn tail (bytes past the mark, cut at open) from
//! damage (bytes before the mark, reported).
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `STELEMRK` |
//! | 8 | 8 | segment number |
//! | 16 | 8 | durable length of that segment |
//! | 24 | 4 | CRC32C of the above |

use std::path::Path;
use std::sync::Arc;

use stele_core::codec::Reader;
use stele_flow::{File, FileError, Files, OpenMode};

use crate::location::Position;

const MAGIC: &[u8; 8] = b"STELEMRK";
const MARK_LEN: usize = 28;

/// The mark file.
pub(crate) struct Mark {
    file: Arc<dyn File>,
}

/// What the mark file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkState {
    /// There is none.
    Absent,
    /// It does not hold a mark.
    Unreadable,
    /// Everything before this was durable.
    At(Position),
}

impl MarkState {
    /// How much of a segment is known to have been durable.
    pub(crate) fn durable_len(self, segment: u64) -> u64 {
        match self {
            Self::At(position) if position.segment == segment => position.offset,
            Self::At(position) if position.segment > segment => u64::MAX,
            _ => 0,
        }
    }
}

impl Mark {
    pub(crate) fn read(files: &dyn Files, path: &Path) -> Result<MarkState, FileError> {
        if !files.exists(path)? {
            return Ok(MarkState::Absent);
        }
        let bytes = files.read(path)?;
        // A file created but never written is as good as none.
        if bytes.is_empty() {
            return Ok(MarkState::Absent);
        }
        Ok(decode(&bytes).map_or(MarkState::Unreadable, MarkState::At))
    }

    pub(crate) fn open(files: &dyn Files, path: &Path) -> Result<Self, FileError> {
        let file = files.open(path, OpenMode::Create)?;
        if file.len()? > MARK_LEN as u64 {
            file.truncate(MARK_LEN as u64)?;
        }
        Ok(Self { file })
    }

    pub(crate) fn write(&self, position: Position) -> Result<(), FileError> {
        let mut bytes = Vec::with_capacity(MARK_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&position.segment.to_be_bytes());
        bytes.extend_from_slice(&position.offset.to_be_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        self.file.write_at(0, &bytes)
    }

    pub(crate) fn sync(&self) -> Result<(), FileError> {
        self.file.sync()
    }
}

fn decode(bytes: &[u8]) -> Option<Position> {
    let content = bytes.get(..MARK_LEN - 4)?;
    let mut reader = Reader::new(bytes);
    let magic: [u8; 8] = reader.array().ok()?;
    let position = Position {
        segment: reader.u64().ok()?,
        offset: reader.u64().ok()?,
    };
    let crc = reader.u32().ok()?;
    reader.finish().ok()?;
    (magic == *MAGIC && crc == crc32c::crc32c(content)).then_some(position)
}
