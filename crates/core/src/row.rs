//! Rows as bytes: what the state commits to, effects carry and replicas receive.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | 1 when a salt follows, else 0 |
//! | 16 | salt, in tables whose row hashes are salted |
//! | 2 | column id |
//! | … | value ([`Value`]'s encoding) |
//! | | … further columns in id order, to the end |
//!
//! A value equal to the column's `missing` value is left out; that is NULL for most columns. So
//! adding a column changes no row. Where `missing` is not NULL, a NULL is written out. Equal rows of a
//! table have equal bytes, and bytes that [`encode_row`] does not write are refused by [`decode_row`].

use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::hash::{Domain, Hash, Suite};
use crate::key::{KeyError, encode_key_of};
use crate::schema::{Column, ColumnId, Table};
use crate::value::{Value, ValueError, check};

const ROW_VERSION: u8 = 1;
/// Length of a salt, in bytes.
pub const SALT_LEN: usize = 16;
/// Longest encoded row, in bytes. A block's own bound is lower; this one holds for whatever reads a row.
pub const ROW_LEN_MAX: usize = 16 * 1024 * 1024;

/// What hides a row's content behind its hash.
pub type Salt = [u8; SALT_LEN];

/// One row of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// One value a column, in the order of the table's columns.
    pub values: Vec<Value>,
    /// The salt: in tables whose `salted` is set, and only there.
    pub salt: Option<Salt>,
}

/// Why there is no row.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowError {
    /// Not one value for each column.
    #[error("table {table} has {expected} columns, the row has {found}")]
    Width {
        /// Table name.
        table: String,
        /// Columns of the table.
        expected: usize,
        /// Values of the row.
        found: usize,
    },
    /// A value that its column cannot hold.
    #[error("column \"{column}\" of table {table}: {source}")]
    Value {
        /// Table name.
        table: String,
        /// Column name.
        column: String,
        /// Why.
        source: ValueError,
    },
    /// NULL where none may be.
    #[error(
        "null value in column \"{column}\" of relation \"{table}\" violates not-null constraint"
    )]
    Null {
        /// Table name.
        table: String,
        /// Column name.
        column: String,
    },
    /// A salt is missing, or there where none belongs.
    #[error("a row of table {table} must {}have a salt", if *.salted { "" } else { "not " })]
    Salt {
        /// Table name.
        table: String,
        /// Whether the table is salted.
        salted: bool,
    },
    /// Longer than [`ROW_LEN_MAX`].
    #[error("row of {len} bytes is too long: at most {ROW_LEN_MAX} bytes encoded")]
    TooLong {
        /// Its encoded length.
        len: usize,
    },
    /// A column id the table does not have.
    #[error("encoded row of table {table} names column id {id}, which the table does not have")]
    UnknownColumn {
        /// Table name.
        table: String,
        /// The id.
        id: u16,
    },
    /// Bytes that no row encodes to.
    #[error("not an encoded row: {0}")]
    Decode(#[from] DecodeError),
}

impl RowError {
    /// The SQLSTATE a client sees.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Value { source, .. } => source.sqlstate(),
            Self::Null { .. } => "23502",
            Self::TooLong { .. } => "54000",
            Self::Width { .. } | Self::Salt { .. } => "XX000",
            Self::UnknownColumn { .. } | Self::Decode(_) => "XX001",
        }
    }
}

impl Row {
    /// A row without salt.
    #[must_use]
    pub fn new(values: Vec<Value>) -> Self {
        Self { values, salt: None }
    }

    /// A row with a salt.
    #[must_use]
    pub fn salted(values: Vec<Value>, salt: Salt) -> Self {
        Self {
            values,
            salt: Some(salt),
        }
    }

    /// The value of a column.
    #[must_use]
    pub fn get(&self, table: &Table, id: ColumnId) -> Option<&Value> {
        let place = table.columns.binary_search_by_key(&id, |column| column.id);
        self.values.get(place.ok()?)
    }

    /// The encoded primary key.
    ///
    /// # Errors
    /// As [`crate::key::encode_key`]; a key column that the table or the row lacks counts as NULL.
    pub fn key(&self, table: &Table) -> Result<Vec<u8>, KeyError> {
        encode_key_of(table.primary_key.iter().map(|id| {
            let column = table.columns.binary_search_by_key(id, |column| column.id);
            let at = column.ok()?;
            Some((table.columns.get(at)?.ty, self.values.get(at)?))
        }))
    }
}

/// The one encoding of a row. Every value is checked against its column.
///
/// # Errors
/// [`RowError`] when the row is none of this table's.
pub fn encode_row(table: &Table, row: &Row) -> Result<Vec<u8>, RowError> {
    if row.values.len() != table.columns.len() {
        return Err(RowError::Width {
            table: table.name.clone(),
            expected: table.columns.len(),
            found: row.values.len(),
        });
    }
    check_salt(table, row.salt.is_some())?;
    let mut out = Vec::with_capacity(2 + SALT_LEN + 16 * row.values.len());
    out.push(ROW_VERSION);
    match &row.salt {
        None => out.push(0),
        Some(salt) => {
            out.push(1);
            out.extend_from_slice(salt);
        }
    }
    for (column, value) in table.columns.iter().zip(&row.values) {
        check_value(table, column, value)?;
        if *value != column.missing {
            column.id.encode(&mut out);
            value.encode(&mut out);
        }
    }
    if out.len() > ROW_LEN_MAX {
        return Err(RowError::TooLong { len: out.len() });
    }
    Ok(out)
}

/// Reads a row back, values left out filled in. A NUMERIC comes back at its column's scale.
///
/// # Errors
/// [`RowError`] when the bytes are not exactly what [`encode_row`] writes for some row of this table.
pub fn decode_row(table: &Table, bytes: &[u8]) -> Result<Row, RowError> {
    decode(table, bytes, false)
}

/// As [`decode_row`], of a row that may also hold columns the table had before: they are passed over.
///
/// # Errors
/// [`RowError`] when the bytes are no row, or hold a value that a column cannot.
pub fn decode_known_columns(table: &Table, bytes: &[u8]) -> Result<Row, RowError> {
    decode(table, bytes, true)
}

fn decode(table: &Table, bytes: &[u8], passes_unknown: bool) -> Result<Row, RowError> {
    if bytes.len() > ROW_LEN_MAX {
        return Err(RowError::TooLong { len: bytes.len() });
    }
    let mut reader = Reader::new(bytes);
    reader.version("row", ROW_VERSION)?;
    let salt = if reader.bool()? {
        Some(reader.array()?)
    } else {
        None
    };
    check_salt(table, salt.is_some())?;
    let mut next = next_column(&mut reader)?;
    let mut values = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        while let Some(before) = next.filter(|next| passes_unknown && *next < column.id) {
            Value::decode(&mut reader)?;
            next = next_column(&mut reader)?;
            if next.is_some_and(|next| next <= before) {
                return Err(DecodeError::Invalid("columns of a row are not in id order").into());
            }
        }
        let value = if next == Some(column.id) {
            let value = Value::decode(&mut reader)?;
            if value == column.missing {
                return Err(DecodeError::Invalid("a row holds a value that is left out").into());
            }
            next = next_column(&mut reader)?;
            value
        } else {
            column.missing.clone()
        };
        check_value(table, column, &value)?;
        values.push(value.at_scale_of(column.ty));
    }
    while let Some(before) = next.filter(|_| passes_unknown) {
        Value::decode(&mut reader)?;
        next = next_column(&mut reader)?;
        if next.is_some_and(|next| next <= before) {
            return Err(DecodeError::Invalid("columns of a row are not in id order").into());
        }
    }
    match next {
        None => Ok(Row { values, salt }),
        Some(ColumnId(id)) if table.column(ColumnId(id)).is_some() => {
            Err(DecodeError::Invalid("columns of a row are not in id order").into())
        }
        Some(ColumnId(id)) => Err(RowError::UnknownColumn {
            table: table.name.clone(),
            id,
        }),
    }
}

/// The hash of an encoded row: what the state tree holds beside its key.
#[must_use]
pub fn row_hash(suite: Suite, encoded_row: &[u8]) -> Hash {
    suite.hash(Domain::Row, &[encoded_row])
}

fn next_column(reader: &mut Reader<'_>) -> Result<Option<ColumnId>, DecodeError> {
    if reader.remaining() == 0 {
        return Ok(None);
    }
    ColumnId::decode(reader).map(Some)
}

fn check_salt(table: &Table, has_salt: bool) -> Result<(), RowError> {
    if has_salt == table.salted {
        return Ok(());
    }
    Err(RowError::Salt {
        table: table.name.clone(),
        salted: table.salted,
    })
}

fn check_value(table: &Table, column: &Column, value: &Value) -> Result<(), RowError> {
    if column.not_null && value.is_null() {
        return Err(RowError::Null {
            table: table.name.clone(),
            column: column.name.clone(),
        });
    }
    check(column.ty, value).map_err(|source| RowError::Value {
        table: table.name.clone(),
        column: column.name.clone(),
        source,
    })
}

#[cfg(test)]
mod tests;
