//! Comparing what SQLite was told of tables with what the blocks say.
//!
//! The state root commits to the definitions, not to the tables, indexes and constraints SQLite holds
//! for them: without an index a unique value may come twice, and a trigger changes rows that no statement
//! named. All of it follows from the effects' schema changes, so they are made once more in an empty
//! database in memory, and what it then holds is compared word by word. So are the table versions that strict mode
//! relies on, and the definitions kept for reads of the past.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use stele_core::outcome::{BlockEffects, Change, RowChange};
use stele_core::schema::TableId;
use stele_core::{Hash, Suite};

use super::{StateDifference, table_words};
use crate::catalogue::Catalogue;
use crate::engine::config::EngineConfig;
use crate::engine::error::EngineError;
use crate::engine::row_log::Stamp;
use crate::engine::snapshot::Snapshot;
use crate::engine::{Engine, meta};

/// Longest text of another's shown, in characters.
const SHOWN_MAX: usize = 80;

/// Most complaints of SQLite's own check that are told.
const INTEGRITY_MAX: u32 = 10;

/// One thing SQLite knows: kind, name, table it belongs to, text it was made by.
type Thing = (String, String, String, Option<String>);
/// A definition that was replaced: table, height, encoded definition.
type Replaced = (u32, u64, Option<Vec<u8>>);

/// What the blocks make, as far as their effects were added.
pub(super) struct Definitions {
    engine: Box<Engine>,
    versions: BTreeMap<TableId, Stamp>,
}

impl Definitions {
    /// Those of genesis.
    pub(super) fn new(ledger: Hash, suite: Suite) -> Result<Self, EngineError> {
        let mut config = EngineConfig::new(None, ledger, suite);
        config.readers = 1;
        Ok(Self {
            engine: Box::new(Engine::open(config)?),
            versions: BTreeMap::new(),
        })
    }

    /// Makes the schema changes of a block. Blocks come in order, from the first.
    ///
    /// # Errors
    /// The table whose definition cannot be made, and why.
    pub(super) fn add_effects(&mut self, effects: &BlockEffects) -> Result<(), (TableId, String)> {
        let height = effects.leaf.height;
        for (transaction, index) in effects.transactions.iter().zip(0u32..) {
            for change in &transaction.changes {
                let (Change::Row(RowChange { table, .. }) | Change::Schema { table, .. }) = change;
                self.versions.insert(*table, Stamp { height, index });
                if let Change::Schema {
                    table,
                    before,
                    after,
                } = change
                {
                    self.engine
                        .set_definition(*table, before.as_deref(), after.as_deref(), height)
                        .map_err(|failure| (*table, format!("{failure:?}")))?;
                }
            }
        }
        Ok(())
    }

    /// What the snapshot holds otherwise.
    pub(super) fn compare(&self, snapshot: &Snapshot) -> Result<Vec<StateDifference>, EngineError> {
        let (kept, made) = (snapshot.connection(), &self.engine.writer);
        let mut told = compare_things(&things(kept)?, &things(made)?, snapshot.catalogue());
        told.extend(self.compare_versions(kept, snapshot.catalogue())?);
        let since = snapshot.height().saturating_sub(snapshot.proof_window());
        told.extend(compare_replaced(
            &replaced(kept, since)?,
            &replaced(made, since)?,
            snapshot.catalogue(),
        ));
        told.extend(self.compare_counter(kept)?);
        told.extend(compare_dropped(&dropped(kept)?, &dropped(made)?, since));
        told.extend(compare_kept(kept, made)?);
        told.extend(check_old_nodes(kept, snapshot.height())?);
        told.extend(check_integrity(kept)?);
        Ok(told)
    }

    /// The id the next table will get is part of what blocks give.
    fn compare_counter(&self, kept: &Connection) -> Result<Option<StateDifference>, EngineError> {
        let next = self.engine.catalogue.next_table();
        let stored = meta::read_meta(kept)?.map(|stored| stored.next_table);
        Ok((stored != Some(next)).then(|| {
            let stored = stored.map_or_else(|| "none".to_owned(), |id| id.0.to_string());
            difference(
                String::new(),
                format!(
                    "the number of the next table was changed: {stored} is kept, the blocks say {}",
                    next.0
                ),
            )
        }))
    }

    fn compare_versions(
        &self,
        kept: &Connection,
        catalogue: &Catalogue,
    ) -> Result<Vec<StateDifference>, EngineError> {
        let kept: BTreeMap<TableId, Stamp> = meta::read_versions(kept)?.into_iter().collect();
        let differs = catalogue
            .definitions()
            .filter(|table| kept.get(&table.id) != self.versions.get(&table.id));
        Ok(differs
            .map(|table| {
                let words = |stamp: Option<&Stamp>| {
                    stamp.map_or_else(
                        || "none".to_owned(),
                        |stamp| format!("block {}, index {}", stamp.height, stamp.index),
                    )
                };
                difference(
                    table_words(table),
                    format!(
                        "its table version was changed: {} is kept, the blocks say {}",
                        words(kept.get(&table.id)),
                        words(self.versions.get(&table.id))
                    ),
                )
            })
            .collect())
    }
}

fn difference(table: String, what: String) -> StateDifference {
    StateDifference {
        table,
        key: String::new(),
        expected: None,
        found: None,
        height: None,
        what,
    }
}

fn things(connection: &Connection) -> Result<BTreeSet<Thing>, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT type, name, tbl_name, sql FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn compare_things(
    kept: &BTreeSet<Thing>,
    made: &BTreeSet<Thing>,
    catalogue: &Catalogue,
) -> Vec<StateDifference> {
    let mut told = Vec::new();
    let names = |things: &BTreeSet<Thing>, (kind, name, ..): &Thing| {
        things
            .iter()
            .any(|(other, called, ..)| other == kind && called == name)
    };
    for thing in kept.difference(made) {
        let what = match names(made, thing) {
            true => "was changed",
            false => "was added",
        };
        told.push(of_thing(thing, what, catalogue));
    }
    for thing in made.difference(kept) {
        let is_dropped =
            table_of(&thing.2).is_some_and(|id| catalogue.table(TableId(id)).is_none());
        // A dropped table goes for good once nobody can ask for it.
        if !names(kept, thing) && !is_dropped {
            told.push(of_thing(thing, "was removed", catalogue));
        }
    }
    told
}

fn of_thing((kind, name, table, _): &Thing, what: &str, catalogue: &Catalogue) -> StateDifference {
    let owner = table_of(table).and_then(|id| catalogue.table(TableId(id)));
    let name: String = name.chars().take(SHOWN_MAX).collect();
    difference(
        owner.map_or_else(String::new, |table| table_words(table)),
        format!("SQLite's {kind} {name:?} {what} behind the ledger's back"),
    )
}

/// The table that SQLite's table of rows or history belongs to.
fn table_of(name: &str) -> Option<u32> {
    name.strip_prefix(['t', 'h'])?.parse().ok()
}

fn replaced(connection: &Connection, since: u64) -> Result<BTreeSet<Replaced>, EngineError> {
    let sql = "SELECT id, replaced, definition FROM _catalogue_old WHERE replaced > ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn compare_replaced(
    kept: &BTreeSet<Replaced>,
    made: &BTreeSet<Replaced>,
    catalogue: &Catalogue,
) -> Vec<StateDifference> {
    let differs: BTreeSet<(u32, u64)> = kept
        .symmetric_difference(made)
        .map(|(id, height, _)| (*id, *height))
        .collect();
    differs
        .into_iter()
        .map(|(id, height)| {
            let table = catalogue.table(TableId(id));
            StateDifference {
                height: Some(height),
                ..difference(
                    table.map_or_else(String::new, |table| table_words(table)),
                    format!("the definition of table {id} before block {height} was changed"),
                )
            }
        })
        .collect()
}

fn dropped(connection: &Connection) -> Result<BTreeSet<(u32, u64)>, EngineError> {
    let mut statement = connection.prepare_cached("SELECT id, height FROM _dropped")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Dropped tables go for good some time after `since`.
fn compare_dropped(
    kept: &BTreeSet<(u32, u64)>,
    made: &BTreeSet<(u32, u64)>,
    since: u64,
) -> Vec<StateDifference> {
    let differs = kept
        .symmetric_difference(made)
        .filter(|entry| kept.contains(entry) || entry.1 > since);
    differs
        .map(|(id, height)| StateDifference {
            height: Some(*height),
            ..difference(
                String::new(),
                format!("when table {id} was dropped was changed"),
            )
        })
        .collect()
}

/// The definitions as they are kept: the running node has its own in memory.
fn compare_kept(kept: &Connection, made: &Connection) -> Result<Vec<StateDifference>, EngineError> {
    let read = |connection: &Connection| -> Result<BTreeSet<(i64, Option<String>)>, EngineError> {
        let mut statement = connection.prepare("SELECT id, hex(definition) FROM _catalogue")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    };
    let (kept, made) = (read(kept)?, read(made)?);
    let differs: BTreeSet<i64> = kept.symmetric_difference(&made).map(|one| one.0).collect();
    Ok(differs
        .into_iter()
        .map(|id| {
            difference(
                String::new(),
                format!("the kept definition {id} was changed"),
            )
        })
        .collect())
}

/// Nodes of the state tree that were replaced by a block still to come, or before they were written.
fn check_old_nodes(
    connection: &Connection,
    height: u64,
) -> Result<Option<StateDifference>, EngineError> {
    let strange: u64 = connection
        .prepare("SELECT count(*) FROM _tree_old WHERE replaced > ?1 OR since >= replaced")?
        .query_row([height], |row| row.get(0))?;
    Ok((strange > 0).then(|| {
        difference(
            String::new(),
            format!(
                "{strange} replaced nodes of the state tree are kept that no block up to {height} replaced"
            ),
        )
    }))
}

/// Whether each index holds what its table does, as SQLite itself tells.
fn check_integrity(connection: &Connection) -> Result<Vec<StateDifference>, EngineError> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({INTEGRITY_MAX})"))?;
    let told = statement.query_map([], |row| row.get(0))?;
    let told = told.collect::<rusqlite::Result<Vec<String>>>()?;
    let bad = told.into_iter().filter(|line| line != "ok");
    Ok(bad
        .map(|line| {
            let line: String = line.chars().take(SHOWN_MAX).collect();
            difference(String::new(), format!("SQLite's own check: {line}"))
        })
        .collect())
}
