//! The villain: changes to files behind the node's back.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One byte changed in a file, which can be put back.
pub(super) struct ByteChange {
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    pub(super) before: u8,
    pub(super) after: u8,
}

impl ByteChange {
    /// Changes the last byte of the last place where `text` stands in a file.
    pub(super) fn make(path: &Path, text: &str, after: u8) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let start = bytes
            .windows(text.len())
            .rposition(|window| window == text.as_bytes())
            .with_context(|| format!("{} does not hold {text:?}", path.display()))?;
        let at = start + text.len() - 1;
        let change = Self {
            path: path.to_owned(),
            offset: at as u64,
            before: bytes.get(at).copied().unwrap_or_default(),
            after,
        };
        change.write(after)?;
        Ok(change)
    }

    /// Puts the byte back.
    pub(super) fn undo(&self) -> Result<()> {
        self.write(self.before)
    }

    fn write(&self, byte: u8) -> Result<()> {
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|file| file.write_all_at(&[byte], self.offset))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Changes one row of the state's database as anyone with the `sqlite3` program could, and gives
/// the statement.
pub(super) fn change_row(
    state: &Path,
    table: &stele_core::schema::Table,
    column: &str,
    value: i64,
    key: &str,
) -> Result<String> {
    let at = || format!("cannot change {}", state.display());
    let changed = table.column_named(column).with_context(at)?;
    let key_column = table.primary_key.first().with_context(at)?;
    let sql = format!(
        "UPDATE t{} SET c{} = {value} WHERE c{} = '{key}'",
        table.id.0, changed.id.0, key_column.0
    );
    let connection = rusqlite::Connection::open(state).with_context(at)?;
    let rows = connection.execute(&sql, ()).with_context(at)?;
    anyhow::ensure!(rows == 1, "{sql} changed {rows} rows instead of one");
    Ok(sql)
}
