//! What a proof file carries besides the path in the log.
//!
//! It ends with a check value over itself, so that a file damaged anywhere is refused even where the
//! damage would turn one true claim into another (a range's bound, for example). The check value
//! proves nothing; the hashes do.

use super::verify::VerifyError;
use crate::block::Header;
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_len, put_option};
use crate::hash::{Domain, HASH_LEN, Hash, Suite};
use crate::key::KEY_LEN_MAX;
use crate::leaf::BlockLeaf;
use crate::outcome::{Outcome, ROW_LEN_MAX};
use crate::row::{Row, decode_row, row_hash};
use crate::schema::Table;
use crate::transaction::{SignedTransaction, TRANSACTION_LEN_MAX};
use crate::tree::{AbsenceProof, PresenceProof, RangeProof, TableProof};

const EVIDENCE_VERSION: u8 = 1;
/// Most rows of one range proof.
pub const RANGE_ROWS_MAX: usize = crate::tree::RANGE_ROWS_MAX;

/// What a proof file shows, with all that is needed to check it.
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

/// What is claimed of a table's rows. Keys are as encoded by [`crate::key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowClaim {
    /// A row of this key is there.
    Present {
        /// Encoded primary key.
        key: Vec<u8>,
    },
    /// No row of this key is there.
    Absent {
        /// Encoded primary key.
        key: Vec<u8>,
    },
    /// The rows shown are all with `from <= key < to`.
    Range {
        /// First key; empty for the table's begin.
        from: Vec<u8>,
        /// First key not covered; none for the table's end.
        to: Option<Vec<u8>>,
    },
}

/// The path that goes with a claim, and the encoded rows it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowPath {
    /// For [`RowClaim::Present`].
    Present {
        /// Encoded row.
        row: Vec<u8>,
        /// Its path.
        proof: PresenceProof,
    },
    /// For [`RowClaim::Absent`].
    Absent {
        /// The gap's path.
        proof: AbsenceProof,
    },
    /// For [`RowClaim::Range`].
    Range {
        /// Encoded rows in key order.
        rows: Vec<Vec<u8>>,
        /// Their path.
        proof: RangeProof,
    },
}

/// Rows of a table after a block.
#[derive(Clone, Debug, PartialEq)]
pub struct RowEvidence {
    /// The block's header: it names the ledger, and the leaf holds its hash.
    pub header: Header,
    /// The leaf that closes the block.
    pub leaf: BlockLeaf,
    /// The table's definition then.
    pub table: Table,
    /// From the table's root to the state root.
    pub path: TableProof,
    /// What is claimed.
    pub claim: RowClaim,
    /// What shows it.
    pub shown: RowPath,
}

impl RowEvidence {
    /// Checks that the block leaf closes a block of this ledger. Origin and validators do not tell: another
    /// ledger may have both.
    ///
    /// # Errors
    /// [`VerifyError::Block`] or [`VerifyError::OtherLedger`].
    pub fn check_block(&self, suite: Suite, ledger: &Hash) -> Result<(), VerifyError> {
        if self.header.hash(suite) != self.leaf.block {
            return Err(VerifyError::Block("the header is another block's"));
        }
        if self.header.height != self.leaf.height || self.header.time_us != self.leaf.time_us {
            return Err(VerifyError::Block("the leaf has another height or time"));
        }
        if self.header.ledger != *ledger {
            return Err(VerifyError::OtherLedger(self.header.ledger));
        }
        Ok(())
    }

    /// Checks everything below the block leaf, and gives the rows shown with their keys.
    ///
    /// # Errors
    /// [`VerifyError::State`] when something does not hold.
    pub fn check(&self, suite: Suite) -> Result<Vec<(Vec<u8>, Row)>, VerifyError> {
        let refuse = |why: String| VerifyError::State(why);
        let table = self.table.id;
        let entry = self
            .path
            .verify(suite, table, &self.leaf.state_root)
            .map_err(|error| refuse(error.to_string()))?;
        if entry.catalogue_hash != self.table.hash(suite) {
            return Err(refuse(format!(
                "table {} is defined otherwise",
                self.table.name
            )));
        }
        match (&self.claim, &self.shown) {
            (RowClaim::Present { key }, RowPath::Present { row, proof }) => {
                proof
                    .verify(suite, table, key, &row_hash(suite, row), &entry.root)
                    .map_err(|error| refuse(error.to_string()))?;
                Ok(vec![(key.clone(), self.row(key, row)?)])
            }
            (RowClaim::Absent { key }, RowPath::Absent { proof }) => {
                proof
                    .verify(suite, table, key, &entry.root)
                    .map_err(|error| refuse(error.to_string()))?;
                Ok(Vec::new())
            }
            (RowClaim::Range { from, to }, RowPath::Range { rows, proof }) => {
                let proven = proof
                    .verify(suite, table, from, to.as_deref(), &entry.root)
                    .map_err(|error| refuse(error.to_string()))?;
                if proven.len() != rows.len() {
                    return Err(refuse("rows are missing or too many".to_owned()));
                }
                proven
                    .iter()
                    .zip(rows)
                    .map(|(proven, row)| {
                        if row_hash(suite, row) != proven.row_hash {
                            return Err(refuse("a row has another hash".to_owned()));
                        }
                        Ok((proven.key.clone(), self.row(&proven.key, row)?))
                    })
                    .collect()
            }
            _ => Err(refuse("claim and path are of different kinds".to_owned())),
        }
    }

    fn row(&self, key: &[u8], bytes: &[u8]) -> Result<Row, VerifyError> {
        let refuse = |why: String| VerifyError::State(why);
        let row = decode_row(&self.table, bytes).map_err(|error| refuse(error.to_string()))?;
        let own = row
            .key(&self.table)
            .map_err(|error| refuse(error.to_string()))?;
        if own != key {
            return Err(refuse("a row's values do not make its key".to_owned()));
        }
        Ok(row)
    }
}

impl Evidence {
    /// The bytes a proof file carries: the encoding and its check value.
    #[must_use]
    pub fn to_checked_bytes(&self, suite: Suite) -> Vec<u8> {
        let mut bytes = self.encode_to_vec();
        let check = suite.hash(Domain::Evidence, &[&bytes]);
        check.encode(&mut bytes);
        bytes
    }

    /// Reads the bytes of a proof file.
    ///
    /// # Errors
    /// When they were changed or are no evidence.
    pub fn from_checked_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, DecodeError> {
        let len = bytes.len().saturating_sub(HASH_LEN);
        let (encoding, check) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
        if Hash::decode_all(check)? != suite.hash(Domain::Evidence, &[encoding]) {
            return Err(DecodeError::Invalid(
                "its check value does not fit: the file was changed",
            ));
        }
        Self::decode_all(encoding)
    }
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
            Self::Rows(evidence) => {
                out.push(2);
                evidence.header.encode(out);
                evidence.leaf.encode(out);
                evidence.table.encode(out);
                evidence.path.encode(out);
                evidence.claim.encode(out);
                evidence.shown.encode(out);
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
            2 => {
                let header = Header::decode(reader)?;
                let leaf = BlockLeaf::decode(reader)?;
                let table = Table::decode(reader)?;
                let path = TableProof::decode(reader)?;
                let claim = RowClaim::decode(reader)?;
                let shown = RowPath::decode(reader, &claim)?;
                Ok(Self::Rows(Box::new(RowEvidence {
                    header,
                    leaf,
                    table,
                    path,
                    claim,
                    shown,
                })))
            }
            other => Err(DecodeError::UnknownVersion {
                what: "evidence",
                found: u32::from(other),
            }),
        }
    }
}

struct Key(Vec<u8>);

impl Encode for Key {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.0);
    }
}

impl Decode for Key {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.bytes("key", KEY_LEN_MAX)?.to_vec()))
    }
}

impl Encode for RowClaim {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Present { key } => {
                out.push(1);
                put_bytes(out, key);
            }
            Self::Absent { key } => {
                out.push(2);
                put_bytes(out, key);
            }
            Self::Range { from, to } => {
                out.push(3);
                put_bytes(out, from);
                put_option(out, to.clone().map(Key).as_ref());
            }
        }
    }
}

impl Decode for RowClaim {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            1 => Self::Present {
                key: Key::decode(reader)?.0,
            },
            2 => Self::Absent {
                key: Key::decode(reader)?.0,
            },
            3 => Self::Range {
                from: Key::decode(reader)?.0,
                to: reader.option::<Key>()?.map(|key| key.0),
            },
            other => {
                return Err(DecodeError::UnknownVersion {
                    what: "row claim",
                    found: u32::from(other),
                });
            }
        })
    }
}

impl RowPath {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Present { row, proof } => {
                put_bytes(out, row);
                proof.encode(out);
            }
            Self::Absent { proof } => proof.encode(out),
            Self::Range { rows, proof } => {
                put_len(out, rows.len());
                for row in rows {
                    put_bytes(out, row);
                }
                proof.encode(out);
            }
        }
    }

    /// The claim before it says of which kind it is.
    fn decode(reader: &mut Reader<'_>, claim: &RowClaim) -> Result<Self, DecodeError> {
        Ok(match claim {
            RowClaim::Present { .. } => Self::Present {
                row: reader.bytes("row", ROW_LEN_MAX)?.to_vec(),
                proof: PresenceProof::decode(reader)?,
            },
            RowClaim::Absent { .. } => Self::Absent {
                proof: AbsenceProof::decode(reader)?,
            },
            RowClaim::Range { .. } => {
                let count = reader.count("rows", RANGE_ROWS_MAX)?;
                let rows = (0..count)
                    .map(|_| Ok(reader.bytes("row", ROW_LEN_MAX)?.to_vec()))
                    .collect::<Result<Vec<_>, DecodeError>>()?;
                Self::Range {
                    rows,
                    proof: RangeProof::decode(reader)?,
                }
            }
        })
    }
}
