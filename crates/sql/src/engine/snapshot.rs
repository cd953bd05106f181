//! The committed state of a height, held still: proofs, encoded rows, audits.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use stele_core::Value;
use stele_core::schema::{Table, TableId};
use stele_core::tree::{Node, NodeStore, Prover, TableEntry};

use super::error::EngineError;
use super::layout::Layout;
use super::meta;
use super::nodes::{Nodes, NodesAt};
use super::readers::{Reader, Readers};
use crate::catalogue::Catalogue;
use crate::physical;

/// The newest committed state when it was taken. Reads through it see that state and no other.
pub struct Snapshot {
    readers: Arc<Readers>,
    /// Given back when the snapshot is dropped.
    reader: Option<Reader>,
    meta: meta::Meta,
    catalogue: Arc<Catalogue>,
    tables: Arc<Vec<TableEntry>>,
}

impl Snapshot {
    pub(super) fn new(readers: Arc<Readers>, reader: Reader) -> Result<Self, EngineError> {
        let mut snapshot = Self {
            meta: meta::Meta::default(),
            catalogue: Arc::new(Catalogue::default()),
            tables: Arc::new(Vec::new()),
            readers,
            reader: Some(reader),
        };
        snapshot.load()?;
        Ok(snapshot)
    }

    fn load(&mut self) -> Result<(), EngineError> {
        if let Some(reader) = &self.reader {
            reader.begin()?;
        }
        let Some(stored) = meta::read_meta(self.connection())? else {
            return Err(EngineError::Corrupt {
                path: String::new(),
                cause: "it says nothing about itself".to_owned(),
            });
        };
        let published = self.readers.published();
        self.catalogue = if published.catalogue.version() == stored.catalogue {
            published.catalogue
        } else {
            Arc::new(meta::read_catalogue(self.connection())?)
        };
        self.tables = if published.height == stored.meta.height {
            published.tables
        } else {
            let tables: Vec<_> = self.catalogue.definitions().cloned().collect();
            Arc::new(self.entries(&tables, &self.nodes())?)
        };
        self.meta = stored.meta;
        Ok(())
    }

    /// The state's height.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.meta.height
    }

    /// Where the state stands.
    #[must_use]
    pub fn meta(&self) -> &meta::Meta {
        &self.meta
    }

    /// The tables.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What the state root commits to, in order of table id.
    #[must_use]
    pub fn tables(&self) -> &[TableEntry] {
        &self.tables
    }

    /// Makes proofs about a table.
    #[must_use]
    pub fn prover(&self, table: TableId) -> Prover<'_, Self> {
        Prover::new(self.readers.suite, self, table)
    }

    /// The encoded row of a key.
    ///
    /// # Errors
    /// When the database cannot be read or holds no such row form.
    pub fn encoded_row(&self, table: &Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let layout = self.layout(table)?;
        let found = layout
            .get(self.connection(), key)
            .map_err(|error| self.named(error))?;
        Ok(found.map(|(row, _)| row))
    }

    /// Calls `each` with key and encoded row of every row of a table, in key order, until it fails.
    ///
    /// # Errors
    /// That of `each`; or when the database cannot be read.
    pub fn for_each_row<E: From<EngineError>>(
        &self,
        table: &Table,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let layout = self.layout(table)?;
        layout.scan(self.connection(), |key, row, _| each(&key, &row))
    }

    /// Calls `each` with encoded key and values of every row after a key (empty: of every row), in key
    /// order, until it wants no more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn rows_after(
        &self,
        table: &Table,
        after: &[u8],
        each: impl FnMut(&[u8], Vec<Value>) -> bool,
    ) -> Result<(), EngineError> {
        let layout = self.layout(table)?;
        layout
            .scan_after(self.connection(), after, each)
            .map_err(|error| self.named(error))
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count_rows(&self, table: TableId) -> Result<u64, EngineError> {
        let sql = format!("SELECT count(*) FROM {}", physical::table_name(table));
        let counted = self.connection().query_row(&sql, [], |row| row.get(0));
        counted.map_err(|error| self.named(error.into()))
    }

    /// Tree nodes as of a height that [`Self::at`] gave a state for.
    #[must_use]
    pub fn nodes_at(&self, height: u64) -> NodesAt<'_> {
        NodesAt {
            connection: self.connection(),
            height,
            newest: self.meta.height,
        }
    }

    /// The encoded row of a key as of a height, and the height that wrote it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn row_at(
        &self,
        table: &Table,
        key: &[u8],
        height: u64,
    ) -> Result<Option<(Vec<u8>, u64)>, EngineError> {
        let found = self.layout(table)?.get_at(self.connection(), key, height);
        let found = found.map_err(|error| self.named(error))?;
        Ok(found.map(|(row, written)| (row, written.height)))
    }

    /// The state as of an older height of the proof window.
    ///
    /// # Errors
    /// [`EngineError::OutsideWindow`], naming the nearest height that can be had.
    pub fn at(&self, height: u64) -> Result<PastState<'_>, EngineError> {
        let newest = self.meta.height;
        let oldest = newest.saturating_sub(self.readers.proof_window);
        if height < oldest || height > newest {
            return Err(EngineError::OutsideWindow {
                asked: height,
                oldest,
                newest,
                nearest: height.clamp(oldest, newest),
            });
        }
        let tables = self.tables_at(height).map_err(|error| self.named(error))?;
        let nodes = self.nodes_at(height);
        let entries = self.entries(&tables, &nodes)?;
        Ok(PastState {
            snapshot: self,
            nodes,
            tables,
            entries,
        })
    }

    /// Definitions in force after a height.
    fn tables_at(&self, height: u64) -> Result<Vec<Arc<Table>>, EngineError> {
        let mut tables: BTreeMap<TableId, Arc<Table>> = self
            .catalogue
            .definitions()
            .map(|table| (table.id, Arc::clone(table)))
            .collect();
        let mut statement = self.connection().prepare_cached(
            "SELECT id, definition, min(replaced) FROM _catalogue_old WHERE replaced > ?1 GROUP BY id",
        )?;
        let mut rows = statement.query([height])?;
        while let Some(row) = rows.next()? {
            let id = TableId(row.get(0)?);
            match row.get::<_, Option<Vec<u8>>>(1)? {
                Some(bytes) => tables.insert(id, Arc::new(meta::decode_table(id, &bytes)?)),
                None => tables.remove(&id),
            };
        }
        Ok(tables.into_values().collect())
    }

    fn entries<S: NodeStore<Error = rusqlite::Error>>(
        &self,
        tables: &[Arc<Table>],
        nodes: &S,
    ) -> Result<Vec<TableEntry>, EngineError> {
        let suite = self.readers.suite;
        let entry = |table: &Arc<Table>| {
            Ok(TableEntry {
                table: table.id,
                catalogue_hash: table.hash(suite),
                root: Prover::new(suite, nodes, table.id).root()?,
            })
        };
        tables.iter().map(entry).collect()
    }

    pub(super) fn layout(&self, table: &Table) -> Result<Layout, EngineError> {
        Layout::load(self.connection(), &Arc::new(table.clone()))
            .map_err(|error| self.named(error.into()))
    }

    pub(super) fn connection(&self) -> &Connection {
        let reader = self.reader.as_ref();
        &reader.expect("only dropping takes the reader").connection
    }

    pub(super) fn nodes(&self) -> Nodes<'_> {
        Nodes {
            connection: self.connection(),
            height: self.meta.height,
            keep_replaced: false,
            replaced: Vec::new(),
        }
    }

    pub(super) fn ledger(&self) -> stele_core::Hash {
        self.readers.ledger
    }

    pub(super) fn proof_window(&self) -> u64 {
        self.readers.proof_window
    }

    pub(super) fn suite(&self) -> stele_core::Suite {
        self.readers.suite
    }

    pub(super) fn named(&self, error: EngineError) -> EngineError {
        error.at(&self.readers.path)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.readers.give_back(reader);
        }
    }
}

impl NodeStore for Snapshot {
    type Error = rusqlite::Error;

    fn get(
        &self,
        table: TableId,
        level: u8,
        key: &[u8],
    ) -> rusqlite::Result<Option<stele_core::Hash>> {
        self.nodes().get(table, level, key)
    }

    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> rusqlite::Result<Vec<Node>> {
        self.nodes().range(table, level, from, to, limit)
    }
}

/// The state after an older height, as far as proofs need it.
pub struct PastState<'s> {
    snapshot: &'s Snapshot,
    nodes: NodesAt<'s>,
    tables: Vec<Arc<Table>>,
    entries: Vec<TableEntry>,
}

impl PastState<'_> {
    /// The height.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.nodes.height
    }

    /// Definitions then, in order of table id.
    #[must_use]
    pub fn definitions(&self) -> &[Arc<Table>] {
        &self.tables
    }

    /// What the state root of the height commits to, in order of table id.
    #[must_use]
    pub fn tables(&self) -> &[TableEntry] {
        &self.entries
    }

    /// Makes proofs about a table as it was.
    #[must_use]
    pub fn prover(&self, table: TableId) -> Prover<'_, NodesAt<'_>> {
        Prover::new(self.snapshot.readers.suite, &self.nodes, table)
    }

    /// The encoded row of a key as it was: the current one or one of the history.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn encoded_row(&self, table: &Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let layout = self.snapshot.layout(table)?;
        let found = layout
            .get_at(self.snapshot.connection(), key, self.nodes.height)
            .map_err(|error| self.snapshot.named(error))?;
        Ok(found.map(|(row, _)| row))
    }
}
