//! What must hold in every run.
//!
//! - **Agreement**: two nodes never have different blocks of one height, nor certified logs of one size with different roots.
//! - **Nothing lost, nothing twice**: what was acknowledged is there at the end, once ([`sim::history`]).
//! - **One order** explains what clients saw ([`sim::history`]).
//! - **Liveness**: once nothing goes wrong any more, writes through every node are acknowledged, and all have the same blocks.
//! - **Whole stores**: in the end a check of every node finds nothing.
//! - **No false evidence**: only those that signed wrongly are accused.

use std::collections::BTreeMap;

use stele_core::Hash;
use stele_node::driven::Driven;

/// What was seen of all nodes so far.
#[derive(Default)]
pub(crate) struct Judge {
    blocks: BTreeMap<u64, Hash>,
    logs: BTreeMap<u64, (u64, Hash)>,
    /// Up to which height each node was looked at.
    looked: BTreeMap<usize, u64>,
    pub(crate) violations: Vec<String>,
}

impl Judge {
    /// Compares what a node has now with what any had.
    pub(crate) fn look(&mut self, node: usize, driven: &Driven) {
        let (height, _, root, size, _) = driven.tip();
        let from = self.looked.get(&node).copied().unwrap_or(0);
        if height == from {
            return;
        }
        // One that lost blocks begins again where it is.
        for height in from.min(height) + 1..=height {
            let Some(hash) = driven.block_hash(height) else {
                continue;
            };
            let known = *self.blocks.entry(height).or_insert(hash);
            if known != hash {
                self.violations.push(format!(
                    "v{node} has block {height} {hash}, another had {known}"
                ));
            }
        }
        let known = *self.logs.entry(height).or_insert((size, root));
        if known != (size, root) {
            self.violations.push(format!(
                "after block {height} v{node} has {size} leaves and state {root}, another had {} and {}",
                known.0, known.1
            ));
        }
        self.looked.insert(node, height);
    }

    /// A node was killed: it may come back with less.
    pub(crate) fn forget(&mut self, node: usize) {
        self.looked.remove(&node);
    }

    /// The highest block anybody had.
    pub(crate) fn height(&self) -> u64 {
        self.blocks
            .last_key_value()
            .map_or(0, |(height, _)| *height)
    }
}
