//! Proof files (`c2sp.org/tlog-proof`): a leaf's place in the log, provable offline.

use std::fmt;

use super::checkpoint::Checkpoint;
use super::signed::SignedNote;
use super::{NoteError, check_bound, from_base64, malformed, to_base64};
use crate::decimal::parse_decimal;
use crate::hash::{Hash, Suite};
use crate::log::{self, PROOF_LEN_MAX, ProofError};

/// Longest extra data in bytes: 32 MiB.
pub const EXTRA_LEN_MAX: usize = 32 << 20;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1\n";

const WHAT: &str = "proof";

/// An inclusion proof, the checkpoint it leads to, and optional data of the application's.
///
/// Nothing in it may be believed before the checkpoint's signatures are verified **and** the leaf is shown
/// to be in the log; the extra data is covered by neither and must be bound to the leaf by its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    proof: Vec<Hash>,
    checkpoint: SignedNote,
}

impl TlogProof {
    /// A proof of these parts: `proof` shows leaf `index` to be in the log of `checkpoint`.
    ///
    /// # Errors
    /// When the extra data or the proof is too long.
    pub fn new(
        extra: Option<Vec<u8>>,
        index: u64,
        proof: Vec<Hash>,
        checkpoint: SignedNote,
    ) -> Result<Self, NoteError> {
        let extra_len = extra.as_ref().map_or(0, Vec::len);
        check_bound("proof extra data length", extra_len, EXTRA_LEN_MAX)?;
        check_bound("proof hashes", proof.len(), PROOF_LEN_MAX)?;
        Ok(Self {
            extra,
            index,
            proof,
            checkpoint,
        })
    }

    /// Reads a proof file.
    ///
    /// # Errors
    /// When the bytes are no proof in its one form, or over the bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return malformed(WHAT, "not UTF-8");
        };
        let Some(rest) = text.strip_prefix(HEADER) else {
            return malformed(
                WHAT,
                "does not begin with the line 'c2sp.org/tlog-proof@v1'",
            );
        };
        let (mut line, mut rest) = split_line(WHAT, rest)?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            check_bound(
                "proof extra data length",
                encoded.len() / 4 * 3,
                EXTRA_LEN_MAX + 3,
            )?;
            extra = Some(from_base64("proof extra data", encoded)?);
            (line, rest) = split_line(WHAT, rest)?;
        }
        let Some(index) = line.strip_prefix("index ").and_then(parse_decimal) else {
            return malformed("proof index", "not a line 'index' with a decimal number");
        };
        let (proof, rest) = hash_lines(WHAT, rest)?;
        Self::new(extra, index, proof, SignedNote::parse(rest.as_bytes())?)
    }

    /// Checks that the leaf with hash `leaf` is in the log of `checkpoint`, which the caller has taken
    /// from [`checkpoint_note`](Self::checkpoint_note) by verifying that note's signatures.
    ///
    /// # Errors
    /// [`ProofError`] when it is not.
    pub fn verify_leaf(
        &self,
        suite: Suite,
        leaf: &Hash,
        checkpoint: &Checkpoint,
    ) -> Result<(), ProofError> {
        let (size, root) = (checkpoint.size(), checkpoint.root());
        log::verify_inclusion(suite, leaf, self.index, size, &self.proof, &root)
    }

    /// The application's data. Not authenticated.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Number of the leaf in the log, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof: the leaf's sibling first.
    #[must_use]
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The signed checkpoint. Not yet verified.
    #[must_use]
    pub fn checkpoint_note(&self) -> &SignedNote {
        &self.checkpoint
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", to_base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.proof {
            writeln!(f, "{}", to_base64(&hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Takes the next line, without its newline.
pub(super) fn split_line<'a>(
    what: &'static str,
    text: &'a str,
) -> Result<(&'a str, &'a str), NoteError> {
    text.split_once('\n')
        .map_or_else(|| malformed(what, "ends too early"), Ok)
}

/// The hashes of a proof, one a line, up to an empty line; and what follows it.
pub(super) fn hash_lines<'a>(
    what: &'static str,
    text: &'a str,
) -> Result<(Vec<Hash>, &'a str), NoteError> {
    let (mut hashes, mut rest) = (Vec::new(), text);
    loop {
        let line;
        (line, rest) = split_line(what, rest)?;
        if line.is_empty() {
            return Ok((hashes, rest));
        }
        check_bound("proof hashes", hashes.len() + 1, PROOF_LEN_MAX)?;
        let hash = from_base64("proof hash", line)?;
        match <[u8; 32]>::try_from(hash.as_slice()) {
            Ok(hash) => hashes.push(Hash(hash)),
            Err(_) => return malformed("proof hash", "not 32 bytes"),
        }
    }
}
