//! Proofs that a log has only grown (the request body of `c2sp.org/tlog-witness`, add-checkpoint).

use std::fmt;

use super::checkpoint::Checkpoint;
use super::signed::SignedNote;
use super::tlog_proof::{hash_lines, split_line};
use super::{NoteError, check_bound, malformed, to_base64};
use crate::decimal::parse_decimal;
use crate::hash::{Hash, Suite};
use crate::log::{self, PROOF_LEN_MAX, ProofError};

const WHAT: &str = "consistency proof";

/// From the size of an older checkpoint to a newer, signed one.
///
/// Nothing in it may be believed before the checkpoint's signatures are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    old: u64,
    proof: Vec<Hash>,
    checkpoint: SignedNote,
}

impl ConsistencyProof {
    /// A proof of these parts: `proof` leads from the first `old` leaves to the log of `checkpoint`.
    ///
    /// # Errors
    /// When the proof is too long.
    pub fn new(old: u64, proof: Vec<Hash>, checkpoint: SignedNote) -> Result<Self, NoteError> {
        check_bound("proof hashes", proof.len(), PROOF_LEN_MAX)?;
        Ok(Self {
            old,
            proof,
            checkpoint,
        })
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// When the bytes are no proof in its one form, or over the bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return malformed(WHAT, "not UTF-8");
        };
        let (line, rest) = split_line(WHAT, text)?;
        let Some(old) = line.strip_prefix("old ").and_then(parse_decimal) else {
            return malformed(
                WHAT,
                "does not begin with a line 'old' with a decimal number",
            );
        };
        let (proof, rest) = hash_lines(WHAT, rest)?;
        Self::new(old, proof, SignedNote::parse(rest.as_bytes())?)
    }

    /// Checks that the log of `old` is a prefix of that of `new`, which the caller has taken from
    /// [`checkpoint_note`](Self::checkpoint_note) by verifying that note's signatures.
    ///
    /// # Errors
    /// [`ProofError`] when it is not.
    pub fn verify(
        &self,
        suite: Suite,
        old: &Checkpoint,
        new: &Checkpoint,
    ) -> Result<(), ProofError> {
        let (from, to) = (old.size(), new.size());
        let (old_root, new_root) = (old.root(), new.root());
        log::verify_consistency(suite, from, to, &self.proof, &old_root, &new_root)
    }

    /// Size of the older log, in leaves.
    #[must_use]
    pub fn old(&self) -> u64 {
        self.old
    }

    /// The newer checkpoint, signed. Not yet verified.
    #[must_use]
    pub fn checkpoint_note(&self) -> &SignedNote {
        &self.checkpoint
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", to_base64(&hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
