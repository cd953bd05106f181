//! Reading a segment from front to back in large pieces.

use std::sync::Arc;

use stele_flow::{File, FileError};

use super::frame::{Frame, FrameError, RECORD_FRAME_LEN};

/// Bytes read at once.
const CHUNK_LEN: usize = 2 * 1024 * 1024;

/// A place where no whole record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Offset of its first byte.
    pub offset: u64,
    /// Bytes from there to the end.
    pub len: u64,
    /// The height it claims to belong to, if that can be read; not to be trusted.
    pub height: Option<u64>,
    /// What is wrong.
    pub detail: &'static str,
    /// Whether the file ends inside it, rather than its checksum being wrong.
    pub is_incomplete: bool,
}

/// Reads the records of a segment in order. One buffer, reused.
pub struct Scanner {
    file: Arc<dyn File>,
    /// End of what is to be read: the file's length when the scan began, or less.
    end: u64,
    /// Offset in the file of `buffer[start]`.
    offset: u64,
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
}

impl Scanner {
    /// Reads the records between two offsets.
    #[must_use]
    pub fn new(file: Arc<dyn File>, offset: u64, end: u64) -> Self {
        Self {
            file,
            end,
            offset,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
        }
    }

    /// Offset of the next record.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record with its offset; none at the end.
    ///
    /// # Errors
    /// The outer error when the file cannot be read, the inner when no whole record stands there;
    /// after that the scan does not go on.
    #[allow(clippy::type_complexity)]
    pub fn next_record(
        &mut self,
    ) -> Result<Result<Option<(u64, Frame<'_>)>, BadRecord>, FileError> {
        if self.offset >= self.end {
            return Ok(Ok(None));
        }
        let at = self.offset;
        let left = self.end - at;
        if left < RECORD_FRAME_LEN as u64 {
            return Ok(Err(self.bad(at, "the file ends inside a record", true)));
        }
        self.fill(RECORD_FRAME_LEN)?;
        let len = match Frame::len_of(self.rest()) {
            Some(len) if len as u64 <= left => len,
            Some(_) => return Ok(Err(self.bad(at, "the file ends inside a record", true))),
            None => {
                return Ok(Err(self.bad(
                    at,
                    "a record's length is over the bound",
                    false,
                )));
            }
        };
        self.fill(len)?;
        let start = self.start;
        self.start += len;
        self.offset += len as u64;
        let bytes = self.buffer.get(start..start + len).unwrap_or_default();
        Ok(match Frame::parse(bytes) {
            Ok(frame) => Ok(Some((at, frame))),
            Err(FrameError::UnknownKind) => {
                Err(self.bad(at, "a record is of an unknown kind", false))
            }
            Err(_) => Err(self.bad(at, "a record's checksum differs", false)),
        })
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..self.filled).unwrap_or_default()
    }

    fn bad(&self, offset: u64, detail: &'static str, is_incomplete: bool) -> BadRecord {
        // Its head stands before `start` once it was taken whole, and at `start` before.
        let head = usize::try_from(self.offset - offset)
            .ok()
            .and_then(|taken| self.start.checked_sub(taken))
            .and_then(|start| self.buffer.get(start..self.filled))
            .unwrap_or_default();
        BadRecord {
            height: head
                .get(5..)
                .and_then(|rest| rest.first_chunk())
                .map(|bytes| u64::from_be_bytes(*bytes)),
            offset,
            len: self.end.saturating_sub(offset),
            detail,
            is_incomplete,
        }
    }

    /// Makes at least `len` bytes from `start` on available, as far as the file goes.
    fn fill(&mut self, len: usize) -> Result<(), FileError> {
        if self.filled - self.start >= len {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        let wanted = len.max(CHUNK_LEN);
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let from = self.offset + self.filled as u64;
        if let Some(space) = self.buffer.get_mut(self.filled..wanted) {
            self.filled += self.file.read_up_to(from, space)?;
        }
        Ok(())
    }
}
