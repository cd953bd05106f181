//! The end of the store, where records are added.

use std::path::Path;
use std::sync::Arc;

use stele_core::{Domain, Encode, Hash, Suite};
use stele_flow::{File, Files, OpenMode};

use crate::error::StoreError;
use crate::location::{Location, Position};
use crate::merkle::MerkleStack;
use crate::segment::{self, Footer, Frame, HEADER_LEN, Header, Kind, RECORD_HEAD_LEN};
use crate::segment::{RECORD_FRAME_LEN, RECORD_LEN_MAX};

/// Room kept for framing records between appends, in bytes.
const SCRATCH_LEN: usize = 4 * 1024 * 1024;

/// The newest block appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tip {
    pub(super) height: u64,
    /// Its hash; the ledger id before block 1.
    pub(super) hash: Hash,
    pub(super) transactions: u64,
}

/// What the open segment holds so far.
#[derive(Clone)]
pub(in crate::store) struct Summary {
    pub(super) first_height: u64,
    pub(super) last_height: u64,
    pub(super) digests: MerkleStack,
}

impl Summary {
    pub(super) fn new(suite: Suite) -> Self {
        Self {
            first_height: 0,
            last_height: 0,
            digests: MerkleStack::new(suite, Domain::ListNode),
        }
    }

    pub(super) fn add(&mut self, kind: Kind, height: u64, digest: Hash) {
        if kind == Kind::Block {
            if self.first_height == 0 {
                self.first_height = height;
            }
            self.last_height = height;
        }
        self.digests.push(digest);
    }

    pub(super) fn footer(&self) -> Footer {
        Footer {
            first_height: self.first_height,
            last_height: self.last_height,
            record_count: self.digests.count(),
            root: self.digests.root(),
        }
    }
}

/// The segment records are added to.
pub(super) struct OpenSegment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    pub(super) summary: Summary,
}

impl OpenSegment {
    pub(super) fn position(&self) -> Position {
        Position {
            segment: self.number,
            offset: self.len,
        }
    }
}

/// A record to be appended.
pub(super) struct NewRecord<'a> {
    pub(super) kind: Kind,
    pub(super) height: u64,
    pub(super) payload: &'a [u8],
    pub(super) digest: Hash,
}

/// Adds records.
pub(super) struct Writer {
    pub(super) open: Option<OpenSegment>,
    /// Number of the segment to be made next.
    pub(super) next_number: u64,
    pub(super) tip: Tip,
    pub(super) effects_height: u64,
    pub(super) has_genesis: bool,
    pub(super) scratch: Vec<u8>,
}

/// A failure that leaves the files in a state not known, so that nothing may be added any more.
pub(super) enum WriteFailure {
    /// Nothing was added; trying again may succeed.
    Undone(StoreError),
    /// The store must be poisoned.
    Unknown(StoreError),
}

impl From<StoreError> for WriteFailure {
    fn from(error: StoreError) -> Self {
        Self::Undone(error)
    }
}

impl Writer {
    /// Whether the record must go into a new segment.
    pub(super) fn is_full(&self, payload_len: usize, segment_len: u64) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let record_len = (payload_len + RECORD_FRAME_LEN) as u64;
            open.len > HEADER_LEN as u64 && open.len + record_len > segment_len
        })
    }

    /// Ends the open segment with its footer and makes it durable. Returns its end.
    pub(super) fn seal(&mut self) -> Result<Option<Position>, WriteFailure> {
        let Some(open) = self.open.as_mut() else {
            return Ok(None);
        };
        self.scratch.clear();
        let footer = open.summary.footer();
        let height = footer.last_height;
        Frame::put(
            &mut self.scratch,
            Kind::Footer,
            height,
            &footer.encode_to_vec(),
        );
        write_or_undo(&*open.file, open.len, &self.scratch)?;
        open.len += self.scratch.len() as u64;
        let end = open.position();
        open.file
            .sync()
            .map_err(|error| WriteFailure::Unknown(error.into()))?;
        self.open = None;
        self.next_number += 1;
        Ok(Some(end))
    }

    /// Makes the next segment.
    pub(super) fn create(
        &mut self,
        files: &dyn Files,
        directory: &Path,
        ledger: Hash,
        suite: Suite,
    ) -> Result<(), WriteFailure> {
        let number = self.next_number;
        let path = directory.join(segment::file_name(number));
        // An earlier attempt that failed for want of room may have left a beginning.
        let file = files
            .open(&path, OpenMode::Create)
            .map_err(StoreError::from)?;
        file.truncate(0).map_err(StoreError::from)?;
        let header = Header {
            number,
            ledger,
            first_height: self.tip.height + 1,
        };
        write_or_undo(&*file, 0, &header.to_bytes())?;
        file.sync()
            .and_then(|()| files.sync_dir(directory))
            .map_err(|error| WriteFailure::Unknown(error.into()))?;
        self.open = Some(OpenSegment {
            number,
            file,
            len: HEADER_LEN as u64,
            summary: Summary::new(suite),
        });
        Ok(())
    }

    /// Adds a record to the open segment, with one write. Returns where its payload stands and
    /// where the record ends.
    pub(super) fn append(
        &mut self,
        record: &NewRecord<'_>,
    ) -> Result<(Location, Position), WriteFailure> {
        let too_long = || StoreError::RecordTooLong {
            len: record.payload.len() as u64,
            max: RECORD_LEN_MAX as u64,
        };
        let len = u32::try_from(record.payload.len()).map_err(|_| too_long())?;
        if record.payload.len() > RECORD_LEN_MAX {
            return Err(too_long().into());
        }
        let open = self
            .open
            .as_mut()
            .expect("a segment is open: see `Inner::append`");
        self.scratch.clear();
        Frame::put(
            &mut self.scratch,
            record.kind,
            record.height,
            record.payload,
        );
        write_or_undo(&*open.file, open.len, &self.scratch)?;
        let location = Location {
            segment: open.number,
            offset: open.len + RECORD_HEAD_LEN as u64,
            len,
        };
        open.len += self.scratch.len() as u64;
        open.summary.add(record.kind, record.height, record.digest);
        let end = open.position();
        self.scratch.shrink_to(SCRATCH_LEN);
        Ok((location, end))
    }
}

/// Writes at the end of a file; what was written of a failed write is cut away again.
fn write_or_undo(file: &dyn File, end: u64, bytes: &[u8]) -> Result<(), WriteFailure> {
    let Err(error) = file.write_at(end, bytes) else {
        return Ok(());
    };
    match file.truncate(end) {
        Ok(()) => Err(WriteFailure::Undone(error.into())),
        Err(_) => Err(WriteFailure::Unknown(error.into())),
    }
}
