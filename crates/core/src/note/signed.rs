//! Signed notes (`c2sp.org/signed-note`).

use std::collections::BTreeSet;
use std::fmt;

use super::key::{KeyId, SignerKey, VerifierKey, check_key_name};
use super::{NoteError, check_bound, from_base64, has_control, malformed, to_base64};
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use crate::crypto::Signature;

/// Longest note in bytes, text and signatures together.
pub const NOTE_LEN_MAX: usize = 1 << 20;

/// Most signatures of a note: a full validator set, and some witnesses.
pub const NOTE_SIGNATURES_MAX: usize = 128;

/// What a signature line begins with: em dash, space.
const LINE_START: &str = "— ";

/// One signature line: `— <key name> <base64 of key id and signature>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    id: KeyId,
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// A signature of any type, such as a witness's.
    ///
    /// # Errors
    /// When the name is no key name, or there are no bytes.
    pub fn new(name: impl Into<String>, id: KeyId, bytes: Vec<u8>) -> Result<Self, NoteError> {
        let name = name.into();
        check_key_name(&name)?;
        check_bound("signature length", bytes.len(), NOTE_LEN_MAX)?;
        if bytes.is_empty() {
            return malformed("signature", "has no bytes");
        }
        Ok(Self { name, id, bytes })
    }

    /// A plain Ed25519 signature by a key.
    pub(super) fn of_key(key: &VerifierKey, signature: Signature) -> Self {
        Self {
            name: key.name().to_owned(),
            id: key.id(),
            bytes: signature.0.to_vec(),
        }
    }

    /// Name of the key it claims to be by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the key it claims to be by.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The signature's bytes, without the key id.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks it as plain Ed25519 signature of `text` by `key`.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] when it is not.
    pub fn verify(&self, text: &str, key: &VerifierKey) -> Result<(), NoteError> {
        let fits = key.is_named_by(self)
            && <[u8; 64]>::try_from(self.bytes.as_slice())
                .is_ok_and(|bytes| key.verify(text.as_bytes(), &Signature(bytes)).is_ok());
        if fits {
            Ok(())
        } else {
            Err(NoteError::BadSignature {
                name: key.name().to_owned(),
                id: key.id(),
            })
        }
    }

    /// Reads a line, without its newline.
    fn parse(line: &str) -> Result<Self, NoteError> {
        const WHAT: &str = "signature line";
        let parts = line
            .strip_prefix(LINE_START)
            .and_then(|rest| rest.split_once(' '));
        let Some((name, encoded)) = parts else {
            return malformed(WHAT, "not of the form '— name base64'");
        };
        let bytes = from_base64(WHAT, encoded)?;
        match bytes.split_first_chunk() {
            Some((id, signature)) => Self::new(name, KeyId(*id), signature.to_vec()),
            None => malformed(WHAT, "shorter than a key id"),
        }
    }
}

impl fmt::Display for NoteSignature {
    /// The line, without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.0.to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "{LINE_START}{} {}", self.name, to_base64(&bytes))
    }
}

/// A text and at least one signature line. Not yet verified.
///
/// Its encoding in the codec is its text form, length-prefixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// A note of these parts. `text` includes its last newline.
    ///
    /// # Errors
    /// When the text does not end in a newline or has control characters, there is no signature, or the
    /// note is over its bounds.
    pub fn new(text: impl Into<String>, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        let text = text.into();
        if !text.ends_with('\n') {
            return malformed("note text", "does not end in a newline");
        }
        if has_control(&text) {
            return malformed("note text", "has control characters");
        }
        if signatures.is_empty() {
            return malformed("note", "has no signature");
        }
        check_bound("note signatures", signatures.len(), NOTE_SIGNATURES_MAX)?;
        let note = Self { text, signatures };
        check_bound("note length", note.to_string().len(), NOTE_LEN_MAX)?;
        Ok(note)
    }

    /// Signs a text.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn sign(text: impl Into<String>, signers: &[&SignerKey]) -> Result<Self, NoteError> {
        let text = text.into();
        let signatures = signers.iter().map(|signer| signer.sign(&text)).collect();
        Self::new(text, signatures)
    }

    /// Adds a signature, in place of one by the same key if there is one.
    ///
    /// # Errors
    /// When the note would be over its bounds.
    pub fn with(mut self, signature: NoteSignature) -> Result<Self, NoteError> {
        self.signatures
            .retain(|old| (&old.name, old.id) != (&signature.name, signature.id));
        self.signatures.push(signature);
        Self::new(self.text, self.signatures)
    }

    /// Reads a note.
    ///
    /// # Errors
    /// When the bytes are no note in its one form, or are over the bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        check_bound("note length", bytes.len(), NOTE_LEN_MAX)?;
        let Ok(note) = std::str::from_utf8(bytes) else {
            return malformed("note", "not UTF-8");
        };
        // The text may have empty lines of its own: the last one ends it.
        let Some((text, lines)) = note.rsplit_once("\n\n") else {
            return malformed("note", "no empty line between text and signatures");
        };
        let Some(lines) = lines.strip_suffix('\n') else {
            return malformed("note", "does not end in a newline");
        };
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            check_bound("note signatures", signatures.len() + 1, NOTE_SIGNATURES_MAX)?;
            signatures.push(NoteSignature::parse(line)?);
        }
        Self::new(format!("{text}\n"), signatures)
    }

    /// The signed text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks every signature that claims to be by one of `keys`, and says which of them (by their place
    /// in `keys`) have signed. Signatures by other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] when one by a known key does not fit, [`NoteError::Unsigned`] when
    /// there is none.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<BTreeSet<usize>, NoteError> {
        let mut signed = BTreeSet::new();
        for signature in &self.signatures {
            for (place, key) in keys.iter().enumerate() {
                if key.is_named_by(signature) {
                    signature.verify(&self.text, key)?;
                    signed.insert(place);
                }
            }
        }
        if signed.is_empty() {
            Err(NoteError::Unsigned)
        } else {
            Ok(signed)
        }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl Encode for SignedNote {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.to_string().as_bytes());
    }
}

impl Decode for SignedNote {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::parse(reader.bytes("note", NOTE_LEN_MAX)?)
            .map_err(|_| DecodeError::Invalid("bytes that should be a signed note are none"))
    }
}
