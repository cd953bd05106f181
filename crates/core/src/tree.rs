//! The state tree: one hash that commits to every row of every table.
//!
//! Per table an **ordered, history-independent** Merkle tree over (encoded primary key → row hash):
//! the tree depends on the rows that are there and on nothing else, so anyone can recompute a root
//! from rows alone, in any database. A small top tree joins the tables
//! into the [`state_root`].
//!
//! # Shape
//! - An *entry* of level 0 is a row: its key and row hash. Level 0 starts with one entry that is
//!   never stored, the *sentinel*: the empty key with the hash of zeros. It gives every key a left
//!   neighbour and an empty table a root.
//! - The entries of a level are cut into *groups*. A key's [`rank`] is the number of leading zero
//!   bits of H(table id ‖ key), divided by 5 (at most [`RANK_MAX`]); an entry starts a group of
//!   level n when its rank is above n. So groups hold 32 entries on average, and changing a row's
//!   content moves no boundary. The sentinel starts the first group of every level.
//! - A group of level n is one entry of level n+1: its key is the group's first key (its *name*),
//!   its hash the group hash. Levels end where one group is left; the number of levels is the
//!   table's *height*, one more than the highest rank of its keys.
//! - No group may hold more than [`GROUP_ENTRIES_MAX`] entries, on any level: see
//!   `docs/decisions/0003-tree-boundaries.md`.
//!
//! # Hashes (each in its own [`Domain`](crate::Domain), integers big-endian)
//! ```text
//! entry      = H(TreeEntry, key length u16, key, row hash)
//! node       = H(TreeNode, left, right)                    RFC 6962 split inside a group
//! group      = H(TreeGroup, level u8, count u16, merkle root of its entries, name)
//! table root = H(TreeTable, table id u32, height u8, hash of the top group)
//! top entry  = H(TreeTop, table id u32, catalogue hash, table root)
//! state root = H(TreeRoot, count u32, merkle root of the top entries)
//! ```
//! On level 0 the leaves of a group's Merkle tree are entry hashes, above it the group hashes themselves.
//!
//! # Storage and older heights
//! Nodes live wherever the caller keeps them, behind [`NodeStore`] and [`NodeStoreMut`]; [`Tree`]
//! updates them. Every write tells the hash it replaces, so a store that keeps (node, height of the
//! replacement, old hash) for a window of heights can answer [`NodeStore`] *as of* any height in
//! it: the node's value at height h is the old hash of the first replacement above h, or the
//! current value where there is none. Proofs ([`Prover`]) and [`Diff`] read through [`NodeStore`] only, so such a
//! view is all they need.

mod build;
mod cache;
mod diff;
mod error;
mod group;
mod node;
mod node_key;
mod path;
mod proof;
mod prove;
mod run;
mod store;
mod top;
mod update;

#[cfg(test)]
mod tests;

pub use build::{Builder, build, build_into};
pub use cache::{CACHE_ENTRIES_MAX, CACHE_ROWS_MAX};
pub use diff::{Diff, DiffError, Difference};
pub use error::TreeError;
pub use node::{
    GROUP_ENTRIES_MAX, HEIGHT_MAX, KEY_LEN_MAX, RANK_MAX, empty_table_root, rank, table_root,
};
pub use node_key::NodeKey;
pub use proof::{AbsenceProof, PresenceProof, ProofError, ProvenRow, RANGE_ROWS_MAX, RangeProof};
pub use prove::{ProvenRange, Prover};
pub use store::{MemoryStore, Node, NodeChange, NodeStore, NodeStoreMut};
pub use top::{TABLES_MAX, TableAbsenceProof, TableEntry, TableProof, TopError, state_root};
pub use update::{Tree, Updated};
