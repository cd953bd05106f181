//! Writing a snapshot. It has its name only once it is whole and durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stele_core::Hash;
use stele_core::codec::{Encode as _, put_bytes};
use stele_core::schema::Table;
use stele_flow::{File, Files, OpenMode};

use super::error::SnapshotError;
use super::head::{EndRecord, SnapshotHead, TableRecord};
use super::reader::{MAGIC, VERSION};
use super::record::{END, HEAD, ROWS, TABLE, put};

/// Bytes of rows in one record, roughly.
const ROWS_LEN: usize = 1024 * 1024;

/// Writes a snapshot: the head, then each definition in order of id, each with its rows in key order.
pub struct SnapshotWriter {
    files: Arc<dyn Files>,
    path: PathBuf,
    part: PathBuf,
    file: Arc<dyn File>,
    offset: u64,
    /// Rows gathered: count and encoding.
    rows: (u32, Vec<u8>),
    /// Rows of the table under way that are still to come.
    missing: u64,
    end: EndRecord,
}

impl SnapshotWriter {
    /// Begins one. Nothing is at `path` until [`Self::finish`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin(
        files: Arc<dyn Files>,
        path: &Path,
        head: &SnapshotHead,
    ) -> Result<Self, SnapshotError> {
        let part = path.with_extension("part");
        let file = files.open(&part, OpenMode::Create)?;
        file.truncate(0)?;
        let mut writer = Self {
            files,
            path: path.to_owned(),
            part,
            file,
            offset: 0,
            rows: (0, Vec::new()),
            missing: 0,
            end: EndRecord { tables: 0, rows: 0 },
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        put(&mut bytes, HEAD, &head.encode_to_vec());
        writer.write(&bytes)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.file.write_at(self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Begins a table of so many rows.
    ///
    /// # Errors
    /// When the file cannot be written, or rows of the table before are missing.
    pub fn table(
        &mut self,
        definition: &Table,
        root: Hash,
        rows: u64,
    ) -> Result<(), SnapshotError> {
        self.end_table()?;
        let record = TableRecord {
            definition: definition.clone(),
            root,
            rows,
        };
        let mut bytes = Vec::new();
        put(&mut bytes, TABLE, &record.encode_to_vec());
        self.write(&bytes)?;
        self.missing = rows;
        self.end.tables += 1;
        self.end.rows += rows;
        Ok(())
    }

    /// Adds a row of the table begun, encoded.
    ///
    /// # Errors
    /// When the file cannot be written, or the table has no more rows.
    pub fn row(&mut self, key: &[u8], row: &[u8]) -> Result<(), SnapshotError> {
        self.missing = self.missing.checked_sub(1).ok_or_else(|| {
            SnapshotError::Invalid("a table has more rows than it was said to have".to_owned())
        })?;
        put_bytes(&mut self.rows.1, key);
        put_bytes(&mut self.rows.1, row);
        self.rows.0 += 1;
        if self.rows.1.len() >= ROWS_LEN {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SnapshotError> {
        let (count, rows) = std::mem::take(&mut self.rows);
        if count == 0 {
            return Ok(());
        }
        let mut payload = count.to_be_bytes().to_vec();
        payload.extend_from_slice(&rows);
        let mut bytes = Vec::with_capacity(payload.len() + 16);
        put(&mut bytes, ROWS, &payload);
        self.write(&bytes)
    }

    fn end_table(&mut self) -> Result<(), SnapshotError> {
        self.flush()?;
        if self.missing > 0 {
            return Err(SnapshotError::Invalid(
                "a table has fewer rows than it was said to have".to_owned(),
            ));
        }
        Ok(())
    }

    /// Ends it, makes it durable and gives it its name. Gives its length in bytes.
    ///
    /// # Errors
    /// When that fails, or rows are missing; nothing has the name then.
    pub fn finish(mut self) -> Result<u64, SnapshotError> {
        self.end_table()?;
        let mut bytes = Vec::new();
        put(&mut bytes, END, &self.end.encode_to_vec());
        self.write(&bytes)?;
        self.file.sync()?;
        self.files.rename(&self.part, &self.path)?;
        if let Some(folder) = self.path.parent() {
            self.files.sync_dir(folder)?;
        }
        Ok(self.offset)
    }
}
