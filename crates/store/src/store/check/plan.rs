//! Cutting the segments into units for threads.

use std::path::Path;
use std::sync::Arc;

use stele_flow::{File, OpenMode};

use super::CheckOptions;
use crate::damage::{Damage, DamageKind};
use crate::error::StoreError;
use crate::location::Position;
use crate::segment::{HEADER_LEN, Header, HeaderError, Kind, RECORD_HEAD_LEN};
use crate::store::BlockStore;

/// Units are not made shorter than this for the sake of more threads, in bytes.
const SHARE_LEN_MIN: u64 = 64 * 1024;

/// A stretch of one segment: whole records.
#[derive(Clone)]
pub(super) struct Unit {
    pub(super) segment: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Whether it is the last of a segment that others follow, so that a footer must end it.
    pub(super) is_sealed_end: bool,
}

/// The units of a check that ends at a place; or what is wrong with the files themselves.
pub(super) fn units(
    store: &BlockStore,
    options: &CheckOptions,
    end: Position,
) -> Result<Result<Vec<Unit>, Damage>, StoreError> {
    let mut units = Vec::new();
    let first = *options.heights.start();
    let start = match store.inner.meta_even_if_damaged(first)? {
        Some(meta) if first > 1 => Position {
            segment: meta.block.segment,
            offset: meta.block.offset - RECORD_HEAD_LEN as u64,
        },
        _ => Position {
            segment: 1,
            offset: HEADER_LEN as u64,
        },
    };
    let mut stop = end;
    if let Some(meta) = store.inner.meta_even_if_damaged(*options.heights.end())? {
        let location = meta
            .effects
            .map_or(meta.block, |effects| effects.max(meta.block));
        stop = Position {
            segment: location.segment,
            offset: location.offset + u64::from(location.len) + 4,
        }
        .min(end);
    }
    let unit_len = unit_len(options, start, stop);
    for number in start.segment..=stop.segment {
        let path = store.segment_path(number);
        let damaged = |kind, detail: String| Damage {
            kind,
            segment: number,
            offset: 0,
            height: first_height_of(store, number),
            detail,
        };
        // Opened anew: a handle opened before the file was replaced would show what is gone.
        let file = match store.inner.files.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => {
                return Ok(Err(damaged(DamageKind::Missing, name_missing(&path))));
            }
            Err(error) => return Err(error.into()),
        };
        if let Err(detail) = check_header(store, number, &*file)? {
            return Ok(Err(damaged(DamageKind::Checksum, detail.to_owned())));
        }
        let len = file.len()?;
        let from = if number == start.segment {
            start.offset
        } else {
            HEADER_LEN as u64
        };
        let to = if number == stop.segment {
            stop.offset
        } else {
            len
        };
        if len < to {
            let detail = format!("the file has {len} bytes, {to} were durable");
            return Ok(Err(damaged(DamageKind::Missing, detail)));
        }
        let is_whole = number < end.segment;
        let mut at = from;
        while at < to {
            let next = boundary(store, number, at + unit_len, to);
            units.push(Unit {
                segment: number,
                file: file.clone(),
                start: at,
                end: next,
                is_sealed_end: is_whole && next == len,
            });
            at = next;
        }
    }
    Ok(Ok(units))
}

/// Length of units: shorter than asked for when there would be fewer of them than threads.
fn unit_len(options: &CheckOptions, start: Position, stop: Position) -> u64 {
    let asked = options.unit_len.max(1);
    if start.segment != stop.segment {
        return asked;
    }
    let share = stop.offset.saturating_sub(start.offset) / options.threads.max(1) as u64;
    asked.min((share + 1).max(SHARE_LEN_MIN))
}

fn name_missing(path: &Path) -> String {
    format!("the file {} is not there", path.display())
}

fn check_header(
    store: &BlockStore,
    number: u64,
    file: &dyn File,
) -> Result<Result<(), &'static str>, StoreError> {
    let mut bytes = vec![0; HEADER_LEN];
    let len = file.read_up_to(0, &mut bytes)?;
    bytes.truncate(len);
    Ok(match Header::from_bytes(&bytes) {
        Ok(header) if header.number != number => Err("the file says it is another segment"),
        Ok(header) if header.ledger != store.ledger() => Err("the file is of another ledger"),
        Ok(_) => Ok(()),
        Err(HeaderError::OtherVersion(_)) => Err("the file is of another format version"),
        Err(HeaderError::Bad(detail)) => Err(detail),
    })
}

/// The first block at or after a place in a segment, if that is before `to`; else `to`. Only a place
/// where such a record really stands is given, so that a wrong index cannot make good files look bad.
fn boundary(store: &BlockStore, segment: u64, offset: u64, to: u64) -> u64 {
    if offset >= to {
        return to;
    }
    let wanted = Position { segment, offset };
    let Some(height) = store.inner.first_from(wanted) else {
        return to;
    };
    let Ok(Some(meta)) = store.inner.meta_even_if_damaged(height) else {
        return to;
    };
    if meta.block.segment != segment || meta.block.offset - RECORD_HEAD_LEN as u64 >= to {
        return to;
    }
    match store.inner.payload(meta.block, Kind::Block, height) {
        Ok(_) => meta.block.offset - RECORD_HEAD_LEN as u64,
        Err(_) => to,
    }
}

fn first_height_of(store: &BlockStore, segment: u64) -> u64 {
    let at = Position { segment, offset: 0 };
    store.inner.first_from(at).unwrap_or(1)
}
