//! Keys and signatures of the ledger's suite.

use std::fmt;

use std::sync::LazyLock;

use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsBasepointTable;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::BasepointTable;
use ed25519_dalek::{Signer, SigningKey, Verifier, VerifyingKey};
use sha2::{Digest, Sha512};
use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// A public key: 32 bytes (Ed25519, RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// A signature: 64 bytes (Ed25519, RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// A secret key. Wiped from memory when dropped; never printed.
pub struct SecretKey(SigningKey);

/// A public key that checks many signatures: a table of its multiples (30 KiB) makes each check cheaper.
pub struct PreparedKey {
    key: PublicKey,
    negated: Box<EdwardsBasepointTable>,
}

/// The canonical encodings of the eight points of small order.
static SMALL_ORDER: LazyLock<[[u8; 32]; 8]> =
    LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress().to_bytes()));

/// A signature does not fit its key and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the signature does not fit the key and the message")]
pub struct SignatureError;

impl SecretKey {
    /// The key of a 32-byte seed (RFC 8032's private key).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed this key was made of. Secret.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Its public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message. The same key and message give the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl PublicKey {
    /// Checks a signature strictly: small-order keys and malleable forms are refused, so each
    /// verifier everywhere gives the same answer.
    ///
    /// The answers are those of `VerifyingKey::verify_strict`, a tenth cheaper: `verify` compares the
    /// bytes of R with those of a point it computes, so an R that passes is canonical, and whether it
    /// has small order shows in its bytes without decompressing it.
    ///
    /// # Errors
    /// [`SignatureError`] when it does not fit.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        if key.is_weak() || SMALL_ORDER.contains(signature.r_bytes()) {
            return Err(SignatureError);
        }
        key.verify(message, &signature).map_err(|_| SignatureError)
    }

    /// Prepares the key for checking many signatures; none when it is a key that no signature fits.
    #[must_use]
    pub fn prepared(&self) -> Option<PreparedKey> {
        let key = VerifyingKey::from_bytes(&self.0).ok()?;
        (!key.is_weak()).then(|| PreparedKey {
            key: *self,
            negated: Box::new(EdwardsBasepointTable::create(&-key.to_edwards())),
        })
    }

    /// Lower-case hexadecimal form.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl PreparedKey {
    /// Checks a signature as [`PublicKey::verify`] does, with the same answers.
    ///
    /// # Errors
    /// [`SignatureError`] when it does not fit.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        let r = signature.r_bytes();
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(*signature.s_bytes()));
        let (Some(s), false) = (s, SMALL_ORDER.contains(r)) else {
            return Err(SignatureError);
        };
        let challenge = Sha512::new()
            .chain_update(r)
            .chain_update(self.key.0)
            .chain_update(message)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&challenge.into());
        let expected = ED25519_BASEPOINT_TABLE.mul_base(&s) + self.negated.mul_base(&k);
        match expected.compress().as_bytes() == r {
            true => Ok(()),
            false => Err(SignatureError),
        }
    }
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedKey(of {:?})", self.key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Encode for PublicKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for PublicKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.array()?))
    }
}

impl Encode for Signature {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for Signature {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.array()?))
    }
}

#[cfg(test)]
mod tests;
