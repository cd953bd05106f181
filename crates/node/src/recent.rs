//! Identities of recent transactions: a second block entry of one has no effect.
//!
//! An identity is kept until its transaction has expired by block time; after that the transaction
//! is refused as expired, so forgetting it is safe. The set follows from the blocks alone.

use std::collections::{BTreeMap, HashSet};

use stele_core::Hash;

/// The set.
#[derive(Debug, Default)]
pub(crate) struct RecentIds {
    known: HashSet<Hash>,
    by_expiry: BTreeMap<i64, Vec<Hash>>,
}

impl RecentIds {
    /// Adds an identity; whether it was new.
    pub(crate) fn insert(&mut self, id: Hash, expiry_us: i64) -> bool {
        let new = self.known.insert(id);
        if new {
            self.by_expiry.entry(expiry_us).or_default().push(id);
        }
        new
    }

    /// Whether it is known.
    #[must_use]
    pub(crate) fn contains(&self, id: &Hash) -> bool {
        self.known.contains(id)
    }

    /// Forgets those whose expiry is not after `block_time_us`.
    pub(crate) fn expire(&mut self, block_time_us: i64) {
        while let Some(entry) = self.by_expiry.first_entry() {
            if *entry.key() > block_time_us {
                break;
            }
            for id in entry.remove() {
                self.known.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_only_what_has_expired() {
        let mut recent = RecentIds::default();
        assert!(recent.insert(Hash([1; 32]), 10));
        assert!(recent.insert(Hash([2; 32]), 20));
        assert!(!recent.insert(Hash([1; 32]), 10));
        recent.expire(9);
        assert!(recent.contains(&Hash([1; 32])) && recent.contains(&Hash([2; 32])));
        recent.expire(10);
        assert!(!recent.contains(&Hash([1; 32])));
        assert!(recent.contains(&Hash([2; 32])));
    }
}
