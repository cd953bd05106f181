//! What is hashed: ranks, entries, nodes, groups and table roots.

use crate::hash::{Domain, Hash, Suite};
use crate::schema::TableId;

/// Most entries a group may hold, on any level, the sentinel included.
pub const GROUP_ENTRIES_MAX: usize = 8_192;
/// Highest rank of a key; a real one needs 2^60 tries.
pub const RANK_MAX: u8 = 12;
/// Most levels of groups a table can have.
pub const HEIGHT_MAX: u8 = RANK_MAX + 1;
/// Longest key, in bytes.
pub const KEY_LEN_MAX: usize = 767;

/// Bits of the boundary hash a rank takes: groups hold 2^5 = 32 entries on average.
const RANK_BITS: u32 = 5;

/// How many levels of groups a key starts: leading zero bits of its boundary hash divided by 5, at most [`RANK_MAX`].
#[must_use]
pub fn rank(suite: Suite, table: TableId, key: &[u8]) -> u8 {
    let hash = suite.hash(Domain::TreeBoundary, &[&table.0.to_be_bytes(), key]);
    let mut bits = 0;
    for byte in hash.0 {
        bits += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    u8::try_from(bits / RANK_BITS).map_or(RANK_MAX, |rank| rank.min(RANK_MAX))
}

/// Whether an entry that is not the sentinel starts a group of a level.
pub(super) fn starts_group(rank: u8, level: u8) -> bool {
    rank > level
}

/// Leaf hash of a level 0 entry.
pub(super) fn entry_hash(suite: Suite, key: &[u8], row_hash: &Hash) -> Hash {
    let len = u16::try_from(key.len()).expect("keys are checked against KEY_LEN_MAX on entry");
    suite.hash(Domain::TreeEntry, &[&len.to_be_bytes(), key, &row_hash.0])
}

/// Leaf hash of an entry of any level.
pub(super) fn leaf_hash(suite: Suite, level: u8, key: &[u8], hash: &Hash) -> Hash {
    if level == 0 {
        entry_hash(suite, key, hash)
    } else {
        *hash
    }
}

/// Interior node of a group's Merkle tree.
pub(super) fn node_hash(suite: Suite, left: &Hash, right: &Hash) -> Hash {
    suite.hash(Domain::TreeNode, &[&left.0, &right.0])
}

/// Hash of a group: entry of the level above.
pub(super) fn group_hash(suite: Suite, level: u8, count: usize, root: &Hash, name: &[u8]) -> Hash {
    let count = u16::try_from(count).expect("at most GROUP_ENTRIES_MAX entries");
    suite.hash(
        Domain::TreeGroup,
        &[&[level], &count.to_be_bytes(), &root.0, name],
    )
}

/// Root of a table of `height` levels whose top group has the hash `top`.
#[must_use]
pub fn table_root(suite: Suite, table: TableId, height: u8, top: &Hash) -> Hash {
    suite.hash(
        Domain::TreeTable,
        &[&table.0.to_be_bytes(), &[height], &top.0],
    )
}

/// Root of a table without rows: one group that holds the sentinel alone.
#[must_use]
pub fn empty_table_root(suite: Suite, table: TableId) -> Hash {
    let sentinel = entry_hash(suite, &[], &Hash::ZERO);
    table_root(suite, table, 1, &group_hash(suite, 0, 1, &sentinel, &[]))
}
