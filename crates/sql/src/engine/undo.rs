//! What undoing a block takes back beside rows: definitions, versions, kept tree nodes.

use std::sync::Arc;

use rusqlite::params;
use stele_core::outcome::{BlockEffects, Change};
use stele_core::schema::{Table, TableId};

use super::Engine;
use super::error::EngineError;
use super::meta;
use super::nodes;
use super::schema::internal;
use crate::physical;

impl Engine {
    /// Takes a definition back to what it was before a change.
    pub(super) fn undo_definition(
        &mut self,
        id: TableId,
        before: Option<&Table>,
        after: Option<&Table>,
        height: u64,
    ) -> Result<(), EngineError> {
        self.writer.flush_prepared_statement_cache();
        match (before, after) {
            (None, Some(_)) => self.remove_physical(id)?,
            (Some(_), None) => {
                if !self.is_kept(id)? {
                    return Err(EngineError::Mismatch {
                        height,
                        table: id.0.to_string(),
                        key: String::new(),
                        cause: "the dropped table is gone for good: restore a snapshot".to_owned(),
                    });
                }
                self.unkeep(id)?;
            }
            (Some(before), Some(after)) => {
                for sql in physical::alter_table_sql(after, before).map_err(internal)? {
                    self.writer.execute_batch(&sql)?;
                }
            }
            (None, None) => {}
        }
        meta::write_definition(&self.writer, id, before, height)?;
        let catalogue = Arc::make_mut(&mut self.catalogue);
        match before {
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

    /// Removes a table's rows, history and nodes for good.
    fn remove_physical(&mut self, id: TableId) -> Result<(), EngineError> {
        self.writer.execute_batch(&format!(
            "DROP TABLE IF EXISTS {}; DROP TABLE IF EXISTS {}; DELETE FROM _tree WHERE id = {id}; DELETE FROM _versions WHERE id = {id};",
            physical::table_name(id),
            physical::history_name(id),
            id = id.0,
        ))?;
        self.state.forget_nodes();
        Ok(())
    }

    /// Forgets what a height replaced, once the state is back below it.
    pub(super) fn forget_height(&mut self, height: u64) -> Result<(), EngineError> {
        // Nodes are back; they were written when the kept ones say.
        nodes::restamp(&self.writer, height)?;
        for table in ["_tree_old", "_catalogue_old"] {
            let sql = format!("DELETE FROM {table} WHERE replaced = ?1");
            self.writer.execute(&sql, [height])?;
        }
        self.writer
            .execute("DELETE FROM _versions WHERE height = ?1", params![height])?;
        self.versions = meta::read_versions(&self.writer)?.into_iter().collect();
        Ok(())
    }

    /// Frees the ids of tables an undone block created: executed again, it takes them again.
    ///
    /// Nodes that undoing their rows left in the state tree go too: no such table is there any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(super) fn free_table_ids(&mut self, effects: &BlockEffects) -> Result<(), EngineError> {
        let changes = effects.transactions.iter().flat_map(|one| &one.changes);
        let created: Vec<TableId> = changes
            .filter_map(|change| match change {
                Change::Schema {
                    table,
                    before: None,
                    ..
                } => Some(*table),
                _ => None,
            })
            .collect();
        for table in &created {
            self.writer
                .execute("DELETE FROM _tree WHERE id = ?1", [table.0])?;
        }
        if !created.is_empty() {
            self.state.forget_nodes();
        }
        if let Some(first) = created.into_iter().min() {
            let catalogue = Arc::make_mut(&mut self.catalogue);
            let version = catalogue.version();
            catalogue.set_counters(version, first);
        }
        Ok(())
    }
}
