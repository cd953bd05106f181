//! What has left the proof window goes: kept tree nodes, definitions, versions, dropped tables.

use rusqlite::OptionalExtension;
use stele_core::schema::TableId;

use super::Engine;
use super::error::EngineError;
use crate::physical;

/// Chunks of tree nodes of a dropped table removed per block, so that no block takes long.
const CHUNKS_REMOVED_MAX: usize = 1_000;
/// Table versions are pruned each so many heights.
const VERSIONS_PRUNED_EACH: u64 = 256;

impl Engine {
    /// Prunes as the open block of `height` is about to end.
    pub(super) fn prune(&mut self, height: u64) -> Result<(), EngineError> {
        let Some(gone) = height.checked_sub(self.proof_window) else {
            return Ok(());
        };
        for sql in [
            "DELETE FROM _tree_old WHERE replaced <= ?1",
            "DELETE FROM _catalogue_old WHERE replaced <= ?1",
        ] {
            self.writer.prepare_cached(sql)?.execute([gone])?;
        }
        if height.is_multiple_of(VERSIONS_PRUNED_EACH) {
            let sql = "DELETE FROM _versions AS old WHERE height <= ?1
                       AND EXISTS (SELECT 1 FROM _versions AS new WHERE new.id = old.id AND new.height > old.height)";
            self.writer.prepare_cached(sql)?.execute([gone])?;
        }
        self.prune_dropped(gone)
    }

    /// Removes the oldest dropped table that left the window, a part at a time.
    fn prune_dropped(&mut self, gone: u64) -> Result<(), EngineError> {
        let dropped: Option<u32> = self
            .writer
            .prepare_cached("SELECT id FROM _dropped WHERE height <= ?1 ORDER BY id LIMIT 1")?
            .query_row([gone], |row| row.get(0))
            .optional()?;
        let Some(id) = dropped else {
            return Ok(());
        };
        let removed = self
            .writer
            .prepare_cached(
                "DELETE FROM _tree WHERE place IN (SELECT place FROM _tree WHERE id = ?1 LIMIT ?2)",
            )?
            .execute((id, CHUNKS_REMOVED_MAX))?;
        if removed == CHUNKS_REMOVED_MAX {
            return Ok(());
        }
        self.writer.flush_prepared_statement_cache();
        self.writer.execute_batch(&format!(
            "DROP TABLE IF EXISTS {}; DROP TABLE IF EXISTS {}; DELETE FROM _versions WHERE id = {id}; DELETE FROM _dropped WHERE id = {id};",
            physical::table_name(TableId(id)),
            physical::history_name(TableId(id)),
        ))?;
        self.writer.flush_prepared_statement_cache();
        Ok(())
    }
}
