//! State tree nodes packed into rows of SQLite.
//!
//! A row of `_tree` is a *chunk*: neighbouring nodes of one level, in order of key, joined in one blob of
//! about [`CHUNK_LEN_MAX`] bytes. A group of the tree is so read with a few rows instead of one for
//! each entry, and a batch writes each chunk once. A chunk's name is a lower bound of its keys: it
//! holds what lies from its name to the name of the next chunk of the level. The first chunk of a
//! level is named by the empty key. **Where chunks are cut depends on the order of writing**, and
//! nothing is bound by it: only the nodes are.
//!
//! ```text
//! node  = key length u16, key, hash [32], height that wrote it u64     (big-endian)
//! chunk = node, node, ...                                              (keys ascending)
//! ```

use rusqlite::{Connection, OptionalExtension, params};
use stele_core::Hash;
use stele_core::hash::HASH_LEN;
use stele_core::schema::TableId;
use stele_core::tree::KEY_LEN_MAX;

/// Most bytes of a chunk of more than one node: three fit a page of SQLite's.
const CHUNK_LEN_MAX: usize = 1_280;
/// Above every key: it is longer than any, and of the highest bytes.
const BEHIND_ALL: [u8; KEY_LEN_MAX + 1] = [0xff; KEY_LEN_MAX + 1];
/// Bytes of a node beside its key.
const NODE_LEN: usize = 2 + HASH_LEN + 8;

/// A node as a chunk holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'c> {
    pub(super) key: &'c [u8],
    pub(super) hash: Hash,
    /// The height that wrote it.
    pub(super) since: u64,
}

impl Node<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let len = u16::try_from(self.key.len()).expect("the tree checks the length of keys");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(self.key);
        out.extend_from_slice(&self.hash.0);
        out.extend_from_slice(&self.since.to_be_bytes());
    }
}

/// Reads the node that `bytes` start with, and what follows it.
fn split(bytes: &[u8]) -> rusqlite::Result<(Node<'_>, &[u8])> {
    let parts = || {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let (hash, rest) = rest.split_first_chunk::<HASH_LEN>()?;
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let node = Node {
            key,
            hash: Hash(*hash),
            since: u64::from_be_bytes(*since),
        };
        Some((node, rest))
    };
    parts().ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Blob,
            "a chunk of the state tree is cut off".into(),
        )
    })
}

/// The nodes of a chunk.
pub(super) struct Nodes<'c>(&'c [u8]);

impl<'c> Iterator for Nodes<'c> {
    type Item = rusqlite::Result<Node<'c>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = split(self.0);
        self.0 = read.as_ref().map_or(&[], |(_, rest)| rest);
        Some(read.map(|(node, _)| node))
    }
}

/// Calls `each` with the nodes of a level with `from <= key < to`, in order, until it says false.
pub(super) fn visit(
    connection: &Connection,
    (table, level): (TableId, u8),
    from: &[u8],
    to: Option<&[u8]>,
    mut each: impl FnMut(&Node<'_>) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT nodes FROM _tree WHERE id = ?1 AND level = ?2 AND name < ?4 AND name >= ifnull(
         (SELECT max(name) FROM _tree WHERE id = ?1 AND level = ?2 AND name <= ?3), x'') ORDER BY name",
    )?;
    let below = to.unwrap_or(&BEHIND_ALL);
    let mut rows = statement.query(params![table.0, level, from, below])?;
    while let Some(row) = rows.next()? {
        for node in Nodes(row.get_ref(0)?.as_blob()?) {
            let node = node?;
            if to.is_some_and(|to| node.key >= to) {
                return Ok(());
            }
            if node.key >= from && !each(&node) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The hash of a node and the height that wrote it.
pub(super) fn get(
    connection: &Connection,
    (table, level): (TableId, u8),
    key: &[u8],
) -> rusqlite::Result<Option<(Hash, u64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT nodes FROM _tree WHERE id = ?1 AND level = ?2 AND name <= ?3 ORDER BY name DESC LIMIT 1",
    )?;
    let mut rows = statement.query(params![table.0, level, key])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    for node in Nodes(row.get_ref(0)?.as_blob()?) {
        let node = node?;
        if node.key >= key {
            return Ok((node.key == key).then_some((node.hash, node.since)));
        }
    }
    Ok(None)
}

/// What becomes of a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    /// It is there, with this hash, written at this height.
    Put(Hash, u64),
    /// It is not there.
    Remove,
    /// If it is there, it was written at this height.
    Stamp(u64),
}

/// Edits nodes; those of one chunk that come in order of key are written together.
///
/// **What was edited is in the database only after [`Editor::finish`].**
pub(super) struct Editor<'a> {
    connection: &'a Connection,
    open: Option<OpenChunk>,
}

/// A chunk under edit: nodes before `at` are in `new` already, as they shall be.
struct OpenChunk {
    level: (TableId, u8),
    /// Its row; none for the first chunk of a level that had none.
    place: Option<i64>,
    old: Vec<u8>,
    at: usize,
    new: Vec<u8>,
    /// Where nodes start in `new`.
    starts: Vec<usize>,
    last_old: Vec<u8>,
    last_edited: Vec<u8>,
    end: End,
    changed: bool,
}

/// Where a chunk ends.
enum End {
    /// It has not been asked for.
    Unknown,
    At(Vec<u8>),
    Open,
}

impl<'a> Editor<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            open: None,
        }
    }

    /// Edits a node; gives what it was before.
    pub(super) fn edit(
        &mut self,
        level: (TableId, u8),
        key: &[u8],
        edit: Edit,
    ) -> rusqlite::Result<Option<(Hash, u64)>> {
        let fits = match &mut self.open {
            Some(open) => open.holds(self.connection, level, key)?,
            None => false,
        };
        if !fits {
            self.finish()?;
            self.open = Some(OpenChunk::load(self.connection, level, key)?);
        }
        match &mut self.open {
            Some(open) => open.edit(key, edit),
            None => Ok(None),
        }
    }

    /// Writes the chunk under edit.
    pub(super) fn finish(&mut self) -> rusqlite::Result<()> {
        match self.open.take() {
            Some(open) if open.changed => open.store(self.connection),
            _ => Ok(()),
        }
    }
}

impl OpenChunk {
    fn load(connection: &Connection, level: (TableId, u8), key: &[u8]) -> rusqlite::Result<Self> {
        let found = connection
            .prepare_cached(
                "SELECT place, nodes FROM _tree WHERE id = ?1 AND level = ?2 AND name <= ?3
                 ORDER BY name DESC LIMIT 1",
            )?
            .query_row(params![level.0.0, level.1, key], |row| {
                Ok((Some(row.get(0)?), row.get(1)?))
            })
            .optional()?;
        let (place, old): (_, Vec<u8>) = found.unwrap_or_default();
        let mut last_old: &[u8] = &[];
        for node in Nodes(&old) {
            last_old = node?.key;
        }
        Ok(Self {
            level,
            place,
            last_old: last_old.to_vec(),
            new: Vec::with_capacity(old.len() + key.len() + NODE_LEN),
            old,
            at: 0,
            starts: Vec::new(),
            last_edited: Vec::new(),
            end: End::Unknown,
            changed: false,
        })
    }

    /// Whether the next node to be edited surely lies in this chunk and after those edited.
    fn holds(
        &mut self,
        connection: &Connection,
        level: (TableId, u8),
        key: &[u8],
    ) -> rusqlite::Result<bool> {
        if level != self.level || key <= self.last_edited.as_slice() {
            return Ok(false);
        }
        if key <= self.last_old.as_slice() {
            return Ok(true);
        }
        // Only while nodes are added behind the last is it worth while to ask for the end.
        if self.last_edited <= self.last_old {
            return Ok(false);
        }
        if let End::Unknown = self.end {
            let next = connection
                .prepare_cached(
                    "SELECT name FROM _tree WHERE id = ?1 AND level = ?2 AND name > ?3 ORDER BY name LIMIT 1",
                )?
                .query_row(params![level.0.0, level.1, self.last_edited], |row| row.get(0))
                .optional()?;
            self.end = next.map_or(End::Open, End::At);
        }
        Ok(match &self.end {
            End::At(end) => key < end.as_slice(),
            _ => true,
        })
    }

    fn edit(&mut self, key: &[u8], edit: Edit) -> rusqlite::Result<Option<(Hash, u64)>> {
        let mut before = None;
        while let Some(rest) = self.old.get(self.at..).filter(|rest| !rest.is_empty()) {
            let (node, behind) = split(rest)?;
            if node.key > key {
                break;
            }
            let len = rest.len() - behind.len();
            if node.key == key {
                before = Some((node.hash, node.since));
                self.at += len;
                break;
            }
            self.starts.push(self.new.len());
            self.new
                .extend_from_slice(rest.get(..len).unwrap_or_default());
            self.at += len;
        }
        let after = match (edit, before) {
            (Edit::Put(hash, since), _) => Some((hash, since)),
            (Edit::Stamp(since), Some((hash, _))) => Some((hash, since)),
            (Edit::Remove, _) | (Edit::Stamp(_), None) => None,
        };
        if let Some((hash, since)) = after {
            self.starts.push(self.new.len());
            Node { key, hash, since }.encode(&mut self.new);
        }
        self.changed |= after != before;
        self.last_edited.clear();
        self.last_edited.extend_from_slice(key);
        Ok(before)
    }

    fn store(mut self, connection: &Connection) -> rusqlite::Result<()> {
        let rest = self.old.get(self.at..).unwrap_or_default();
        let mut offset = self.new.len();
        let mut behind = rest;
        while !behind.is_empty() {
            let (_, next) = split(behind)?;
            self.starts.push(offset);
            offset += behind.len() - next.len();
            behind = next;
        }
        self.new.extend_from_slice(rest);
        if let (true, Some(place)) = (self.new.is_empty(), self.place) {
            connection
                .prepare_cached("DELETE FROM _tree WHERE place = ?1")?
                .execute([place])?;
            return Ok(());
        }
        let mut from = 0;
        for to in self.cuts() {
            let nodes = self.new.get(from..to).unwrap_or_default();
            match (from, self.place) {
                (0, Some(place)) => {
                    connection
                        .prepare_cached("UPDATE _tree SET nodes = ?2 WHERE place = ?1")?
                        .execute(params![place, nodes])?;
                }
                _ => {
                    let name = if from == 0 { &[] } else { split(nodes)?.0.key };
                    connection
                        .prepare_cached(
                            "INSERT INTO _tree (id, level, name, nodes) VALUES (?1, ?2, ?3, ?4)",
                        )?
                        .execute(params![self.level.0.0, self.level.1, name, nodes])?;
                }
            }
            from = to;
        }
        Ok(())
    }

    /// Where the chunks end that take this one's place: full ones where nodes were added at the end,
    /// else equal ones, so that there is room in each.
    fn cuts(&self) -> Vec<usize> {
        let len = self.new.len();
        let most = if self.last_edited > self.last_old {
            CHUNK_LEN_MAX
        } else {
            len.div_ceil(len.div_ceil(CHUNK_LEN_MAX).max(1))
        };
        let mut cuts = Vec::new();
        let mut from = 0;
        let ends = self.starts.iter().skip(1).copied().chain([len]);
        for (start, end) in self.starts.iter().copied().zip(ends) {
            if end - from > most && start > from {
                cuts.push(start);
                from = start;
            }
        }
        if len > 0 {
            cuts.push(len);
        }
        cuts
    }
}

#[cfg(test)]
mod tests;
