//! The top tree: from table roots to the state root.
//!
//! Tables are few, so their entries form one list in ascending order of table id. The state root
//! commits to the count and to the RFC 6962 Merkle root of the list (zeros when it is empty).
//!
//! ```text
//! entry         = table id u32, catalogue hash, table root
//! table proof   = version 1, count u32, index u32, entry, list of hashes (leaf upwards)
//! table absence = version 1, count u32, index u32 (where the id would stand),
//!                 option entry before, option entry after, list of hashes (left to right)
//! ```

use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader, put_list, put_option};
use crate::hash::{Domain, Hash, Suite, split_point};
use crate::schema::TableId;

use super::node::node_hash;
use super::proof::{ProofError, same_root};

/// Most tables a ledger can have.
pub const TABLES_MAX: usize = 65_536;
/// Most hashes of a proof: a path on each side of two neighbours.
const HASHES_MAX: usize = 2 * TABLES_MAX.ilog2() as usize;
const PROOF_VERSION: u8 = 1;

/// What the state root commits to of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// Table.
    pub table: TableId,
    /// Hash of its definition in the catalogue.
    pub catalogue_hash: Hash,
    /// Root of its rows.
    pub root: Hash,
}

/// Why tables have no state root.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopError {
    /// Tables were not given in strictly ascending order of id.
    #[error("table {} does not follow the table before it; give tables in ascending order of id, each once", .0.0)]
    NotAscending(TableId),
    /// Too many tables.
    #[error("{0} tables, the bound is {TABLES_MAX}; drop tables that are not needed")]
    TooMany(usize),
}

/// Shows which root and definition a table has in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableProof {
    count: u32,
    index: u32,
    entry: TableEntry,
    hashes: Vec<Hash>,
}

/// Shows that a state has no table of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableAbsenceProof {
    count: u32,
    index: u32,
    before: Option<TableEntry>,
    after: Option<TableEntry>,
    hashes: Vec<Hash>,
}

/// Root of the whole state, from its tables in strictly ascending order of id.
///
/// # Errors
/// For tables out of order, and for too many.
pub fn state_root(suite: Suite, tables: &[TableEntry]) -> Result<Hash, TopError> {
    let leaves = leaves(suite, tables)?;
    let root = match leaves.as_slice() {
        [] => Hash::ZERO,
        leaves => suite.merkle_root(Domain::TreeNode, leaves),
    };
    Ok(root_hash(suite, count_of(&leaves), &root))
}

impl TableProof {
    /// Proof of a table's entry; none when it is not among `tables`.
    ///
    /// # Errors
    /// For tables out of order, and for too many.
    pub fn new(
        suite: Suite,
        tables: &[TableEntry],
        table: TableId,
    ) -> Result<Option<Self>, TopError> {
        let leaves = leaves(suite, tables)?;
        let Ok(at) = tables.binary_search_by_key(&table, |entry| entry.table) else {
            return Ok(None);
        };
        Ok(tables.get(at).map(|entry| Self {
            count: count_of(&leaves),
            index: index_of(at),
            entry: *entry,
            hashes: around(suite, &leaves, at, at + 1),
        }))
    }

    /// What the state of this root holds of the table.
    ///
    /// # Errors
    /// When the proof does not show it.
    pub fn verify(
        &self,
        suite: Suite,
        table: TableId,
        state_root: &Hash,
    ) -> Result<&TableEntry, ProofError> {
        if self.entry.table != table {
            return Err(ProofError::OtherClaim("it speaks of another table"));
        }
        let known = [self.entry.leaf(suite)];
        let root = join(suite, self.count, self.index, &known, &self.hashes)?;
        same_root(root, *state_root)?;
        Ok(&self.entry)
    }
}

impl TableAbsenceProof {
    /// Proof that a table is not among `tables`; none when it is.
    ///
    /// # Errors
    /// For tables out of order, and for too many.
    pub fn new(
        suite: Suite,
        tables: &[TableEntry],
        table: TableId,
    ) -> Result<Option<Self>, TopError> {
        let leaves = leaves(suite, tables)?;
        let Err(at) = tables.binary_search_by_key(&table, |entry| entry.table) else {
            return Ok(None);
        };
        let before = at.checked_sub(1).and_then(|at| tables.get(at)).copied();
        let after = tables.get(at).copied();
        let from = at - usize::from(before.is_some());
        let to = at + usize::from(after.is_some());
        Ok(Some(Self {
            count: count_of(&leaves),
            index: index_of(at),
            before,
            after,
            hashes: around(suite, &leaves, from, to),
        }))
    }

    /// Checks that the state of this root has no table of this id.
    ///
    /// # Errors
    /// When the proof does not show it.
    pub fn verify(
        &self,
        suite: Suite,
        table: TableId,
        state_root: &Hash,
    ) -> Result<(), ProofError> {
        if self.before.is_some_and(|entry| entry.table >= table)
            || self.after.is_some_and(|entry| entry.table <= table)
        {
            return Err(ProofError::OtherClaim(
                "its tables do not enclose the table",
            ));
        }
        // Without a neighbour the place must be an end of the list; the count is in the root.
        if self.before.is_some() != (self.index > 0)
            || self.after.is_some() != (self.index < self.count)
        {
            return Err(ProofError::Shape("a neighbour is missing"));
        }
        let known: Vec<Hash> = self
            .before
            .iter()
            .chain(&self.after)
            .map(|entry| entry.leaf(suite))
            .collect();
        let from = self.index - u32::from(self.before.is_some());
        let root = join(suite, self.count, from, &known, &self.hashes)?;
        same_root(root, *state_root)
    }
}

impl TableEntry {
    fn leaf(&self, suite: Suite) -> Hash {
        let id = self.table.0.to_be_bytes();
        suite.hash(
            Domain::TreeTop,
            &[&id, &self.catalogue_hash.0, &self.root.0],
        )
    }
}

fn root_hash(suite: Suite, count: u32, root: &Hash) -> Hash {
    suite.hash(Domain::TreeRoot, &[&count.to_be_bytes(), &root.0])
}

fn leaves(suite: Suite, tables: &[TableEntry]) -> Result<Vec<Hash>, TopError> {
    if tables.len() > TABLES_MAX {
        return Err(TopError::TooMany(tables.len()));
    }
    let mut last = None;
    for entry in tables {
        if last.is_some_and(|last| entry.table <= last) {
            return Err(TopError::NotAscending(entry.table));
        }
        last = Some(entry.table);
    }
    Ok(tables.iter().map(|entry| entry.leaf(suite)).collect())
}

fn count_of(leaves: &[Hash]) -> u32 {
    index_of(leaves.len())
}

fn index_of(at: usize) -> u32 {
    u32::try_from(at).expect("at most TABLES_MAX tables")
}

/// Roots of the subtrees that cover all leaves outside `from..to`, left to right.
fn around(suite: Suite, leaves: &[Hash], from: usize, to: usize) -> Vec<Hash> {
    fn part(suite: Suite, leaves: &[Hash], low: usize, known: (usize, usize), out: &mut Vec<Hash>) {
        let high = low + leaves.len();
        if leaves.is_empty() {
        } else if high <= known.0 || low >= known.1 {
            out.push(suite.merkle_root(Domain::TreeNode, leaves));
        } else if leaves.len() > 1 {
            let (left, right) = leaves.split_at(split_point(leaves.len()));
            part(suite, left, low, known, out);
            part(suite, right, low + left.len(), known, out);
        }
    }
    let mut out = Vec::new();
    part(suite, leaves, 0, (from, to), &mut out);
    out
}

/// State root of `count` leaves, of which `known` stand from index `from` on.
fn join(
    suite: Suite,
    count: u32,
    from: u32,
    known: &[Hash],
    hashes: &[Hash],
) -> Result<Hash, ProofError> {
    fn part<'h>(
        suite: Suite,
        (low, high): (usize, usize),
        from: usize,
        known: &[Hash],
        hashes: &mut impl Iterator<Item = &'h Hash>,
    ) -> Option<Hash> {
        if high <= from || low >= from + known.len() {
            return hashes.next().copied();
        }
        if high - low == 1 {
            return known.get(low - from).copied();
        }
        let middle = low + split_point(high - low);
        let left = part(suite, (low, middle), from, known, hashes)?;
        let right = part(suite, (middle, high), from, known, hashes)?;
        Some(node_hash(suite, &left, &right))
    }
    let (size, from) = (count as usize, from as usize);
    if size > TABLES_MAX || from + known.len() > size {
        return Err(ProofError::Shape("a table stands outside the list"));
    }
    let mut hashes = hashes.iter();
    let root = match size {
        0 => Some(Hash::ZERO),
        _ => part(suite, (0, size), from, known, &mut hashes),
    };
    match (root, hashes.next()) {
        (Some(root), None) => Ok(root_hash(suite, count, &root)),
        (None, _) => Err(ProofError::Shape("a hash is missing")),
        (_, Some(_)) => Err(ProofError::Shape("a hash is left over")),
    }
}

impl Encode for TableEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        self.table.encode(out);
        self.catalogue_hash.encode(out);
        self.root.encode(out);
    }
}

impl Decode for TableEntry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            table: TableId::decode(reader)?,
            catalogue_hash: Hash::decode(reader)?,
            root: Hash::decode(reader)?,
        })
    }
}

impl Encode for TableProof {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(PROOF_VERSION);
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        self.entry.encode(out);
        put_list(out, &self.hashes);
    }
}

impl Decode for TableProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("table proof version", PROOF_VERSION)?;
        Ok(Self {
            count: reader.u32()?,
            index: reader.u32()?,
            entry: TableEntry::decode(reader)?,
            hashes: reader.list("hashes of a table proof", HASHES_MAX)?,
        })
    }
}

impl Encode for TableAbsenceProof {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(PROOF_VERSION);
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        put_option(out, self.before.as_ref());
        put_option(out, self.after.as_ref());
        put_list(out, &self.hashes);
    }
}

impl Decode for TableAbsenceProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("table absence proof version", PROOF_VERSION)?;
        Ok(Self {
            count: reader.u32()?,
            index: reader.u32()?,
            before: reader.option()?,
            after: reader.option()?,
            hashes: reader.list("hashes of a table proof", HASHES_MAX)?,
        })
    }
}
