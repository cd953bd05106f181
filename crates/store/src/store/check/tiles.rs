//! Comparing the tile files with the leaves that blocks and effects give.

use stele_core::Hash;
use stele_core::log::TileReader;

use super::TileFault;
use crate::error::StoreError;
use crate::tiles::TileStore;

/// Hashes of a level read at once.
const READ_MAX: usize = 4_096;

/// The comparison under way. Hashes of each level come in order, from the first.
pub(super) struct TileCheck<'t> {
    tiles: &'t TileStore,
    /// Leaves that were there when the check began; what was added since is not looked at.
    leaves: u64,
    levels: Vec<Level>,
    fault: Option<TileFault>,
}

#[derive(Default)]
struct Level {
    next: u64,
    read: std::vec::IntoIter<Hash>,
}

impl<'t> TileCheck<'t> {
    pub(super) fn new(tiles: &'t TileStore) -> Self {
        Self {
            tiles,
            leaves: tiles.comparable_leaves(),
            levels: Vec::new(),
            fault: None,
        }
    }

    /// Compares the hashes that one leaf of block `height` makes, the log's size then being `size`.
    pub(super) fn add(
        &mut self,
        hashes: &[(u8, Hash)],
        size: u64,
        height: u64,
    ) -> Result<(), StoreError> {
        if size > self.leaves || self.fault.is_some() {
            return Ok(());
        }
        for (number, made) in hashes {
            let place = usize::from(*number);
            while self.levels.len() <= place {
                self.levels.push(Level::default());
            }
            let Some(level) = self.levels.get_mut(place) else {
                continue;
            };
            if level.read.as_slice().is_empty() {
                let read = self.tiles.hashes(*number, level.next, READ_MAX)?;
                level.read = read.into_iter();
            }
            let kept = level.read.next();
            if kept != Some(*made) {
                self.fault = Some(TileFault {
                    level: *number,
                    index: level.next,
                    height,
                    is_missing: kept.is_none(),
                });
                return Ok(());
            }
            level.next += 1;
        }
        Ok(())
    }

    pub(super) fn into_fault(self) -> Option<TileFault> {
        self.fault
    }
}
