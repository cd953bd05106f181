//! The engine's own tables: what the state is, and where it stands.
//!
//! | table | row |
//! |---|---|
//! | `_meta` | one: format, ledger, height, block hash, state root, catalogue counters, cursor |
//! | `_catalogue` | a table's encoded definition |
//! | `_catalogue_old` | a definition with the height that replaced it; none before it was created |
//! | `_versions` | table, and the last success of a block that changed it |
//! | `_tree` | a chunk of state tree nodes, each with the height that wrote it (see `chunk`) |
//! | `_tree_old` | a replaced node, with the heights that wrote and replaced it |

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use stele_core::schema::{Table, TableId};
use stele_core::{Decode, Encode, Hash};

use super::error::EngineError;
use super::row_log::Stamp;
use crate::catalogue::Catalogue;
use crate::physical;

/// The format of the state database this program reads and writes.
pub const STATE_FORMAT: u32 = 3;

/// Marks the file as ours (`PRAGMA application_id`): "STEL".
pub(super) const APPLICATION_ID: i32 = 0x5354_454c;

pub(super) const CREATE: &str = "
CREATE TABLE _meta(
    id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, ledger BLOB NOT NULL,
    height INTEGER NOT NULL, block BLOB NOT NULL, root BLOB NOT NULL,
    catalogue INTEGER NOT NULL, next_table INTEGER NOT NULL, cursor BLOB NOT NULL);
CREATE TABLE _catalogue(id INTEGER PRIMARY KEY, definition BLOB NOT NULL);
CREATE TABLE _catalogue_old(
    id INTEGER NOT NULL, replaced INTEGER NOT NULL, definition BLOB, PRIMARY KEY (id, replaced)) WITHOUT ROWID;
CREATE TABLE _dropped(id INTEGER PRIMARY KEY, height INTEGER NOT NULL);
CREATE TABLE _versions(
    id INTEGER NOT NULL, height INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (id, height)) WITHOUT ROWID;
CREATE TABLE _tree(
    place INTEGER PRIMARY KEY, id INTEGER NOT NULL, level INTEGER NOT NULL, name BLOB NOT NULL, nodes BLOB NOT NULL);
CREATE UNIQUE INDEX _tree_name ON _tree(id, level, name);
CREATE TABLE _tree_old(
    replaced INTEGER NOT NULL, id INTEGER NOT NULL, level INTEGER NOT NULL, key BLOB NOT NULL,
    hash BLOB NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (replaced, id, level, key)) WITHOUT ROWID;
";

/// Where the state stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Height of the last block executed; 0 after genesis.
    pub height: u64,
    /// Hash of that block.
    pub block: Hash,
    /// Root of the state after it.
    pub state_root: Hash,
    /// What the node last gave to `commit`, such as its place in the segments.
    pub cursor: Vec<u8>,
}

/// [`Meta`] with the counters of the catalogue.
#[derive(Clone, Debug)]
pub(super) struct StoredMeta {
    pub(super) format: u32,
    pub(super) ledger: Hash,
    pub(super) meta: Meta,
    pub(super) catalogue: u64,
    pub(super) next_table: TableId,
}

pub(super) fn read_meta(connection: &Connection) -> rusqlite::Result<Option<StoredMeta>> {
    let mut statement = connection.prepare_cached(
        "SELECT format, ledger, height, block, root, catalogue, next_table, cursor FROM _meta WHERE id = 1",
    )?;
    statement
        .query_row([], |row| {
            Ok(StoredMeta {
                format: row.get(0)?,
                ledger: Hash(row.get(1)?),
                meta: Meta {
                    height: row.get(2)?,
                    block: Hash(row.get(3)?),
                    state_root: Hash(row.get(4)?),
                    cursor: row.get(7)?,
                },
                catalogue: row.get(5)?,
                next_table: TableId(row.get(6)?),
            })
        })
        .optional()
}

pub(super) fn write_meta(connection: &Connection, stored: &StoredMeta) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO _meta VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            stored.format,
            stored.ledger.0,
            stored.meta.height,
            stored.meta.block.0,
            stored.meta.state_root.0,
            stored.catalogue,
            stored.next_table.0,
            stored.meta.cursor,
        ])?;
    Ok(())
}

/// Height and catalogue version of a snapshot.
pub(super) fn read_position(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached("SELECT height, catalogue FROM _meta WHERE id = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Root of the state of a snapshot.
pub(super) fn read_root(connection: &Connection) -> rusqlite::Result<Hash> {
    connection
        .prepare_cached("SELECT root FROM _meta WHERE id = 1")?
        .query_row([], |row| row.get(0).map(Hash))
}

/// Looks whether the database holds the tables and indexes of its catalogue, and nothing that acts by
/// itself. The self-check compares more, word by word.
pub(super) fn check_things(
    connection: &Connection,
    catalogue: &Catalogue,
) -> Result<(), EngineError> {
    let corrupt = |cause: String| EngineError::Corrupt {
        path: String::new(),
        cause,
    };
    let mut statement =
        connection.prepare_cached("SELECT type, name, tbl_name FROM sqlite_schema")?;
    let things = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<BTreeSet<(String, String, String)>>>()?;
    if let Some((kind, name, _)) = things
        .iter()
        .find(|(kind, ..)| kind != "table" && kind != "index")
    {
        return Err(corrupt(format!(
            "it holds the {kind} {name:?}, which Stele did not make"
        )));
    }
    for table in catalogue.with_rows() {
        let rows = physical::table_name(table.id);
        let mut wanted = vec![
            ("table", rows.clone(), rows.clone()),
            (
                "table",
                physical::history_name(table.id),
                physical::history_name(table.id),
            ),
        ];
        for index in &table.indexes {
            wanted.push((
                "index",
                physical::plain_index_name(table.id, index),
                rows.clone(),
            ));
        }
        for column in &table.columns {
            if physical::is_long(column.ty) {
                let name = physical::long_index_name(table.id, column.id);
                wanted.push(("index", name, rows.clone()));
            }
        }
        for (kind, name, owner) in wanted {
            if !things.contains(&(kind.to_owned(), name.clone(), owner)) {
                return Err(corrupt(format!(
                    "its {kind} {name:?} of table {}.{} is gone",
                    table.schema, table.name
                )));
            }
        }
    }
    Ok(())
}

/// Loads the catalogue a connection sees.
pub(super) fn read_catalogue(connection: &Connection) -> Result<Catalogue, EngineError> {
    let mut catalogue = Catalogue::default();
    let mut statement =
        connection.prepare_cached("SELECT id, definition FROM _catalogue ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(1)?;
        catalogue.put(decode_table(TableId(row.get(0)?), &bytes)?);
    }
    if let Some(stored) = read_meta(connection)? {
        catalogue.set_counters(stored.catalogue, stored.next_table);
    }
    Ok(catalogue)
}

pub(super) fn decode_table(id: TableId, bytes: &[u8]) -> Result<Table, EngineError> {
    Table::decode_all(bytes).map_err(|cause| EngineError::Decode {
        what: format!("the definition of table {}", id.0),
        cause,
    })
}

/// Replaces a definition as of a height; the one before is kept for proofs of older heights.
pub(super) fn write_definition(
    connection: &Connection,
    id: TableId,
    definition: Option<&Table>,
    height: u64,
) -> rusqlite::Result<()> {
    let held: Option<Vec<u8>> = connection
        .prepare_cached("SELECT definition FROM _catalogue WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    connection
        .prepare_cached("INSERT OR IGNORE INTO _catalogue_old VALUES (?1, ?2, ?3)")?
        .execute(params![id.0, height, held])?;
    match definition {
        Some(table) => connection
            .prepare_cached("INSERT OR REPLACE INTO _catalogue VALUES (?1, ?2)")?
            .execute(params![id.0, table.encode_to_vec()])?,
        None => connection
            .prepare_cached("DELETE FROM _catalogue WHERE id = ?1")?
            .execute([id.0])?,
    };
    Ok(())
}

/// The newest version of each table.
pub(super) fn read_versions(connection: &Connection) -> rusqlite::Result<Vec<(TableId, Stamp)>> {
    connection
        .prepare_cached("SELECT id, max(height), place FROM _versions GROUP BY id")?
        .query_map([], |row| {
            let stamp = Stamp {
                height: row.get(1)?,
                index: row.get(2)?,
            };
            Ok((TableId(row.get(0)?), stamp))
        })?
        .collect()
}

pub(super) fn write_version(
    connection: &Connection,
    table: TableId,
    stamp: Stamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO _versions VALUES (?1, ?2, ?3)")?
        .execute(params![table.0, stamp.height, stamp.index])?;
    Ok(())
}
