//! Reading single records.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use stele_flow::{File, Files, OpenMode};

use super::Inner;
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::location::Location;
use crate::segment::{self, Frame, Kind, RECORD_FRAME_LEN, RECORD_HEAD_LEN};

/// Most segment files kept open for reading.
const READERS_MAX: usize = 64;

/// Segment files open for reading.
#[derive(Default)]
pub(super) struct Readers {
    open: Mutex<BTreeMap<u64, Arc<dyn File>>>,
}

impl Readers {
    pub(super) fn get(
        &self,
        files: &dyn Files,
        directory: &Path,
        number: u64,
    ) -> Result<Arc<dyn File>, StoreError> {
        let mut open = self.open.lock();
        if let Some(file) = open.get(&number) {
            return Ok(file.clone());
        }
        let path = directory.join(segment::file_name(number));
        let file = files.open(&path, OpenMode::Read)?;
        if open.len() >= READERS_MAX {
            // The oldest segment is the least likely to be read again.
            open.pop_first();
        }
        open.insert(number, file.clone());
        Ok(file)
    }

    pub(super) fn clear(&self) {
        self.open.lock().clear();
    }
}

/// Reads one record and checks it: its checksum, kind and height. Returns the payload.
pub(super) fn read_payload(
    file: &dyn File,
    location: Location,
    kind: Kind,
    height: u64,
) -> Result<Vec<u8>, StoreError> {
    let start = location.offset.saturating_sub(RECORD_HEAD_LEN as u64);
    let damaged = |kind, detail: &str| {
        StoreError::Damaged(Damage {
            kind,
            segment: location.segment,
            offset: start,
            height,
            detail: detail.to_owned(),
        })
    };
    let mut bytes = vec![0; location.len as usize + RECORD_FRAME_LEN];
    if file.read_up_to(start, &mut bytes)? < bytes.len() {
        return Err(damaged(
            DamageKind::Missing,
            "the file ends inside the record",
        ));
    }
    let frame = Frame::parse(&bytes)
        .map_err(|_| damaged(DamageKind::Checksum, "the record's checksum differs"))?;
    if frame.kind != kind || frame.height != height {
        return Err(damaged(DamageKind::Link, "another record stands there"));
    }
    bytes.drain(..RECORD_HEAD_LEN);
    bytes.truncate(location.len as usize);
    Ok(bytes)
}

impl Inner {
    pub(super) fn file(&self, number: u64) -> Result<Arc<dyn File>, StoreError> {
        self.readers.get(&*self.files, &self.directory, number)
    }

    pub(super) fn payload(
        &self,
        location: Location,
        kind: Kind,
        height: u64,
    ) -> Result<Vec<u8>, StoreError> {
        read_payload(&*self.file(location.segment)?, location, kind, height)
    }
}
