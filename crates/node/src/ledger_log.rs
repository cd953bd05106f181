//! The log's right edge, as the apply loop carries it from block to block.

use stele_core::Hash;
use stele_core::log::{self, LogTree};

/// The log after the newest applied block.
#[derive(Clone, Debug)]
pub(crate) struct LedgerLog(LogTree);

/// The log after one more block, not yet accepted.
#[derive(Debug)]
pub(crate) struct Grown {
    tree: LogTree,
    new_hashes: Vec<(u8, Hash)>,
}

impl LedgerLog {
    pub(crate) fn new(tree: LogTree) -> Self {
        Self(tree)
    }

    pub(crate) fn tree(&self) -> &LogTree {
        &self.0
    }

    pub(crate) fn size(&self) -> u64 {
        self.0.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.0.root()
    }

    /// The log with these leaves appended; this one stays as it is.
    pub(crate) fn grow(&self, leaves: &[Vec<u8>]) -> Grown {
        let mut tree = self.0.clone();
        let suite = tree.suite();
        let mut new_hashes = Vec::with_capacity(leaves.len() + 2);
        for leaf in leaves {
            tree.append(log::leaf_hash(suite, leaf), &mut new_hashes);
        }
        Grown { tree, new_hashes }
    }
}

impl Grown {
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// What the tile files grow by.
    pub(crate) fn new_hashes(&self) -> &[(u8, Hash)] {
        &self.new_hashes
    }

    pub(crate) fn into_log(self) -> LedgerLog {
        LedgerLog(self.tree)
    }
}
