//! The appender: the right edge of the tree, from which every later root follows.

use super::reader::{LogError, TileReader};
use super::{TILE_HEIGHT, TREE_SIZE_MAX, node_hash, prove, root_of_peaks};
use crate::hash::{Hash, Suite};

/// A log as far as appending needs it: its size and the complete subtrees it consists of.
///
/// Takes about 64 hashes of memory however long the log is, and one node hash a leaf on average.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTree {
    suite: Suite,
    size: u64,
    /// One for each set bit of `size`, largest subtree first.
    peaks: Vec<Hash>,
}

impl LogTree {
    /// The log without leaves.
    #[must_use]
    pub fn new(suite: Suite) -> Self {
        Self {
            suite,
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// The log of the first `size` leaves of the tile files, with one read a tile level.
    ///
    /// The files may hold more than `size` leaves; what is over is not looked at.
    ///
    /// # Errors
    /// When a file cannot be read or is too short, or `size` is over [`TREE_SIZE_MAX`].
    pub fn load<R: TileReader>(
        suite: Suite,
        size: u64,
        reader: &R,
    ) -> Result<Self, LogError<R::Error>> {
        let peaks = prove::peaks_at(suite, size, reader)?;
        Ok(Self { suite, size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The suite it hashes with.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        root_of_peaks(self.suite, &self.peaks)
    }

    /// Appends a leaf hash, and to `new_hashes` what its tile files grow by, as (tile level, hash): the
    /// leaf itself at level 0, and a hash at each level above where this leaf completes a tile.
    ///
    /// # Panics
    /// At [`TREE_SIZE_MAX`] leaves, which no machine reaches.
    pub fn append(&mut self, leaf: Hash, new_hashes: &mut Vec<(u8, Hash)>) {
        assert!(
            self.size < TREE_SIZE_MAX,
            "the log has reached its largest size"
        );
        new_hashes.push((0, leaf));
        let mut hash = leaf;
        for height in 1..=self.size.trailing_ones() {
            let left = self
                .peaks
                .pop()
                .expect("there is a peak for each set bit of the size");
            hash = node_hash(self.suite, &left, &hash);
            if height % TILE_HEIGHT == 0 {
                let level = u8::try_from(height / TILE_HEIGHT).expect("at most 63 / 8");
                new_hashes.push((level, hash));
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }
}
