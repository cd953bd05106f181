//! Transactions: the signed intent of an account.
//!
//! A transaction's identity is the hash of its body, without key and signature: however often the
//! same intent is signed again, it is the same transaction and takes effect once.

use thiserror::Error;

use crate::account::AccountId;
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list, put_option};
use crate::crypto::{PublicKey, SecretKey, Signature};
use crate::hash::{Domain, Hash, Suite};
use crate::schema::TableId;
use crate::value::Value;

/// Longest encoding of one signed transaction, in bytes: a block of it alone stays within 1 MiB.
pub const TRANSACTION_LEN_MAX: usize = 960 * 1024;
/// Longest payload of one record or chunk transaction, in bytes; larger records travel in chunks.
pub const CHUNK_LEN_MAX: usize = 512 * 1024;
/// Longest record, in bytes (64 MiB, in chunks).
pub const RECORD_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Most statements of one transaction.
pub const STATEMENTS_MAX: usize = 10_000;
/// Most bound parameters of one statement (PostgreSQL's own bound).
pub const PARAMETERS_MAX: usize = 65_535;
/// Longest text of one statement, in bytes.
pub const STATEMENT_LEN_MAX: usize = 512 * 1024;
/// Most expected table versions of one transaction.
pub const EXPECTED_VERSIONS_MAX: usize = 64;
/// A transaction expires at most this long after its own time, in microseconds (10 minutes).
pub const EXPIRY_AHEAD_MAX_US: i64 = 10 * 60 * 1_000_000;
/// A transaction's own time lies within this distance of its block's time, in microseconds (30 s):
/// room for block intervals of up to 20 s and clocks that differ a little.
pub const TIME_SKEW_MAX_US: i64 = 30 * 1_000_000;

const TRANSACTION_VERSION: u8 = 1;
const SIGNING_PREFIX: &[u8] = b"stele/transaction/v1\n";

/// What an account wants done.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// The ledger it is meant for.
    pub ledger: Hash,
    /// Who wants it.
    pub account: AccountId,
    /// Random, so that equal intents are different transactions.
    pub nonce: [u8; 16],
    /// Its own time: what `now()` gives. Microseconds since 1970 UTC.
    pub time_us: i64,
    /// From this block time on it is refused. Microseconds since 1970 UTC.
    pub expiry_us: i64,
    /// What `random()` and `gen_random_uuid()` are drawn from.
    pub seed: [u8; 16],
    /// Optional: fails unless each table still has this version (strict mode).
    pub expected_versions: Vec<ExpectedVersion>,
    /// What to do.
    pub payload: Payload,
}

/// A table version a transaction insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedVersion {
    /// The table.
    pub table: TableId,
    /// Height of the last transaction that changed it.
    pub height: u64,
    /// Index of that transaction in its block.
    pub index: u32,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// SQL, all or nothing.
    Statements(Vec<Statement>),
    /// An opaque record, at most [`CHUNK_LEN_MAX`] bytes.
    Record(Vec<u8>),
    /// A piece of a larger record, at most [`CHUNK_LEN_MAX`] bytes; the manifest names it.
    Chunk(Vec<u8>),
    /// Ends a record that travelled in chunks.
    Manifest(Manifest),
    /// An erasable record: only its salted commitment is in the log. Reserved in version 1.
    Commitment {
        /// Hash of salt and bytes.
        commitment: Hash,
        /// Length of the bytes.
        len: u64,
    },
    /// A governance change. Reserved in version 1.
    Governance(Vec<u8>),
}

/// One SQL statement with bound parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// PostgreSQL text with `$1`…
    pub sql: String,
    /// Values for `$1`…, in order.
    pub parameters: Vec<Value>,
    /// Digest of the result the client saw; execution fails with 40001 if it differs.
    pub result: Option<Hash>,
}

/// The pieces of a large record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Length of the whole, in bytes.
    pub len: u64,
    /// Hash of the whole ([`Domain::Record`]).
    pub digest: Hash,
    /// Transactions that hold the pieces, in order.
    pub chunks: Vec<Hash>,
}

/// A transaction with the key and signature that stand behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedTransaction {
    /// The intent.
    pub transaction: Transaction,
    /// A current key of the account.
    pub key: PublicKey,
    /// By that key, over the transaction's identity.
    pub signature: Signature,
}

/// Why a signed transaction is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransactionError {
    /// Meant for another ledger.
    #[error("the transaction is for ledger {found}, this is {expected}")]
    WrongLedger {
        /// This ledger.
        expected: Hash,
        /// The ledger it names.
        found: Hash,
    },
    /// The signature does not fit.
    #[error("the signature does not fit the key and the transaction: sign the encoded body anew")]
    BadSignature,
    /// The expiry lies too far after the transaction's own time, or before it.
    #[error("the expiry must lie after the transaction's time and at most 10 minutes after it")]
    BadExpiry,
}

impl Transaction {
    /// The transaction's identity.
    #[must_use]
    pub fn id(&self, suite: Suite) -> Hash {
        suite.hash_of(Domain::Transaction, self)
    }

    /// Signs it.
    #[must_use]
    pub fn sign(self, suite: Suite, key: &SecretKey) -> SignedTransaction {
        let signature = key.sign(&signing_message(&self.id(suite)));
        SignedTransaction {
            transaction: self,
            key: key.public(),
            signature,
        }
    }
}

/// The bytes an account signs for a transaction of this identity.
#[must_use]
pub fn signing_message(id: &Hash) -> Vec<u8> {
    [SIGNING_PREFIX, &id.0].concat()
}

impl SignedTransaction {
    /// The transaction's identity.
    #[must_use]
    pub fn id(&self, suite: Suite) -> Hash {
        self.transaction.id(suite)
    }

    /// The digest by which a block commits to transaction, key and signature.
    #[must_use]
    pub fn digest(&self, suite: Suite) -> Hash {
        suite.hash_of(Domain::SignedTransaction, self)
    }

    /// Checks what can be checked without state: ledger, expiry bounds, signature. Whether the key
    /// belongs to the account is state; for an account that never rotated keys it is its first key.
    ///
    /// # Errors
    /// Which of these does not hold.
    pub fn verify(&self, suite: Suite, ledger: &Hash) -> Result<Hash, TransactionError> {
        let body = &self.transaction;
        if body.ledger != *ledger {
            return Err(TransactionError::WrongLedger {
                expected: *ledger,
                found: body.ledger,
            });
        }
        let ahead = body.expiry_us.checked_sub(body.time_us);
        if !ahead.is_some_and(|ahead| ahead > 0 && ahead <= EXPIRY_AHEAD_MAX_US) {
            return Err(TransactionError::BadExpiry);
        }
        let id = self.id(suite);
        self.key
            .verify(&signing_message(&id), &self.signature)
            .map_err(|_| TransactionError::BadSignature)?;
        Ok(id)
    }
}

impl Encode for Transaction {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(TRANSACTION_VERSION);
        self.ledger.encode(out);
        self.account.encode(out);
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.time_us.to_be_bytes());
        out.extend_from_slice(&self.expiry_us.to_be_bytes());
        out.extend_from_slice(&self.seed);
        put_list(out, &self.expected_versions);
        self.payload.encode(out);
    }
}

impl Decode for Transaction {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("transaction", TRANSACTION_VERSION)?;
        Ok(Self {
            ledger: Hash::decode(reader)?,
            account: AccountId::decode(reader)?,
            nonce: reader.array()?,
            time_us: reader.i64()?,
            expiry_us: reader.i64()?,
            seed: reader.array()?,
            expected_versions: reader.list("expected versions", EXPECTED_VERSIONS_MAX)?,
            payload: Payload::decode(reader)?,
        })
    }
}

impl Encode for ExpectedVersion {
    fn encode(&self, out: &mut Vec<u8>) {
        self.table.encode(out);
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
    }
}

impl Decode for ExpectedVersion {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            table: TableId::decode(reader)?,
            height: reader.u64()?,
            index: reader.u32()?,
        })
    }
}

impl Encode for Payload {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Statements(statements) => {
                out.push(1);
                put_list(out, statements);
            }
            Self::Record(bytes) => {
                out.push(2);
                put_bytes(out, bytes);
            }
            Self::Chunk(bytes) => {
                out.push(3);
                put_bytes(out, bytes);
            }
            Self::Manifest(manifest) => {
                out.push(4);
                out.extend_from_slice(&manifest.len.to_be_bytes());
                manifest.digest.encode(out);
                put_list(out, &manifest.chunks);
            }
            Self::Commitment { commitment, len } => {
                out.push(5);
                commitment.encode(out);
                out.extend_from_slice(&len.to_be_bytes());
            }
            Self::Governance(bytes) => {
                out.push(6);
                put_bytes(out, bytes);
            }
        }
    }
}

impl Decode for Payload {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            1 => Self::Statements(reader.list("statements", STATEMENTS_MAX)?),
            2 => Self::Record(reader.bytes("record", CHUNK_LEN_MAX)?.to_vec()),
            3 => Self::Chunk(reader.bytes("chunk", CHUNK_LEN_MAX)?.to_vec()),
            4 => Self::Manifest(Manifest {
                len: reader.u64()?,
                digest: Hash::decode(reader)?,
                chunks: reader.list("chunks", RECORD_LEN_MAX as usize / CHUNK_LEN_MAX)?,
            }),
            5 => Self::Commitment {
                commitment: Hash::decode(reader)?,
                len: reader.u64()?,
            },
            6 => Self::Governance(reader.bytes("governance change", CHUNK_LEN_MAX)?.to_vec()),
            other => {
                return Err(DecodeError::UnknownVersion {
                    what: "payload",
                    found: u32::from(other),
                });
            }
        })
    }
}

impl Encode for Statement {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.sql.as_bytes());
        put_list(out, &self.parameters);
        put_option(out, self.result.as_ref());
    }
}

impl Decode for Statement {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            sql: reader.text("statement", STATEMENT_LEN_MAX)?,
            parameters: reader.list("parameters", PARAMETERS_MAX)?,
            result: reader.option()?,
        })
    }
}

impl Encode for SignedTransaction {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.transaction.encode_to_vec());
        self.key.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for SignedTransaction {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let body = reader.bytes("transaction", TRANSACTION_LEN_MAX)?;
        Ok(Self {
            transaction: Transaction::decode_all(body)?,
            key: PublicKey::decode(reader)?,
            signature: Signature::decode(reader)?,
        })
    }
}
