//! Checking a snapshot against a trust file, and nothing else.

use serde::Serialize;
use stele_core::Encode as _;
use stele_core::log::leaf_hash;
use stele_core::note::{CertificateVerifier, TlogProof};
use stele_core::row::{decode_row, row_hash};
use stele_core::tree::{Builder, TableEntry, empty_table_root, state_root};
use stele_core::trust::Trust;

use super::error::SnapshotError;
use super::reader::{SnapshotFile, SnapshotTable};

/// What a snapshot that was checked holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnapshotSummary {
    /// Height of its block.
    pub height: u64,
    /// Hash of its block.
    pub block: String,
    /// Time of its block, microseconds since 1970 UTC.
    pub time_us: i64,
    /// Root of the state.
    pub state_root: String,
    /// Definitions.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
}

impl SnapshotFile {
    /// What it says it holds.
    #[must_use]
    pub fn summary(&self) -> SnapshotSummary {
        let leaf = &self.head().leaf;
        SnapshotSummary {
            height: leaf.height,
            block: leaf.block.to_string(),
            time_us: leaf.time_us,
            state_root: leaf.state_root.to_string(),
            tables: self.definitions().len() as u64,
            rows: self.definitions().iter().map(|table| table.rows).sum(),
        }
    }

    /// Checks everything: that the trusted validators signed the log that holds the block's leaf, that the roots of
    /// all tables make the leaf's state root, and that each root follows from the rows. `progress` is told the rows
    /// checked.
    ///
    /// # Errors
    /// When something does not hold, or the file cannot be read.
    pub fn verify(
        &self,
        trust: &Trust,
        progress: &mut dyn FnMut(u64),
    ) -> Result<SnapshotSummary, SnapshotError> {
        self.verify_head(trust)?;
        let mut entries = Vec::with_capacity(self.definitions().len());
        let mut rows = 0;
        for table in self.definitions() {
            self.verify_table(table, &mut rows, progress)?;
            entries.push(TableEntry {
                table: table.definition.id,
                catalogue_hash: table.definition.hash(self.suite),
                root: table.root,
            });
        }
        let root = state_root(self.suite, &entries);
        let root = root.map_err(|error| self.not_certified(error))?;
        if root != self.head().leaf.state_root {
            return Err(self.not_certified("its tables give another state root"));
        }
        Ok(self.summary())
    }

    fn not_certified(&self, what: impl ToString) -> SnapshotError {
        SnapshotError::NotCertified {
            path: self.path.clone(),
            what: what.to_string(),
        }
    }

    fn verify_head(&self, trust: &Trust) -> Result<(), SnapshotError> {
        let head = self.head();
        if head.header.ledger != trust.ledger {
            return Err(SnapshotError::OtherLedger {
                path: self.path.clone(),
                expected: trust.ledger,
                found: head.header.ledger,
            });
        }
        if !head.is_whole(self.suite) {
            return Err(self.not_certified("its header and its leaf are of two blocks"));
        }
        let refuse = |error: &dyn std::fmt::Display| self.not_certified(error);
        let proof = TlogProof::parse(head.proof.as_bytes()).map_err(|error| refuse(&error))?;
        let verifier = CertificateVerifier::new(&trust.origin, &trust.validators);
        let verifier = verifier.map_err(|error| refuse(&error))?;
        let checkpoint = verifier
            .verify(proof.checkpoint_note())
            .map_err(|error| refuse(&error))?;
        let leaf = leaf_hash(self.suite, &head.leaf.encode_to_vec());
        proof
            .verify_leaf(self.suite, &leaf, &checkpoint)
            .map_err(|error| refuse(&error))
    }

    fn verify_table(
        &self,
        table: &SnapshotTable,
        rows: &mut u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), SnapshotError> {
        let definition = &table.definition;
        if !definition.kind.has_rows() {
            let empty = empty_table_root(self.suite, definition.id);
            let fits = table.rows == 0 && table.root == empty;
            return match fits {
                true => Ok(()),
                false => Err(self.not_certified(format!("{} can have no rows", definition.name))),
            };
        }
        let mut builder = Builder::new(self.suite, definition.id);
        self.for_each_row(table, &mut |key, row| {
            let decoded = decode_row(definition, row).map_err(|error| error.to_string())?;
            if decoded.key(definition).as_deref() != Ok(key) {
                return Err("a row's values do not make its key".to_owned());
            }
            builder
                .push(key, &row_hash(self.suite, row))
                .map_err(|error| error.to_string())?;
            *rows += 1;
            if rows.is_multiple_of(PROGRESS_EACH) {
                progress(*rows);
            }
            Ok(true)
        })?;
        let root = builder.finish();
        if root.as_ref() != Ok(&table.root) {
            return Err(self.not_certified(format!(
                "the rows of {}.{} give another root",
                definition.schema, definition.name
            )));
        }
        Ok(())
    }
}

/// Rows between two reports of progress.
const PROGRESS_EACH: u64 = 4_096;
