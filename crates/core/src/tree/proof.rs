//! Proofs about a table's rows, checked against its root and nothing else.
//!
//! Each proof carries or is given the rows it speaks of; `verify` recomputes the table root from them.
//! Why that is sound is argued in the module `path`. A table root is in turn tied to a state root by a
//! [`TableProof`](super::TableProof), that to a block leaf, and that to a signed checkpoint.
//!
//! ```text
//! row      = key bytes (u32 length), row hash
//! path     = list of levels, each: before u16, after u16, name bytes, list of hashes
//! presence = version 1, path
//! absence  = version 1, option row before, option row after, path
//! range    = version 1, option row before, list of rows, option row after, path
//! ```

use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list, put_option};
use crate::hash::{Hash, Suite};
use crate::schema::TableId;

use super::node::KEY_LEN_MAX;
use super::path::Path;

/// Most rows one range proof carries; a longer range takes several.
pub const RANGE_ROWS_MAX: usize = 65_536;

/// Version of the proof encodings.
const PROOF_VERSION: u8 = 1;

/// Why a proof does not prove what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The hashes lead to another root: another height, another table, or forged.
    #[error(
        "the proof leads to root {found}, not {wanted}: it is of another height or table, or was altered"
    )]
    OtherRoot {
        /// Where the proof leads.
        found: Hash,
        /// The root asked about.
        wanted: Hash,
    },
    /// The proof has no shape a tree can have.
    #[error("the proof is malformed: {0}; ask for it again, from another node if this repeats")]
    Shape(&'static str),
    /// The proof is sound in itself but does not cover the keys asked about.
    #[error("the proof does not answer the question: {0}; ask for a proof of these very keys")]
    OtherClaim(&'static str),
}

/// A row as proofs speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRow {
    /// Encoded primary key.
    pub key: Vec<u8>,
    /// Row hash.
    pub row_hash: Hash,
}

/// Shows that a table holds a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceProof {
    pub(super) path: Path,
}

/// Shows that a table holds no row of a key: the rows around it are neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsenceProof {
    pub(super) around: RangeProof,
}

/// Shows which rows a table holds in a range of keys, and that there are no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeProof {
    /// The last row before the range; none where the table begins inside it.
    pub(super) before: Option<ProvenRow>,
    /// The rows in the range.
    pub(super) rows: Vec<ProvenRow>,
    /// The first row after the range; none where the table ends inside it.
    pub(super) after: Option<ProvenRow>,
    pub(super) path: Path,
}

impl PresenceProof {
    /// Checks that the table of this root holds a row with this key and hash.
    ///
    /// # Errors
    /// When the proof does not show it.
    pub fn verify(
        &self,
        suite: Suite,
        table: TableId,
        key: &[u8],
        row_hash: &Hash,
        root: &Hash,
    ) -> Result<(), ProofError> {
        if key.is_empty() || key.len() > KEY_LEN_MAX {
            return Err(ProofError::OtherClaim("no row can have this key"));
        }
        let row = ProvenRow {
            key: key.to_vec(),
            row_hash: *row_hash,
        };
        let reached = self.path.climb(suite, table, std::iter::once(&row))?;
        same_root(reached.root, *root)
    }
}

impl AbsenceProof {
    /// Checks that the table of this root holds no row with this key.
    ///
    /// # Errors
    /// When the proof does not show it.
    pub fn verify(
        &self,
        suite: Suite,
        table: TableId,
        key: &[u8],
        root: &Hash,
    ) -> Result<(), ProofError> {
        if key.is_empty() {
            return Err(ProofError::OtherClaim("no row can have an empty key"));
        }
        // No key lies between `key` and `key` with a zero byte after it.
        let mut after = key.to_vec();
        after.push(0);
        match self.around.verify(suite, table, key, Some(&after), root)? {
            [] => Ok(()),
            _ => Err(ProofError::OtherClaim("the row is there")),
        }
    }
}

impl RangeProof {
    /// The rows of the table of this root with `from <= key < to`, all of them; an empty `from` and a
    /// missing `to` leave that end open.
    ///
    /// # Errors
    /// When the proof does not show it.
    pub fn verify(
        &self,
        suite: Suite,
        table: TableId,
        from: &[u8],
        to: Option<&[u8]>,
        root: &Hash,
    ) -> Result<&[ProvenRow], ProofError> {
        self.check_claim(from, to)?;
        let sentinel = ProvenRow {
            key: Vec::new(),
            row_hash: Hash::ZERO,
        };
        let first = self.before.as_ref().unwrap_or(&sentinel);
        let stretch = std::iter::once(first).chain(&self.rows).chain(&self.after);
        let reached = self.path.climb(suite, table, stretch)?;
        same_root(reached.root, *root)?;
        if self.after.is_none() && !reached.at_end {
            return Err(ProofError::OtherClaim("rows may follow the last one shown"));
        }
        Ok(&self.rows)
    }

    /// The rows as the proof tells them, unchecked.
    #[must_use]
    pub fn rows_unchecked(&self) -> &[ProvenRow] {
        &self.rows
    }

    fn check_claim(&self, from: &[u8], to: Option<&[u8]>) -> Result<(), ProofError> {
        let below = |key: &[u8]| to.is_none_or(|to| key < to);
        // The sentinel is no row: shown as one it would pass for a row of the empty key.
        let mut shown = self.before.iter().chain(&self.rows).chain(&self.after);
        if shown.any(|row| row.key.is_empty() || row.key.len() > KEY_LEN_MAX) {
            return Err(ProofError::Shape("a row has a key no row can have"));
        }
        if self
            .before
            .as_ref()
            .is_some_and(|row| row.key.as_slice() >= from)
        {
            return Err(ProofError::OtherClaim("it starts inside the range"));
        }
        if self.after.as_ref().is_some_and(|row| below(&row.key)) {
            return Err(ProofError::OtherClaim("it ends inside the range"));
        }
        let inside = |row: &ProvenRow| row.key.as_slice() >= from && below(&row.key);
        if !self.rows.iter().all(inside) {
            return Err(ProofError::OtherClaim("a row lies outside the range"));
        }
        Ok(())
    }
}

pub(super) fn same_root(found: Hash, wanted: Hash) -> Result<(), ProofError> {
    if found == wanted {
        Ok(())
    } else {
        Err(ProofError::OtherRoot { found, wanted })
    }
}

impl Encode for ProvenRow {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        self.row_hash.encode(out);
    }
}

impl Decode for ProvenRow {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: reader.bytes("key of a row", KEY_LEN_MAX)?.to_vec(),
            row_hash: Hash::decode(reader)?,
        })
    }
}

impl Encode for PresenceProof {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(PROOF_VERSION);
        self.path.encode(out);
    }
}

impl Decode for PresenceProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("presence proof version", PROOF_VERSION)?;
        Ok(Self {
            path: Path::decode(reader)?,
        })
    }
}

impl Encode for AbsenceProof {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(PROOF_VERSION);
        put_option(out, self.around.before.as_ref());
        put_option(out, self.around.after.as_ref());
        self.around.path.encode(out);
    }
}

impl Decode for AbsenceProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("absence proof version", PROOF_VERSION)?;
        Ok(Self {
            around: RangeProof {
                before: reader.option()?,
                rows: Vec::new(),
                after: reader.option()?,
                path: Path::decode(reader)?,
            },
        })
    }
}

impl Encode for RangeProof {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(PROOF_VERSION);
        put_option(out, self.before.as_ref());
        put_list(out, &self.rows);
        put_option(out, self.after.as_ref());
        self.path.encode(out);
    }
}

impl Decode for RangeProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("range proof version", PROOF_VERSION)?;
        Ok(Self {
            before: reader.option()?,
            rows: reader.list("rows of a range proof", RANGE_ROWS_MAX)?,
            after: reader.option()?,
            path: Path::decode(reader)?,
        })
    }
}
