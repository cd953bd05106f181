//! Comparing a mirror's rows with what is certified about them.
//!
//! The rows of each table are read back as of one moment, and the table's state-tree root is computed
//! from them alone. Where it differs from the certified one, the two trees are walked side by side down to the rows:
//! the levels above the rows were kept while reading (a few bytes a row), the rows themselves are read
//! again, only where hashes differ. So nothing has to be believed but the certified root.

mod compare;
mod mend;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use stele_core::Hash;
use stele_core::schema::TableId;
use stele_flow::{
    Commitment, CommittedTable, Held, HeldTable, Load, Mirror, SinkError, SinkErrorKind, Source,
    SourceError, Table,
};
use thiserror::Error;

pub use mend::repair;
pub use report::{AuditReport, RowDifference, TableReport};

use crate::selection::Selection;
use compare::Comparison;

/// Most differences of a table that are told; the rest is counted.
pub const DIFFERENCES_TOLD_MAX: usize = 100;
/// What is told of a table that the target no longer knows of, or says is not full.
const FORGOTTEN: &str = "the replica filled it and follows, and what the target remembers of it (stele_tables) was changed by hand";
/// Rows between two reports of progress.
const PROGRESS_EACH: u64 = 2_048;
/// How long a mirror is waited for that takes a block in steps.
const BETWEEN_WAIT_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks at it.
const BETWEEN_PAUSE: Duration = Duration::from_millis(50);
/// Shortest pause worth taking when an audit is throttled.
const THROTTLE_STEP: Duration = Duration::from_millis(2);

/// What is to be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditRequest {
    /// Tables, as replicas select them; none: all the replica keeps.
    pub tables: Vec<String>,
    /// Whether differences are mended.
    pub repair: bool,
    /// Rows read a second at most; 0 for no limit.
    pub rows_per_s: u64,
}

/// What a mirror is to hold, by those who keep it: what it remembers of itself is not believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duty {
    /// Tables it is to keep.
    pub selection: Selection,
    /// Whether all of them were made and filled.
    pub is_filled: bool,
}

/// How far an audit is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditProgress {
    /// The table under way.
    pub table: String,
    /// Rows read so far, of all tables.
    pub rows: u64,
}

/// Heights at which tables were last found as they should be.
pub type Known = BTreeMap<TableId, u64>;

/// Why a comparison could not be made.
#[derive(Debug, Error)]
pub enum AuditFailure {
    /// The mirror cannot be read.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The source cannot be read, or certifies nothing about that height.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The mirror holds nothing of the source.
    #[error("{0} holds nothing of this source yet: it is filled first")]
    Empty(String),
    /// The source certifies no rows.
    #[error("the source certifies no rows: reconcile them instead")]
    NotCertified,
    /// None of the tables asked for is kept.
    #[error("{target} keeps none of the tables {tables}")]
    NoTable {
        /// The mirror.
        target: String,
        /// What was asked for.
        tables: String,
    },
    /// The mirror stands in the middle of a block.
    #[error(
        "{target} stands in the middle of block {height}, which it takes in steps, and does not go on: `stele replica status` tells what is in its way, `stele replica refill` fills a table anew"
    )]
    Midway {
        /// The mirror.
        target: String,
        /// The block.
        height: u64,
    },
    /// What was mended is wrong again.
    #[error(
        "{target}: rows of {table} were mended and differ again: a trigger on {name} or another program changes them; drop that, and repair again"
    )]
    Unmended {
        /// The mirror.
        target: String,
        /// The table.
        table: String,
        /// In the mirror.
        name: String,
    },
    /// It was told to end.
    #[error("the audit was told to end")]
    Ended,
}

/// Compares the rows of a mirror with what the source certifies, for the tables that are its duty. `known` is read and brought up to date.
/// `progress` returns false to end it early.
///
/// # Errors
/// When the comparison could not be made. A difference is no error: it is in the report.
pub fn audit(
    source: &dyn Source,
    mirror: &mut dyn Mirror,
    (request, duty): (&AuditRequest, &Duty),
    known: &Mutex<Known>,
    progress: &mut dyn FnMut(AuditProgress) -> bool,
) -> Result<AuditReport, AuditFailure> {
    let begun = Instant::now();
    let held = read_between_blocks(source, mirror)?;
    let cursor = held
        .cursor
        .filter(|cursor| cursor.height > 0)
        .ok_or_else(|| AuditFailure::Empty(mirror.describe()))?;
    let commitment = commitment(source, cursor.height)?;
    if commitment.block_hash() != cursor.block_hash {
        return Err(SourceError::Forked {
            height: cursor.height,
            found: cursor.block_hash.to_string(),
            expected: commitment.block_hash().to_string(),
        }
        .into());
    }
    let (suite, certified) = (commitment.suite(), commitment.tables().to_vec());
    // While it is held the source keeps what it replaces: taken again where rows differ.
    drop(commitment);
    let selection = Selection {
        names: request.tables.clone(),
    };
    let mut report = AuditReport {
        height: cursor.height,
        block_hash: cursor.block_hash.to_string(),
        target: mirror.describe(),
        ..AuditReport::default()
    };
    let mut pace = Pace::new(request.rows_per_s, progress);
    for held in &held.tables {
        if !request.tables.is_empty() && !selection.takes(&held.table) {
            continue;
        }
        let before = known.lock().get(&held.table.id).copied();
        let mut table = one(
            source,
            mirror,
            &certified,
            held,
            (suite, cursor.height),
            before,
            &mut pace,
        )?;
        if table.skipped.is_some() && duty.is_filled {
            table.skipped = None;
            table.drift.push(FORGOTTEN.to_owned());
        }
        let mut known = known.lock();
        match table.is_clean() {
            true if table.skipped.is_none() => known.insert(held.table.id, cursor.height),
            _ => None,
        };
        drop(known);
        report.rows += table.rows;
        report.tables.push(table);
    }
    for table in &certified {
        let Some(shape) = Table::of(&table.definition) else {
            continue;
        };
        let kept = held.tables.iter().any(|held| held.table.id == shape.id);
        let wanted = request.tables.is_empty() || selection.takes(&shape);
        if kept || !wanted || !duty.selection.takes(&shape) {
            continue;
        }
        // The sink knows how it calls the table.
        let unnamed = HeldTable {
            table: Arc::new(shape),
            target: String::new(),
            load: Load::UpTo(Vec::new()),
        };
        let mut missing = TableReport::of(&unnamed, None);
        missing.root_expected = table.root.to_string();
        match duty.is_filled {
            true => missing.drift.push(FORGOTTEN.to_owned()),
            false => missing.skipped = Some("it is to be filled".to_owned()),
        }
        report.tables.push(missing);
    }
    mirror.end_read();
    if report.tables.is_empty() && !request.tables.is_empty() {
        return Err(AuditFailure::NoTable {
            target: report.target,
            tables: request.tables.join(", "),
        });
    }
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// Begins to read where the mirror stands between two blocks: one that takes a block in steps is waited for.
fn read_between_blocks(source: &dyn Source, mirror: &mut dyn Mirror) -> Result<Held, AuditFailure> {
    let begun = Instant::now();
    loop {
        let held = mirror.begin_read(source.id())?;
        match &held.cursor {
            Some(cursor) if cursor.step > 0 => {
                if begun.elapsed() > BETWEEN_WAIT_MAX {
                    return Err(AuditFailure::Midway {
                        target: mirror.describe(),
                        height: cursor.height + 1,
                    });
                }
            }
            _ => return Ok(held),
        }
        mirror.end_read();
        std::thread::sleep(BETWEEN_PAUSE);
    }
}

/// What the source certifies as of a height.
pub(crate) fn commitment(
    source: &dyn Source,
    height: u64,
) -> Result<Box<dyn Commitment + '_>, AuditFailure> {
    source.commitment(height)?.ok_or(AuditFailure::NotCertified)
}

/// Reads the rows of a table back within a read: how many there are, and the root that follows from them. `each` is
/// called for each row and returns false to end it early; then nothing is given.
///
/// # Errors
/// When the mirror cannot be read, or holds rows that are none of the table's.
pub fn root_of(
    suite: stele_core::Suite,
    definition: &stele_core::schema::Table,
    held: &HeldTable,
    mirror: &mut dyn Mirror,
    each: &mut dyn FnMut() -> bool,
) -> Result<Option<(u64, Hash)>, SinkError> {
    let mut comparison = Comparison::new(suite, definition, held);
    if !comparison.read(mirror, each)? {
        return Ok(None);
    }
    match comparison.root() {
        Some(root) => Ok(Some((comparison.rows(), root))),
        None => Err(SinkError::new(
            SinkErrorKind::Drift,
            format!(
                "{}: rows of {} do not read as they were written",
                mirror.describe(),
                held.target
            ),
        )
        .remedy("somebody else writes there; choose an empty target")),
    }
}

fn one(
    source: &dyn Source,
    mirror: &mut dyn Mirror,
    certified: &[CommittedTable],
    held: &HeldTable,
    (suite, height): (stele_core::Suite, u64),
    clean_at: Option<u64>,
    pace: &mut Pace<'_>,
) -> Result<TableReport, AuditFailure> {
    let mut report = TableReport::of(held, clean_at);
    let table = certified
        .iter()
        .find(|one| one.definition.id == held.table.id);
    let Some(table) = table else {
        report.drift.push(format!(
            "the source has no such table at height {height}: what the target says of itself was changed"
        ));
        return Ok(report);
    };
    report.root_expected = table.root.to_string();
    if Table::of(&table.definition).as_ref() != Some(&*held.table) {
        report.drift.push(format!(
            "what the target remembers of its shape (stele_tables) is not what the source has at height {height}: it was changed by hand"
        ));
        return Ok(report);
    }
    if held.load != Load::Done {
        report.skipped = Some("it is being filled".to_owned());
        return Ok(report);
    }
    report.drift = mirror.drift(held)?;
    if !report.drift.is_empty() {
        return Ok(report);
    }
    pace.table = held.table.to_string();
    let mut comparison = Comparison::new(suite, &table.definition, held);
    if !comparison.read(mirror, &mut || pace.row())? {
        return Err(AuditFailure::Ended);
    }
    report.rows = comparison.rows();
    let root = comparison.root();
    report.root_found = root.map_or_else(String::new, |root| root.to_string());
    if root == Some(table.root) {
        return Ok(report);
    }
    let commitment = commitment(source, height)?;
    comparison.locate(&*commitment, mirror, &mut report)?;
    if report.is_clean() {
        report.drift.push(
            "its rows give another root, and no row was found that differs; run `stele audit` on the node"
                .to_owned(),
        );
    }
    Ok(report)
}

/// Progress and rate of an audit.
pub(crate) struct Pace<'p> {
    rows: u64,
    rows_per_s: u64,
    begun: Instant,
    table: String,
    progress: &'p mut dyn FnMut(AuditProgress) -> bool,
}

impl<'p> Pace<'p> {
    fn new(rows_per_s: u64, progress: &'p mut dyn FnMut(AuditProgress) -> bool) -> Self {
        Self {
            rows: 0,
            rows_per_s,
            begun: Instant::now(),
            table: String::new(),
            progress,
        }
    }

    /// Counts a row; false when the audit is to end.
    fn row(&mut self) -> bool {
        self.rows += 1;
        if !self.rows.is_multiple_of(PROGRESS_EACH) {
            return true;
        }
        if self.rows_per_s > 0 {
            let due = Duration::from_secs_f64(self.rows as f64 / self.rows_per_s as f64);
            let early = due.saturating_sub(self.begun.elapsed());
            if early >= THROTTLE_STEP {
                std::thread::sleep(early);
            }
        }
        (self.progress)(AuditProgress {
            table: self.table.clone(),
            rows: self.rows,
        })
    }
}
