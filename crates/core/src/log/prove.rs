//! Making proofs from tile files.
//!
//! A proof for one tree reads each tile it needs once: at most two a tile level (the leaf's own, and that
//! of the right edge).

use super::reader::{LogError, TileReader};
use super::{TILE_HEIGHT, TILE_WIDTH, TREE_SIZE_MAX, root_of_peaks};
use crate::hash::{Domain, Hash, Suite};

/// Root of the tree of the first `size` leaves.
///
/// # Errors
/// When a tile file cannot be read or is too short, or `size` is over [`TREE_SIZE_MAX`].
pub fn root_at<R: TileReader>(
    suite: Suite,
    size: u64,
    reader: &R,
) -> Result<Hash, LogError<R::Error>> {
    Ok(root_of_peaks(suite, &peaks_at(suite, size, reader)?))
}

/// The complete subtrees the first `size` leaves consist of, largest first.
pub(super) fn peaks_at<R: TileReader>(
    suite: Suite,
    size: u64,
    reader: &R,
) -> Result<Vec<Hash>, LogError<R::Error>> {
    Tiles::new(suite, size, reader)?.peaks(0, size)
}

/// Proof that leaf `index` is in the tree of the first `size` leaves: its sibling's hash first, the hash
/// below the root last (RFC 6962, section 2.1.1).
///
/// # Errors
/// When the leaf is not in that tree, a tile file cannot be read or is too short, or `size` is over
/// [`TREE_SIZE_MAX`].
pub fn inclusion_proof<R: TileReader>(
    suite: Suite,
    index: u64,
    size: u64,
    reader: &R,
) -> Result<Vec<Hash>, LogError<R::Error>> {
    if index >= size {
        return Err(LogError::IndexOutside { index, size });
    }
    let mut tiles = Tiles::new(suite, size, reader)?;
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(tiles.range(middle, end)?);
            end = middle;
        } else {
            proof.push(tiles.range(start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proof that the tree of the first `old` leaves is a prefix of that of the first `new` (RFC 6962,
/// section 2.1.2). Empty when `old` is 0 or equals `new`.
///
/// # Errors
/// When `old` is over `new`, a tile file cannot be read or is too short, or `new` is over
/// [`TREE_SIZE_MAX`].
pub fn consistency_proof<R: TileReader>(
    suite: Suite,
    old: u64,
    new: u64,
    reader: &R,
) -> Result<Vec<Hash>, LogError<R::Error>> {
    if old > new {
        return Err(LogError::SizesReversed { old, new });
    }
    let mut tiles = Tiles::new(suite, new, reader)?;
    let mut proof = Vec::new();
    if old == 0 {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, new);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(tiles.range(middle, end)?);
            end = middle;
        } else {
            proof.push(tiles.range(start, middle)?);
            start = middle;
        }
    }
    // A subtree that starts at 0 is the whole old tree, whose root the verifier has.
    if start > 0 {
        proof.push(tiles.range(start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Largest power of two below `n` (`n` at least 2).
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The tiles of one tree, each read once.
struct Tiles<'a, R> {
    suite: Suite,
    size: u64,
    reader: &'a R,
    /// (level, tile number, hashes) of the tiles read: a handful, so searched in order.
    read: Vec<(u8, u64, Vec<Hash>)>,
}

impl<'a, R: TileReader> Tiles<'a, R> {
    fn new(suite: Suite, size: u64, reader: &'a R) -> Result<Self, LogError<R::Error>> {
        if size > TREE_SIZE_MAX {
            return Err(LogError::SizeTooLarge { size });
        }
        Ok(Self {
            suite,
            size,
            reader,
            read: Vec::new(),
        })
    }

    /// Root over leaves `start..end`, a node of the RFC 6962 tree.
    fn range(&mut self, start: u64, end: u64) -> Result<Hash, LogError<R::Error>> {
        Ok(root_of_peaks(self.suite, &self.peaks(start, end)?))
    }

    /// The complete subtrees leaves `start..end` consist of, largest first. `start` is a multiple of the
    /// power of two that is `end - start` or next above, as in every node of the tree.
    fn peaks(&mut self, start: u64, end: u64) -> Result<Vec<Hash>, LogError<R::Error>> {
        let mut peaks = Vec::new();
        let mut at = start;
        while at < end {
            let height = (end - at).ilog2();
            peaks.push(self.subtree(height, at >> height)?);
            at += 1 << height;
        }
        Ok(peaks)
    }

    /// Hash of complete subtree number `index` of 2^height leaves.
    fn subtree(&mut self, height: u32, index: u64) -> Result<Hash, LogError<R::Error>> {
        let level = u8::try_from(height / TILE_HEIGHT).expect("at most 63 / 8");
        let inner = height % TILE_HEIGHT;
        let first = index << inner;
        let offset = usize::try_from(first % TILE_WIDTH).expect("below 256");
        let count = 1 << inner;
        let suite = self.suite;
        let hashes = self.tile(level, first / TILE_WIDTH)?;
        match hashes.get(offset..offset + count) {
            Some(below) => Ok(suite.merkle_root(Domain::LogNode, below)),
            None => Err(LogError::Short {
                level,
                start: first,
                expected: count,
                found: hashes.len().saturating_sub(offset),
            }),
        }
    }

    /// Tile `number` of `level`, as wide as it is in this tree.
    fn tile(&mut self, level: u8, number: u64) -> Result<&[Hash], LogError<R::Error>> {
        let known = self
            .read
            .iter()
            .position(|(l, n, _)| (*l, *n) == (level, number));
        let position = match known {
            Some(position) => position,
            None => {
                let hashes = self.read_tile(level, number)?;
                self.read.push((level, number, hashes));
                self.read.len() - 1
            }
        };
        Ok(self
            .read
            .get(position)
            .map_or(&[], |(_, _, hashes)| hashes.as_slice()))
    }

    fn read_tile(&self, level: u8, number: u64) -> Result<Vec<Hash>, LogError<R::Error>> {
        let start = number * TILE_WIDTH;
        let in_level = self.size >> (u32::from(level) * TILE_HEIGHT);
        let width = in_level.saturating_sub(start).min(TILE_WIDTH);
        let expected = usize::try_from(width).expect("at most 256");
        let hashes = self
            .reader
            .hashes(level, start, expected)
            .map_err(|source| LogError::Read {
                level,
                start,
                source,
            })?;
        if hashes.len() == expected {
            Ok(hashes)
        } else {
            Err(LogError::Short {
                level,
                start,
                expected,
                found: hashes.len(),
            })
        }
    }
}
