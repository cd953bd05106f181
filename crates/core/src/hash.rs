//! Hashes and the crypto suite that makes them.
//!
//! Every hash is taken over one [`Domain`] byte followed by the content, so bytes of one kind can
//! never pass for bytes of another. The log's own leaf and node hashes are those of RFC 6962
//! (prefixes `0x00` and `0x01`); all other domains start at `0x10`.

mod short;

use std::fmt;

use sha2::{Digest, Sha256};

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// Length of a [`struct@Hash`] in bytes.
pub const HASH_LEN: usize = 32;

/// A 32-byte digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; HASH_LEN]);

/// What a hash is taken over: its first hashed byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Domain {
    /// RFC 6962 leaf of the log.
    LogLeaf = 0x00,
    /// RFC 6962 interior node of the log.
    LogNode = 0x01,
    /// Account identifier from its first public key.
    Account = 0x10,
    /// Transaction body: the transaction's identity.
    Transaction = 0x11,
    /// Transaction with its key and signature, as it stands in a block.
    SignedTransaction = 0x12,
    /// Block header.
    Block = 0x13,
    /// Outcome of one transaction.
    Outcome = 0x14,
    /// Row and schema changes of one transaction.
    Changes = 0x15,
    /// One encoded row.
    Row = 0x16,
    /// Table definition in the catalogue.
    Table = 0x17,
    /// Validator set.
    ValidatorSet = 0x18,
    /// Genesis: the ledger's identity.
    Genesis = 0x19,
    /// Opaque record payload.
    Record = 0x1a,
    /// Record digest inside a segment footer.
    SegmentRecord = 0x1b,
    /// Result a client saw.
    Result = 0x1c,
    /// Check value at the end of a proof file's evidence.
    Evidence = 0x1d,
    /// Beginning or end of a kept row version, hashed with a secret during a self-check; never stored.
    KeptVersion = 0x1e,
    /// State tree: entry of a table (key and row hash).
    TreeEntry = 0x20,
    /// State tree: interior node inside a group.
    TreeNode = 0x21,
    /// State tree: a whole group, as entry of the next level.
    TreeGroup = 0x22,
    /// State tree: boundary decision of a key.
    TreeBoundary = 0x23,
    /// State tree: root of one table.
    TreeTable = 0x24,
    /// State tree: entry of the top tree (table, catalogue hash, root).
    TreeTop = 0x25,
    /// State tree: root of everything.
    TreeRoot = 0x26,
    /// Interior node of the small Merkle trees inside blocks and segments.
    ListNode = 0x30,
}

/// The fixed set of algorithms a ledger uses. One per ledger, named in its genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Suite {
    /// Ed25519 signatures and SHA-256.
    #[default]
    Ed25519Sha256 = 1,
}

impl Suite {
    /// Starts a hash in a domain.
    #[must_use]
    pub fn hasher(self, domain: Domain) -> Hasher {
        match self {
            Self::Ed25519Sha256 => {
                let mut inner = Sha256::new();
                inner.update([domain as u8]);
                Hasher { inner }
            }
        }
    }

    /// Hashes `parts`, one after another, in a domain.
    ///
    /// Parts are **not** length-prefixed: callers give fixed-size parts, or one variable part last.
    #[must_use]
    pub fn hash(self, domain: Domain, parts: &[&[u8]]) -> Hash {
        match self {
            Self::Ed25519Sha256 => {
                if let Some(digest) = short::sha256(&[domain as u8], parts) {
                    return Hash(digest);
                }
            }
        }
        let mut hasher = self.hasher(domain);
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }

    /// Hashes `parts` with no domain byte: for formats defined outside Stele that ask for it, such as
    /// the root of the empty RFC 6962 tree.
    #[must_use]
    pub fn plain_hash(self, parts: &[&[u8]]) -> Hash {
        match self {
            Self::Ed25519Sha256 => {
                let mut inner = Sha256::new();
                for part in parts {
                    inner.update(part);
                }
                Hash(inner.finalize().into())
            }
        }
    }

    /// Hashes the canonical encoding of `value` in a domain.
    #[must_use]
    pub fn hash_of<T: Encode + ?Sized>(self, domain: Domain, value: &T) -> Hash {
        self.hash(domain, &[&value.encode_to_vec()])
    }

    /// Merkle root over `leaves` in order, with the RFC 6962 split. The empty list has the hash of no bytes.
    #[must_use]
    pub fn merkle_root(self, domain: Domain, leaves: &[Hash]) -> Hash {
        match leaves {
            [] => self.hash(domain, &[]),
            [only] => *only,
            _ => {
                let (left, right) = leaves.split_at(split_point(leaves.len()));
                self.hash(
                    domain,
                    &[
                        &self.merkle_root(domain, left).0,
                        &self.merkle_root(domain, right).0,
                    ],
                )
            }
        }
    }
}

/// Largest power of two below `n` (`n` at least 2): where RFC 6962 splits a list.
#[must_use]
pub fn split_point(n: usize) -> usize {
    debug_assert!(n >= 2);
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

/// A hash under way.
#[derive(Clone)]
pub struct Hasher {
    inner: Sha256,
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    /// Ends the hash.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash(self.inner.finalize().into())
    }
}

impl Hash {
    /// All zero bytes: stands for "none", such as the parent of the first block.
    pub const ZERO: Self = Self([0; HASH_LEN]);

    /// Lower-case hexadecimal form, 64 characters.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Parses 64 hexadecimal characters, either case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; HASH_LEN];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Encode for Hash {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for Hash {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.array()?))
    }
}

impl Encode for Suite {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}

impl Decode for Suite {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => Ok(Self::Ed25519Sha256),
            other => Err(DecodeError::UnknownVersion {
                what: "suite",
                found: u32::from(other),
            }),
        }
    }
}
