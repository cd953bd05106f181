//! What validators tell each other beside votes and blocks.
//!
//! Encoded as version `1`, a kind, and the content: kind `1` a counted list (20,000) of signed transactions as length-prefixed
//! bytes; kind `2` a height (`u64`) and a checkpoint note as length-prefixed bytes.

use crate::block::CERTIFICATE_LEN_MAX;
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_len};
use crate::transaction::TRANSACTION_LEN_MAX;

/// Most transactions of a message.
pub const PEER_TRANSACTIONS_MAX: usize = 20_000;

const PEER_MESSAGE_VERSION: u8 = 1;
const TRANSACTIONS: u8 = 1;
const CHECKPOINT: u8 = 2;

/// A message of a validator to others. Nothing in it is believed before it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// Signed transactions that wait to be ordered, encoded.
    Transactions(Vec<Vec<u8>>),
    /// The checkpoint after a block, with the sender's signature or those of a quorum.
    Checkpoint {
        /// Height of the block.
        height: u64,
        /// A C2SP signed note.
        note: Vec<u8>,
    },
}

impl Encode for PeerMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(PEER_MESSAGE_VERSION);
        match self {
            Self::Transactions(transactions) => {
                out.push(TRANSACTIONS);
                put_len(out, transactions.len());
                for transaction in transactions {
                    put_bytes(out, transaction);
                }
            }
            Self::Checkpoint { height, note } => {
                out.push(CHECKPOINT);
                out.extend_from_slice(&height.to_be_bytes());
                put_bytes(out, note);
            }
        }
    }
}

impl Decode for PeerMessage {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("peer message", PEER_MESSAGE_VERSION)?;
        match reader.u8()? {
            TRANSACTIONS => {
                let count = reader.count("transactions", PEER_TRANSACTIONS_MAX)?;
                let transactions = (0..count).map(|_| {
                    let bytes = reader.bytes("transaction", TRANSACTION_LEN_MAX)?;
                    Ok(bytes.to_vec())
                });
                Ok(Self::Transactions(
                    transactions.collect::<Result<_, DecodeError>>()?,
                ))
            }
            CHECKPOINT => Ok(Self::Checkpoint {
                height: reader.u64()?,
                note: reader.bytes("checkpoint", CERTIFICATE_LEN_MAX)?.to_vec(),
            }),
            _ => Err(DecodeError::Invalid("a peer message of an unknown kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_one_encoding() {
        for message in [
            PeerMessage::Transactions(vec![vec![1, 2], Vec::new(), vec![3; 300]]),
            PeerMessage::Checkpoint {
                height: 7,
                note: b"note".to_vec(),
            },
        ] {
            let bytes = message.encode_to_vec();
            assert_eq!(PeerMessage::decode_all(&bytes), Ok(message));
            for len in 0..bytes.len() {
                assert!(PeerMessage::decode_all(&bytes[..len]).is_err());
            }
        }
        assert!(PeerMessage::decode_all(&[1, 3]).is_err());
        assert!(PeerMessage::decode_all(&[2, 1, 0]).is_err());
    }
}
