//! Blocks: transactions in their one order.

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_len};
use crate::crypto::PublicKey;
use crate::hash::{Domain, Hash, Suite};
use crate::transaction::{SignedTransaction, TRANSACTION_LEN_MAX};

/// Longest encoding of a block, in bytes (1 MiB).
pub const BLOCK_LEN_MAX: usize = 1024 * 1024;
/// Most transactions of a block.
pub const BLOCK_TRANSACTIONS_MAX: usize = 100_000;
/// Longest certificate note carried in a header, in bytes.
pub const CERTIFICATE_LEN_MAX: usize = 16 * 1024;
/// The first block's height; genesis is height 0.
pub const FIRST_HEIGHT: u64 = 1;

const BLOCK_VERSION: u8 = 1;

/// What a block's hash is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The ledger.
    pub ledger: Hash,
    /// Place in the chain, from 1.
    pub height: u64,
    /// Hash of the block before; that of block 1 is the ledger id.
    pub parent: Hash,
    /// Block time, greater than the parent's. Microseconds since 1970 UTC.
    pub time_us: i64,
    /// Validator key of the proposer.
    pub proposer: PublicKey,
    /// Number of transactions.
    pub transaction_count: u32,
    /// Merkle root ([`Domain::ListNode`]) over the digests of the signed transactions.
    pub transaction_root: Hash,
    /// Newest checkpoint certificate the proposer knows (a C2SP signed note); empty if none yet.
    pub certificate: Vec<u8>,
}

/// A block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Header.
    pub header: Header,
    /// Transactions in order.
    pub transactions: Vec<SignedTransaction>,
}

impl Header {
    /// The block's hash.
    #[must_use]
    pub fn hash(&self, suite: Suite) -> Hash {
        suite.hash_of(Domain::Block, self)
    }
}

impl Block {
    /// The block's hash.
    #[must_use]
    pub fn hash(&self, suite: Suite) -> Hash {
        self.header.hash(suite)
    }

    /// The Merkle root over the transactions, as it must stand in the header.
    #[must_use]
    pub fn transaction_root(suite: Suite, transactions: &[SignedTransaction]) -> Hash {
        let digests: Vec<Hash> = transactions.iter().map(|tx| tx.digest(suite)).collect();
        suite.merkle_root(Domain::ListNode, &digests)
    }
}

/// A block's parts without decoding its transactions: what hashing and indexing need.
#[derive(Clone, Debug)]
pub struct BlockView<'a> {
    /// Header.
    pub header: Header,
    /// Encoding of each signed transaction.
    pub transactions: Vec<&'a [u8]>,
}

impl<'a> BlockView<'a> {
    /// Splits an encoded block.
    ///
    /// # Errors
    /// When the frame does not decode or bytes are left.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = Header::decode(&mut reader)?;
        let count = reader.count("transactions", BLOCK_TRANSACTIONS_MAX)?;
        let transactions = (0..count)
            .map(|_| reader.bytes("transaction", TRANSACTION_LEN_MAX))
            .collect::<Result<Vec<_>, _>>()?;
        reader.finish()?;
        if header.transaction_count as usize != transactions.len() {
            return Err(DecodeError::Invalid(
                "the header counts other transactions than the block holds",
            ));
        }
        Ok(Self {
            header,
            transactions,
        })
    }

    /// The identity of each transaction, hashed from the bytes without decoding them.
    ///
    /// # Errors
    /// When a transaction's frame does not decode.
    pub fn transaction_ids(&self, suite: Suite) -> Result<Vec<Hash>, DecodeError> {
        self.transactions
            .iter()
            .map(|bytes| {
                let body = Reader::new(bytes).bytes("transaction", TRANSACTION_LEN_MAX)?;
                Ok(suite.hash(Domain::Transaction, &[body]))
            })
            .collect()
    }

    /// The Merkle root over the signed transactions, from the bytes.
    #[must_use]
    pub fn transaction_root(&self, suite: Suite) -> Hash {
        let digests: Vec<Hash> = self
            .transactions
            .iter()
            .map(|bytes| suite.hash(Domain::SignedTransaction, &[bytes]))
            .collect();
        suite.merkle_root(Domain::ListNode, &digests)
    }
}

impl Encode for Header {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(BLOCK_VERSION);
        self.ledger.encode(out);
        out.extend_from_slice(&self.height.to_be_bytes());
        self.parent.encode(out);
        out.extend_from_slice(&self.time_us.to_be_bytes());
        self.proposer.encode(out);
        out.extend_from_slice(&self.transaction_count.to_be_bytes());
        self.transaction_root.encode(out);
        put_bytes(out, &self.certificate);
    }
}

impl Decode for Header {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("block", BLOCK_VERSION)?;
        Ok(Self {
            ledger: Hash::decode(reader)?,
            height: reader.u64()?,
            parent: Hash::decode(reader)?,
            time_us: reader.i64()?,
            proposer: PublicKey::decode(reader)?,
            transaction_count: reader.u32()?,
            transaction_root: Hash::decode(reader)?,
            certificate: reader.bytes("certificate", CERTIFICATE_LEN_MAX)?.to_vec(),
        })
    }
}

impl Encode for Block {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        put_len(out, self.transactions.len());
        for transaction in &self.transactions {
            put_bytes(out, &transaction.encode_to_vec());
        }
    }
}

impl Decode for Block {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = Header::decode(reader)?;
        let count = reader.count("transactions", BLOCK_TRANSACTIONS_MAX)?;
        if header.transaction_count as usize != count {
            return Err(DecodeError::Invalid(
                "the header counts other transactions than the block holds",
            ));
        }
        let transactions = (0..count)
            .map(|_| {
                SignedTransaction::decode_all(reader.bytes("transaction", TRANSACTION_LEN_MAX)?)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            header,
            transactions,
        })
    }
}
