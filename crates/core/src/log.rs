//! The log: an append-only RFC 6962 Merkle tree over every entry and block leaf there ever was.
//!
//! A **leaf hash** is `H(0x00 ‖ leaf)`, a **node hash** `H(0x01 ‖ left ‖ right)`; a tree of `n` leaves
//! splits at the largest power of two below `n`, and the empty tree has the hash of no bytes.
//!
//! Hashes are kept as C2SP `tlog-tiles` tiles of height 8. One flat file per **tile level** `L` holds, in
//! order and 32 bytes each, the hash of every complete subtree of 256^L leaves:
//!
//! ```text
//! level 0   leaf 0 | leaf 1 | leaf 2 | …                    one hash a leaf
//! level 1   leaves 0..256 | leaves 256..512 | …             one hash a full level-0 tile
//! level 2   leaves 0..65536 | …                             one hash a full level-1 tile
//! tile (L, N) of width W  =  bytes N·8192 .. N·8192 + 32·W of file L
//! ```
//!
//! So files only ever grow at their end, and a tile is served by copying bytes. The nodes between two
//! tile levels are recomputed from the tile. [`LogTree`] appends, [`inclusion_proof`] and
//! [`consistency_proof`] read through a [`TileReader`], and the `verify_` functions need nothing but
//! their arguments: any input gives an answer, never a panic.

mod bundle;
mod prove;
mod reader;
mod tile;
mod tree;
mod verify;

pub use bundle::{
    BUNDLE_ENTRIES_MAX, BUNDLE_ENTRY_LEN_MAX, BundleError, decode_bundle, encode_bundle,
};
pub use prove::{consistency_proof, inclusion_proof, root_at};
pub use reader::{LogError, MemoryTiles, TileReader};
pub use tile::{TILE_LEVEL_MAX, TileContent, TilePath, TilePathError};
pub use tree::LogTree;
pub use verify::{ProofError, root_of_inclusion, verify_consistency, verify_inclusion};

use crate::hash::{Domain, Hash, Suite};

#[cfg(test)]
mod tests;

/// Levels of the tree inside one tile.
pub const TILE_HEIGHT: u32 = 8;

/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// Most leaves a log can have.
pub const TREE_SIZE_MAX: u64 = (1 << 63) - 1;

/// Most hashes in an inclusion or consistency proof: one a tree level, and one more.
pub const PROOF_LEN_MAX: usize = 64;

/// Hash of a leaf's bytes.
#[must_use]
pub fn leaf_hash(suite: Suite, leaf: &[u8]) -> Hash {
    suite.hash(Domain::LogLeaf, &[leaf])
}

/// Hash of the node above `left` and `right`.
#[must_use]
pub fn node_hash(suite: Suite, left: &Hash, right: &Hash) -> Hash {
    suite.hash(Domain::LogNode, &[&left.0, &right.0])
}

/// Root of the tree without leaves: the hash of no bytes (RFC 6962, section 2.1).
#[must_use]
pub fn empty_root(suite: Suite) -> Hash {
    suite.plain_hash(&[])
}

/// Root over `peaks`: the complete subtrees a tree consists of, largest first.
fn root_of_peaks(suite: Suite, peaks: &[Hash]) -> Hash {
    let mut from_right = peaks.iter().rev();
    match from_right.next() {
        None => empty_root(suite),
        Some(smallest) => from_right.fold(*smallest, |right, left| node_hash(suite, left, &right)),
    }
}
