//! Recorded effects, applied without executing SQL, and undone.
//!
//! Rows are set by key. Whatever a change replaces must be what it says it replaces, and the root
//! afterwards must be the one the block leaf carries: a changed effect cannot slip in.

use std::sync::Arc;

use stele_core::Hash;
use stele_core::outcome::{BlockEffects, Change, RowChange, TransactionEffects};
use stele_core::schema::{Table, TableId};

use super::Engine;
use super::audit::key_text;
use super::block::BlockContext;
use super::error::EngineError;
use super::layout::Layout;
use super::outcome::Failure;
use super::row_log::Stamp;
use super::schema::internal;
use super::state::{RowUpdate, StateError};

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
            .map_err(|error| self.tree_failure(error))?;
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

    /// Old rows go before definitions change, and new ones come after: a constraint that holds for
    /// neither half need not hold in between, and a unique value may move from row to row.
    fn apply_transaction(
        &mut self,
        effects: &TransactionEffects,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        let rows = rows_of(effects);
        for row in rows.iter().filter(|row| row.before.is_some()) {
            let layout = self.layout_of(row, stamp.height)?;
            let (found, written) = self.current(&layout, row, stamp.height)?;
            if Some(&found) != row.before.as_ref() {
                let cause = "the row before the change is another";
                return Err(mismatch(&layout, row, stamp.height, cause));
            }
            layout.delete(&self.writer, &row.key)?;
            layout.archive(&self.writer, &found, written, stamp)?;
        }
        for change in &effects.changes {
            if let Change::Schema {
                table,
                before,
                after,
            } = change
            {
                self.expect_definition(*table, before.as_deref(), stamp.height)?;
                self.set_definition(*table, before.as_deref(), after.as_deref(), stamp.height)
                    .map_err(not_an_outcome)?;
            }
        }
        self.note_changes(&effects.changes, stamp);
        for row in rows {
            if let Some(after) = &row.after {
                let layout = self.layout_of(row, stamp.height)?;
                self.set(&layout, row, after, stamp, stamp.height)?;
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
                if let Some(row) = RowUpdate::of(change)
                    && self.catalogue.table(row.table).is_some()
                {
                    rows.push(RowUpdate {
                        before: row.after,
                        after: row.before,
                        ..row
                    });
                }
            }
        }
        // The nodes of a table that the block made have gone with it.
        rows.retain(|row| self.catalogue.table(row.table).is_some());
        self.touch_tree();
        self.state
            .update_rows(&self.writer, height - 1, false, rows)
            .map_err(|error| self.tree_failure(error))?;
        self.forget_height(height)?;
        self.free_table_ids(effects)?;
        self.state.root()
    }

    fn unapply_transaction(
        &mut self,
        effects: &TransactionEffects,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        let rows = rows_of(effects);
        let mut written = Vec::with_capacity(rows.len());
        for row in &rows {
            let layout = self.layout_of(row, stamp.height)?;
            if let Some(after) = &row.after {
                let (found, _) = self.current(&layout, row, stamp.height)?;
                if found != *after {
                    let cause = "the row after the change is another";
                    return Err(mismatch(&layout, row, stamp.height, cause));
                }
                layout.delete(&self.writer, &row.key)?;
            }
            let from = match row.before {
                None => None,
                Some(_) => layout.unarchive(&self.writer, &row.key, stamp)?,
            };
            if row.before.is_some() && from.is_none() {
                let cause = "the history does not reach back to it: restore a snapshot";
                return Err(mismatch(&layout, row, stamp.height, cause));
            }
            written.push(from);
        }
        for change in effects.changes.iter().rev() {
            if let Change::Schema {
                table,
                before,
                after,
            } = change
            {
                self.expect_definition(*table, after.as_deref(), stamp.height)?;
                self.undo_definition(*table, before.as_deref(), after.as_deref(), stamp.height)?;
            }
        }
        for (row, written) in rows.into_iter().zip(written) {
            if let (Some(before), Some(written)) = (&row.before, written) {
                let layout = self.layout_of(row, stamp.height)?;
                self.set(&layout, row, before, written, stamp.height)?;
            }
        }
        Ok(())
    }

    fn expect_definition(
        &self,
        id: TableId,
        expected: Option<&Table>,
        height: u64,
    ) -> Result<(), EngineError> {
        let held = self.catalogue.table(id).map(Arc::as_ref);
        if held == expected {
            return Ok(());
        }
        Err(EngineError::Mismatch {
            height,
            table: held
                .or(expected)
                .map_or_else(|| id.0.to_string(), table_words),
            key: String::new(),
            cause: "its definition is another than the change says".to_owned(),
        })
    }

    fn layout_of(&self, row: &RowChange, height: u64) -> Result<Arc<Layout>, EngineError> {
        let there = self.catalogue.table(row.table).is_some();
        let layout = self.writer.sink(|log| log.layout(row.table));
        layout
            .filter(|_| there)
            .ok_or_else(|| EngineError::Mismatch {
                height,
                table: row.table.0.to_string(),
                key: hex(&row.key),
                cause: "there is no such table".to_owned(),
            })
    }

    fn current(
        &self,
        layout: &Layout,
        row: &RowChange,
        height: u64,
    ) -> Result<(Vec<u8>, Stamp), EngineError> {
        layout
            .get(&self.writer, &row.key)?
            .ok_or_else(|| mismatch(layout, row, height, "the row is not there"))
    }

    fn set(
        &self,
        layout: &Layout,
        row: &RowChange,
        bytes: &[u8],
        written: Stamp,
        height: u64,
    ) -> Result<(), EngineError> {
        match layout.insert(&self.writer, bytes, written) {
            Err(EngineError::Internal { cause }) => Err(mismatch(layout, row, height, &cause)),
            done => done,
        }
    }
}

fn rows_of(effects: &TransactionEffects) -> Vec<&RowChange> {
    let rows = effects.changes.iter().filter_map(|change| match change {
        Change::Row(row) => Some(row),
        Change::Schema { .. } => None,
    });
    rows.collect()
}

/// The definitions that schema changes of a transaction replaced.
pub(super) fn older_definitions(changes: &[Change], of: TableId) -> Vec<&Table> {
    let definitions = changes.iter().filter_map(|change| match change {
        Change::Schema { table, before, .. } if *table == of => before.as_deref(),
        _ => None,
    });
    definitions.collect()
}

fn mismatch(layout: &Layout, row: &RowChange, height: u64, cause: &str) -> EngineError {
    EngineError::Mismatch {
        height,
        table: table_words(&layout.table),
        key: hex(&row.key),
        cause: cause.to_owned(),
    }
}

fn table_words(table: &Table) -> String {
    format!("{}.{}", table.schema, table.name)
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
        Failure::Outcome(error) | Failure::Swept(error) => internal(error),
    }
}

impl Engine {
    /// A failure of the tree that is none of a transaction.
    pub(super) fn tree_failure(&self, error: StateError) -> EngineError {
        match error {
            StateError::Engine(error) => error,
            StateError::GroupTooLarge(cause) => EngineError::Internal { cause },
            StateError::Changed(table, key) => {
                let known = self.catalogue.table(table);
                let place = known.map_or_else(
                    || format!("table {} key {}", table.0, hex(&key)),
                    |table| format!("table {} key {}", table_words(table), key_text(table, &key)),
                );
                EngineError::Corrupt {
                    path: String::new(),
                    cause: format!("{place}: the row was changed behind the ledger's back"),
                }
            }
        }
    }
}
