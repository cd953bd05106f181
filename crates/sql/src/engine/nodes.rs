//! State tree nodes in SQLite, now and at older heights.
//!
//! A node carries the height that wrote it. When a later block replaces or removes it, the old one
//! goes to `_tree_old` with the height of the replacement; so the node as of height `g` is the
//! current one if it was written at or before `g`, else the kept one that was written at or before
//! `g` and replaced after it, else there was none. New nodes cost no second write.

use rusqlite::{Connection, OptionalExtension, params};
use stele_core::Hash;
use stele_core::schema::TableId;
use stele_core::tree::{Node, NodeChange, NodeKey, NodeStore, NodeStoreMut};

use super::chunk::{self, Edit, Editor};

/// The nodes as they are, written at a height.
pub(super) struct Nodes<'a> {
    pub(super) connection: &'a Connection,
    /// The block that writes.
    pub(super) height: u64,
    /// Whether replaced nodes are kept.
    pub(super) keep_replaced: bool,
    /// Rows' entries written so far, each with the row hash it replaced.
    pub(super) replaced: Vec<(Vec<u8>, Option<Hash>)>,
}

impl NodeStore for Nodes<'_> {
    type Error = rusqlite::Error;

    fn get(&self, table: TableId, level: u8, key: &[u8]) -> rusqlite::Result<Option<Hash>> {
        let found = chunk::get(self.connection, (table, level), key)?;
        Ok(found.map(|(hash, _)| hash))
    }

    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> rusqlite::Result<Vec<Node>> {
        let mut nodes = Vec::new();
        chunk::visit(self.connection, (table, level), from, to, |node| {
            if nodes.len() < limit {
                nodes.push((node.key.into(), node.hash));
            }
            nodes.len() < limit
        })?;
        Ok(nodes)
    }
}

impl NodeStoreMut for Nodes<'_> {
    fn write(&mut self, changes: &[NodeChange<'_>]) -> rusqlite::Result<()> {
        let mut editor = Editor::new(self.connection);
        for change in changes {
            let edit = match change.new {
                Some(hash) => Edit::Put(hash, self.height),
                None => Edit::Remove,
            };
            if change.level == 0 {
                self.replaced.push((change.key.to_vec(), change.old));
            }
            let before = editor.edit((change.table, change.level), change.key, edit)?;
            if let Some((hash, since)) = before
                && self.keep_replaced
                && since < self.height
            {
                self.connection
                    .prepare_cached("INSERT INTO _tree_old VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                    .execute(params![
                        self.height,
                        change.table.0,
                        change.level,
                        change.key,
                        hash.0,
                        since
                    ])?;
            }
        }
        editor.finish()
    }
}

/// Gives nodes that a height replaced, and that undoing it has put back, the height that wrote them.
pub(super) fn restamp(connection: &Connection, height: u64) -> rusqlite::Result<()> {
    let mut editor = Editor::new(connection);
    let mut statement = connection.prepare_cached(
        "SELECT id, level, key, since FROM _tree_old WHERE replaced = ?1 ORDER BY id, level, key",
    )?;
    let mut kept = statement.query([height])?;
    while let Some(row) = kept.next()? {
        let level = (TableId(row.get(0)?), row.get(1)?);
        editor.edit(level, row.get_ref(2)?.as_blob()?, Edit::Stamp(row.get(3)?))?;
    }
    editor.finish()
}

/// The nodes as they were after an older height.
pub struct NodesAt<'a> {
    pub(super) connection: &'a Connection,
    pub(super) height: u64,
    /// The connection's own height.
    pub(super) newest: u64,
}

impl NodesAt<'_> {
    /// Heights at which a node of this height may have been replaced.
    fn replacements(&self) -> std::ops::RangeInclusive<u64> {
        self.height + 1..=self.newest
    }
}

impl NodeStore for NodesAt<'_> {
    type Error = rusqlite::Error;

    fn get(&self, table: TableId, level: u8, key: &[u8]) -> rusqlite::Result<Option<Hash>> {
        if let Some((hash, since)) = chunk::get(self.connection, (table, level), key)?
            && since <= self.height
        {
            return Ok(Some(hash));
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT hash FROM _tree_old
             WHERE replaced = ?1 AND id = ?2 AND level = ?3 AND key = ?4 AND since <= ?5",
        )?;
        for replaced in self.replacements() {
            let found = statement
                .query_row(params![replaced, table.0, level, key, self.height], |row| {
                    Ok(Hash(row.get(0)?))
                })
                .optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> rusqlite::Result<Vec<Node>> {
        let cap = i64::try_from(limit).unwrap_or(i64::MAX);
        // Longer than any key, so it stands for the end.
        let end = [0xff; stele_core::tree::KEY_LEN_MAX + 1];
        let to = to.unwrap_or(&end);
        let mut nodes = std::collections::BTreeMap::new();
        chunk::visit(self.connection, (table, level), from, Some(to), |node| {
            if node.since <= self.height {
                nodes.insert(NodeKey::from(node.key), node.hash);
            }
            nodes.len() < limit
        })?;
        let mut old = self.connection.prepare_cached(
            "SELECT key, hash FROM _tree_old WHERE replaced = ?1 AND id = ?2 AND level = ?3
             AND key >= ?4 AND key < ?5 AND since <= ?6 ORDER BY key LIMIT ?7",
        )?;
        for replaced in self.replacements() {
            let given = params![replaced, table.0, level, from, to, self.height, cap];
            let mut rows = old.query(given)?;
            while let Some(row) = rows.next()? {
                nodes.insert(row.get_ref(0)?.as_blob()?.into(), Hash(row.get(1)?));
            }
        }
        Ok(nodes.into_iter().take(limit).collect())
    }
}
