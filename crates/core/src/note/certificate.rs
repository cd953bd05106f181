//! Certificates: checkpoints signed by a quorum of validators.

use thiserror::Error;

use super::NoteError;
use super::checkpoint::Checkpoint;
use super::key::VerifierKey;
use super::signed::SignedNote;
use crate::validators::ValidatorSet;

/// Why a note does not certify a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The note is no checkpoint, or a validator's signature on it is forged.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log '{found}', not of '{expected}'")]
    OtherOrigin {
        /// The log expected.
        expected: String,
        /// The log found.
        found: String,
    },
    /// Too few validators of the set have signed.
    #[error("{found} of {validators} validators have signed, {quorum} are needed")]
    NoQuorum {
        /// Distinct validators of the set that have signed.
        found: usize,
        /// How many are needed.
        quorum: usize,
        /// How many the set has.
        validators: usize,
    },
}

/// Checks certificates of one log by one set of validators.
#[derive(Clone, Debug)]
pub struct CertificateVerifier {
    origin: String,
    keys: Vec<VerifierKey>,
    quorum: usize,
}

impl CertificateVerifier {
    /// For checkpoints of the log `origin` signed by a quorum of `set`.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] when the origin cannot be part of a key name.
    pub fn new(origin: &str, set: &ValidatorSet) -> Result<Self, NoteError> {
        let validators = set.validators().iter();
        let keys = validators.map(|validator| VerifierKey::of_validator(origin, validator));
        Ok(Self {
            origin: origin.to_owned(),
            keys: keys.collect::<Result<_, _>>()?,
            quorum: set.quorum(),
        })
    }

    /// For many certificates: see [`crate::crypto::PreparedKey`].
    #[must_use]
    pub fn prepared(mut self) -> Self {
        self.keys = self.keys.into_iter().map(VerifierKey::prepared).collect();
        self
    }

    /// See [`verify_certificate`].
    ///
    /// # Errors
    /// [`CertificateError`] when the note does not certify a checkpoint of that log.
    pub fn verify(&self, note: &SignedNote) -> Result<Checkpoint, CertificateError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin() != self.origin {
            return Err(CertificateError::OtherOrigin {
                expected: self.origin.clone(),
                found: checkpoint.origin().to_owned(),
            });
        }
        let found = match note.verify(&self.keys) {
            Ok(signed) => signed.len(),
            Err(NoteError::Unsigned) => 0,
            Err(error) => return Err(error.into()),
        };
        if found < self.quorum {
            return Err(CertificateError::NoQuorum {
                found,
                quorum: self.quorum,
                validators: self.keys.len(),
            });
        }
        Ok(checkpoint)
    }
}

/// Checks that a quorum of `set` has signed `note`, and gives the checkpoint of the log `origin` in it.
///
/// Each validator counts once however often it has signed. Signatures by keys that are not in the set, such
/// as witnesses', are ignored; a false one in the name of a validator refuses the whole note.
///
/// # Errors
/// [`CertificateError`] when it does not certify a checkpoint of that log.
pub fn verify_certificate(
    origin: &str,
    set: &ValidatorSet,
    note: &SignedNote,
) -> Result<Checkpoint, CertificateError> {
    CertificateVerifier::new(origin, set)?.verify(note)
}

/// A checkpoint and the note that certifies it. Exists only verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    note: SignedNote,
    checkpoint: Checkpoint,
}

impl Certificate {
    /// Verifies a note; see [`verify_certificate`].
    ///
    /// # Errors
    /// [`CertificateError`] when it does not certify a checkpoint of the log `origin`.
    pub fn verify(
        origin: &str,
        set: &ValidatorSet,
        note: SignedNote,
    ) -> Result<Self, CertificateError> {
        let checkpoint = verify_certificate(origin, set, &note)?;
        Ok(Self { note, checkpoint })
    }

    /// The certified checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note with the signatures.
    #[must_use]
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// The note with the signatures, by value.
    #[must_use]
    pub fn into_note(self) -> SignedNote {
        self.note
    }
}
