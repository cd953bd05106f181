//! Making proof files.

use stele_core::key::encode_key;
use stele_core::leaf::Entry;
use stele_core::log::{
    ProofError, consistency_proof, inclusion_proof, leaf_hash, root_at, verify_consistency,
    verify_inclusion,
};
use stele_core::note::{Checkpoint, ConsistencyProof, SignedNote, TlogProof};
use stele_core::outcome::{Change, RowChange};
use stele_core::proof::{
    Evidence, RANGE_ROWS_MAX, RowClaim, RowEvidence, RowPath, TransactionEvidence,
};
use stele_core::schema::Table;
use stele_core::tree::TableProof;
use stele_core::value::text;
use stele_core::{AccountId, Encode, Hash, Type, Value};
use stele_sql::SqlError;
use stele_sql::bind::check_reads_whole;
use stele_sql::engine::Snapshot;

use crate::blocks::not_stored;
use crate::error::NodeError;
use crate::node::Node;
use crate::recover::STATE_FILE;

impl Node {
    /// Proof file that a transaction and its outcome are in the log.
    ///
    /// # Errors
    /// When the transaction stands in no block.
    pub fn prove_transaction(&self, id: &Hash) -> Result<String, NodeError> {
        if self.is_pending(id) {
            return Err(NodeError::NotFound {
                what: format!("the proof of transaction {id}"),
                hint: "it waits for its block: ask again in a moment".to_owned(),
            });
        }
        let (height, index) = self.place_of_transaction(id)?;
        let signed = self.transaction_at(height, index)?;
        let outcome = self
            .inner
            .effects(height)?
            .transactions
            .get(index as usize)
            .map(|effects| effects.outcome)
            .ok_or_else(|| {
                NodeError::Storage(format!(
                    "block {height} has fewer effects than transactions"
                ))
            })?;
        let leaf = self.inner.meta(height)?.first_leaf() + u64::from(index);
        let evidence = TransactionEvidence {
            height,
            index,
            signed,
            outcome,
        };
        let entry = Entry {
            height,
            index,
            transaction: *id,
            outcome: evidence.outcome.hash(self.inner.suite),
        };
        let bytes = entry.encode_to_vec();
        self.proof_file(&Evidence::Transaction(Box::new(evidence)), leaf, &bytes)
    }

    /// Proof that the log of a checkpoint with `size` leaves is the beginning of the newest checkpoint's
    /// log: that nothing before it has changed. `stele verify --since` checks it.
    ///
    /// # Errors
    /// When the log is not so long.
    pub fn prove_growth(&self, size: u64) -> Result<String, NodeError> {
        let inner = &self.inner;
        let tip = inner.tip();
        let newest = tip.log_size;
        if tip.height == 0 || size > newest {
            return Err(NodeError::NotFound {
                what: format!("a log of {size} leaves"),
                hint: format!(
                    "the node's newest checkpoint has {newest} leaves; if yours is of this ledger and has \
                     more, the node is behind or its newest blocks were lost"
                ),
            });
        }
        let storage = |error: &dyn std::fmt::Display| NodeError::Storage(error.to_string());
        let path = consistency_proof(inner.suite, size, newest, &*inner.tiles)
            .map_err(|error| storage(&error))?;
        let old_root =
            root_at(inner.suite, size, &*inner.tiles).map_err(|error| storage(&error))?;
        let note =
            SignedNote::parse(tip.certificate.as_bytes()).map_err(|error| storage(&error))?;
        let new_root = signed_root(&note)?;
        verify_consistency(inner.suite, size, newest, &path, &old_root, &new_root)
            .map_err(|error| tiles_damaged(&error))?;
        ConsistencyProof::new(size, path, note)
            .map(|proof| proof.to_string())
            .map_err(|error| storage(&error))
    }

    /// That an account may have proofs of a table: they tell of all its rows, by what is not there.
    ///
    /// # Errors
    /// 42501 unless the account may read the whole table; nothing is said of one that is not there.
    pub fn check_provable(
        &self,
        account: AccountId,
        schema: &str,
        table: &str,
    ) -> Result<(), NodeError> {
        let catalogue = self.inner.readers.catalogue();
        Ok(check_reads_whole(&catalogue, account, schema, table)?)
    }

    /// That an account may have the proof of a transaction, which holds its statements: one of its own, or
    /// one that succeeded and of which it may read all that was changed. Nothing is said of one that is
    /// not there.
    ///
    /// # Errors
    /// 42501 for others.
    pub fn check_transaction_provable(
        &self,
        account: AccountId,
        id: &Hash,
    ) -> Result<(), NodeError> {
        let Ok((height, index)) = self.place_of_transaction(id) else {
            return Ok(());
        };
        if self.transaction_at(height, index)?.transaction.account == account {
            return Ok(());
        }
        let denied = || {
            SqlError::new("42501", format!("permission denied for transaction {id}")).hint(
                "Ask for one of your own, or one that changed only tables you may read whole.",
            )
        };
        let effects = self.inner.effects(height)?.transactions;
        let effects = effects.get(index as usize).ok_or_else(denied)?;
        if effects.changes.is_empty() {
            return Err(denied().into());
        }
        let catalogue = self.inner.readers.catalogue();
        for change in &effects.changes {
            let (Change::Row(RowChange { table, .. }) | Change::Schema { table, .. }) = change;
            let table = catalogue.table(*table).ok_or_else(denied)?;
            check_reads_whole(&catalogue, account, &table.schema, &table.name)
                .map_err(|_| denied())?;
        }
        Ok(())
    }

    /// Proof file of a row, or of its absence, after the newest block. The key is given as the texts
    /// of its values, in the order of the primary key.
    ///
    /// # Errors
    /// When there is no such table, or the texts are no key of it.
    pub fn prove_row(
        &self,
        schema: &str,
        table: &str,
        key: &[String],
    ) -> Result<String, NodeError> {
        let snapshot = self.inner.readers.snapshot()?;
        let table = find_table(&snapshot, schema, table)?;
        let key = read_key(&table, key)?;
        let prover = snapshot.prover(table.id);
        let (claim, shown) = match prover.presence(&key).map_err(tree_error)? {
            Some((_, proof)) => {
                let row = snapshot.encoded_row(&table, &key)?.ok_or_else(|| {
                    NodeError::Storage(format!(
                        "the state tree holds a row of {} that the table does not: run `stele audit`",
                        table.name
                    ))
                })?;
                (RowClaim::Present { key }, RowPath::Present { row, proof })
            }
            None => {
                let proof = prover
                    .absence(&key)
                    .map_err(tree_error)?
                    .ok_or_else(|| tree_error("neither present nor absent"))?;
                (RowClaim::Absent { key }, RowPath::Absent { proof })
            }
        };
        self.row_file(&snapshot, table, claim, shown)
    }

    /// Proof file of all rows from `from` (included) to `to` (excluded) after the newest block,
    /// complete; an end that is not given is open.
    ///
    /// # Errors
    /// When there is no such table, the texts are no keys of it, or there are more rows than one
    /// proof holds.
    pub fn prove_range(
        &self,
        schema: &str,
        table: &str,
        from: Option<&[String]>,
        to: Option<&[String]>,
    ) -> Result<String, NodeError> {
        let snapshot = self.inner.readers.snapshot()?;
        let table = find_table(&snapshot, schema, table)?;
        let from = match from {
            Some(from) => read_key(&table, from)?,
            None => Vec::new(),
        };
        let to = to.map(|to| read_key(&table, to)).transpose()?;
        if to.as_ref().is_some_and(|to| *to <= from) {
            return Err(NodeError::Invalid(
                "the range is empty: its first key does not come before its last".to_owned(),
            ));
        }
        let proven = snapshot
            .prover(table.id)
            .range(&from, to.as_deref(), RANGE_ROWS_MAX)
            .map_err(tree_error)?;
        if proven.next.is_some() {
            return Err(NodeError::Invalid(format!(
                "more than {RANGE_ROWS_MAX} rows lie in the range: ask for it in parts"
            )));
        }
        let rows = proven
            .proof
            .rows_unchecked()
            .iter()
            .map(|row| {
                snapshot
                    .encoded_row(&table, &row.key)?
                    .ok_or_else(|| tree_error("a row of the tree is not in the table"))
            })
            .collect::<Result<Vec<_>, NodeError>>()?;
        let shown = RowPath::Range {
            rows,
            proof: proven.proof,
        };
        self.row_file(&snapshot, table, RowClaim::Range { from, to }, shown)
    }

    fn row_file(
        &self,
        snapshot: &Snapshot,
        table: Table,
        claim: RowClaim,
        shown: RowPath,
    ) -> Result<String, NodeError> {
        let height = snapshot.height();
        if height == 0 {
            return Err(NodeError::NotFound {
                what: "a checkpoint".to_owned(),
                hint: "the ledger has no block yet: write something first".to_owned(),
            });
        }
        let path = TableProof::new(self.suite(), snapshot.tables(), table.id)
            .map_err(tree_error)?
            .ok_or_else(|| tree_error("the table is not in the state"))?;
        let leaf = self.inner.effects(height)?.leaf;
        let place = self.inner.meta(height)?.block_leaf();
        let evidence = RowEvidence {
            header: self
                .inner
                .store
                .header(height)?
                .ok_or_else(|| not_stored(height))?,
            leaf,
            table,
            path,
            claim,
            shown,
        };
        evidence.check(self.inner.suite).map_err(|error| {
            NodeError::Storage(format!(
                "rows or tree of {}.{} in {STATE_FILE} were changed ({error}): run `stele audit`; moved away, the state is made anew from the blocks at the next start",
                evidence.table.schema, evidence.table.name
            ))
        })?;
        let bytes = leaf.encode_to_vec();
        self.proof_file(&Evidence::Rows(Box::new(evidence)), place, &bytes)
    }

    /// The proof that leaf number `leaf`, of these bytes, is in the log, with what shows the rest.
    fn proof_file(
        &self,
        evidence: &Evidence,
        leaf: u64,
        leaf_bytes: &[u8],
    ) -> Result<String, NodeError> {
        let bytes = evidence.to_checked_bytes(self.inner.suite);
        self.leaf_proof(Some(bytes), leaf, leaf_bytes)
    }

    /// The proof that leaf number `leaf`, of these bytes, is in the log.
    pub(crate) fn leaf_proof(
        &self,
        extra: Option<Vec<u8>>,
        leaf: u64,
        leaf_bytes: &[u8],
    ) -> Result<String, NodeError> {
        let inner = &*self.inner;
        // The snapshot may show a block whose tip is being published: wait for no one, take the
        // newest certificate that covers the leaf.
        let mut tip = inner.tip();
        let mut tries = 0;
        while tip.log_size <= leaf && tries < TIP_TRIES_MAX {
            std::thread::sleep(std::time::Duration::from_millis(1));
            tip = inner.tip();
            tries += 1;
        }
        let note = SignedNote::parse(tip.certificate.as_bytes())
            .map_err(|error| NodeError::Storage(error.to_string()))?;
        let path = inclusion_proof(inner.suite, leaf, tip.log_size, &*inner.tiles)
            .map_err(|error| NodeError::Storage(error.to_string()))?;
        let (suite, size, root) = (inner.suite, tip.log_size, signed_root(&note)?);
        let hash = leaf_hash(suite, leaf_bytes);
        verify_inclusion(suite, &hash, leaf, size, &path, &root)
            .map_err(|error| tiles_damaged(&error))?;
        TlogProof::new(extra, leaf, path, note)
            .map(|proof| proof.to_string())
            .map_err(|error| NodeError::Storage(error.to_string()))
    }
}

/// How often a proof waits a millisecond for the certificate of a block just committed.
const TIP_TRIES_MAX: u32 = 1_000;

/// The root a certificate is over.
fn signed_root(note: &SignedNote) -> Result<Hash, NodeError> {
    Checkpoint::parse(note.text())
        .map(|checkpoint| checkpoint.root())
        .map_err(|error| NodeError::Storage(error.to_string()))
}

/// What is served leads to what was signed, or is not served.
fn tiles_damaged(error: &ProofError) -> NodeError {
    NodeError::Storage(format!(
        "the tile files in the folder `log` were changed ({error}): stop the node, remove that folder and start it again, they are then computed anew from the blocks"
    ))
}

fn tree_error(error: impl std::fmt::Display) -> NodeError {
    NodeError::Storage(format!("the state tree: {error}; run `stele audit`"))
}

fn find_table(snapshot: &Snapshot, schema: &str, table: &str) -> Result<Table, NodeError> {
    snapshot
        .catalogue()
        .table_named(schema, table)
        .map(|table| Table::clone(table))
        .ok_or_else(|| NodeError::NotFound {
            what: format!("table {schema}.{table}"),
            hint: "names are case sensitive and lower case unless quoted at creation".to_owned(),
        })
}

/// Encodes a primary key given as texts.
fn read_key(table: &Table, texts: &[String]) -> Result<Vec<u8>, NodeError> {
    let columns: Vec<_> = table
        .primary_key
        .iter()
        .filter_map(|id| table.column(*id))
        .collect();
    if columns.len() != texts.len() {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        return Err(NodeError::Invalid(format!(
            "the primary key of {}.{} is ({}): {} values are needed, {} were given",
            table.schema,
            table.name,
            names.join(", "),
            columns.len(),
            texts.len()
        )));
    }
    let values = columns
        .iter()
        .zip(texts)
        .map(|(column, given)| {
            let value = text::parse(column.ty, given)
                .map_err(|error| NodeError::Invalid(format!("{}: {error}", column.name)))?;
            Ok((column.ty, value))
        })
        .collect::<Result<Vec<(Type, Value)>, NodeError>>()?;
    let parts: Vec<(Type, &Value)> = values.iter().map(|(ty, value)| (*ty, value)).collect();
    encode_key(&parts).map_err(|error| NodeError::Invalid(error.to_string()))
}
