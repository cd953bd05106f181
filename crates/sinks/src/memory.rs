//! What a sink remembers beside the tables: its cursor, and which tables it keeps in which shape.
//!
//! Both are bytes in tables of the target, where anybody may have written: they are read totally, and what
//! does not read is named.

use std::sync::Arc;

use stele_core::codec::{Decode, Encode};
use stele_flow::{Cursor, Held, HeldTable, Load, SinkError, SinkErrorKind, Table};

/// Name of the table that holds the cursor.
pub(crate) const CURSOR_TABLE: &str = "stele_cursor";
/// Name of the table that holds the shapes.
pub(crate) const TABLES_TABLE: &str = "stele_tables";

fn damaged(target: &str, what: &str, why: &dyn std::fmt::Display) -> SinkError {
    altered(target, &format!("{what} does not read: {why}"))
        .remedy("it was changed by hand; remove the replica with its tables and add it again")
}

/// A row of `stele_cursor`: the cursor, and its height and block hash for people to read.
pub(crate) type CursorRow = (Vec<u8>, i64, String);

/// A height as people read it in `stele_cursor`.
pub(crate) fn height_shown(cursor: &Cursor) -> i64 {
    i64::try_from(cursor.height).unwrap_or(i64::MAX)
}

/// Reads a cursor, which must be one of that source.
pub(crate) fn cursor(target: &str, source_id: &str, bytes: &[u8]) -> Result<Cursor, SinkError> {
    let cursor = Cursor::decode_all(bytes)
        .map_err(|error| damaged(target, &format!("the cursor in {CURSOR_TABLE}"), &error))?;
    if cursor.source_id != source_id {
        let why = format!("it is one of {}", cursor.source_id);
        return Err(damaged(
            target,
            &format!("the cursor in {CURSOR_TABLE}"),
            &why,
        ));
    }
    Ok(cursor)
}

/// Reads a cursor beside which people read the same.
pub(crate) fn cursor_shown(
    target: &str,
    source_id: &str,
    (bytes, height, block_hash): CursorRow,
) -> Result<Cursor, SinkError> {
    let cursor = cursor(target, source_id, &bytes)?;
    let shown = (height_shown(&cursor), cursor.block_hash.to_string());
    if shown != (height, block_hash) {
        let what =
            format!("height or block_hash in {CURSOR_TABLE} is not what the cursor beside it says");
        return Err(altered(target, &what).remedy(format!(
            "one of them was changed by hand: put back what was there, or run `stele replica audit NAME --repair` after UPDATE {CURSOR_TABLE} SET height = {}, block_hash = '{}' WHERE source_id = '{source_id}'",
            shown.0, shown.1
        )));
    }
    Ok(cursor)
}

/// It stands somewhere, and which tables it keeps is gone.
pub(crate) fn forgotten(target: &str) -> SinkError {
    let what = format!("{TABLES_TABLE} is gone, and {CURSOR_TABLE} is there");
    altered(target, &what).remedy(
        "somebody dropped it: `stele replica remove NAME` without --drop-tables, drop its tables by hand, and add it again",
    )
}

/// Reads what is remembered of a table.
pub(crate) fn held_table(
    target: &str,
    name: String,
    shape: &[u8],
    load: Option<Vec<u8>>,
) -> Result<HeldTable, SinkError> {
    let table = Table::decode_all(shape).map_err(|error| {
        let what = format!("the shape of {name} in {TABLES_TABLE}");
        damaged(target, &what, &error).remedy(
            "it was changed by hand; `stele replica remove NAME` without --drop-tables, drop its tables by hand, and add it again",
        )
    })?;
    Ok(HeldTable {
        table: Arc::new(table),
        target: name,
        load: load.map_or(Load::Done, Load::UpTo),
    })
}

/// A row of `stele_tables`: number, name, shape, how far it is filled.
pub(crate) type TableRow = (i64, String, Vec<u8>, Option<Vec<u8>>);

/// Reads what is remembered of the tables of a source. Names and numbers follow from the shapes: others would have the sink
/// write and drop tables that are none of its own.
pub(crate) fn held_tables(
    target: &str,
    rows: Vec<TableRow>,
    name_of: impl Fn(&Table) -> String,
) -> Result<Vec<HeldTable>, SinkError> {
    let rows = rows.into_iter().map(|(id, name, shape, load)| {
        let held = held_table(target, name, &shape, load)?;
        check_name(target, &held, &name_of(&held.table))?;
        if id != i64::from(held.table.id.0) {
            let other = format!("row {id} of {TABLES_TABLE} holds the shape of table {}", held.table.id.0);
            return Err(altered(target, &other).remedy(format!(
                "it was changed by hand; UPDATE {TABLES_TABLE} SET id = {} WHERE id = {id}, or delete the row if that one is there",
                held.table.id.0
            )));
        }
        Ok(held)
    });
    rows.collect()
}

/// That a table is kept under the name it has by the sink's naming.
pub(crate) fn check_name(target: &str, held: &HeldTable, name: &str) -> Result<(), SinkError> {
    if held.target == name {
        return Ok(());
    }
    let table = &held.table;
    let other = format!(
        "{TABLES_TABLE} says that {table} is kept as {}, and its name is {name}",
        held.target
    );
    Err(altered(target, &other).remedy(format!(
        "set that name back to {name} (its id there is {}) if it was changed by hand; where the replica's names were changed (map), change them back, or remove the replica and add it again",
        table.id.0
    )))
}

fn altered(target: &str, what: &str) -> SinkError {
    SinkError::new(SinkErrorKind::Cursor, format!("{target}: {what}"))
}

/// How a load is kept: NULL when it is done.
pub(crate) fn load_bytes(load: &Load) -> Option<&[u8]> {
    match load {
        Load::Done => None,
        Load::UpTo(key) => Some(key),
    }
}

/// How a shape is kept.
pub(crate) fn shape_bytes(table: &Table) -> Vec<u8> {
    table.encode_to_vec()
}

/// The cursor is not the one this worker left: another worker has taken the sink over, or somebody changed it.
pub(crate) fn not_own(target: &str, own: &Cursor, found: Option<&Cursor>) -> SinkError {
    match found {
        Some(found) if found.owner_epoch > own.owner_epoch => overtaken(target),
        _ => altered(
            target,
            &format!("the cursor in {CURSOR_TABLE} was changed or removed by hand"),
        )
        .remedy("it is read anew; `stele replica audit NAME` tells whether rows differ"),
    }
}

/// Nothing of the source is remembered, so which tables came from it is not known.
pub(crate) fn nothing_held(target: &str) -> SinkError {
    altered(target, "it remembers nothing of this ledger").remedy(
        "which tables are the replica's is not known: `stele replica remove NAME` without --drop-tables (with --forget where the target is gone), and drop its tables by hand",
    )
}

/// Another worker has taken the sink over.
pub(crate) fn overtaken(target: &str) -> SinkError {
    SinkError::new(
        SinkErrorKind::Overtaken,
        format!("{target}: another node or replica has taken this database over"),
    )
    .remedy("remove one of the two with --forget; `stele replica resume NAME` here takes it back")
}

/// A row is in the way of one that comes.
pub(crate) fn foreign_row(target: &str, table: &str, key: &str) -> SinkError {
    SinkError::new(
        SinkErrorKind::ForeignRow,
        format!(
            "{target}: table {table} already has a row {key}, which did not come from the source"
        ),
    )
    .remedy("delete it, or run `stele replica audit NAME --repair`")
}

/// A row that is to change or go is not there.
pub(crate) fn missing_row(target: &str, table: &str, key: &str) -> SinkError {
    SinkError::new(
        SinkErrorKind::MissingRow,
        format!("{target}: table {table} lacks the row {key}, which came from the source"),
    )
    .remedy("somebody deleted it or changed its key; run `stele replica audit NAME --repair`")
}

/// A table of that name is there, and is not the sink's.
pub(crate) fn name_taken(target: &str, table: &Table, name: &str, by: &str) -> SinkError {
    SinkError::new(
        SinkErrorKind::Drift,
        format!("{target}: {table} is to be kept as {name}, and {by} has that name"),
    )
    .remedy(format!(
        "rename or drop it, or add the replica with another name for the table (--map {table}=NAME)"
    ))
}

/// The sink was not opened.
pub(crate) fn unopened() -> SinkError {
    SinkError::new(
        SinkErrorKind::Other,
        "the sink was not opened before its use",
    )
}

/// The sink keeps no such table.
pub(crate) fn unknown(target: &str, table: &Table) -> SinkError {
    SinkError::new(
        SinkErrorKind::Cursor,
        format!("{target}: it keeps no table {table}"),
    )
    .remedy("remove the replica with its tables and add it again")
}

/// What is held once a worker has taken the sink over, and the cursor to be stored for it.
pub(crate) fn taken_over(mut held: Held, source_id: &str) -> (Held, Cursor) {
    let known = held.cursor.clone();
    let mut cursor = known.unwrap_or_else(|| Cursor::start(source_id));
    cursor.owner_epoch += 1;
    held.cursor = held.cursor.map(|_| cursor.clone());
    (held, cursor)
}
