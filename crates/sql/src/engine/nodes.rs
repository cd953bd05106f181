//! State tree nodes in SQLite, now and at older heights.
//!
//! A node carries the height that wrote it. When a later block replaces or removes it, the old one
//! goes to `_tree_old` with the height of the replacement; so the node as of height `g` is the
//! current one if it was written at or before `g`, else the kept one that was written at or before
//! `g` and replaced after it, else there was none. New nodes cost no second write.

use rusqlite::{Connection, OptionalExtension, params};
use stele_core::Hash;
use stele_core::schema::TableId;
use stele_core::tree::{Node, NodeChange, NodeStore, NodeStoreMut};

/// The nodes as they are, written at a height.
pub(super) struct Nodes<'a> {
    pub(super) connection: &'a Connection,
    /// The block that writes.
    pub(super) height: u64,
    /// Whether replaced nodes are kept.
    pub(super) keep_replaced: bool,
}

impl NodeStore for Nodes<'_> {
    type Error = rusqlite::Error;

    fn get(&self, table: TableId, level: u8, key: &[u8]) -> rusqlite::Result<Option<Hash>> {
        get(self.connection, table, level, key).map(|found| found.map(|(hash, _)| hash))
    }

    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> rusqlite::Result<Vec<Node>> {
        range(self.connection, table, level, from, to, limit)
    }
}

impl NodeStoreMut for Nodes<'_> {
    fn write(&mut self, change: &NodeChange<'_>) -> rusqlite::Result<()> {
        let (id, level, key) = (change.table.0, change.level, change.key);
        if change.old.is_some() && self.keep_replaced {
            self.connection
                .prepare_cached(
                    "INSERT INTO _tree_old SELECT ?4, id, level, key, hash, since FROM _tree
                     WHERE id = ?1 AND level = ?2 AND key = ?3 AND since < ?4",
                )?
                .execute(params![id, level, key, self.height])?;
        }
        match (change.old, change.new) {
            (None, Some(hash)) => self
                .connection
                .prepare_cached("INSERT INTO _tree VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![id, level, key, hash.0, self.height])?,
            (Some(_), Some(hash)) => self
                .connection
                .prepare_cached(
                    "UPDATE _tree SET hash = ?4, since = ?5 WHERE id = ?1 AND level = ?2 AND key = ?3",
                )?
                .execute(params![id, level, key, hash.0, self.height])?,
            (_, None) => self
                .connection
                .prepare_cached("DELETE FROM _tree WHERE id = ?1 AND level = ?2 AND key = ?3")?
                .execute(params![id, level, key])?,
        };
        Ok(())
    }
}

fn get(
    connection: &Connection,
    table: TableId,
    level: u8,
    key: &[u8],
) -> rusqlite::Result<Option<(Hash, u64)>> {
    connection
        .prepare_cached("SELECT hash, since FROM _tree WHERE id = ?1 AND level = ?2 AND key = ?3")?
        .query_row(params![table.0, level, key], |row| {
            Ok((Hash(row.get(0)?), row.get(1)?))
        })
        .optional()
}

fn range(
    connection: &Connection,
    table: TableId,
    level: u8,
    from: &[u8],
    to: Option<&[u8]>,
    limit: usize,
) -> rusqlite::Result<Vec<Node>> {
    let mut statement = connection.prepare_cached(match to {
        Some(_) => {
            "SELECT key, hash FROM _tree WHERE id = ?1 AND level = ?2 AND key >= ?3 AND key < ?4
             ORDER BY key"
        }
        None => {
            "SELECT key, hash FROM _tree WHERE id = ?1 AND level = ?2 AND key >= ?3 ORDER BY key"
        }
    })?;
    let mut rows = match to {
        Some(to) => statement.query(params![table.0, level, from, to])?,
        None => statement.query(params![table.0, level, from])?,
    };
    let mut nodes = Vec::new();
    while nodes.len() < limit
        && let Some(row) = rows.next()?
    {
        nodes.push((row.get(0)?, Hash(row.get(1)?)));
    }
    Ok(nodes)
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
        if let Some((hash, since)) = get(self.connection, table, level, key)?
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
        let mut read =
            |statement: &mut rusqlite::Statement<'_>, replaced: u64| -> rusqlite::Result<()> {
                let given = params![replaced, table.0, level, from, to, self.height, cap];
                let mut rows = statement.query(given)?;
                while let Some(row) = rows.next()? {
                    nodes.insert(row.get::<_, Vec<u8>>(0)?, Hash(row.get(1)?));
                }
                Ok(())
            };
        let mut current = self.connection.prepare_cached(
            "SELECT key, hash FROM _tree WHERE ?1 >= 0 AND id = ?2 AND level = ?3
             AND key >= ?4 AND key < ?5 AND since <= ?6 ORDER BY key LIMIT ?7",
        )?;
        read(&mut current, 0)?;
        let mut old = self.connection.prepare_cached(
            "SELECT key, hash FROM _tree_old WHERE replaced = ?1 AND id = ?2 AND level = ?3
             AND key >= ?4 AND key < ?5 AND since <= ?6 ORDER BY key LIMIT ?7",
        )?;
        for replaced in self.replacements() {
            read(&mut old, replaced)?;
        }
        Ok(nodes.into_iter().take(limit).collect())
    }
}
