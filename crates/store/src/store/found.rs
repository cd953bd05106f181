//! Finding the segment files of a store.

use std::path::Path;
use std::sync::Arc;

use stele_core::Decode;
use stele_flow::{File, OpenMode};

use super::recover::{Recovery, TornTail};
use crate::config::Access;
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::segment::{
    self, FOOTER_RECORD_LEN, Footer, Frame, HEADER_LEN, Header, HeaderError, Kind, SEGMENT_VERSION,
};

/// A segment file found.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    pub(super) first_height: u64,
}

/// The segment files that are what they must be, what is wrong with the first other one, and
/// what was thrown away because it was only begun.
pub(super) type Segments = (Vec<Found>, Option<Damage>, Option<TornTail>);

impl Recovery<'_> {
    /// Opens the segment files in order.
    pub(super) fn find(&self) -> Result<Segments, StoreError> {
        let mut numbers: Vec<u64> = self
            .files
            .list(self.directory)?
            .iter()
            .filter_map(|name| segment::file_number(name))
            .collect();
        numbers.sort_unstable();
        let mut found: Vec<Found> = Vec::new();
        let mut bad = None;
        let mut next_height = 1;
        for number in 1..=numbers.last().copied().unwrap_or(0) {
            let damaged = |kind, offset, detail: String| Damage {
                kind,
                segment: number,
                offset,
                height: next_height,
                detail,
            };
            if numbers.binary_search(&number).is_err() {
                let detail = format!("the file {} is not there", segment::file_name(number));
                bad.get_or_insert(damaged(DamageKind::Missing, 0, detail));
                continue;
            }
            let is_last = numbers.last() == Some(&number);
            let path = self.directory.join(segment::file_name(number));
            let file = self.files.open(&path, OpenMode::Read)?;
            let len = file.len()?;
            let header = match self.header(&path, &*file)? {
                Ok(header) => header,
                Err(_) if is_last && self.is_begun_only(number, len) => {
                    // Beside damage nothing is thrown away; whoever makes the next segment writes over it.
                    let torn = match bad {
                        None => self.discard(number, &path, len)?,
                        Some(_) => None,
                    };
                    return Ok((found, bad, torn));
                }
                Err(detail) => {
                    bad.get_or_insert(damaged(DamageKind::Checksum, 0, detail.to_owned()));
                    continue;
                }
            };
            if header.number != number {
                let detail = format!("the file says it is segment {}", header.number);
                bad.get_or_insert(damaged(DamageKind::Link, 0, detail));
                continue;
            }
            let footer = read_footer(&*file, len)?;
            if footer.is_none() && !is_last {
                bad.get_or_insert(damaged(
                    DamageKind::Checksum,
                    len.saturating_sub(FOOTER_RECORD_LEN as u64),
                    "a sealed segment does not end with its footer".to_owned(),
                ));
                continue;
            }
            if let Some(footer) = footer.filter(|footer| footer.last_height > 0) {
                next_height = footer.last_height.saturating_add(1);
            }
            found.push(Found {
                number,
                file,
                len,
                first_height: header.first_height,
            });
        }
        Ok((found, bad, None))
    }

    fn header(
        &self,
        path: &Path,
        file: &dyn File,
    ) -> Result<Result<Header, &'static str>, StoreError> {
        let mut bytes = vec![0; HEADER_LEN];
        let len = file.read_up_to(0, &mut bytes)?;
        bytes.truncate(len);
        match Header::from_bytes(&bytes) {
            Ok(header) if header.ledger == self.ledger => Ok(Ok(header)),
            Ok(header) => Err(StoreError::OtherLedger {
                path: path.to_owned(),
                expected: self.ledger,
                found: header.ledger,
            }),
            Err(HeaderError::OtherVersion(found)) => Err(StoreError::OtherVersion {
                path: path.to_owned(),
                found,
                known: SEGMENT_VERSION,
            }),
            Err(HeaderError::Bad(detail)) => Ok(Err(detail)),
        }
    }

    /// Whether a last segment without a good header can be one whose making was cut short.
    fn is_begun_only(&self, number: u64, len: u64) -> bool {
        len <= HEADER_LEN as u64 && self.mark.durable_len(number) == 0
    }

    fn discard(&self, number: u64, path: &Path, len: u64) -> Result<Option<TornTail>, StoreError> {
        if self.config.access != Access::ReadOnly {
            self.files.remove(path)?;
            self.files.sync_dir(self.directory)?;
        }
        Ok(Some(TornTail {
            segment: number,
            offset: 0,
            len,
        }))
    }
}

/// The footer a segment file ends with, if it does.
fn read_footer(file: &dyn File, len: u64) -> Result<Option<Footer>, StoreError> {
    let Some(start) = len.checked_sub((FOOTER_RECORD_LEN + HEADER_LEN) as u64) else {
        return Ok(None);
    };
    let mut bytes = vec![0; FOOTER_RECORD_LEN];
    file.read_exact_at(start + HEADER_LEN as u64, &mut bytes)?;
    Ok(Frame::parse(&bytes)
        .ok()
        .filter(|frame| frame.kind == Kind::Footer)
        .and_then(|frame| Footer::decode_all(frame.payload).ok()))
}
