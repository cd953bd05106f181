//! What a proof file carries besides the path in the log.

use super::verify::VerifyError;
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use crate::hash::Suite;
use crate::leaf::{BlockLeaf, LogLeaf};
use crate::outcome::Outcome;
use crate::row::Row;
use crate::schema::Table;
use crate::transaction::{SignedTransaction, TRANSACTION_LEN_MAX};

const EVIDENCE_VERSION: u8 = 1;
/// Evidence of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// Of a transaction.
    Transaction(Box<TransactionEvidence>),
    /// Of rows.
    Rows(Box<RowEvidence>),
}

/// A transaction with its outcome and place.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionEvidence {
    /// Block height.
    pub height: u64,
    /// Place in the block.
    pub index: u32,
    /// The transaction.
    pub signed: SignedTransaction,
    /// Its outcome.
    pub outcome: Outcome,
}
