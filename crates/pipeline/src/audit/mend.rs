//! Mending what an audit found, while nobody else writes the mirror.

use std::sync::Arc;

use stele_core::row::decode_row;
use stele_flow::{HeldTable, Mirror, RowChange, SinkError, SinkErrorKind, Source, Table};

use super::compare::key_values;
use super::report::{AuditReport, TableReport};
use super::{AuditFailure, commitment};

/// Rows mended in one transaction.
const ROWS_AT_ONCE: usize = 1_000;

/// Mends the rows and tables of a report: rows are set as certified at the height the mirror stands at now,
/// changed tables are made anew and filled when the replica goes on.
///
/// # Errors
/// When the mirror or the source cannot be read or written. What was mended before stays.
pub fn repair(
    source: &dyn Source,
    mirror: &mut dyn Mirror,
    report: &mut AuditReport,
) -> Result<(), AuditFailure> {
    let held = mirror.begin_read(source.id())?;
    mirror.end_read();
    let cursor = held
        .cursor
        .ok_or_else(|| AuditFailure::Empty(mirror.describe()))?;
    // Rows first: making a table anew changes the cursor.
    let anew = |table: &TableReport| {
        let keyless = table.differences_total > table.keys.len() as u64;
        !table.drift.is_empty() || keyless
    };
    let tables = report.tables.iter();
    let (renewed, mended): (Vec<_>, Vec<_>) = tables.partition(|table| anew(table));
    let certified = commitment(source, cursor.height)?.tables().to_vec();
    let mut done = Vec::new();
    for table in mended.into_iter().chain(renewed) {
        let known = table.held.as_ref().map(|held| held.table.id);
        // As the replica remembers it now.
        let kept = held.tables.iter().find(|one| Some(one.table.id) == known);
        let kept = kept.or(table.held.as_ref());
        let (Some(kept), false) = (kept, table.is_clean()) else {
            continue;
        };
        if anew(table) {
            let found = certified
                .iter()
                .find(|one| one.definition.id == kept.table.id);
            let Some(shape) = found.and_then(|one| Table::of(&one.definition)) else {
                return Err(unknown(&mirror.describe(), kept).into());
            };
            mirror.renew(source.id(), &Arc::new(shape))?;
            let told = format!("{}: made anew, to be filled", table.table);
            done.push(told);
            continue;
        }
        let commitment = commitment(source, cursor.height)?;
        let found = certified
            .iter()
            .find(|one| one.definition.id == kept.table.id);
        let Some(certified) = found else { continue };
        for keys in table.keys.chunks(ROWS_AT_ONCE) {
            let mut rows = Vec::with_capacity(keys.len());
            for key in keys {
                let row = commitment.row(kept.table.id, key)?;
                let decoded = row.map(|row| decode_row(&certified.definition, &row.encoded));
                let decoded = decoded
                    .transpose()
                    .map_err(|error| stele_flow::SourceError::Unreadable(error.to_string()))?;
                let after = decoded.map(|row| row.values);
                // For the key alone: what was there is not looked at.
                let before = match &after {
                    Some(values) => Some(values.clone()),
                    None => key_row(&certified.definition, key),
                };
                rows.push(RowChange {
                    key: key.clone(),
                    before,
                    after,
                });
            }
            if !mirror.mend(kept, &cursor, &rows)? {
                return Err(SinkError::new(
                    SinkErrorKind::Overtaken,
                    format!("{}: another worker writes this replica", mirror.describe()),
                )
                .into());
            }
        }
        let told = match table.keys.len() {
            1 => format!("{}: 1 row", table.table),
            rows => format!("{}: {rows} rows", table.table),
        };
        done.push(told);
    }
    report.mended = done;
    Ok(())
}

/// A table the source has not.
fn unknown(target: &str, held: &HeldTable) -> SinkError {
    SinkError::new(
        SinkErrorKind::Cursor,
        format!(
            "{target}: it remembers a table {} that the source has not",
            held.table
        ),
    )
    .remedy(format!(
        "somebody wrote it there: DELETE FROM stele_tables WHERE id = {}",
        held.table.id.0
    ))
}

/// A row of which only the key is known.
fn key_row(definition: &stele_core::schema::Table, key: &[u8]) -> Option<Vec<stele_core::Value>> {
    let values = key_values(definition, key)?;
    let columns = definition.columns.iter().map(|column| {
        let place = definition
            .primary_key
            .iter()
            .position(|id| *id == column.id);
        let value = place.and_then(|place| values.get(place));
        value.cloned().unwrap_or(stele_core::Value::Null)
    });
    Some(columns.collect())
}
