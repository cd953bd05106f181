//! What statements did to rows, in order, and what is left of it at the end of a transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use stele_core::Value;
use stele_core::genesis::Limits;
use stele_core::outcome::RowChange;
use stele_core::row::{Row, encode_row};
use stele_core::schema::TableId;

use super::budget::Budget;
use super::builtin::ACCOUNTS_TABLE;
use super::capture::RowSink;
use super::config::CHANGED_BYTES_MAX;
use super::layout::Layout;
use crate::error::SqlError;

/// The transaction that wrote a row version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    /// Block height.
    pub(super) height: u64,
    /// Place in the block.
    pub(super) index: u32,
}

/// How much was logged at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogMark {
    touches: usize,
    builtin: u64,
    rows: u64,
    bytes: u64,
}

/// One touch of one row.
#[derive(Clone, Debug)]
pub(super) struct Touch {
    pub(super) table: TableId,
    pub(super) key: Vec<u8>,
    pub(super) before: Option<(Vec<u8>, Stamp)>,
    pub(super) after: Option<Vec<u8>>,
    /// The row under its new key, when an UPDATE gave it another.
    pub(super) moved: Option<Vec<u8>>,
}

/// What a transaction did to one row, all told.
#[derive(Debug)]
pub(super) struct NetChange {
    /// The change.
    pub(super) change: RowChange,
    /// Who wrote the version before.
    pub(super) written: Option<Stamp>,
}

/// Collects the touches of the transaction under way.
#[derive(Debug, Default)]
pub(super) struct RowLog {
    layouts: BTreeMap<TableId, Arc<Layout>>,
    limits: Limits,
    budget: Arc<Budget>,
    active: bool,
    /// Keys the statement under way touched, when it may touch each once.
    once: Option<BTreeSet<(TableId, Vec<u8>)>>,
    touches: Vec<Touch>,
    /// Touches of built-in tables.
    builtin: u64,
    rows: u64,
    bytes: u64,
    failure: Option<SqlError>,
}

impl RowLog {
    pub(super) fn new(limits: Limits, budget: Arc<Budget>) -> Self {
        Self {
            limits,
            budget,
            ..Self::default()
        }
    }

    /// Begins a transaction.
    pub(super) fn clear(&mut self) {
        self.touches.clear();
        self.builtin = 0;
        self.rows = 0;
        self.bytes = 0;
        self.failure = None;
        self.active = false;
        self.once = None;
    }

    /// Whether rows are logged: only while a user's statement runs.
    pub(super) fn set_active(&mut self, active: bool) {
        self.active = active;
    }

    /// Whether the statement about to run may change each row once only.
    pub(super) fn set_rows_once(&mut self, once: bool) {
        self.once = once.then(BTreeSet::new);
    }

    /// Refuses a second change of a row, as PostgreSQL does in ON CONFLICT DO UPDATE.
    fn check_once(
        &mut self,
        table: TableId,
        before: Option<&[u8]>,
        after: Option<&[u8]>,
    ) -> Result<(), SqlError> {
        let Some(once) = &mut self.once else {
            return Ok(());
        };
        if before.is_some_and(|key| once.contains(&(table, key.to_vec()))) {
            return Err(SqlError::new(
                "21000",
                "ON CONFLICT DO UPDATE command cannot affect row a second time",
            )
            .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values."));
        }
        if let Some(key) = after {
            once.insert((table, key.to_vec()));
        }
        Ok(())
    }

    pub(super) fn set_layout(&mut self, layout: Arc<Layout>) {
        self.layouts.insert(layout.table.id, layout);
    }

    pub(super) fn forget_layouts(&mut self) {
        self.layouts.clear();
    }

    pub(super) fn layout(&self, table: TableId) -> Option<Arc<Layout>> {
        self.layouts.get(&table).cloned()
    }

    /// What a logged row was refused for.
    pub(super) fn take_failure(&mut self) -> Option<SqlError> {
        self.failure.take()
    }

    /// Takes the touches of a table, as when it is dropped.
    pub(super) fn take_table(&mut self, table: TableId) -> Vec<Touch> {
        let (taken, kept) = std::mem::take(&mut self.touches)
            .into_iter()
            .partition(|touch| touch.table == table);
        self.touches = kept;
        taken
    }

    /// How often built-in tables were touched.
    pub(super) fn builtin(&self) -> u64 {
        self.builtin
    }

    /// Copies the touches so far, those of built-in tables alone or all.
    pub(super) fn copy(&self, only_builtin: bool) -> Vec<Touch> {
        let wanted = |touch: &&Touch| !only_builtin || touch.table <= ACCOUNTS_TABLE;
        self.touches.iter().filter(wanted).cloned().collect()
    }

    /// A place to go back to.
    pub(super) fn mark(&self) -> LogMark {
        LogMark {
            touches: self.touches.len(),
            builtin: self.builtin,
            rows: self.rows,
            bytes: self.bytes,
        }
    }

    /// Forgets what came after a mark.
    pub(super) fn back_to(&mut self, mark: LogMark) {
        self.touches.truncate(mark.touches);
        self.builtin = mark.builtin;
        self.rows = mark.rows;
        self.bytes = mark.bytes;
    }

    /// How many touches there are.
    pub(super) fn len(&self) -> usize {
        self.touches.len()
    }

    /// The touches of some tables from a place on, and where they end.
    pub(super) fn since(&self, from: usize, of: impl Fn(TableId) -> bool) -> (Vec<Touch>, usize) {
        let touches = self.touches.get(from..).unwrap_or_default().iter();
        let touches = touches.filter(|touch| of(touch.table)).cloned().collect();
        (touches, self.touches.len())
    }

    /// Takes all touches.
    pub(super) fn take(&mut self) -> Vec<Touch> {
        std::mem::take(&mut self.touches)
    }

    /// Adds a touch the engine itself made.
    pub(super) fn push(&mut self, touch: Touch) {
        self.rows += 1;
        self.builtin += u64::from(touch.table <= ACCOUNTS_TABLE);
        let len = |row: Option<usize>| row.unwrap_or_default() as u64;
        self.bytes += len(touch.before.as_ref().map(|(row, _)| row.len()))
            + len(touch.after.as_ref().map(Vec::len));
        if self.rows > self.limits.rows_changed_max || self.bytes > CHANGED_BYTES_MAX {
            let what = SqlError::new("54000", "the transaction changes too many rows")
                .hint("split it into smaller transactions");
            self.fail(what);
        } else {
            self.touches.push(touch);
        }
    }

    fn fail(&mut self, error: SqlError) {
        self.failure.get_or_insert(error);
        self.touches = Vec::new();
        self.budget.stop();
    }

    fn touch(
        &mut self,
        table: TableId,
        before: Option<&[ValueRef<'_>]>,
        after: Option<&[ValueRef<'_>]>,
    ) -> Result<(), SqlError> {
        let layout = self.layouts.get(&table).ok_or_else(|| {
            SqlError::new(
                "XX000",
                format!("rows of unknown table {} changed", table.0),
            )
        })?;
        let before = before.map(|values| layout.read(values)).transpose()?;
        let after = after.map(|values| layout.read(values)).transpose()?;
        let encode = |values: Vec<Value>| -> Result<(Vec<u8>, Vec<u8>), SqlError> {
            let row = Row::new(values);
            let key = row
                .key(&layout.table)
                .map_err(|e| SqlError::new(e.sqlstate(), e.to_string()))?;
            let bytes = encode_row(&layout.table, &row)
                .map_err(|e| SqlError::new(e.sqlstate(), e.to_string()))?;
            Ok((key, bytes))
        };
        let before = before
            .map(|(values, stamp)| encode(values).map(|(key, row)| (key, (row, stamp))))
            .transpose()?;
        let after = after.map(|(values, _)| encode(values)).transpose()?;
        self.check_once(
            table,
            before.as_ref().map(|(key, _)| key.as_slice()),
            after.as_ref().map(|(key, _)| key.as_slice()),
        )?;
        match (before, after) {
            (Some((old_key, before)), Some((key, after))) if old_key == key => self.push(Touch {
                table,
                key,
                before: Some(before),
                after: Some(after),
                moved: None,
            }),
            (before, after) => {
                if let Some((key, before)) = before {
                    self.push(Touch {
                        table,
                        key,
                        before: Some(before),
                        after: None,
                        moved: after.as_ref().map(|(_, row)| row.clone()),
                    });
                }
                if let Some((key, after)) = after {
                    self.push(Touch {
                        table,
                        key,
                        before: None,
                        after: Some(after),
                        moved: None,
                    });
                }
            }
        }
        Ok(())
    }
}

impl RowSink for RowLog {
    fn row(
        &mut self,
        table: &str,
        before: Option<&[ValueRef<'_>]>,
        after: Option<&[ValueRef<'_>]>,
    ) {
        if !self.active || self.failure.is_some() {
            return;
        }
        let id = table.strip_prefix('t').and_then(|id| id.parse().ok());
        let Some(id) = id else { return };
        if let Err(error) = self.touch(TableId(id), before, after) {
            self.fail(error);
        }
    }
}

/// A transaction's touches, netted out.
#[derive(Debug, Default)]
pub(super) struct Net {
    /// Rows that differ afterwards, in order of table and key.
    pub(super) changes: Vec<NetChange>,
    /// Rows touched and left as they were: they keep the stamp of who wrote them.
    pub(super) untouched: Vec<(TableId, Vec<u8>, Stamp)>,
}

/// Nets touches out: per row the state before the first and after the last. Sorted, so the result
/// does not depend on SQLite's order of work.
pub(super) fn net(mut touches: Vec<Touch>) -> Net {
    touches.sort_by(|a, b| (a.table, &a.key).cmp(&(b.table, &b.key)));
    let mut net = Net {
        changes: Vec::with_capacity(touches.len()),
        untouched: Vec::new(),
    };
    let mut touches = touches.into_iter().peekable();
    while let Some(first) = touches.next() {
        let mut after = first.after;
        while let Some(next) =
            touches.next_if(|next| next.table == first.table && next.key == first.key)
        {
            after = next.after;
        }
        let (before, written) = first.before.unzip();
        if before != after {
            net.changes.push(NetChange {
                change: RowChange {
                    table: first.table,
                    key: first.key,
                    before,
                    after,
                },
                written,
            });
        } else if let Some(written) = written {
            net.untouched.push((first.table, first.key, written));
        }
    }
    net
}
