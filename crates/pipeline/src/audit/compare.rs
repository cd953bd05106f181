//! One table: its root from the rows read, and where they differ from the certified ones.

use std::cell::RefCell;
use std::convert::Infallible;

use stele_core::key::{decode_key, encode_key};
use stele_core::row::{Row, decode_row, encode_row, row_hash};
use stele_core::schema::{Table as Definition, TableId};
use stele_core::tree::{
    Builder, Diff, DiffError, Difference, MemoryStore, Node, NodeChange, NodeStore,
    NodeStoreMut as _,
};
use stele_core::{Hash, Suite, Type, Value};
use stele_flow::change::shown;
use stele_flow::{
    Commitment, HeldTable, KeyRange, Mirror, ReadRow, SinkError, SinkErrorKind, SourceError,
};

use super::AuditFailure;
use super::report::{RowDifference, TableReport};

/// Rows of one group read at once: no group holds more.
const GROUP_ROWS_MAX: usize = stele_core::tree::GROUP_ENTRIES_MAX + 1;
/// Most rows that differ that are looked at; more than that is a table to be filled anew.
pub(super) const DIFFERENCES_MAX: u64 = 100_000;

/// A row that gives no hash.
pub(super) struct Unreadable {
    /// Its encoded key, where that can be read.
    key: Option<Vec<u8>>,
    difference: RowDifference,
}

/// A table under comparison.
pub(super) struct Comparison<'t> {
    suite: Suite,
    definition: &'t Definition,
    held: &'t HeldTable,
    builder: Builder,
    /// Nodes above the rows.
    upper: MemoryStore,
    rows: u64,
    root: Option<Hash>,
    /// Rows that give no hash, with what was found.
    unreadable: Vec<Unreadable>,
    disorder: Option<String>,
}

impl<'t> Comparison<'t> {
    pub(super) fn new(suite: Suite, definition: &'t Definition, held: &'t HeldTable) -> Self {
        Self {
            builder: Builder::new(suite, definition.id),
            upper: MemoryStore::new(),
            suite,
            definition,
            held,
            rows: 0,
            root: None,
            unreadable: Vec::new(),
            disorder: None,
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The root that follows from the rows; none when some give no hash.
    pub(super) fn root(&self) -> Option<Hash> {
        let whole = self.unreadable.is_empty() && self.disorder.is_none();
        self.root.filter(|_| whole)
    }

    /// Reads all rows; false when `each`, called for each, wanted no more.
    pub(super) fn read(
        &mut self,
        mirror: &mut dyn Mirror,
        each: &mut dyn FnMut() -> bool,
    ) -> Result<bool, SinkError> {
        let mut ended = false;
        mirror.read(self.held, &KeyRange::default(), &mut |row| {
            self.take(row);
            ended = !each();
            !ended && self.disorder.is_none() && (self.unreadable.len() as u64) < DIFFERENCES_MAX
        })?;
        if ended {
            return Ok(false);
        }
        let builder = std::mem::replace(
            &mut self.builder,
            Builder::new(self.suite, self.definition.id),
        );
        let upper = &mut self.upper;
        let table = self.definition.id;
        match builder.finish_with(&mut |level, key, hash| keep(upper, table, level, key, hash)) {
            Ok(root) => self.root = Some(root),
            Err(error) => self.disorder = Some(error.to_string()),
        }
        Ok(true)
    }

    fn take(&mut self, row: ReadRow) {
        self.rows += 1;
        let (key, hash) = match hashed(self.suite, self.definition, row) {
            Ok(known) => known,
            Err(unreadable) => {
                self.unreadable.push(*unreadable);
                return;
            }
        };
        let upper = &mut self.upper;
        let table = self.definition.id;
        let mut write = |level: u8, key: &[u8], hash| keep(upper, table, level, key, hash);
        if let Err(error) = self.builder.push_with(&key, &hash, &mut write) {
            self.disorder = Some(error.to_string());
        }
    }

    /// Finds the rows that differ.
    pub(super) fn locate(
        &mut self,
        commitment: &dyn Commitment,
        mirror: &mut dyn Mirror,
        report: &mut TableReport,
    ) -> Result<(), AuditFailure> {
        if let Some(why) = &self.disorder {
            report.drift.push(format!(
                "its rows do not come in the order of their keys: {why}"
            ));
            return Ok(());
        }
        for unreadable in std::mem::take(&mut self.unreadable) {
            let Unreadable {
                key,
                mut difference,
            } = unreadable;
            let row = match &key {
                Some(key) => commitment.row(self.definition.id, key)?,
                None => None,
            };
            difference.wrong_since = report.wrong_since(row.as_ref().map(|row| row.written));
            let decoded = row.and_then(|row| decode_row(self.definition, &row.encoded).ok());
            difference.expected = decoded.map(|row| {
                let columns = self.definition.columns.iter().zip(&row.values);
                let named = columns
                    .clone()
                    .find(|(column, _)| Some(&column.name) == difference.column.as_ref());
                match named {
                    Some((column, value)) => short(column.ty, value),
                    None => self.row_text(&row.values),
                }
            });
            report.tell(key, difference);
        }
        let left = Certified(commitment);
        let right = Found {
            comparison: self,
            mirror: RefCell::new(mirror),
        };
        let differences =
            Diff::new(self.suite, &left, &right, self.definition.id).map_err(failure)?;
        for difference in differences {
            let difference = difference.map_err(failure)?;
            if report.keys.contains(&difference.key) {
                continue;
            }
            if report.differences_total >= DIFFERENCES_MAX {
                report.drift.push(format!(
                    "more than {DIFFERENCES_MAX} rows differ: it is to be filled anew"
                ));
                break;
            }
            self.tell(commitment, &right, report, difference)?;
        }
        Ok(())
    }

    /// Tells how one row differs: a line a column.
    fn tell(
        &self,
        commitment: &dyn Commitment,
        right: &Found<'_, '_, '_>,
        report: &mut TableReport,
        difference: Difference,
    ) -> Result<(), AuditFailure> {
        let definition = self.definition;
        let key = difference.key;
        let expected = commitment.row(definition.id, &key)?;
        let written = expected.as_ref().map(|row| row.written);
        if let (Some(row), Some(hash)) = (&expected, difference.left)
            && row_hash(self.suite, &row.encoded) != hash
        {
            return Err(SourceError::Unreadable(format!(
                "the node's own row {} of {} is not the certified one; run `stele audit`",
                self.key_text(&key),
                report.table
            ))
            .into());
        }
        let values = |row: &stele_flow::CommittedRow| decode_row(definition, &row.encoded).ok();
        let expected = expected.as_ref().and_then(values);
        let found = match difference.right {
            Some(_) => right.values(&key)?,
            None => None,
        };
        let mut told = RowDifference {
            key: self.key_text(&key),
            kind: "changed",
            column: None,
            expected: None,
            found: None,
            wrong_since: report.wrong_since(written),
        };
        match (&expected, &found) {
            (Some(expected), Some(found)) => {
                let columns = definition.columns.iter();
                let pairs = columns.zip(expected.values.iter().zip(found));
                let differing = pairs.filter(|(_, (expected, found))| expected != found);
                let (mut names, mut wanted, mut there) = (Vec::new(), Vec::new(), Vec::new());
                for (column, (expected, found)) in differing {
                    names.push(column.name.clone());
                    wanted.push(short(column.ty, expected));
                    there.push(short(column.ty, found));
                }
                told.column = Some(names.join(", "));
                told.expected = Some(wanted.join(", "));
                told.found = Some(there.join(", "));
            }
            (Some(expected), None) => {
                told.kind = "missing";
                told.expected = Some(self.row_text(&expected.values));
            }
            (None, found) => {
                told.kind = "foreign";
                told.found = found.as_ref().map(|found| self.row_text(found));
                told.wrong_since = report.wrong_since(None);
            }
        }
        report.tell(Some(key), told);
        Ok(())
    }

    fn key_text(&self, key: &[u8]) -> String {
        match key_values(self.definition, key) {
            Some(values) => text_of_key(self.definition, &values),
            None => "a key that does not read".to_owned(),
        }
    }

    fn row_text(&self, values: &[Value]) -> String {
        let columns = self.definition.columns.iter().zip(values);
        let parts: Vec<String> = columns
            .map(|(column, value)| format!("{} = {}", column.name, short(column.ty, value)))
            .collect();
        parts.join(", ")
    }
}

/// Longest value told, in characters.
const TOLD_CHARACTERS_MAX: usize = 60;

fn short(ty: Type, value: &Value) -> String {
    let text = shown(ty, value);
    match text.char_indices().nth(TOLD_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn keep(
    upper: &mut MemoryStore,
    table: TableId,
    level: u8,
    key: &[u8],
    hash: Hash,
) -> Result<(), Infallible> {
    if level == 0 {
        return Ok(());
    }
    upper.write(&[NodeChange {
        table,
        level,
        key,
        old: None,
        new: Some(hash),
    }])
}

/// Values of an encoded key.
pub(super) fn key_values(definition: &Definition, key: &[u8]) -> Option<Vec<Value>> {
    let types: Option<Vec<Type>> = definition
        .primary_key
        .iter()
        .map(|id| definition.column(*id).map(|column| column.ty))
        .collect();
    decode_key(&types?, key).ok()
}

/// A key for people.
fn text_of_key(definition: &Definition, values: &[Value]) -> String {
    let ids = definition.primary_key.iter().zip(values);
    let parts: Vec<String> = ids
        .filter_map(|(id, value)| {
            let column = definition.column(*id)?;
            Some(format!("{} = {}", column.name, shown(column.ty, value)))
        })
        .collect();
    parts.join(", ")
}

/// Key and hash of a row that was read; or its key, if it has one, and what is wrong.
fn hashed(
    suite: Suite,
    definition: &Definition,
    row: ReadRow,
) -> Result<(Vec<u8>, Hash), Box<Unreadable>> {
    let told = |key: Option<Vec<u8>>, text: String, column: Option<String>, found: String| {
        Box::new(Unreadable {
            key,
            difference: RowDifference {
                key: text,
                kind: "unreadable",
                column,
                expected: None,
                found: Some(found),
                wrong_since: 0,
            },
        })
    };
    let encoded_key = |values: &[Value]| {
        let types = definition.primary_key.iter();
        let types: Vec<Type> = types
            .filter_map(|id| definition.column(*id).map(|column| column.ty))
            .collect();
        let pairs: Vec<(Type, &Value)> = types.into_iter().zip(values).collect();
        encode_key(&pairs).ok()
    };
    match row {
        ReadRow::Unreadable { key, column, found } => {
            let encoded = key.as_deref().and_then(encoded_key);
            let text = key.map_or_else(
                || "a key that does not read".to_owned(),
                |key| text_of_key(definition, &key),
            );
            Err(told(encoded, text, Some(column), found))
        }
        ReadRow::Values(values) => {
            let row = Row::new(values);
            let key = row.key(definition);
            let encoded = encode_row(definition, &row);
            match (key, encoded) {
                (Ok(key), Ok(encoded)) => Ok((key, row_hash(suite, &encoded))),
                (Ok(key), Err(error)) => {
                    let values = key_values(definition, &key).unwrap_or_default();
                    let text = text_of_key(definition, &values);
                    Err(told(Some(key), text, None, error.to_string()))
                }
                (Err(error), _) => {
                    let text = "a key that does not read".to_owned();
                    Err(told(None, text, None, error.to_string()))
                }
            }
        }
    }
}

fn failure(error: DiffError<SourceError, SinkError>) -> AuditFailure {
    use stele_core::tree::TreeError;
    match error {
        DiffError::Left(TreeError::Store(error)) => error.into(),
        DiffError::Right(TreeError::Store(error)) => error.into(),
        DiffError::Left(error) => SourceError::Unreadable(format!(
            "the node's own state tree: {error}; run `stele audit`"
        ))
        .into(),
        DiffError::Right(error) => SinkError::new(
            SinkErrorKind::Other,
            format!("the table changed while it was read: {error}"),
        )
        .remedy("run the audit again")
        .into(),
    }
}

/// The certified tree.
struct Certified<'c>(&'c dyn Commitment);

impl NodeStore for Certified<'_> {
    type Error = SourceError;

    fn get(&self, table: TableId, level: u8, key: &[u8]) -> Result<Option<Hash>, SourceError> {
        let found = self.0.nodes(table, level, key, None, 1)?;
        let first = found.into_iter().next();
        Ok(first
            .filter(|(found, _)| **found == *key)
            .map(|(_, hash)| hash))
    }

    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Node>, SourceError> {
        self.0.nodes(table, level, from, to, limit)
    }
}

/// The tree of the rows found: upper levels as they were kept, rows read again.
struct Found<'f, 't, 'm> {
    comparison: &'f Comparison<'t>,
    mirror: RefCell<&'m mut dyn Mirror>,
}

impl Found<'_, '_, '_> {
    fn read(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ReadRow>, SinkError> {
        let definition = self.comparison.definition;
        let range = KeyRange {
            from: key_values(definition, from).filter(|_| !from.is_empty()),
            to: to.and_then(|to| key_values(definition, to)),
        };
        let mut rows = Vec::new();
        let held = self.comparison.held;
        self.mirror.borrow_mut().read(held, &range, &mut |row| {
            rows.push(row);
            rows.len() < limit
        })?;
        Ok(rows)
    }

    /// The row of a key as it was found.
    fn values(&self, key: &[u8]) -> Result<Option<Vec<Value>>, SinkError> {
        let row = self.read(key, None, 1)?.into_iter().next();
        Ok(row.and_then(|row| match row {
            ReadRow::Values(values) => Some(values),
            ReadRow::Unreadable { .. } => None,
        }))
    }
}

impl NodeStore for Found<'_, '_, '_> {
    type Error = SinkError;

    fn get(&self, table: TableId, level: u8, key: &[u8]) -> Result<Option<Hash>, SinkError> {
        if level > 0 {
            let found = self.comparison.upper.get(table, level, key);
            return Ok(found.unwrap_or_else(|never| match never {}));
        }
        let first = self.range(table, level, key, None, 1)?.into_iter().next();
        Ok(first
            .filter(|(found, _)| **found == *key)
            .map(|(_, hash)| hash))
    }

    fn range(
        &self,
        table: TableId,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Node>, SinkError> {
        if level > 0 {
            let found = self.comparison.upper.range(table, level, from, to, limit);
            return Ok(found.unwrap_or_else(|never| match never {}));
        }
        let comparison = self.comparison;
        // The sentinel before the first row is no row.
        let mut nodes = Vec::new();
        let limit = limit.min(GROUP_ROWS_MAX);
        for row in self.read(from, to, limit)? {
            if let Ok((key, hash)) = hashed(comparison.suite, comparison.definition, row) {
                nodes.push((key.as_slice().into(), hash));
            }
        }
        Ok(nodes)
    }
}
