//! Checking proofs (RFC 9162, sections 2.1.3.2 and 2.1.4.2). Total: any input gives an answer.

use thiserror::Error;

use super::{PROOF_LEN_MAX, TREE_SIZE_MAX, empty_root, node_hash};
use crate::hash::{Hash, Suite};

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The leaf cannot be in a tree of that size.
    #[error("the proof is for leaf {index}, the log has only {size}")]
    IndexOutside {
        /// Leaf the proof names.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a log of {new} leaves cannot continue one of {old}")]
    SizesReversed {
        /// Leaves of the older tree.
        old: u64,
        /// Leaves of the newer tree.
        new: u64,
    },
    /// More leaves than a log can have.
    #[error("{size} leaves are more than a log can have")]
    SizeTooLarge {
        /// Leaves named.
        size: u64,
    },
    /// The proof has too few or too many hashes for its place in the tree.
    #[error("{found} hashes do not make a proof for this place in the log")]
    WrongLength {
        /// Hashes in the proof.
        found: usize,
    },
    /// The older root does not follow from the proof.
    #[error("the proof leads to another root of the older log: the histories differ")]
    OldRootMismatch,
    /// The root does not follow from the proof.
    #[error("the proof leads to another root: leaf, proof and checkpoint do not belong together")]
    RootMismatch,
}

/// Checks that the leaf with hash `leaf` is number `index` of the tree with `size` leaves and `root`.
///
/// # Errors
/// [`ProofError`] when it is not, or the proof has any hash too many.
pub fn verify_inclusion(
    suite: Suite,
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if root_of_inclusion(suite, leaf, index, size, proof)? == *root {
        Ok(())
    } else {
        Err(ProofError::RootMismatch)
    }
}

/// The root that `proof` leads to, from the leaf with hash `leaf` at `index` of a tree with `size` leaves.
///
/// # Errors
/// [`ProofError`] when the proof has not exactly the hashes that place needs.
pub fn root_of_inclusion(
    suite: Suite,
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutside { index, size });
    }
    let mut climb = Climb::new(index, size, proof.len())?;
    let mut hash = *leaf;
    for sibling in proof {
        hash = match climb.step()? {
            Side::Left => node_hash(suite, sibling, &hash),
            Side::Right => node_hash(suite, &hash, sibling),
        };
    }
    climb.finish()?;
    Ok(hash)
}

/// Checks that the tree with `old` leaves and `old_root` is a prefix of that with `new` and `new_root`.
///
/// With `old` 0 or equal to `new` the proof is empty.
///
/// # Errors
/// [`ProofError`] when it is not, or the proof has any hash too many.
pub fn verify_consistency(
    suite: Suite,
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    if old == 0 || old == new {
        return verify_trivial(suite, old, new, proof, old_root, new_root);
    }
    let mut climb = Climb::new(old - 1, new, proof.len())?;
    climb.skip_left_turns();
    // A complete old tree is itself the first hash; the proof leaves it out.
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        proof
            .split_first()
            .ok_or(ProofError::WrongLength { found: 0 })?
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        match climb.step()? {
            Side::Left => {
                old_hash = node_hash(suite, sibling, &old_hash);
                new_hash = node_hash(suite, sibling, &new_hash);
            }
            Side::Right => new_hash = node_hash(suite, &new_hash, sibling),
        }
    }
    climb.finish()?;
    if old_hash != *old_root {
        return Err(ProofError::OldRootMismatch);
    }
    if new_hash != *new_root {
        return Err(ProofError::RootMismatch);
    }
    Ok(())
}

/// Consistency with the empty tree, or of a tree with itself.
fn verify_trivial(
    suite: Suite,
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if new > TREE_SIZE_MAX {
        return Err(ProofError::SizeTooLarge { size: new });
    }
    if !proof.is_empty() {
        return Err(ProofError::WrongLength { found: proof.len() });
    }
    if old == 0 && *old_root != empty_root(suite) {
        return Err(ProofError::OldRootMismatch);
    }
    if old == new && old_root != new_root {
        return Err(ProofError::RootMismatch);
    }
    Ok(())
}

/// On which side the proof's next hash stands.
enum Side {
    Left,
    Right,
}

/// The way from a node up to the root, RFC 9162's `fn` and `sn`.
struct Climb {
    /// Number of the node in its level.
    node: u64,
    /// Number of the level's last node.
    last: u64,
    /// Hashes in the proof, for errors.
    proof_len: usize,
}

impl Climb {
    fn new(index: u64, size: u64, proof_len: usize) -> Result<Self, ProofError> {
        if size > TREE_SIZE_MAX {
            return Err(ProofError::SizeTooLarge { size });
        }
        if proof_len > PROOF_LEN_MAX {
            return Err(ProofError::WrongLength { found: proof_len });
        }
        Ok(Self {
            node: index,
            last: size - 1,
            proof_len,
        })
    }

    /// Goes up while the node is a right child.
    fn skip_left_turns(&mut self) {
        while self.node & 1 == 1 {
            self.up();
        }
    }

    /// Goes up to the next node with a sibling, and says on which side the sibling stands.
    fn step(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError::WrongLength {
                found: self.proof_len,
            });
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of a level may have no sibling: it moves up unhashed.
            while self.node & 1 == 0 && self.node != 0 {
                self.up();
            }
            Side::Left
        } else {
            Side::Right
        };
        self.up();
        Ok(side)
    }

    fn up(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }

    /// Makes sure the root is reached.
    fn finish(&self) -> Result<(), ProofError> {
        if self.last == 0 {
            Ok(())
        } else {
            Err(ProofError::WrongLength {
                found: self.proof_len,
            })
        }
    }
}
