//! Keys of notes: names, ids, and the `vkey` text form.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{NoteError, check_bound, from_base64, malformed, signed::NoteSignature, to_base64};
use crate::crypto::{PreparedKey, PublicKey, SecretKey, Signature, SignatureError};
use crate::hash::Suite;
use crate::validators::Validator;

/// Longest key name in bytes.
pub const KEY_NAME_LEN_MAX: usize = 512;

/// Longest `vkey` in bytes: name, 8 hexadecimal digits, 44 characters of base 64, two plus signs.
const VKEY_LEN_MAX: usize = KEY_NAME_LEN_MAX + 54;

/// Type byte of plain Ed25519 note signatures.
const ED25519_TYPE: u8 = 0x01;

/// How much of a refused name an error repeats.
const SHOWN_NAME_CHARS: usize = 80;

/// The first four bytes of the hash of a key and its name. Identifies it, and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Whether a text can name a key: not empty, no Unicode spaces, control characters or plus.
#[must_use]
pub fn is_key_name(text: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c < '\u{20}' || c == '+';
    (1..=KEY_NAME_LEN_MAX).contains(&text.len()) && !text.contains(forbidden)
}

/// Refuses what cannot name a key.
pub(super) fn check_key_name(name: &str) -> Result<(), NoteError> {
    if is_key_name(name) {
        Ok(())
    } else {
        Err(NoteError::KeyName {
            name: name.chars().take(SHOWN_NAME_CHARS).collect(),
        })
    }
}

/// The key name of a validator: `<origin>/v/<name>`.
fn validator_key_name(origin: &str, name: &str) -> String {
    format!("{origin}/v/{name}")
}

/// A named Ed25519 public key that verifies note signatures.
///
/// Written as `vkey`: `<name>+<hex of key id>+<base64 of 0x01 and the public key>`.
#[derive(Clone, Debug)]
pub struct VerifierKey {
    name: String,
    key: PublicKey,
    id: KeyId,
    prepared: Option<Arc<PreparedKey>>,
}

impl PartialEq for VerifierKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.key) == (&other.name, other.key)
    }
}

impl Eq for VerifierKey {}

impl VerifierKey {
    /// With what makes many checks cheaper.
    #[must_use]
    pub fn prepared(mut self) -> Self {
        self.prepared = self.key.prepared().map(Arc::new);
        self
    }

    /// Whether a signature of a text is by this key.
    pub(super) fn verify(&self, text: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        match &self.prepared {
            Some(prepared) => prepared.verify(text, signature),
            None => self.key.verify(text, signature),
        }
    }

    /// Names a key.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] when the name cannot be used in notes.
    pub fn new(name: impl Into<String>, key: PublicKey) -> Result<Self, NoteError> {
        let name = name.into();
        check_key_name(&name)?;
        // Key ids are SHA-256 in C2SP; a suite with another hash has type bytes of its own.
        let hash =
            Suite::Ed25519Sha256.plain_hash(&[name.as_bytes(), b"\n", &[ED25519_TYPE], &key.0]);
        let [a, b, c, d, ..] = hash.0;
        Ok(Self {
            name,
            key,
            id: KeyId([a, b, c, d]),
            prepared: None,
        })
    }

    /// The key a validator signs checkpoints of the log `origin` with, named `<origin>/v/<name>`.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] when the origin cannot be part of a key name.
    pub fn of_validator(origin: &str, validator: &Validator) -> Result<Self, NoteError> {
        Self::new(validator_key_name(origin, &validator.name), validator.key)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether a signature claims to be by this key. It may still be forged.
    #[must_use]
    pub fn is_named_by(&self, signature: &NoteSignature) -> bool {
        self.id == signature.id() && self.name == signature.name()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![ED25519_TYPE];
        typed.extend_from_slice(&self.key.0);
        write!(f, "{}+{}+{}", self.name, self.id, to_base64(&typed))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        const WHAT: &str = "verifier key";
        check_bound("verifier key length", text.len(), VKEY_LEN_MAX)?;
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return malformed(WHAT, "not of the form name+id+key");
        };
        let typed = from_base64(WHAT, key)?;
        let Some((&ED25519_TYPE, key)) = typed.split_first() else {
            return malformed(WHAT, "not an Ed25519 note key (type byte 1)");
        };
        let Ok(key) = <[u8; 32]>::try_from(key) else {
            return malformed(WHAT, "an Ed25519 key has 32 bytes");
        };
        let verifier = Self::new(name, PublicKey(key))?;
        if verifier.id.to_string() == id {
            Ok(verifier)
        } else {
            malformed(
                WHAT,
                "the id does not belong to the name and key: one was mistyped",
            )
        }
    }
}

/// A named Ed25519 secret key that signs notes.
#[derive(Debug)]
pub struct SignerKey {
    verifier: VerifierKey,
    secret: SecretKey,
}

impl SignerKey {
    /// Names a secret key.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] when the name cannot be used in notes.
    pub fn new(name: impl Into<String>, secret: SecretKey) -> Result<Self, NoteError> {
        Ok(Self {
            verifier: VerifierKey::new(name, secret.public())?,
            secret,
        })
    }

    /// The secret key of validator `name` for checkpoints of the log `origin`.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] when origin and name make no key name.
    pub fn of_validator(origin: &str, name: &str, secret: SecretKey) -> Result<Self, NoteError> {
        Self::new(validator_key_name(origin, name), secret)
    }

    /// The key that verifies its signatures.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The secret key, for those who sign other things with it.
    #[must_use]
    pub fn secret(&self) -> SecretKey {
        SecretKey::from_seed(&self.secret.seed())
    }

    /// Signs a note's text, which includes its last newline.
    #[must_use]
    pub fn sign(&self, text: &str) -> NoteSignature {
        let signature = self.secret.sign(text.as_bytes());
        NoteSignature::of_key(&self.verifier, signature)
    }
}
