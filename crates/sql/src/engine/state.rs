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

/// A row that came, changed or went.
#[derive(Clone, Copy)]
pub(super) struct RowUpdate<'r> {
    pub(super) table: TableId,
    /// Encoded.
    pub(super) key: &'r [u8],
    /// The encoded row that was read; none when there was none.
    pub(super) before: Option<&'r [u8]>,
    /// The encoded row; none when it went.
    pub(super) after: Option<&'r [u8]>,
}

impl<'r> RowUpdate<'r> {
    /// The row changes among changes.
    pub(super) fn of(change: &'r Change) -> Option<Self> {
        match change {
            Change::Row(row) => Some(Self {
                table: row.table,
                key: &row.key,
                before: row.before.as_deref(),
                after: row.after.as_deref(),
            }),
            Change::Schema { .. } => None,
        }
    }
}

/// Why row changes did not get into the tree.
pub(super) enum StateError {
    /// A group of the tree would pass its cap: an outcome of the transaction.
    GroupTooLarge(String),
    /// A row that was read is another than the one the ledger wrote: the database was changed behind its back.
    Changed(TableId, Vec<u8>),
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
        let changes = effects.flat_map(|effects| &effects.changes);
        let rows = changes.filter_map(RowUpdate::of).collect();
        self.update_rows(connection, height, keep_replaced, rows)
    }

    /// Applies row changes, the last one of a key winning. What the first one of a key has read must be the
    /// row whose hash the tree holds: else somebody else wrote it, and nothing made of it may be signed.
    pub(super) fn update_rows(
        &mut self,
        connection: &Connection,
        height: u64,
        keep_replaced: bool,
        mut rows: Vec<RowUpdate<'_>>,
    ) -> Result<(), StateError> {
        rows.sort_by_key(|row| (row.table, row.key));
        let suite = self.suite;
        let hash = |row: Option<&[u8]>| row.map(|row| row_hash(suite, row));
        let mut nodes = Nodes {
            connection,
            height,
            keep_replaced,
            replaced: Vec::new(),
        };
        let mut changes: Vec<(&[u8], Option<Hash>)> = Vec::new();
        let mut read: Vec<Option<Hash>> = Vec::new();
        let mut rows = rows.into_iter().peekable();
        while let Some(row) = rows.next() {
            read.push(hash(row.before));
            let mut last = row;
            while let Some(later) =
                rows.next_if(|next| (next.table, next.key) == (row.table, row.key))
            {
                last = later;
            }
            changes.push((row.key, hash(last.after)));
            if rows.peek().is_none_or(|next| next.table != row.table) {
                let updated = self.tree.update(&mut nodes, row.table, &changes)?;
                if let Some(key) = changed_behind(&changes, &read, &mut nodes.replaced) {
                    return Err(StateError::Changed(row.table, key));
                }
                if let Some(entry) = Arc::make_mut(&mut self.tables).get_mut(&row.table) {
                    entry.root = updated.root;
                }
                changes.clear();
                read.clear();
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

/// The key of a row that was not what the tree says, if there is one. Entries whose hash stays as it is are
/// not written: what was read of them is then what is there now.
fn changed_behind(
    changes: &[(&[u8], Option<Hash>)],
    read: &[Option<Hash>],
    replaced: &mut Vec<(Vec<u8>, Option<Hash>)>,
) -> Option<Vec<u8>> {
    let mut replaced = std::mem::take(replaced);
    replaced.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let differs = |(key, after): &(&[u8], Option<Hash>), read: &Option<Hash>| {
        let found = replaced.binary_search_by(|(written, _)| written.as_slice().cmp(key));
        let held = match found.ok().and_then(|place| replaced.get(place)) {
            Some((_, old)) => *old,
            None => *after,
        };
        held != *read
    };
    let mut pairs = changes.iter().zip(read);
    let (change, _) = pairs.find(|(change, read)| differs(change, read))?;
    Some(change.0.to_vec())
}

fn reading(connection: &Connection) -> Nodes<'_> {
    Nodes {
        connection,
        height: 0,
        keep_replaced: false,
        replaced: Vec::new(),
    }
}
