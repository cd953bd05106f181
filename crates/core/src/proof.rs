//! Proof files: one text that shows, to anyone who pins the ledger, that a transaction took place or
//! that a row stood, did not stand, or was all there was, after a block. Verification needs no I/O.
//!
//! A proof file **is** a C2SP `tlog-proof`: public tools check that the leaf is in the log and who
//! signed the checkpoint. Its `extra` data carries the [`Evidence`] from which the leaf is rebuilt:
//!
//! - for a transaction: the signed transaction and its outcome; the leaf is its [`Entry`](crate::leaf::Entry);
//! - for rows: the block leaf, the table's definition, its path to the state root, and the path of
//!   the row, the gap or the range to the table's root.
//!
//! Nothing in the evidence is believed for itself: every part is hashed into the leaf.

mod evidence;
mod verify;

pub use evidence::{Evidence, RANGE_ROWS_MAX, RowClaim, RowEvidence, RowPath, TransactionEvidence};
pub use verify::{Proven, ProvenGrowth, ProvenRows, ProvenTransaction, Verifier, VerifyError};

#[cfg(test)]
mod tests;
