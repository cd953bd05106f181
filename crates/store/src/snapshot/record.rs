//! The frame around each record of a snapshot.

use std::path::Path;

use stele_flow::File;

use super::error::SnapshotError;

/// Bytes before the payload.
pub(super) const HEAD_LEN: usize = 9;
/// Longest payload, in bytes (64 MiB): a row has 17 MiB at most.
pub(super) const PAYLOAD_LEN_MAX: usize = 64 * 1024 * 1024;

/// First record: the block.
pub(super) const HEAD: u8 = 1;
/// A table's definition, root and count.
pub(super) const TABLE: u8 = 2;
/// Rows of the table before.
pub(super) const ROWS: u8 = 3;
/// Last record.
pub(super) const END: u8 = 255;

/// Adds a record.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut head = [0; 5];
    head[0] = kind;
    head[1..].copy_from_slice(&len.to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), payload);
    out.extend_from_slice(&head);
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Kind and length of the record at an offset.
pub(super) fn look(
    file: &dyn File,
    path: &Path,
    offset: u64,
) -> Result<(u8, usize), SnapshotError> {
    let mut head = [0; HEAD_LEN];
    if file.read_up_to(offset, &mut head)? < HEAD_LEN {
        return Err(damaged(path, offset, "it ends within a record"));
    }
    let [kind, a, b, c, d, ..] = head;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if len > PAYLOAD_LEN_MAX {
        return Err(damaged(path, offset, "a record is longer than any can be"));
    }
    Ok((kind, len))
}

/// The payload of the record at an offset, checked; and where the next begins.
pub(super) fn read(
    file: &dyn File,
    path: &Path,
    offset: u64,
) -> Result<(u8, Vec<u8>, u64), SnapshotError> {
    let (kind, len) = look(file, path, offset)?;
    let mut bytes = vec![0; HEAD_LEN + len];
    if file.read_up_to(offset, &mut bytes)? < bytes.len() {
        return Err(damaged(path, offset, "it ends within a record"));
    }
    let payload = bytes.split_off(HEAD_LEN);
    let (head, crc) = bytes.split_at(5);
    let found = crc32c::crc32c_append(crc32c::crc32c(head), &payload);
    if crc != found.to_be_bytes() {
        return Err(damaged(path, offset, "a record's checksum does not fit"));
    }
    Ok((kind, payload, offset + (HEAD_LEN + len) as u64))
}

pub(super) fn damaged(path: &Path, offset: u64, what: impl ToString) -> SnapshotError {
    SnapshotError::Damaged {
        path: path.to_owned(),
        offset,
        what: what.to_string(),
    }
}
