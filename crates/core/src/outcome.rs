//! Outcomes and effects: what executing a block gave.

use std::fmt;

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list, put_option};
use crate::hash::{Domain, Hash, Suite};
use crate::leaf::{BlockLeaf, Entry};
use crate::schema::{Table, TableId};

/// Longest encoded row, in bytes.
pub const ROW_LEN_MAX: usize = 17 * 1024 * 1024;
/// Most changes of one transaction.
pub const CHANGES_MAX: usize = 10_000_000;

/// How a transaction ended: `00000`, or the SQLSTATE of a failure from the closed list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code([u8; 5]);

impl Code {
    /// Success.
    pub const SUCCESS: Self = Self(*b"00000");
    /// A transaction of the same identity came first.
    pub const DUPLICATE: Self = Self(*b"ST001");
    /// Its expiry is not after the block time, or its own time is too far from it.
    pub const EXPIRED: Self = Self(*b"ST002");

    /// A code of five characters from `0-9A-Z`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let bytes: [u8; 5] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            .then_some(Self(bytes))
    }

    /// The five characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    /// Whether the transaction took effect.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::SUCCESS
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What executing one transaction gave; bound by the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Success or why not.
    pub code: Code,
    /// Rows inserted, updated and deleted.
    pub rows_affected: u64,
    /// Digest of the changes ([`changes_digest`]).
    pub changes: Hash,
}

impl Outcome {
    /// The hash an entry carries.
    #[must_use]
    pub fn hash(&self, suite: Suite) -> Hash {
        suite.hash_of(Domain::Outcome, self)
    }
}

/// One change to the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A row came, changed or went.
    Row(RowChange),
    /// A table came, changed its definition or went.
    Schema {
        /// The table.
        table: TableId,
        /// Definition before.
        before: Option<Box<Table>>,
        /// Definition after.
        after: Option<Box<Table>>,
    },
}

/// A row before and after, as encoded by [`crate::row`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The table.
    pub table: TableId,
    /// Encoded primary key.
    pub key: Vec<u8>,
    /// Encoded row before; none for an insert.
    pub before: Option<Vec<u8>>,
    /// Encoded row after; none for a delete.
    pub after: Option<Vec<u8>>,
}

/// Outcome and changes of one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionEffects {
    /// Outcome.
    pub outcome: Outcome,
    /// Changes in the order they were made; none unless it succeeded.
    pub changes: Vec<Change>,
}

/// Everything executing a block gave.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockEffects {
    /// Effects of each transaction, in block order.
    pub transactions: Vec<TransactionEffects>,
    /// The leaf that closes the block in the log.
    pub leaf: BlockLeaf,
    /// The certificate over the checkpoint after this block, if already known (a C2SP signed note); else empty.
    pub certificate: Vec<u8>,
}

/// Digest over the encoding of a transaction's changes.
#[must_use]
pub fn changes_digest(suite: Suite, changes: &[Change]) -> Hash {
    let mut bytes = Vec::new();
    put_list(&mut bytes, changes);
    suite.hash(Domain::Changes, &[&bytes])
}

impl TransactionEffects {
    /// Effects of a transaction that failed: nothing but the code.
    #[must_use]
    pub fn failed(suite: Suite, code: Code) -> Self {
        Self::new(suite, code, 0, Vec::new())
    }

    /// Effects with their outcome.
    #[must_use]
    pub fn new(suite: Suite, code: Code, rows_affected: u64, changes: Vec<Change>) -> Self {
        Self {
            outcome: Outcome {
                code,
                rows_affected,
                changes: changes_digest(suite, &changes),
            },
            changes,
        }
    }
}

impl BlockEffects {
    /// The log leaves of the block in order: an entry for each transaction, then the block leaf.
    #[must_use]
    pub fn log_leaves(&self, suite: Suite, transaction_ids: &[Hash]) -> Vec<Vec<u8>> {
        let mut leaves: Vec<Vec<u8>> = self
            .transactions
            .iter()
            .zip(transaction_ids)
            .zip(0u32..)
            .map(|((effects, id), index)| {
                Entry {
                    height: self.leaf.height,
                    index,
                    transaction: *id,
                    outcome: effects.outcome.hash(suite),
                }
                .encode_to_vec()
            })
            .collect();
        leaves.push(self.leaf.encode_to_vec());
        leaves
    }
}

impl Encode for Outcome {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.code.0);
        out.extend_from_slice(&self.rows_affected.to_be_bytes());
        self.changes.encode(out);
    }
}

impl Decode for Outcome {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code: [u8; 5] = reader.array()?;
        let code = std::str::from_utf8(&code)
            .ok()
            .and_then(Code::new)
            .ok_or(DecodeError::Invalid("an outcome code is not a SQLSTATE"))?;
        Ok(Self {
            code,
            rows_affected: reader.u64()?,
            changes: Hash::decode(reader)?,
        })
    }
}

struct Bytes(Vec<u8>);

impl Encode for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.0);
    }
}

impl Decode for Bytes {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.bytes("row", ROW_LEN_MAX)?.to_vec()))
    }
}

fn put_row(out: &mut Vec<u8>, row: Option<&Vec<u8>>) {
    match row {
        None => out.push(0),
        Some(row) => {
            out.push(1);
            put_bytes(out, row);
        }
    }
}

impl Encode for Change {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Row(row) => {
                out.push(1);
                row.table.encode(out);
                put_bytes(out, &row.key);
                put_row(out, row.before.as_ref());
                put_row(out, row.after.as_ref());
            }
            Self::Schema {
                table,
                before,
                after,
            } => {
                out.push(2);
                table.encode(out);
                put_option(out, before.as_deref());
                put_option(out, after.as_deref());
            }
        }
    }
}

impl Decode for Change {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => {
                let change = RowChange {
                    table: TableId::decode(reader)?,
                    key: reader.bytes("key", crate::key::KEY_LEN_MAX)?.to_vec(),
                    before: reader.option::<Bytes>()?.map(|row| row.0),
                    after: reader.option::<Bytes>()?.map(|row| row.0),
                };
                if change.before.is_none() && change.after.is_none() {
                    return Err(DecodeError::Invalid("a row change changes nothing"));
                }
                Ok(Self::Row(change))
            }
            2 => Ok(Self::Schema {
                table: TableId::decode(reader)?,
                before: reader.option::<Table>()?.map(Box::new),
                after: reader.option::<Table>()?.map(Box::new),
            }),
            other => Err(DecodeError::UnknownVersion {
                what: "change",
                found: u32::from(other),
            }),
        }
    }
}

impl Encode for TransactionEffects {
    fn encode(&self, out: &mut Vec<u8>) {
        self.outcome.encode(out);
        put_list(out, &self.changes);
    }
}

impl Decode for TransactionEffects {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            outcome: Outcome::decode(reader)?,
            changes: reader.list("changes", CHANGES_MAX)?,
        })
    }
}

const EFFECTS_VERSION: u8 = 1;

impl Encode for BlockEffects {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(EFFECTS_VERSION);
        put_list(out, &self.transactions);
        self.leaf.encode(out);
        put_bytes(out, &self.certificate);
    }
}

impl Decode for BlockEffects {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("block effects", EFFECTS_VERSION)?;
        Ok(Self {
            transactions: reader.list("effects", crate::block::BLOCK_TRANSACTIONS_MAX)?,
            leaf: BlockLeaf::decode(reader)?,
            certificate: reader
                .bytes("certificate", crate::block::CERTIFICATE_LEN_MAX)?
                .to_vec(),
        })
    }
}
