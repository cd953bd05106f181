//! Checkpoints (`c2sp.org/tlog-checkpoint`), without extension lines.

use std::fmt;

use super::{NoteError, check_bound, from_base64, has_control, malformed, to_base64};
use crate::decimal::parse_decimal;
use crate::hash::Hash;
use crate::log::TREE_SIZE_MAX;

/// Longest origin in bytes.
pub const ORIGIN_LEN_MAX: usize = 255;

/// The log as far as it had grown: which log, how many leaves, their root.
///
/// As text three lines: origin, size in decimal, root in base 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// A checkpoint of these parts.
    ///
    /// # Errors
    /// When the origin is empty, too long or has control characters, or the size is over
    /// [`TREE_SIZE_MAX`].
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Result<Self, NoteError> {
        let origin = origin.into();
        check_bound("checkpoint origin length", origin.len(), ORIGIN_LEN_MAX)?;
        if origin.is_empty() {
            return malformed("checkpoint origin", "is empty");
        }
        if has_control(&origin) || origin.contains('\n') {
            return malformed("checkpoint origin", "has control characters");
        }
        if size > TREE_SIZE_MAX {
            return malformed("checkpoint size", "more leaves than a log can have");
        }
        Ok(Self { origin, size, root })
    }

    /// Reads a note's text.
    ///
    /// # Errors
    /// When it is not a checkpoint in its one form, or has extension lines.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        const WHAT: &str = "checkpoint";
        let Some(lines) = text.strip_suffix('\n') else {
            return malformed(WHAT, "does not end in a newline");
        };
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return malformed(WHAT, "fewer than three lines");
        };
        if lines.next().is_some() {
            return malformed(
                WHAT,
                "more than three lines: extension lines are not accepted",
            );
        }
        let Some(size) = parse_decimal(size) else {
            return malformed(
                "checkpoint size",
                "not a decimal number without leading zeros",
            );
        };
        let root = from_base64("checkpoint root", root)?;
        match <[u8; 32]>::try_from(root.as_slice()) {
            Ok(root) => Self::new(origin, size, Hash(root)),
            Err(_) => malformed("checkpoint root", "not a hash of 32 bytes"),
        }
    }

    /// Which log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the log over these leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }
}

impl fmt::Display for Checkpoint {
    /// The text that is signed, with its last newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin,
            self.size,
            to_base64(&self.root.0)
        )
    }
}
