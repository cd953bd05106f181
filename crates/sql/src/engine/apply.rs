//! Recorded effects, applied without executing SQL, and undone.
//!
//! Rows are set by key. Whatever a change replaces must be what it says it replaces, and the root
//! afterwards must be the one the block leaf carries: a changed effect cannot slip in.

use std::sync::Arc;

use stele_core::Hash;
use stele_core::outcome::{BlockEffects, Change, RowChange, TransactionEffects};
use stele_core::schema::Table;

use super::Engine;
use super::block::BlockContext;
use super::error::EngineError;
use super::layout::Layout;
use super::outcome::Failure;
use super::row_log::Stamp;
use super::schema::internal;
use super::state::StateError;

/// A row changes in place of another.
struct Replacement<'c> {
    change: &'c RowChange,
    layout: Arc<Layout>,
}

impl Engine {
    /// Applies a block's effects to the state before it and leaves the block open, as
    /// [`Engine::execute`] does: rows, hidden columns, history, state tree and table versions end as
    /// if it had been executed. Gives the state root, which equals the leaf's.
    ///
    /// # Errors
    /// When the effects do not fit the state, naming table and key, or the node fails. The block is
    /// undone.
    pub fn apply_effects(
        &mut self,
        context: &BlockContext,
        effects: &BlockEffects,
        ids: &[Hash],
    ) -> Result<Hash, EngineError> {
        if context.height != effects.leaf.height || ids.len() != effects.transactions.len() {
            return Err(EngineError::Mismatch {
                height: context.height,
                table: String::new(),
                key: String::new(),
                cause: "the effects are those of another block".to_owned(),
            });
        }
        match self.try_apply(effects) {
            Ok(root) => Ok(root),
            Err(error) => Err(self.undone(error)),
        }
    }

    fn try_apply(&mut self, effects: &BlockEffects) -> Result<Hash, EngineError> {
        let height = effects.leaf.height;
        self.begin(height)?;
        for (transaction, index) in effects.transactions.iter().zip(0u32..) {
            self.apply_transaction(transaction, Stamp { height, index })?;
        }
        let keep = self.proof_window > 0;
        self.touch_tree();
        self.state
            .update(&self.writer, height, keep, effects.transactions.iter())
            .map_err(tree_failure)?;
        self.store_versions(height)?;
        self.prune(height)?;
        let root = self.state.root()?;
        if root != effects.leaf.state_root {
            return Err(EngineError::RootMismatch {
                height,
                expected: effects.leaf.state_root,
                found: root,
            });
        }
        Ok(root)
    }

    fn apply_transaction(
        &mut self,
        effects: &TransactionEffects,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        for change in &effects.changes {
            let Change::Schema {
                table,
                before,
                after,
            } = change
            else {
                continue;
            };
            if self.catalogue.table(*table).map(Arc::as_ref) != before.as_deref() {
                return Err(EngineError::Mismatch {
                    height: stamp.height,
                    table: table_words(before.as_deref().or(after.as_deref()), table.0),
                    key: String::new(),
                    cause: "the definition before the change is another".to_owned(),
                });
            }
            self.set_definition(*table, before.as_deref(), after.as_deref(), stamp.height)
                .map_err(not_an_outcome)?;
            self.versions.insert(*table, stamp);
        }
        let rows = self.replacements(effects, stamp.height)?;
        // All old versions go before any new one comes: a unique value may move between rows.
        for row in &rows {
            self.versions.insert(row.change.table, stamp);
            let Some(before) = &row.change.before else {
                continue;
            };
            let before = row.layout.fit(before, &older(effects, row.change))?;
            let (found, written) = self.current(row, stamp.height)?;
            if found != before {
                return Err(mismatch(
                    row,
                    stamp.height,
                    "the row before the change is another",
                ));
            }
            row.layout.delete(&self.writer, &row.change.key)?;
            row.layout.archive(&self.writer, &before, written, stamp)?;
        }
        for row in &rows {
            if let Some(after) = &row.change.after {
                self.set(row, after, stamp, stamp.height)?;
            }
        }
        Ok(())
    }

    /// Undoes the newest block: rows, hidden columns, history, state tree, versions and catalogue end
    /// as they were before it. Leaves the change open: commit it with the cursor and hash of the
    /// block before. Gives the state root then.
    ///
    /// # Errors
    /// When the state is not the one after these effects, or its history does not reach back, naming
    /// table and key, or the node fails. Nothing is changed then.
    pub fn unapply_effects(&mut self, effects: &BlockEffects) -> Result<Hash, EngineError> {
        match self.try_unapply(effects) {
            Ok(root) => Ok(root),
            Err(error) => Err(self.undone(error)),
        }
    }

    fn try_unapply(&mut self, effects: &BlockEffects) -> Result<Hash, EngineError> {
        let height = effects.leaf.height;
        if self.open.is_some() {
            return Err(EngineError::Order(
                "a block is open: commit it or roll it back first",
            ));
        }
        if height == 0 || height != self.meta.height {
            return Err(EngineError::WrongHeight {
                height: self.meta.height,
                found: height,
            });
        }
        if effects.leaf.state_root != self.meta.state_root {
            return Err(EngineError::RootMismatch {
                height,
                expected: effects.leaf.state_root,
                found: self.meta.state_root,
            });
        }
        self.begin_at(height - 1)?;
        let mut rows = Vec::new();
        let numbered: Vec<_> = effects.transactions.iter().zip(0u32..).collect();
        for (transaction, index) in numbered.into_iter().rev() {
            self.unapply_transaction(transaction, Stamp { height, index })?;
            for change in &transaction.changes {
                if let Change::Row(row) = change
                    && self.catalogue.table(row.table).is_some()
                {
                    rows.push((row.table, row.key.as_slice(), row.before.as_ref()));
                }
            }
        }
        self.touch_tree();
        self.state
            .update_rows(&self.writer, height - 1, false, rows)
            .map_err(tree_failure)?;
        self.forget_height(height)?;
        self.free_table_ids(effects);
        self.state.root()
    }

    fn unapply_transaction(
        &mut self,
        effects: &TransactionEffects,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        for change in effects.changes.iter().rev() {
            if let Change::Schema {
                table,
                before,
                after,
            } = change
            {
                self.undo_definition(*table, before.as_deref(), after.as_deref(), stamp.height)?;
            }
        }
        let rows = self.replacements(effects, stamp.height)?;
        let mut written = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(after) = &row.change.after {
                let (found, _) = self.current(row, stamp.height)?;
                if found != *after {
                    return Err(mismatch(
                        row,
                        stamp.height,
                        "the row after the change is another",
                    ));
                }
                row.layout.delete(&self.writer, &row.change.key)?;
            }
            written.push(match row.change.before {
                None => None,
                Some(_) => {
                    let from = row.layout.unarchive(&self.writer, &row.change.key, stamp)?;
                    if from.is_none() {
                        let cause = "the history does not reach back to it: restore a snapshot";
                        return Err(mismatch(row, stamp.height, cause));
                    }
                    from
                }
            });
        }
        for (row, written) in rows.iter().zip(written) {
            if let (Some(before), Some(written)) = (&row.change.before, written) {
                self.set(row, before, written, stamp.height)?;
            }
        }
        Ok(())
    }

    /// The row changes of a transaction whose tables are there.
    fn replacements<'c>(
        &self,
        effects: &'c TransactionEffects,
        height: u64,
    ) -> Result<Vec<Replacement<'c>>, EngineError> {
        let mut rows: Vec<Replacement<'c>> = Vec::new();
        for change in &effects.changes {
            let Change::Row(change) = change else {
                continue;
            };
            let last = rows.last().filter(|last| last.change.table == change.table);
            let layout = match last {
                Some(last) => Some(Arc::clone(&last.layout)),
                None => self.writer.sink(|log| log.layout(change.table)),
            };
            match layout.filter(|layout| self.catalogue.table(layout.table.id).is_some()) {
                Some(layout) => rows.push(Replacement { change, layout }),
                // Undoing removed the table its transaction had created.
                None if self.created(effects, change) => {}
                None => {
                    return Err(EngineError::Mismatch {
                        height,
                        table: change.table.0.to_string(),
                        key: hex(&change.key),
                        cause: "there is no such table".to_owned(),
                    });
                }
            }
        }
        Ok(rows)
    }

    fn created(&self, effects: &TransactionEffects, row: &RowChange) -> bool {
        effects.changes.iter().any(|change| {
            matches!(change, Change::Schema { table, before: None, .. } if *table == row.table)
        })
    }

    fn current(&self, row: &Replacement<'_>, height: u64) -> Result<(Vec<u8>, Stamp), EngineError> {
        row.layout
            .get(&self.writer, &row.change.key)?
            .ok_or_else(|| mismatch(row, height, "the row is not there"))
    }

    fn set(
        &self,
        row: &Replacement<'_>,
        bytes: &[u8],
        written: Stamp,
        height: u64,
    ) -> Result<(), EngineError> {
        match row.layout.insert(&self.writer, bytes, written) {
            Err(EngineError::Internal { cause }) => Err(mismatch(row, height, &cause)),
            done => done,
        }
    }
}

/// The definitions a row's table had earlier in its transaction.
pub(super) fn older<'e>(effects: &'e TransactionEffects, row: &RowChange) -> Vec<&'e Table> {
    older_definitions(&effects.changes, row.table)
}

/// The definitions that schema changes of a transaction replaced.
pub(super) fn older_definitions(
    changes: &[Change],
    of: stele_core::schema::TableId,
) -> Vec<&Table> {
    let definitions = changes.iter().filter_map(|change| match change {
        Change::Schema { table, before, .. } if *table == of => before.as_deref(),
        _ => None,
    });
    definitions.collect()
}

fn mismatch(row: &Replacement<'_>, height: u64, cause: &str) -> EngineError {
    EngineError::Mismatch {
        height,
        table: table_words(Some(&row.layout.table), row.change.table.0),
        key: hex(&row.change.key),
        cause: cause.to_owned(),
    }
}

fn table_words(table: Option<&Table>, id: u32) -> String {
    table.map_or_else(
        || id.to_string(),
        |table| format!("{}.{}", table.schema, table.name),
    )
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Applying recorded effects has no outcomes: what would be one is a mismatch.
fn not_an_outcome(failure: Failure) -> EngineError {
    match failure {
        Failure::Engine(error) => error,
        Failure::Outcome(error) => internal(error),
    }
}

fn tree_failure(error: StateError) -> EngineError {
    match error {
        StateError::Engine(error) => error,
        StateError::GroupTooLarge(cause) => EngineError::Internal { cause },
    }
}
