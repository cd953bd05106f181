//! Showing that a table of the ledger holds the rows that were read, believing neither the node nor what was sent.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use stele_core::Hash;
use stele_core::proof::{Proven, Verifier};
use stele_core::trust::Trust;
use stele_flow::{Batch, KeyRange, ReadRow, RowChange, Step, Table};
use stele_pipeline::audit::root_of;
use stele_sinks::{Foreign, Naming, Target};

use super::plan::Planned;
use crate::client::{Client, encoded};
use crate::progress::rows_spinner;

/// Longest proof read, in bytes (16 MiB).
const PROOF_LEN_MAX: u64 = 16 * 1024 * 1024;
/// Rows gathered before they are put in order.
const PIECE_ROWS: usize = 20_000;
/// Name of the rows in the file they are put in order in.
const SORTING: &str = "import";

/// What was shown.
pub(super) struct Equal {
    /// Root of the table, signed.
    pub(super) root: Hash,
    /// Height it is of.
    pub(super) height: u64,
}

/// Computes the root of the rows in the database and compares it with the one the validators signed.
pub(super) fn prove(
    source: &mut dyn Foreign,
    client: &Client,
    trust: &Trust,
    table: &Planned,
    shown: bool,
) -> Result<Equal> {
    let first = first_key(source, table)?;
    let path = format!(
        "/v1/tables/{}/{}/",
        encoded(&table.schema),
        encoded(&table.table)
    );
    let path = match first {
        Some(key) => {
            let key: Vec<String> = key
                .iter()
                .map(|part| format!("key={}", encoded(part)))
                .collect();
            format!("{path}proof?{}", key.join("&"))
        }
        None => format!("{path}range-proof"),
    };
    let proof = client.get_text(&path, PROOF_LEN_MAX)?;
    let proven = Verifier::new(trust.clone())
        .verify(proof.as_bytes())
        .context("the node's proof of the new table does not hold")?;
    let Proven::Rows(proven) = proven else {
        bail!("the node gave a proof of something else");
    };
    if proven.table.schema != table.schema || proven.table.name != table.table {
        bail!("the node gave a proof of another table");
    }
    // The order of keys is the ledger's: rows are put in it in a file of their own.
    let folder = tempfile::tempdir().context("cannot make a folder; TMPDIR names where")?;
    let target = Target::Sqlite(folder.path().join("sorted.db"));
    let mut sorted = stele_sinks::open(&target, None, Naming::default());
    let shape = Table::of(&proven.table).context("the ledger's table has no rows")?;
    let shape = Arc::new(shape);
    sorted.open(SORTING)?;
    sorted.apply(&Batch {
        steps: vec![Step::Table {
            before: None,
            after: Some(shape.clone()),
        }],
        ..Batch::default()
    })?;
    let spinner = rows_spinner("comparing", shown);
    let mut rows = Vec::new();
    let mut count = 0;
    let mut failure = None;
    let readable = table.readable();
    let mut put = |rows: &mut Vec<RowChange>| {
        sorted.apply(&Batch {
            steps: vec![Step::Rows(shape.clone(), std::mem::take(rows))],
            ..Batch::default()
        })
    };
    source.read(&readable, &KeyRange::default(), &mut |row| {
        count += 1;
        let ReadRow::Values(values) = row else {
            return true;
        };
        rows.push(RowChange {
            key: Vec::new(),
            before: None,
            after: Some(values),
        });
        if rows.len() >= PIECE_ROWS {
            spinner.set_position(count);
            failure = put(&mut rows).err();
        }
        failure.is_none()
    })?;
    if failure.is_none() {
        failure = put(&mut rows).err();
    }
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    let held = sorted.begin_read(SORTING)?;
    let held = held.tables.first().context("the sorted rows are gone")?;
    let read = root_of(trust.suite, &proven.table, held, &mut *sorted, &mut || true)?;
    let (found, root) = read.context("the rows were not read to their end")?;
    spinner.finish_and_clear();
    if root != proven.root {
        bail!(
            "{} and {} are not equal: the {found} rows there give the root {root}, and the validators signed {} as of block {}: others write to one of the two; DROP TABLE {} and import again",
            table.name,
            table.ledger_name(),
            proven.root,
            proven.leaf.height,
            table.ledger_name()
        );
    }
    Ok(Equal {
        root,
        height: proven.leaf.height,
    })
}

/// The key of the first row there, as texts; none if there is no row.
fn first_key(source: &mut dyn Foreign, table: &Planned) -> Result<Option<Vec<String>>> {
    let readable = table.readable();
    let mut first = None;
    source.read(&readable, &KeyRange::default(), &mut |row| {
        if let ReadRow::Values(values) = row {
            let shape = &readable.table;
            let key = shape.key_columns().zip(shape.key_of(&values));
            let key = key.map(|(column, value)| stele_core::value::text::format(column.ty, value));
            first = Some(key.collect());
        }
        false
    })?;
    Ok(first)
}
