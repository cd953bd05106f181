//! Reading a snapshot: its block, its tables, their rows in key order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stele_core::codec::{Decode as _, Reader};
use stele_core::key::KEY_LEN_MAX;
use stele_core::outcome::ROW_LEN_MAX;
use stele_core::row::decode_row;
use stele_core::schema::{Table, TableId};
use stele_core::{Hash, Suite};
use stele_flow::source::EachRow;
use stele_flow::{File, Files, OpenMode, Position, SourceError, State};

use super::error::SnapshotError;
use super::head::{EndRecord, SnapshotHead, TableRecord};
use super::record::{END, HEAD, HEAD_LEN, ROWS, TABLE, damaged, look, read};

pub(super) const MAGIC: &[u8; 8] = b"STELSNAP";
pub(super) const VERSION: u32 = 1;

/// A snapshot file, opened. Nothing in it may be believed before [`Self::verify`].
pub struct SnapshotFile {
    pub(super) path: PathBuf,
    file: Arc<dyn File>,
    pub(super) suite: Suite,
    head: SnapshotHead,
    tables: Vec<SnapshotTable>,
}

/// What takes rows one by one: key and encoded row. It says whether it wants more, or what is wrong with the row.
pub type EachEncodedRow<'e> = &'e mut dyn FnMut(&[u8], &[u8]) -> Result<bool, String>;

/// A table of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotTable {
    /// Its definition.
    pub definition: Table,
    /// The root of its rows, as the file says.
    pub root: Hash,
    /// How many rows it has.
    pub rows: u64,
    /// Where its rows begin.
    offset: u64,
}

impl SnapshotFile {
    /// Opens a file and reads what it holds, but for the rows.
    ///
    /// # Errors
    /// When it is no snapshot, damaged, or cannot be read.
    pub fn open(files: &dyn Files, path: &Path, suite: Suite) -> Result<Self, SnapshotError> {
        let file = files.open(path, OpenMode::Read)?;
        let unknown = |what: String| SnapshotError::Unknown {
            path: path.to_owned(),
            what,
        };
        let mut start = [0; MAGIC.len() + 4];
        let len = file.read_up_to(0, &mut start)?;
        let (magic, version) = start.split_at(MAGIC.len());
        if len < start.len() || magic != MAGIC {
            return Err(unknown("it does not begin with STELSNAP".to_owned()));
        }
        if version != VERSION.to_be_bytes() {
            return Err(unknown("it is of another version".to_owned()));
        }
        let begin = start.len() as u64;
        let (kind, payload, mut offset) = read(&*file, path, begin)?;
        if kind != HEAD {
            return Err(damaged(path, begin, "it does not begin with its block"));
        }
        let head = SnapshotHead::decode_all(&payload);
        let head = head.map_err(|error| damaged(path, begin, error))?;
        let mut tables: Vec<SnapshotTable> = Vec::new();
        loop {
            let at = offset;
            match look(&*file, path, at)? {
                (ROWS, len) if !tables.is_empty() => offset += (HEAD_LEN + len) as u64,
                (TABLE, _) => {
                    let (_, payload, next) = read(&*file, path, at)?;
                    let record = TableRecord::decode_all(&payload);
                    let record = record.map_err(|error| damaged(path, at, error))?;
                    let last = tables.last().map(|table| table.definition.id);
                    if last.is_some_and(|last| last >= record.definition.id) {
                        return Err(damaged(path, at, "tables are not in order of their ids"));
                    }
                    tables.push(SnapshotTable {
                        definition: record.definition,
                        root: record.root,
                        rows: record.rows,
                        offset: next,
                    });
                    offset = next;
                }
                (END, _) => {
                    let (_, payload, next) = read(&*file, path, at)?;
                    let end = EndRecord::decode_all(&payload);
                    let end = end.map_err(|error| damaged(path, at, error))?;
                    let mut rows = tables.iter().map(|table| table.rows);
                    let rows = rows.try_fold(0u64, u64::checked_add);
                    let fits = end.tables as usize == tables.len() && Some(end.rows) == rows;
                    if !fits || next != file.len()? {
                        return Err(damaged(path, at, "its end does not fit what comes before"));
                    }
                    return Ok(Self {
                        path: path.to_owned(),
                        file,
                        suite,
                        head,
                        tables,
                    });
                }
                _ => return Err(damaged(path, at, "a record of an unknown kind")),
            }
        }
    }

    /// Its block.
    #[must_use]
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// Its definitions, in order of id; some have no rows.
    #[must_use]
    pub fn definitions(&self) -> &[SnapshotTable] {
        &self.tables
    }

    /// Gives key and encoded row of each row of a table in the order of the file, until `each` wants no more.
    ///
    /// # Errors
    /// When the file cannot be read, or holds other rows than it says.
    pub fn for_each_row(
        &self,
        table: &SnapshotTable,
        each: EachEncodedRow<'_>,
    ) -> Result<(), SnapshotError> {
        let mut offset = table.offset;
        let mut left = table.rows;
        while left > 0 {
            let at = offset;
            let (kind, payload, next) = read(&*self.file, &self.path, at)?;
            if kind != ROWS {
                return Err(damaged(&self.path, at, "rows are missing"));
            }
            offset = next;
            let damaged = |what: String| damaged(&self.path, at, what);
            let mut reader = Reader::new(&payload);
            let count = reader.u32().map_err(|error| damaged(error.to_string()))?;
            left = left
                .checked_sub(u64::from(count))
                .filter(|_| count > 0)
                .ok_or_else(|| damaged("a table has more rows than it says".to_owned()))?;
            for _ in 0..count {
                let key = reader.bytes("key", KEY_LEN_MAX);
                let key = key.map_err(|error| damaged(error.to_string()))?;
                let row = reader.bytes("row", ROW_LEN_MAX);
                let row = row.map_err(|error| damaged(error.to_string()))?;
                if !each(key, row).map_err(damaged)? {
                    return Ok(());
                }
            }
            reader
                .finish()
                .map_err(|error| damaged(error.to_string()))?;
        }
        Ok(())
    }
}

impl State for SnapshotFile {
    fn position(&self) -> Position {
        self.head.position()
    }

    fn tables(&self) -> Vec<stele_flow::Table> {
        let definitions = self.tables.iter();
        let shapes = definitions.filter_map(|table| stele_flow::Table::of(&table.definition));
        shapes.collect()
    }

    fn suite(&self) -> Suite {
        self.suite
    }

    fn rows_expected(&self, table: TableId) -> u64 {
        let found = self.tables.iter().find(|one| one.definition.id == table);
        found.map_or(0, |table| table.rows)
    }

    fn rows(&self, table: TableId, after: &[u8], each: EachRow<'_>) -> Result<(), SourceError> {
        let found = self.tables.iter().find(|one| one.definition.id == table);
        let Some(found) = found else { return Ok(()) };
        self.for_each_row(found, &mut |key, row| {
            if key <= after && !after.is_empty() {
                return Ok(true);
            }
            let row = decode_row(&found.definition, row).map_err(|error| error.to_string())?;
            Ok(each(key, row.values))
        })
        .map_err(|error| SourceError::Unreadable(error.to_string()))
    }
}
