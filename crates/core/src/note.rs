//! Signed notes, checkpoints, certificates and proof files: the C2SP text formats, taken verbatim.
//!
//! - [`SignedNote`] (`c2sp.org/signed-note`): a text and the lines of those who signed it.
//! - [`Checkpoint`] (`c2sp.org/tlog-checkpoint`): origin, size and root of the log; nothing else.
//! - [`Certificate`]: a checkpoint signed by a quorum of the validators in force.
//! - [`TlogProof`] (`c2sp.org/tlog-proof`): an inclusion proof together with its checkpoint.
//! - [`ConsistencyProof`] (`c2sp.org/tlog-witness`): that the log of an older checkpoint is the beginning of
//!   a newer one's.
//!
//! Parsers are total and bounded, and accept one form of each value only: formatting what was parsed
//! gives the same text again. Nothing in a note may be believed before its signatures are verified.
//!
//! Validators sign plain Ed25519 note signatures (type `0x01`), as a timestamped cosignature would differ
//! from node to node. The key name of validator `alice` in the log `example.com/ledger` is
//! `example.com/ledger/v/alice`, so that it is unique wherever the note travels.

mod certificate;
mod checkpoint;
mod consistency;
mod key;
mod signed;
mod tlog_proof;

pub use certificate::{Certificate, CertificateError, CertificateVerifier, verify_certificate};
pub use checkpoint::{Checkpoint, ORIGIN_LEN_MAX};
pub use consistency::ConsistencyProof;
pub use key::{KEY_NAME_LEN_MAX, KeyId, SignerKey, VerifierKey, is_key_name};
pub use signed::{NOTE_LEN_MAX, NOTE_SIGNATURES_MAX, NoteSignature, SignedNote};
pub use tlog_proof::{EXTRA_LEN_MAX, TlogProof};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Why a text is no note, checkpoint, key or proof, or its signatures do not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Something is over its bound.
    #[error("{what}: {found} is over the bound of {max}")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// What was found.
        found: usize,
        /// What is allowed.
        max: usize,
    },
    /// The text has another form.
    #[error("{what}: {problem}")]
    Malformed {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key name cannot be used in notes.
    #[error(
        "'{name}' is no key name: it needs 1 to {KEY_NAME_LEN_MAX} bytes without spaces, control \
         characters or '+'"
    )]
    KeyName {
        /// The name, cut after its first characters.
        name: String,
    },
    /// A signature by a known key does not fit the text.
    #[error("the signature by {name}+{id} does not fit: the text was changed, or it is forged")]
    BadSignature {
        /// The key's name.
        name: String,
        /// The key's id.
        id: KeyId,
    },
    /// Nobody known has signed.
    #[error("none of the known keys has signed the note")]
    Unsigned,
}

/// An error about the form of one part.
fn malformed<T>(what: &'static str, problem: &'static str) -> Result<T, NoteError> {
    Err(NoteError::Malformed { what, problem })
}

/// Refuses what is over its bound.
fn check_bound(what: &'static str, found: usize, max: usize) -> Result<(), NoteError> {
    if found > max {
        Err(NoteError::TooLarge { what, found, max })
    } else {
        Ok(())
    }
}

/// Base 64 of RFC 4648, section 4.
fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads the one base 64 form of some bytes: padded, no stray bits.
fn from_base64(what: &'static str, text: &str) -> Result<Vec<u8>, NoteError> {
    STANDARD
        .decode(text)
        .or_else(|_| malformed(what, "not canonical base64"))
}

/// Whether a text holds a control character no note may have (below U+0020, other than newline).
fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte < 0x20 && byte != b'\n')
}
