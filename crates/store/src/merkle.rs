//! A Merkle root over a growing list, without keeping the list.

use stele_core::{Domain, Hash, Suite};

/// Computes [`Suite::merkle_root`] over hashes pushed one by one, keeping only the roots of the
/// complete subtrees so far, largest first.
#[derive(Clone, Debug)]
pub(crate) struct MerkleStack {
    suite: Suite,
    domain: Domain,
    count: u64,
    roots: Vec<Hash>,
}

impl MerkleStack {
    pub(crate) fn new(suite: Suite, domain: Domain) -> Self {
        Self {
            suite,
            domain,
            count: 0,
            roots: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        // Each trailing one bit of the count is a complete subtree of the size just built.
        for _ in 0..self.count.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                root = self.suite.hash(self.domain, &[&left.0, &root.0]);
            }
        }
        self.roots.push(root);
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else {
            return self.suite.merkle_root(self.domain, &[]);
        };
        roots.fold(*last, |right, left| {
            self.suite.hash(self.domain, &[&left.0, &right.0])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_equals_that_over_the_whole_list() {
        let suite = Suite::default();
        let mut stack = MerkleStack::new(suite, Domain::ListNode);
        let mut leaves = Vec::new();
        for n in 0u8..70 {
            assert_eq!(stack.root(), suite.merkle_root(Domain::ListNode, &leaves));
            let leaf = suite.hash(Domain::Record, &[&[n]]);
            stack.push(leaf);
            leaves.push(leaf);
        }
        assert_eq!(stack.count(), 70);
    }
}
