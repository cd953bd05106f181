//! What a proof file carries besides the path in the log.

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use crate::outcome::Outcome;
use crate::transaction::{SignedTransaction, TRANSACTION_LEN_MAX};

const EVIDENCE_VERSION: u8 = 1;
/// Evidence of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// Of a transaction.
    Transaction(Box<TransactionEvidence>),
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

impl Encode for Evidence {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(EVIDENCE_VERSION);
        match self {
            Self::Transaction(evidence) => {
                out.push(1);
                out.extend_from_slice(&evidence.height.to_be_bytes());
                out.extend_from_slice(&evidence.index.to_be_bytes());
                put_bytes(out, &evidence.signed.encode_to_vec());
                evidence.outcome.encode(out);
            }
        }
    }
}

impl Decode for Evidence {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("evidence", EVIDENCE_VERSION)?;
        match reader.u8()? {
            1 => Ok(Self::Transaction(Box::new(TransactionEvidence {
                height: reader.u64()?,
                index: reader.u32()?,
                signed: SignedTransaction::decode_all(
                    reader.bytes("transaction", TRANSACTION_LEN_MAX)?,
                )?,
                outcome: Outcome::decode(reader)?,
            }))),
            other => Err(DecodeError::UnknownVersion {
                what: "evidence",
                found: u32::from(other),
            }),
        }
    }
}
