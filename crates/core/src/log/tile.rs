//! Names of tiles: the paths under which C2SP `tlog-tiles` serves them.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use thiserror::Error;

use super::{TILE_HEIGHT, TILE_WIDTH};
use crate::decimal::parse_decimal;

/// Highest tile level a path can name. Levels above 7 have no complete subtree in any log.
pub const TILE_LEVEL_MAX: u8 = 63;

/// Longest path: `tile/entries/`, seven elements of a 20-digit number, `.p/255`.
const PATH_LEN_MAX: usize = 64;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileContent {
    /// Hashes of a tile level, 0 to [`TILE_LEVEL_MAX`].
    Hashes {
        /// The level; 0 holds leaf hashes.
        level: u8,
    },
    /// The log entries under a level-0 tile, as a bundle.
    Entries,
}

/// A tile's name: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    content: TileContent,
    index: u64,
    width: u16,
}

/// A path names no tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "not the path of a tile: tile/<level>/<index>[.p/<width>] or tile/entries/<index>[.p/<width>], \
     the index as in x001/x234/067"
)]
pub struct TilePathError;

impl TilePath {
    /// Names tile number `index` with the first `width` (1 to 256) of its places.
    ///
    /// # Errors
    /// When the level is over [`TILE_LEVEL_MAX`] or the width is not 1 to 256.
    pub fn new(content: TileContent, index: u64, width: u16) -> Result<Self, TilePathError> {
        let level_known =
            !matches!(content, TileContent::Hashes { level } if level > TILE_LEVEL_MAX);
        if level_known && (1..=TILE_WIDTH).contains(&u64::from(width)) {
            Ok(Self {
                content,
                index,
                width,
            })
        } else {
            Err(TilePathError)
        }
    }

    /// What the tile holds.
    #[must_use]
    pub fn content(&self) -> TileContent {
        self.content
    }

    /// Number of the tile in its level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Places used: 256 in a full tile, fewer in a partial one.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The tile's places in its level's file: numbers of hashes, or of entries.
    ///
    /// Nothing when a log of `size` leaves does not reach that far.
    #[must_use]
    pub fn places_in(&self, size: u64) -> Option<Range<u64>> {
        let level = match self.content {
            TileContent::Hashes { level } => level,
            TileContent::Entries => 0,
        };
        let in_level = size
            .checked_shr(u32::from(level) * TILE_HEIGHT)
            .unwrap_or(0);
        let start = self.index.checked_mul(TILE_WIDTH)?;
        let end = start.checked_add(u64::from(self.width))?;
        (end <= in_level).then_some(start..end)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            TileContent::Hashes { level } => write!(f, "tile/{level}/")?,
            TileContent::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = Vec::new();
        let mut left = self.index / 1000;
        while left > 0 {
            groups.push(left % 1000);
            left /= 1000;
        }
        for group in groups.iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if u64::from(self.width) < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let tile = parse(path).ok_or(TilePathError)?;
        // One tile has one path: what reads alike but is written otherwise is refused.
        if tile.to_string() == path {
            Ok(tile)
        } else {
            Err(TilePathError)
        }
    }
}

/// Reads a path leniently; the caller compares it with the tile's own.
fn parse(path: &str) -> Option<TilePath> {
    if path.len() > PATH_LEN_MAX {
        return None;
    }
    let (content, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let content = match content {
        "entries" => TileContent::Entries,
        level => TileContent::Hashes {
            level: u8::try_from(parse_decimal(level)?).ok()?,
        },
    };
    let (elements, width) = match rest.split_once(".p/") {
        Some((elements, width)) => (elements, u16::try_from(parse_decimal(width)?).ok()?),
        None => (rest, u16::try_from(TILE_WIDTH).ok()?),
    };
    let mut index = 0_u64;
    for element in elements.split('/') {
        let digits = element.strip_prefix('x').unwrap_or(element);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    TilePath::new(content, index, width).ok()
}
