//! Comparing the rows with what the state root commits to, and all their versions with the blocks.
//!
//! Rows and tree lie in one file, so whoever edits a row can edit nodes too; but not the root, which
//! the block leaf of the height carries and a quorum has signed. The audit recomputes each table's root from
//! its rows alone. Where it differs from the stored tree, walking both side by side names the key.
//! What the root does not cover (the history, and the hidden columns of current rows) is compared with
//! the effects of all blocks, see `versions`.

mod definitions;
mod history;
mod versions;

use stele_core::key::decode_key;
use stele_core::row::row_hash;
use stele_core::schema::Table;
use stele_core::tree::{Builder, Node, NodeKey, NodeStore, TableEntry, state_root};
use stele_core::value::text;
use stele_core::{Hash, Suite, Type};

use super::apply::hex;
use super::error::EngineError;
use super::readers::Readers;
use super::snapshot::Snapshot;
pub use history::HistorySource;
use history::begins;
pub use versions::SECRET_LEN;
use versions::{Origin, Versions};

/// Nodes read at once.
const NODES_READ_MAX: usize = 4_096;
/// Rows between two reports of progress.
const PROGRESS_EACH: u64 = 4_096;
/// Most differences told; the rest is counted.
pub const DIFFERENCES_MAX: usize = 100;

/// How far an audit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditProgress<'a> {
    /// The table under way.
    pub table: &'a str,
    /// Rows of it read so far.
    pub rows: u64,
}

/// One row that is not what the state commits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDifference {
    /// Table, as `schema.name`.
    pub table: String,
    /// The key's columns, as `id = 1, day = 2026-01-31`; empty when the whole table is meant.
    pub key: String,
    /// Hash of the row the tree holds; none when it holds none.
    pub expected: Option<Hash>,
    /// Hash of the row found; none when it is not there.
    pub found: Option<Hash>,
    /// First height whose versions of the row do not fit; none when it is the row as it is now.
    pub height: Option<u64>,
    /// In words.
    pub what: String,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateAudit {
    /// Height of the state.
    pub height: u64,
    /// Tables read.
    pub tables: u64,
    /// Rows read.
    pub rows: u64,
    /// Superseded versions read; none when the history was not compared.
    pub versions: u64,
    /// The root recomputed from the rows alone: compare it with the block leaf's.
    pub state_root: Hash,
    /// Differences, at most [`DIFFERENCES_MAX`]; none when rows, tree and root agree.
    pub differences: Vec<StateDifference>,
}

impl Readers {
    /// Recomputes every root of the newest committed state from its rows and compares; compares, if wanted,
    /// every version of every row with the effects of the blocks. Reads a snapshot; writing goes on beside it.
    ///
    /// When a row cannot even be read, the history is not looked at: the state must be made anew anyway.
    ///
    /// # Errors
    /// When the database or effects cannot be read. A difference is no error: see
    /// [`StateAudit::differences`].
    pub fn audit<E: From<EngineError>>(
        self: &std::sync::Arc<Self>,
        history: Option<HistorySource<'_, E>>,
        mut progress: impl FnMut(AuditProgress<'_>),
    ) -> Result<StateAudit, E> {
        let snapshot = self.snapshot()?;
        let mut audit = StateAudit {
            height: snapshot.height(),
            tables: 0,
            rows: 0,
            versions: 0,
            state_root: Hash::ZERO,
            differences: Vec::new(),
        };
        let mut versions = history
            .as_ref()
            .map(|source| Versions::new(snapshot.suite(), source.secret, snapshot.catalogue()));
        audit
            .add_rows(&snapshot, &mut versions, &mut progress)
            .map_err(|error| snapshot.named(error))?;
        if let (Some(source), Some(versions)) = (history, versions) {
            audit.add_history(&snapshot, versions, source.effects)?;
        }
        Ok(audit)
    }
}

impl StateAudit {
    /// Compares rows with the tree and the roots.
    fn add_rows(
        &mut self,
        snapshot: &Snapshot,
        versions: &mut Option<Versions>,
        progress: &mut impl FnMut(AuditProgress<'_>),
    ) -> Result<(), EngineError> {
        let suite = snapshot.suite();
        let mut entries = Vec::new();
        for table in snapshot.catalogue().definitions() {
            let name = table_words(table);
            entries.push(TableEntry {
                table: table.id,
                catalogue_hash: table.hash(suite),
                root: audit_table(snapshot, suite, table, &name, self, versions, progress)?,
            });
            self.tables += 1;
        }
        self.state_root = state_root(suite, &entries).map_err(|error| EngineError::Internal {
            cause: error.to_string(),
        })?;
        let stored = snapshot.meta().state_root;
        if self.state_root != stored && self.differences.is_empty() {
            self.tell(StateDifference {
                table: String::new(),
                key: String::new(),
                expected: Some(stored),
                found: Some(self.state_root),
                height: None,
                what: "the rows and definitions give another state root than the one stored"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Tells of a row or version that cannot be read, and that nothing can be compared any more.
    fn tell_unreadable(
        &mut self,
        versions: &mut Option<Versions>,
        table: &str,
        key: String,
        what: String,
    ) {
        *versions = None;
        self.tell(StateDifference {
            table: table.to_owned(),
            key,
            expected: None,
            found: None,
            height: None,
            what,
        });
    }

    fn tell(&mut self, difference: StateDifference) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        }
    }
}

/// Root of a table from its rows, each compared with the tree's level 0.
fn audit_table(
    snapshot: &Snapshot,
    suite: Suite,
    table: &Table,
    name: &str,
    audit: &mut StateAudit,
    versions: &mut Option<Versions>,
    progress: &mut impl FnMut(AuditProgress<'_>),
) -> Result<Hash, EngineError> {
    let mut builder = Builder::new(suite, table.id);
    let mut leaves = Leaves::new(snapshot, table);
    let mut rows = 0u64;
    let before = audit.differences.len();
    let layout = table.kind.has_rows().then(|| snapshot.layout(table));
    let scanned = layout.transpose()?.map_or(Ok(()), |layout| {
        layout.scan(snapshot.connection(), |key, row, written| {
            if let Some(versions) = versions {
                versions.add(Origin::Row, begins(table, &key, &row, written));
            }
            let found = row_hash(suite, &row);
            while let Some((missing, expected)) = leaves.next_below(&key)? {
                audit.tell(gone(table, name, &missing, expected));
            }
            let expected = leaves.take(&key)?;
            if expected != Some(found) {
                audit.tell(StateDifference {
                    table: name.to_owned(),
                    key: key_text(table, &key),
                    expected,
                    found: Some(found),
                    height: None,
                    what: match expected {
                        Some(_) => "the row was changed".to_owned(),
                        None => "the row was added".to_owned(),
                    },
                });
            }
            let pushed = builder.push(&key, &found);
            pushed.map_err(|error| EngineError::Corrupt {
                path: String::new(),
                cause: error.to_string(),
            })?;
            rows += 1;
            if rows.is_multiple_of(PROGRESS_EACH) {
                progress(AuditProgress { table: name, rows });
            }
            Ok::<(), EngineError>(())
        })
    });
    audit.rows += rows;
    match scanned {
        // A value that its column cannot hold was put there by another program.
        Err(EngineError::Corrupt { cause, .. }) => {
            let key = leaves.next_key()?;
            audit.tell_unreadable(
                versions,
                name,
                key.map_or_else(String::new, |key| key_text(table, &key)),
                format!("a row cannot be read at or after this key: {cause}"),
            );
            return Ok(Hash::ZERO);
        }
        done => done?,
    }
    while let Some((missing, expected)) = leaves.pop()? {
        audit.tell(gone(table, name, &missing, expected));
    }
    progress(AuditProgress { table: name, rows });
    let root = builder.finish().map_err(|error| EngineError::Corrupt {
        path: String::new(),
        cause: error.to_string(),
    })?;
    let stored = stele_core::tree::Prover::new(suite, snapshot, table.id).root()?;
    if root != stored && audit.differences.len() == before {
        audit.tell(StateDifference {
            table: name.to_owned(),
            key: String::new(),
            expected: Some(root),
            found: Some(stored),
            height: None,
            what: "the rows are whole, but the stored tree above them was changed".to_owned(),
        });
    }
    Ok(root)
}

fn gone(table: &Table, name: &str, key: &[u8], expected: Hash) -> StateDifference {
    StateDifference {
        table: name.to_owned(),
        key: key_text(table, key),
        expected: Some(expected),
        found: None,
        height: None,
        what: "the row was removed".to_owned(),
    }
}

fn table_words(table: &Table) -> String {
    format!("{}.{}", table.schema, table.name)
}

/// A key in the words of its table.
#[must_use]
pub fn key_text(table: &Table, key: &[u8]) -> String {
    let columns: Vec<_> = table
        .primary_key
        .iter()
        .filter_map(|id| table.column(*id))
        .collect();
    let types: Vec<Type> = columns.iter().map(|column| column.ty).collect();
    match decode_key(&types, key) {
        Ok(values) => columns
            .iter()
            .zip(values)
            .map(|(column, value)| format!("{} = {}", column.name, text::format(column.ty, &value)))
            .collect::<Vec<_>>()
            .join(", "),
        // A node that somebody else wrote may hold any bytes.
        Err(_) => format!("encoded {}", hex(key)),
    }
}

/// Level 0 of a stored tree, read ahead in order.
struct Leaves<'s> {
    snapshot: &'s Snapshot,
    table: stele_core::schema::TableId,
    ahead: std::collections::VecDeque<Node>,
    from: Vec<u8>,
    ended: bool,
}

impl<'s> Leaves<'s> {
    fn new(snapshot: &'s Snapshot, table: &Table) -> Self {
        Self {
            snapshot,
            table: table.id,
            ahead: std::collections::VecDeque::new(),
            from: Vec::new(),
            ended: false,
        }
    }

    fn fill(&mut self) -> Result<(), EngineError> {
        if !self.ahead.is_empty() || self.ended {
            return Ok(());
        }
        let nodes = self
            .snapshot
            .range(self.table, 0, &self.from, None, NODES_READ_MAX)?;
        self.ended = nodes.len() < NODES_READ_MAX;
        if let Some((last, _)) = nodes.last() {
            self.from = last.to_vec();
            self.from.push(0);
        }
        self.ahead.extend(nodes);
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<Node>, EngineError> {
        self.fill()?;
        Ok(self.ahead.pop_front())
    }

    fn next_key(&mut self) -> Result<Option<NodeKey>, EngineError> {
        self.fill()?;
        Ok(self.ahead.front().map(|(key, _)| key.clone()))
    }

    /// The next leaf, if it lies before a key.
    fn next_below(&mut self, key: &[u8]) -> Result<Option<Node>, EngineError> {
        self.fill()?;
        let below = self.ahead.front().is_some_and(|(next, _)| **next < *key);
        Ok(if below { self.ahead.pop_front() } else { None })
    }

    /// The next leaf's hash, if it is that of a key.
    fn take(&mut self, key: &[u8]) -> Result<Option<Hash>, EngineError> {
        self.fill()?;
        let is_it = self.ahead.front().is_some_and(|(next, _)| **next == *key);
        let leaf = if is_it { self.ahead.pop_front() } else { None };
        Ok(leaf.map(|(_, hash)| hash))
    }
}
