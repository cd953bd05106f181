//! Catalogue changes: the definition, SQLite's tables, the state root.
//!
//! A dropped table is only taken out of the catalogue: its rows, history and tree stay as they were
//! before the transaction until the proof window has passed, so that a block can be undone and older
//! heights proven. Names in SQLite are numbers that are never used again, so nothing gets in the way.

use std::sync::Arc;

use rusqlite::{Connection, params};
use stele_core::outcome::Change;
use stele_core::row::{Row, decode_row, encode_row};
use stele_core::schema::{Column, Table, TableId};

use super::Engine;
use super::config::CHANGED_BYTES_MAX;
use super::error::EngineError;
use super::meta;
use super::outcome::Failure;
use super::row_log::{Stamp, Touch, net};
use super::rows::fit;
use super::statement::Allowance;
use crate::bound::{Definition, SchemaChange};
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::physical;
use crate::result::StatementResult;
use crate::spill;

/// What functions may do in definitions, as a multiple of what they may in other statements: they go over all
/// rows of a table. **Part of the execution rules.**
const DEFINITION_WORK: u64 = 2;

/// Creates a table's SQLite tables.
pub(super) fn create_physical(connection: &Connection, table: &Table) -> Result<(), EngineError> {
    let statements = physical::create_table_sql(table).map_err(internal)?;
    for sql in statements {
        connection.execute_batch(&sql)?;
    }
    Ok(())
}

pub(super) fn internal(error: SqlError) -> EngineError {
    EngineError::Internal {
        cause: error.to_string(),
    }
}

impl Engine {
    /// Makes a user's catalogue change; adds what changed to `changes`.
    pub(super) fn change_schema(
        &mut self,
        change: &SchemaChange,
        stamp: Stamp,
        allowance: &mut Allowance,
        changes: &mut Vec<Change>,
    ) -> Result<StatementResult, Failure> {
        let mut made = Vec::new();
        let tag = match change {
            SchemaChange::Nothing { tag, .. } => *tag,
            SchemaChange::Define {
                definitions, tag, ..
            } => {
                for Definition { id, after, rows_of } in definitions {
                    let before = self.catalogue.table(*id);
                    let before = before.map(|table| Box::new(table.as_ref().clone()));
                    if let (Some(before), None) = (&before, after) {
                        refuse_altered(before, changes)?;
                    }
                    let rows = rows_of.map(|other| self.rows_of(other)).transpose()?;
                    made.push((*id, before, after.clone(), rows));
                }
                *tag
            }
        };
        for (table, before, after, rows) in made {
            let stripped = match (&before, &after) {
                (Some(before), Some(after)) => self.strip_rows(before, after)?,
                _ => Vec::new(),
            };
            self.counting(allowance, |engine| {
                engine.set_definition(table, before.as_deref(), after.as_deref(), stamp.height)
            })?;
            if let Some(layout) = self.writer.sink(|log| log.layout(table)) {
                for key in stripped {
                    layout.restamp(&self.writer, &key, stamp)?;
                }
            }
            match (&before, &after) {
                (None, Some(after)) => {
                    self.start_sequence(after, stamp)?;
                    if let Some((other, rows)) = rows {
                        self.counting(allowance, |engine| {
                            engine.insert_rows(after, &other, rows, stamp)
                        })?;
                        self.check_new_foreign_keys(Some(&other), after, allowance)?;
                    }
                }
                (Some(before), Some(after)) => {
                    self.check_new_foreign_keys(Some(before), after, allowance)?;
                }
                _ => {}
            }
            changes.push(Change::Schema {
                table,
                before,
                after,
            });
        }
        if let SchemaChange::Define {
            restart: Some((sequence, value)),
            ..
        } = change
        {
            self.restart_sequence(*sequence, *value, stamp)?;
        }
        Ok(StatementResult {
            tag: tag.to_owned(),
            ..StatementResult::default()
        })
    }

    /// The encoded rows of a table that goes. They are to be logged anew, so the log's bounds are theirs.
    fn rows_of(&self, table: TableId) -> Result<(Arc<Table>, Vec<Vec<u8>>), Failure> {
        let layout = self.writer.sink(|log| log.layout(table));
        let layout = layout.ok_or(EngineError::NoTable(table))?;
        let mut rows = Vec::new();
        let mut bytes = 0;
        layout.scan(&self.writer, |_, row, _| {
            bytes += row.len() as u64;
            if rows.len() as u64 >= self.limits.rows_changed_max || bytes > CHANGED_BYTES_MAX {
                return Err(too_many_rows(&layout.table).into());
            }
            rows.push(row);
            Ok::<(), Failure>(())
        })?;
        Ok((Arc::clone(&layout.table), rows))
    }

    /// Fills a table that was just made with the rows of another.
    fn insert_rows(
        &self,
        table: &Table,
        other: &Table,
        rows: Vec<Vec<u8>>,
        stamp: Stamp,
    ) -> Result<(), Failure> {
        let layout = self.writer.sink(|log| log.layout(table.id));
        let layout = layout.ok_or(EngineError::NoTable(table.id))?;
        let refused =
            |code: &'static str, message: String| Failure::from(SqlError::new(code, message));
        for row in rows {
            let held = decode_row(other, &row);
            let held = held.map_err(|error| layout.damaged(&error.to_string()))?;
            let values = table.columns.iter().map(|column| {
                let value = held.get(other, column.id);
                value.unwrap_or(&column.missing).clone()
            });
            let row = Row::new(values.collect());
            let encoded = encode_row(table, &row);
            let encoded = encoded.map_err(|error| refused(error.sqlstate(), error.to_string()))?;
            let key = row.key(table);
            let key = key.map_err(|error| refused(error.sqlstate(), error.to_string()))?;
            layout
                .try_insert(&self.writer, &encoded, stamp)?
                .map_err(|error| Failure::of_statement(error, &self.catalogue))?;
            self.writer.sink(|log| {
                log.push(Touch {
                    table: table.id,
                    key,
                    before: None,
                    after: Some(encoded),
                    moved: None,
                });
                log.take_failure()
                    .map_or(Ok(()), |refused| Err(Failure::from(refused)))
            })?;
        }
        Ok(())
    }

    /// Brings catalogue, SQLite and state root from one definition of a table to another.
    pub(super) fn set_definition(
        &mut self,
        id: TableId,
        before: Option<&Table>,
        after: Option<&Table>,
        height: u64,
    ) -> Result<(), Failure> {
        // What is prepared must be prepared anew: a statement that SQLite prepares again by itself
        // counts other steps.
        self.writer.flush_prepared_statement_cache();
        match (before, after) {
            (None, Some(table)) => {
                for sql in physical::create_table_sql(table)? {
                    self.run_ddl(&sql)?;
                }
            }
            (Some(before), Some(after)) => {
                for sql in physical::alter_table_sql(before, after)? {
                    self.run_ddl(&sql)?;
                }
            }
            (Some(table), None) => self.keep_dropped(table, height)?,
            (None, None) => {}
        }
        meta::write_definition(&self.writer, id, after, height).map_err(EngineError::from)?;
        let catalogue: &mut Catalogue = Arc::make_mut(&mut self.catalogue);
        match after {
            Some(table) => {
                catalogue.put(table.clone());
                self.state.put_table(&self.writer, table)?;
                self.load_layout(&Arc::new(table.clone()))?;
            }
            None => {
                catalogue.remove(id);
                self.state.remove_table(id);
            }
        }
        self.statements.clear();
        self.writer.flush_prepared_statement_cache();
        Ok(())
    }

    /// Logs what dropping columns does to rows that hold values in them; gives their keys.
    fn strip_rows(&self, before: &Table, after: &Table) -> Result<Vec<Vec<u8>>, Failure> {
        let dropped = |column: &Column| after.column(column.id).is_none();
        let layout = self.writer.sink(|log| log.layout(before.id));
        let (true, Some(layout)) = (before.columns.iter().any(dropped), layout) else {
            return Ok(Vec::new());
        };
        let mut keys = Vec::new();
        layout.scan(&self.writer, |key, row, written| {
            let stripped = fit(after, &row, &[before]).map_err(|cause| layout.damaged(&cause))?;
            if stripped != row {
                keys.push(key.clone());
                self.writer.sink(|log| {
                    log.push(Touch {
                        table: before.id,
                        key,
                        before: Some((row, written)),
                        after: Some(stripped),
                        moved: None,
                    });
                    log.take_failure()
                        .map_or(Ok(()), |refused| Err(Failure::from(refused)))
                })?;
            }
            Ok::<(), Failure>(())
        })?;
        Ok(keys)
    }

    /// Counts what functions do in indexes and CHECKs over the rows that are there. What SQLite sorts on the way
    /// is not counted: it is no more than the table.
    fn counting<T>(
        &mut self,
        allowance: &mut Allowance,
        change: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        spill::start(u64::MAX, allowance.work.saturating_mul(DEFINITION_WORK));
        let changed = change(self);
        let left = spill::end();
        allowance.work = left.map_or(0, |(_, work)| work / DEFINITION_WORK);
        match (changed, left) {
            (Err(Failure::Engine(error)), _) => Err(Failure::Engine(error)),
            (_, None) => Err(spill::too_much().into()),
            (changed, Some(_)) => changed,
        }
    }

    fn run_ddl(&self, sql: &str) -> Result<(), Failure> {
        let done = self.writer.execute_batch(sql);
        done.map_err(|error| Failure::of_statement(error, &self.catalogue))
    }

    /// Puts a table aside as it was before the transaction.
    fn keep_dropped(&mut self, table: &Table, height: u64) -> Result<(), EngineError> {
        let touches = self.writer.sink(|log| log.take_table(table.id));
        if let Some(layout) = self.writer.sink(|log| log.layout(table.id)) {
            let net = net(touches);
            for change in &net.changes {
                layout.delete(&self.writer, &change.change.key)?;
            }
            for change in net.changes {
                if let (Some(row), Some(written)) = (change.change.before, change.written) {
                    layout.insert(&self.writer, &row, written)?;
                }
            }
            for (_, key, written) in net.untouched {
                layout.restamp(&self.writer, &key, written)?;
            }
        }
        self.writer
            .prepare_cached("INSERT OR REPLACE INTO _dropped VALUES (?1, ?2)")?
            .execute(params![table.id.0, height])?;
        Ok(())
    }

    /// Whether a table of that id was dropped and is still there.
    pub(super) fn is_kept(&self, id: TableId) -> Result<bool, EngineError> {
        Ok(self
            .writer
            .prepare_cached("SELECT 1 FROM _dropped WHERE id = ?1")?
            .exists([id.0])?)
    }

    /// Takes a dropped table back, as undoing its drop does.
    pub(super) fn unkeep(&self, id: TableId) -> Result<(), EngineError> {
        self.writer
            .prepare_cached("DELETE FROM _dropped WHERE id = ?1")?
            .execute([id.0])?;
        Ok(())
    }
}

fn too_many_rows(table: &Table) -> SqlError {
    SqlError::new(
        "54000",
        format!(
            "table {} has too many rows to be made anew in one transaction",
            table.name
        ),
    )
    .hint("Create a table with the key, then INSERT … SELECT in parts.")
}

/// A dropped table is put aside as it was before the transaction, for proofs and undoing; one that the
/// same transaction altered is not as it was any more.
fn refuse_altered(table: &Table, changes: &[Change]) -> Result<(), SqlError> {
    let altered = changes.iter().any(|change| {
        matches!(change, Change::Schema { table: id, before: Some(_), .. } if *id == table.id)
    });
    if altered {
        return Err(SqlError::unsupported(
            format!(
                "dropping table {} in the transaction that altered it",
                table.name
            ),
            "Drop it alone: altering it first changes nothing that stays.",
        ));
    }
    Ok(())
}
