//! The state root, kept up with the rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use stele_core::outcome::{Change, TransactionEffects};
use stele_core::row::row_hash;
use stele_core::schema::{Table, TableId};
use stele_core::tree::{TableEntry, Tree, TreeError, state_root};
use stele_core::{Hash, Suite};

use super::error::EngineError;
use super::nodes::Nodes;
use crate::catalogue::Catalogue;

/// The trees of all tables and the root over them.
#[derive(Debug)]
pub(super) struct StateTree {
    suite: Suite,
    tree: Tree,
    /// Shared with marks: copied when it changes under one.
    tables: Arc<BTreeMap<TableId, TableEntry>>,
}

/// Table, encoded key, encoded row; none when the row went.
pub(super) type RowUpdate<'r> = (TableId, &'r [u8], Option<&'r Vec<u8>>);

/// Why row changes did not get into the tree.
pub(super) enum StateError {
    /// A group of the tree would pass its cap: an outcome of the transaction.
    GroupTooLarge(String),
    /// The node's own trouble.
    Engine(EngineError),
}

impl From<TreeError<rusqlite::Error>> for StateError {
    fn from(error: TreeError<rusqlite::Error>) -> Self {
        match error {
            TreeError::GroupTooLarge { .. } => Self::GroupTooLarge(error.to_string()),
            other => Self::Engine(other.into()),
        }
    }
}

/// Table roots of a moment, to go back to.
#[derive(Clone, Debug)]
pub(super) struct StateMark(Arc<BTreeMap<TableId, TableEntry>>);

impl StateTree {
    pub(super) fn new(suite: Suite) -> Self {
        Self {
            suite,
            tree: Tree::new(suite),
            tables: Arc::default(),
        }
    }

    /// Reads the roots of a catalogue's tables.
    pub(super) fn load(
        &mut self,
        connection: &Connection,
        catalogue: &Catalogue,
    ) -> Result<(), EngineError> {
        self.tree.discard();
        self.tables = Arc::default();
        for table in catalogue.definitions() {
            self.put_table(connection, table)?;
        }
        Ok(())
    }

    /// Takes a new or changed definition into the root.
    pub(super) fn put_table(
        &mut self,
        connection: &Connection,
        table: &Table,
    ) -> Result<(), EngineError> {
        let catalogue_hash = table.hash(self.suite);
        let root = match self.tables.get(&table.id) {
            Some(entry) => entry.root,
            None => self.tree.root(&reading(connection), table.id)?,
        };
        let entry = TableEntry {
            table: table.id,
            catalogue_hash,
            root,
        };
        Arc::make_mut(&mut self.tables).insert(table.id, entry);
        Ok(())
    }

    /// Takes a dropped table out of the root; its nodes stay.
    pub(super) fn remove_table(&mut self, table: TableId) {
        Arc::make_mut(&mut self.tables).remove(&table);
    }

    pub(super) fn mark(&self) -> StateMark {
        StateMark(Arc::clone(&self.tables))
    }

    /// Goes back to a mark after the database was rolled back to it.
    pub(super) fn reset(&mut self, mark: StateMark) {
        self.tree.discard();
        self.tables = mark.0;
    }

    /// Forgets what is remembered of nodes that went behind the tree's back.
    pub(super) fn forget_nodes(&mut self) {
        self.tree.discard();
    }

    /// Applies the row changes of transactions, in order.
    pub(super) fn update<'e>(
        &mut self,
        connection: &Connection,
        height: u64,
        keep_replaced: bool,
        effects: impl Iterator<Item = &'e TransactionEffects>,
    ) -> Result<(), StateError> {
        let mut rows: Vec<RowUpdate<'_>> = Vec::new();
        for change in effects.flat_map(|effects| &effects.changes) {
            if let Change::Row(row) = change {
                rows.push((row.table, &row.key, row.after.as_ref()));
            }
        }
        self.update_rows(connection, height, keep_replaced, rows)
    }

    /// Applies row changes, the last one of a key winning.
    pub(super) fn update_rows(
        &mut self,
        connection: &Connection,
        height: u64,
        keep_replaced: bool,
        mut rows: Vec<RowUpdate<'_>>,
    ) -> Result<(), StateError> {
        rows.sort_by_key(|(table, key, _)| (*table, *key));
        let mut nodes = Nodes {
            connection,
            height,
            keep_replaced,
        };
        let mut changes: Vec<(&[u8], Option<Hash>)> = Vec::new();
        let mut rows = rows.into_iter().peekable();
        while let Some((table, key, row)) = rows.next() {
            let next = rows.peek().map(|(table, key, _)| (*table, *key));
            if next == Some((table, key)) {
                continue;
            }
            changes.push((key, row.map(|row| row_hash(self.suite, row))));
            if next.is_none_or(|(next, _)| next != table) {
                let updated = self.tree.update(&mut nodes, table, &changes)?;
                if let Some(entry) = Arc::make_mut(&mut self.tables).get_mut(&table) {
                    entry.root = updated.root;
                }
                changes.clear();
            }
        }
        Ok(())
    }

    /// What the state root commits to, in order of table id.
    pub(super) fn entries(&self) -> Vec<TableEntry> {
        self.tables.values().copied().collect()
    }

    /// The state root.
    pub(super) fn root(&self) -> Result<Hash, EngineError> {
        state_root(self.suite, &self.entries()).map_err(|error| EngineError::Internal {
            cause: error.to_string(),
        })
    }
}

fn reading(connection: &Connection) -> Nodes<'_> {
    Nodes {
        connection,
        height: 0,
        keep_replaced: false,
    }
}
