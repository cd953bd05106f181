//! What ties neighbouring entries of level 0 to a table root.
//!
//! A *stretch* is any number of neighbouring entries, in the same group or in groups that follow each
//! other. On each level the stretch's groups are entries of a stretch of the level above, so one
//! form serves presence (one entry), absence (two) and ranges (many), and its argument is made once:
//!
//! 1. The table root fixes the height and the top group's hash. A group hash fixes its level, count,
//!    name and the Merkle root of its entries, and with the count the shape of that Merkle tree.
//! 2. So, unless two inputs with one hash are known, a Merkle root of given count has one leaf at each
//!    index. `before` and `after` are claims, but their sum and the stretch's own length must be the
//!    count in the hash, and another `before` puts the leaves into another shape.
//! 3. Where groups begin inside the stretch is not claimed: it follows from the keys' ranks. All
//!    groups but the first start, and all but the last end, inside the stretch. By (2) that makes
//!    the entries adjacent in the tree, level by level from the top.
//! 4. `after` zero on every level means: the stretch ends where the table ends. The first entry of a
//!    table is the sentinel, so nothing needs to be said of the start.
//! 5. Leaves, nodes, groups and roots have domains of their own: none passes for another. An entry
//!    hash fixes key and row hash, its key being length-prefixed.
//!
//! That keys ascend is the tree's own property: validators that sign a root have built it from rows
//! in order. The proofs check the order of the keys they show.

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list};
use crate::hash::{Hash, Suite, split_point};
use crate::schema::TableId;

use super::node::{
    GROUP_ENTRIES_MAX, HEIGHT_MAX, KEY_LEN_MAX, entry_hash, group_hash, node_hash, rank,
    starts_group, table_root,
};
use super::proof::{ProofError, ProvenRow};

/// Most hashes of one level: a path on each side of the stretch.
pub(super) const LEVEL_HASHES_MAX: usize = 2 * GROUP_ENTRIES_MAX.ilog2() as usize;

/// The way from a stretch of entries up to the table root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// From level 0 up; as many as the table's height.
    pub(super) levels: Vec<LevelPath>,
}

/// What a level adds to the stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LevelPath {
    /// Entries of the first group before the stretch.
    pub(super) before: u16,
    /// Entries of the last group after the stretch.
    pub(super) after: u16,
    /// Name of the first group where the stretch does not show it, that is when `before` is above 0.
    pub(super) name: Vec<u8>,
    /// Roots of the subtrees around the stretch, from left to right.
    pub(super) hashes: Vec<Hash>,
}

/// What a path leads to.
pub(super) struct Reached {
    pub(super) root: Hash,
    /// Whether the stretch's last entry is the table's last.
    pub(super) at_end: bool,
}

/// An entry of the stretch on some level.
struct Known {
    key: Vec<u8>,
    leaf: Hash,
    /// 0 for the stretch's first entry, where it is not needed.
    rank: u8,
}

impl Path {
    /// The table root these rows, neighbours in this order, lead to.
    pub(super) fn climb<'r>(
        &self,
        suite: Suite,
        table: TableId,
        rows: impl Iterator<Item = &'r ProvenRow>,
    ) -> Result<Reached, ProofError> {
        let mut stretch: Vec<Known> = rows
            .enumerate()
            .map(|(at, row)| Known {
                key: row.key.clone(),
                leaf: entry_hash(suite, &row.key, &row.row_hash),
                rank: if at == 0 {
                    0
                } else {
                    rank(suite, table, &row.key)
                },
            })
            .collect();
        if !stretch.is_sorted_by(|a, b| a.key < b.key) {
            return Err(ProofError::Shape("its rows are out of order"));
        }
        let mut at_end = true;
        for (level, path) in (0..HEIGHT_MAX).zip(&self.levels) {
            at_end &= path.after == 0;
            stretch = path.climb(suite, level, &stretch)?;
        }
        match (stretch.as_slice(), u8::try_from(self.levels.len())) {
            ([top], Ok(height @ 1..=HEIGHT_MAX)) => Ok(Reached {
                root: table_root(suite, table, height, &top.leaf),
                at_end,
            }),
            _ => Err(ProofError::Shape("its levels do not end in one group")),
        }
    }
}

impl LevelPath {
    /// The groups that hold the stretch, as a stretch of the level above.
    fn climb(&self, suite: Suite, level: u8, stretch: &[Known]) -> Result<Vec<Known>, ProofError> {
        let mut above = Vec::new();
        let mut hashes = self.hashes.iter();
        let mut groups = stretch
            .chunk_by(|_, next| !starts_group(next.rank, level))
            .peekable();
        let mut before = usize::from(self.before);
        while let Some(group) = groups.next() {
            let first = group.first().ok_or(ProofError::Shape("a group is empty"))?;
            let after = match groups.peek() {
                Some(_) => 0,
                None => usize::from(self.after),
            };
            let count = before + group.len() + after;
            if count > GROUP_ENTRIES_MAX {
                return Err(ProofError::Shape("a group is larger than groups can be"));
            }
            let root = cover(suite, 0, count, before, group, &mut hashes)
                .ok_or(ProofError::Shape("a hash is missing"))?;
            let name = if before == 0 { &first.key } else { &self.name };
            above.push(Known {
                key: name.clone(),
                leaf: group_hash(suite, level, count, &root, name),
                rank: first.rank,
            });
            before = 0;
        }
        match hashes.next() {
            None => Ok(above),
            Some(_) => Err(ProofError::Shape("a hash is left over")),
        }
    }
}

/// Merkle root of the leaves `low..high`, of which `known` are given from index `from` on.
fn cover<'h>(
    suite: Suite,
    low: usize,
    high: usize,
    from: usize,
    known: &[Known],
    hashes: &mut impl Iterator<Item = &'h Hash>,
) -> Option<Hash> {
    if high <= from || low >= from + known.len() {
        return hashes.next().copied();
    }
    if high - low == 1 {
        return known.get(low - from).map(|known| known.leaf);
    }
    let middle = low + split_point(high - low);
    let left = cover(suite, low, middle, from, known, hashes)?;
    let right = cover(suite, middle, high, from, known, hashes)?;
    Some(node_hash(suite, &left, &right))
}

impl Encode for Path {
    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.levels);
    }
}

impl Decode for Path {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let levels: Vec<LevelPath> = reader.list("levels of a tree path", HEIGHT_MAX.into())?;
        if levels.is_empty() {
            return Err(DecodeError::Invalid("a tree path has no level"));
        }
        Ok(Self { levels })
    }
}

impl Encode for LevelPath {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before.to_be_bytes());
        out.extend_from_slice(&self.after.to_be_bytes());
        put_bytes(out, &self.name);
        put_list(out, &self.hashes);
    }
}

impl Decode for LevelPath {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let path = Self {
            before: reader.u16()?,
            after: reader.u16()?,
            name: reader.bytes("name of a tree group", KEY_LEN_MAX)?.to_vec(),
            hashes: reader.list("hashes of a tree path", LEVEL_HASHES_MAX)?,
        };
        if path.before == 0 && !path.name.is_empty() {
            return Err(DecodeError::Invalid("a tree group is named twice"));
        }
        Ok(path)
    }
}
