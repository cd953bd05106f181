//! The digest of a result, by which a client insists on what it saw.

use stele_core::codec::{put_len, put_list};
use stele_core::{Domain, Encode, Hash, Suite};

use crate::result::StatementResult;

/// Digest over column types, rows and the number of affected rows ([`Domain::Result`]).
///
/// | bytes | what |
/// |---|---|
/// | 8 | rows affected |
/// | 4, then each | column types |
/// | 4, then each | rows: values in column order |
#[must_use]
pub fn result_digest(suite: Suite, result: &StatementResult) -> Hash {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&result.rows_affected.to_be_bytes());
    put_len(&mut bytes, result.columns.len());
    for column in &result.columns {
        column.ty.encode(&mut bytes);
    }
    put_len(&mut bytes, result.rows.len());
    for row in &result.rows {
        put_list(&mut bytes, row);
    }
    suite.hash(Domain::Result, &[&bytes])
}
