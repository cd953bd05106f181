//! Reading the tile files, wherever they are kept.

use std::convert::Infallible;

use thiserror::Error;

use crate::hash::Hash;

/// Gives the hashes of the tile files (see the [module](super) for their layout).
pub trait TileReader {
    /// Why a read failed.
    type Error: std::error::Error + 'static;

    /// The `count` (at most 256) hashes of file `level` from number `start` on, all of one tile.
    ///
    /// # Errors
    /// When they cannot be read. Fewer hashes than asked for count as an error of the caller's too.
    fn hashes(&self, level: u8, start: u64, count: usize) -> Result<Vec<Hash>, Self::Error>;
}

impl<R: TileReader + ?Sized> TileReader for &R {
    type Error = R::Error;

    fn hashes(&self, level: u8, start: u64, count: usize) -> Result<Vec<Hash>, Self::Error> {
        (**self).hashes(level, start, count)
    }
}

/// Why the log could not answer from its tile files.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum LogError<E: std::error::Error + 'static> {
    /// A tile file could not be read.
    #[error("tile file {level} cannot be read at hash {start}")]
    Read {
        /// Tile level.
        level: u8,
        /// First hash asked for.
        start: u64,
        /// The reader's reason.
        #[source]
        source: E,
    },
    /// A tile file is shorter than the tree size asks.
    #[error(
        "tile file {level} gave {found} hashes from number {start} on where {expected} were needed: \
         it is shorter than the log; rebuild it from the segments"
    )]
    Short {
        /// Tile level.
        level: u8,
        /// First hash asked for.
        start: u64,
        /// How many were needed.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// The leaf is not in the tree.
    #[error("leaf {index} is not in a log of {size} leaves")]
    IndexOutside {
        /// Leaf asked for.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a log of {new} leaves cannot continue one of {old}")]
    SizesReversed {
        /// Leaves of the older tree.
        old: u64,
        /// Leaves of the newer tree.
        new: u64,
    },
    /// More leaves than a log can have.
    #[error("{size} leaves are more than a log can have")]
    SizeTooLarge {
        /// Leaves asked for.
        size: u64,
    },
}

/// Tile files held in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTiles {
    levels: Vec<Vec<Hash>>,
}

impl MemoryTiles {
    /// Appends a hash to the file of `level`.
    pub fn push(&mut self, level: u8, hash: Hash) {
        let level = usize::from(level);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        if let Some(hashes) = self.levels.get_mut(level) {
            hashes.push(hash);
        }
    }

    /// The file of `level`.
    #[must_use]
    pub fn level(&self, level: u8) -> &[Hash] {
        self.levels
            .get(usize::from(level))
            .map_or(&[], Vec::as_slice)
    }
}

impl TileReader for MemoryTiles {
    type Error = Infallible;

    fn hashes(&self, level: u8, start: u64, count: usize) -> Result<Vec<Hash>, Infallible> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        Ok(self
            .level(level)
            .iter()
            .skip(start)
            .take(count)
            .copied()
            .collect())
    }
}

impl Extend<(u8, Hash)> for MemoryTiles {
    fn extend<I: IntoIterator<Item = (u8, Hash)>>(&mut self, hashes: I) {
        for (level, hash) in hashes {
            self.push(level, hash);
        }
    }
}
