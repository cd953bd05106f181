//! What validators tell each other beside votes and blocks.
//!
//! Encoded as version `1`, a kind, and the content: kind `1` a counted list (20,000) of signed transactions as length-prefixed
//! bytes; kind `2` a height (`u64`) and a checkpoint note as length-prefixed bytes; kind `3` a question for kept blocks: its number,
//! the first and last height, and bytes to leave out (`u64` each); kind `4` the answer: that number, why not (text, empty if it is
//! answered) and a piece of the stream as length-prefixed bytes; kind `5` a number: the question for the newest checkpoint that the
//! asker is known to have signed, which kind `4` answers with the note, or nothing. The height beside a note is a hint only.

use crate::block::CERTIFICATE_LEN_MAX;
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_len};
use crate::transaction::TRANSACTION_LEN_MAX;

/// Most transactions of a message.
pub const PEER_TRANSACTIONS_MAX: usize = 20_000;

const PEER_MESSAGE_VERSION: u8 = 1;
const TRANSACTIONS: u8 = 1;
const CHECKPOINT: u8 = 2;
const ASK: u8 = 3;
const PIECE: u8 = 4;
const SIGNED: u8 = 5;

/// Longest piece of a stream of kept blocks in a message, in bytes.
pub const PIECE_LEN_MAX: usize = 448 * 1024;
/// Longest reason of one that does not give a piece, in bytes.
pub const REASON_LEN_MAX: usize = 1_000;

/// A question for a piece of the stream of kept blocks ([`crate::certified::KeptBlock`]) of some heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// First height.
    pub from: u64,
    /// Last height; the stream may end before it.
    pub to: u64,
    /// Bytes at the beginning of the stream that are there already.
    pub skip: u64,
}

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
    /// Asks one validator for kept blocks.
    Ask {
        /// Number of the question, chosen by who asks.
        number: u64,
        /// What is asked for.
        ask: Ask,
    },
    /// Asks one validator for the newest checkpoint that it knows the asker to have signed.
    Signed {
        /// Number of the question, chosen by who asks.
        number: u64,
    },
    /// Answers a question.
    Piece {
        /// Number of the question.
        number: u64,
        /// Why it is not answered; empty when it is.
        reason: String,
        /// The stream from there on, as much as fits; empty at its end.
        bytes: Vec<u8>,
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
            Self::Ask { number, ask } => {
                out.push(ASK);
                for value in [*number, ask.from, ask.to, ask.skip] {
                    out.extend_from_slice(&value.to_be_bytes());
                }
            }
            Self::Signed { number } => {
                out.push(SIGNED);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Piece {
                number,
                reason,
                bytes,
            } => {
                out.push(PIECE);
                out.extend_from_slice(&number.to_be_bytes());
                put_bytes(out, reason.as_bytes());
                put_bytes(out, bytes);
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
            ASK => Ok(Self::Ask {
                number: reader.u64()?,
                ask: Ask {
                    from: reader.u64()?,
                    to: reader.u64()?,
                    skip: reader.u64()?,
                },
            }),
            SIGNED => Ok(Self::Signed {
                number: reader.u64()?,
            }),
            PIECE => Ok(Self::Piece {
                number: reader.u64()?,
                reason: reader.text("reason", REASON_LEN_MAX)?,
                bytes: reader.bytes("piece", PIECE_LEN_MAX)?.to_vec(),
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
            PeerMessage::Ask {
                number: 1,
                ask: Ask {
                    from: 2,
                    to: 3,
                    skip: 4,
                },
            },
            PeerMessage::Signed { number: 9 },
            PeerMessage::Piece {
                number: 1,
                reason: "no".to_owned(),
                bytes: vec![5, 6],
            },
        ] {
            let bytes = message.encode_to_vec();
            assert_eq!(PeerMessage::decode_all(&bytes), Ok(message));
            for len in 0..bytes.len() {
                assert!(PeerMessage::decode_all(&bytes[..len]).is_err());
            }
        }
        assert!(PeerMessage::decode_all(&[1, 6]).is_err());
        assert!(PeerMessage::decode_all(&[2, 1, 0]).is_err());
    }
}
