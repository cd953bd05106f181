//! One transaction: all or nothing, in a savepoint.

use std::sync::Arc;

use stele_core::AccountId;
use stele_core::outcome::{Change, Code, RowChange, TransactionEffects};
use stele_core::transaction::{ExpectedVersion, Payload, SignedTransaction, Statement};

use super::Engine;
use super::apply::older_definitions;
use super::block::ExecutableTransaction;
use super::builtin::ACCOUNTS_TABLE;
use super::digest::result_digest;
use super::error::EngineError;
use super::outcome::{Failure, recordable};
use super::row_log::{Net, NetChange, RowLog, Stamp, net};
use super::state::{RowUpdate, StateError, StateMark};
use super::statement::Allowance;
use crate::bound::{Bound, Operation};
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::result::StatementResult;

/// What a transaction gave a client: results, or why it failed.
pub type TransactionResult = Result<Vec<StatementResult>, SqlError>;

/// What a transaction's statements gave.
pub(super) struct Done {
    pub(super) results: Vec<StatementResult>,
    changes: Vec<Change>,
    rows_affected: u64,
}

/// Everything beside SQLite's own savepoint that a failed transaction goes back to.
struct Savepoint {
    catalogue: Arc<Catalogue>,
    state: StateMark,
}

impl Engine {
    /// Executes a transaction of the open block. `swept` is how it failed before, when that undid the
    /// block: it fails so again without being run.
    pub(super) fn run_transaction(
        &mut self,
        transaction: &ExecutableTransaction<'_>,
        stamp: Stamp,
        update_tree: bool,
        swept: Option<&SqlError>,
    ) -> Result<(TransactionEffects, TransactionResult), Failure> {
        let done = match (transaction.refused, swept) {
            (Some(code), _) => Err(Failure::Outcome(refusal(code))),
            (None, Some(error)) => Err(Failure::Outcome(error.clone())),
            (None, None) => self.try_transaction(transaction.signed, stamp, update_tree),
        };
        match done {
            Ok(done) => {
                self.note_changes(&done.changes, stamp);
                let effects = TransactionEffects::new(
                    self.suite,
                    Code::SUCCESS,
                    done.rows_affected,
                    done.changes,
                );
                Ok((effects, Ok(done.results)))
            }
            Err(Failure::Outcome(error)) => {
                let error = recordable(error);
                Ok((
                    TransactionEffects::failed(self.suite, error.code),
                    Err(error),
                ))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Takes what a success changed into the table versions.
    pub(super) fn note_changes(&mut self, changes: &[Change], stamp: Stamp) {
        let mut last = None;
        for change in changes {
            let (Change::Row(RowChange { table, .. }) | Change::Schema { table, .. }) = change;
            if last.replace(*table) != Some(*table) {
                self.versions.insert(*table, stamp);
                self.keys_rotated |= *table == ACCOUNTS_TABLE;
            }
        }
    }

    fn try_transaction(
        &mut self,
        signed: &SignedTransaction,
        stamp: Stamp,
        update_tree: bool,
    ) -> Result<Done, Failure> {
        self.check_account(signed)?;
        let body = &signed.transaction;
        self.context.begin(body.time_us, body.seed);
        self.check_versions(&body.expected_versions)?;
        let nothing = Done {
            results: Vec::new(),
            changes: Vec::new(),
            rows_affected: 0,
        };
        match &body.payload {
            Payload::Statements(statements) => self.in_savepoint(update_tree, |engine| {
                engine.run_statements(body.account, statements, stamp, update_tree)
            }),
            Payload::Governance(_) => Err(SqlError::unsupported(
                "a governance change",
                "this version of the ledger has none",
            )
            .into()),
            Payload::Commitment { .. } => Err(SqlError::unsupported(
                "a commitment to an erasable record",
                "this version of the ledger has none",
            )
            .into()),
            Payload::Record(_) | Payload::Chunk(_) | Payload::Manifest(_) => Ok(nothing),
        }
    }

    /// Runs `work` so that nothing is left of it when it fails.
    pub(super) fn in_savepoint<T>(
        &mut self,
        updates_tree: bool,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let before = Savepoint {
            catalogue: Arc::clone(&self.catalogue),
            state: self.state.mark(),
        };
        self.control("SAVEPOINT tx")?;
        self.writer.sink(RowLog::clear);
        let done = match work(self) {
            // A defect of the program, which all nodes meet alike. Were it this node's trouble, the block
            // could never be executed, by nobody.
            Err(Failure::Engine(EngineError::Internal { cause })) => {
                tracing::error!(cause, "a transaction met a defect of the program");
                Err(recordable(SqlError::new("XX000", cause)).into())
            }
            done => done,
        };
        self.writer.sink(RowLog::clear);
        match done {
            Ok(done) => {
                self.control("RELEASE tx")?;
                Ok(done)
            }
            Err(Failure::Outcome(error)) if self.writer.is_autocommit() => {
                Err(Failure::Swept(error))
            }
            Err(Failure::Outcome(error)) => {
                self.control("ROLLBACK TO tx")?;
                self.control("RELEASE tx")?;
                self.go_back(before, updates_tree)?;
                Err(Failure::Outcome(error))
            }
            Err(failure) => Err(failure),
        }
    }

    fn go_back(&mut self, before: Savepoint, updated_tree: bool) -> Result<(), EngineError> {
        let changed_schema = !Arc::ptr_eq(&self.catalogue, &before.catalogue);
        if changed_schema || updated_tree {
            self.state.reset(before.state);
        }
        if changed_schema {
            self.catalogue = before.catalogue;
            self.forget_schema()?;
        }
        Ok(())
    }

    /// Forgets what was prepared and bound for a catalogue that is no more.
    pub(super) fn forget_schema(&mut self) -> Result<(), EngineError> {
        self.statements.clear();
        self.writer.flush_prepared_statement_cache();
        self.load_layouts()?;
        self.writer.flush_prepared_statement_cache();
        Ok(())
    }

    pub(super) fn control(&self, sql: &str) -> Result<(), EngineError> {
        self.writer.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    pub(super) fn run_statements(
        &mut self,
        account: AccountId,
        statements: &[Statement],
        stamp: Stamp,
        update_tree: bool,
    ) -> Result<Done, Failure> {
        let mut allowance = Allowance::of(&self.limits);
        let mut changes = Vec::new();
        let mut results = Vec::with_capacity(statements.len());
        let mut rows_affected = 0u64;
        for statements in statements.chunk_by(|a, b| a.sql == b.sql) {
            let Some(first) = statements.first() else {
                continue;
            };
            let bound = self.bind(account, &first.sql)?;
            if matches!(bound.as_ref(), Bound::Query(query) if query.past) {
                // Only a preview may: what nodes keep of the past may differ.
                self.context.tip()?;
            }
            bound.check_executable()?;
            let ran = self.run_alike(
                account,
                &bound,
                statements,
                stamp,
                &mut allowance,
                &mut changes,
            )?;
            for result in ran {
                rows_affected = rows_affected.saturating_add(result.rows_affected);
                results.push(result);
            }
        }
        let keys = self.foreign_keys()?;
        self.keep_foreign_keys(&keys, 0, true, stamp, &mut allowance)?;
        let touches = self.writer.sink(RowLog::take);
        let mut net = net(touches);
        self.check_builtin(account, &mut net, stamp)?;
        if let Some(refused) = self.writer.sink(RowLog::take_failure) {
            return Err(refused.into());
        }
        self.finish_changes(net, stamp, &mut changes)?;
        let done = Done {
            results,
            changes,
            rows_affected,
        };
        if update_tree {
            self.update_tree_now(&done.changes, stamp.height)?;
        }
        Ok(done)
    }

    /// Runs statements of one text, bound and prepared once but for those that change what a text
    /// means, and compares their results with what the client saw.
    pub(super) fn run_alike(
        &mut self,
        account: AccountId,
        bound: &Bound,
        statements: &[Statement],
        stamp: Stamp,
        allowance: &mut Allowance,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<StatementResult>, Failure> {
        let reliance = bound.reliance();
        if reliance.row_order && statements.iter().any(|one| one.result.is_some()) {
            return Err(SqlError::unsupported(
                "insisting on a sum of DOUBLE PRECISION",
                "Its result depends on the order of the rows: use NUMERIC, or submit it without a digest.",
            )
            .into());
        }
        if reliance.table_versions {
            let versions = self.versions.iter();
            let versions = versions.map(|(id, stamp)| (*id, (stamp.height, stamp.index)));
            self.context.set_versions(versions.collect());
        }
        let mut results = Vec::with_capacity(statements.len());
        match bound {
            Bound::Schema(_) => {
                for statement in statements {
                    let bound = self.bind(account, &statement.sql)?;
                    if let Bound::Schema(change) = bound.as_ref() {
                        let result = self.change_schema(change, stamp, allowance, changes)?;
                        results.push(self.as_seen(statement, result)?);
                    }
                }
            }
            Bound::Call(call) => {
                for statement in statements {
                    let result =
                        self.run_call(account, call, statement, stamp, allowance, changes)?;
                    results.push(self.as_seen(statement, result)?);
                }
            }
            Bound::Query(query) if query.constraints.is_some() => {
                for statement in statements {
                    if let Some(set) = &query.constraints {
                        self.set_constraints(set, stamp, allowance)?;
                    }
                    let result = StatementResult {
                        tag: query.tag(0),
                        ..StatementResult::default()
                    };
                    results.push(self.as_seen(statement, result)?);
                }
            }
            Bound::Query(query) => {
                let mut prepared = self.prepare(&query.sqlite)?;
                for statement in statements {
                    let values = &statement.parameters;
                    let result = self.run_query(&mut prepared, query, values, stamp, allowance)?;
                    results.push(self.as_seen(statement, result)?);
                }
            }
            Bound::Write(write) => {
                let keys = self.foreign_keys()?;
                if write.operation == Operation::Truncate {
                    self.check_not_referred_to(&keys, write.table, allowance)?;
                }
                let mut prepared = self.prepare(&write.sqlite)?;
                for statement in statements {
                    let values = &statement.parameters;
                    let touched = self.writer.sink(|log| log.len());
                    let result = self.run_write(&mut prepared, write, values, stamp, allowance)?;
                    self.keep_policies(write, touched, allowance)?;
                    self.keep_foreign_keys(&keys, touched, false, stamp, allowance)?;
                    results.push(self.as_seen(statement, result)?);
                }
            }
        }
        Ok(results)
    }

    /// The result, if it is what the client saw.
    fn as_seen(
        &self,
        statement: &Statement,
        result: StatementResult,
    ) -> Result<StatementResult, SqlError> {
        match statement.result {
            Some(seen) if seen != result_digest(self.suite, &result) => Err(SqlError::new(
                "40001",
                "could not serialize access: a result is not what the client saw",
            )
            .hint("run the transaction again")),
            _ => Ok(result),
        }
    }

    /// Writes what follows from the net changes: history, kept stamps; adds the row
    /// changes to the schema changes.
    fn finish_changes(
        &mut self,
        net: Net,
        stamp: Stamp,
        changes: &mut Vec<Change>,
    ) -> Result<(), EngineError> {
        for (table, key, written) in net.untouched {
            if let Some(layout) = self.writer.sink(|log| log.layout(table)) {
                layout.restamp(&self.writer, &key, written)?;
            }
        }
        let mut rows = Vec::with_capacity(net.changes.len());
        let mut layout = None;
        for NetChange { change, written } in net.changes {
            if layout
                .as_ref()
                .is_none_or(|(table, _)| *table != change.table)
            {
                let found = self.writer.sink(|log| log.layout(change.table));
                let found = found.ok_or(EngineError::NoTable(change.table))?;
                layout = Some((change.table, found));
            }
            if let (Some(row), Some(written), Some((_, layout))) =
                (&change.before, written, &layout)
            {
                let older = older_definitions(changes, change.table);
                if older.is_empty() {
                    layout.archive(&self.writer, row, written, stamp)?;
                } else {
                    let row = layout.fit(row, &older)?;
                    layout.archive(&self.writer, &row, written, stamp)?;
                }
            }
            rows.push(Change::Row(change));
        }
        changes.append(&mut rows);
        Ok(())
    }

    pub(super) fn update_tree_now(
        &mut self,
        changes: &[Change],
        height: u64,
    ) -> Result<(), Failure> {
        let rows = changes.iter().filter_map(RowUpdate::of).collect();
        let keep = self.proof_window > 0;
        self.touch_tree();
        match self.state.update_rows(&self.writer, height, keep, rows) {
            Ok(()) => Ok(()),
            Err(StateError::GroupTooLarge(what)) => Err(SqlError::new("54000", what).into()),
            Err(other) => Err(self.tree_failure(other).into()),
        }
    }

    fn check_versions(&self, expected: &[ExpectedVersion]) -> Result<(), SqlError> {
        for version in expected {
            let held = self.versions.get(&version.table);
            let fits = held
                .is_some_and(|held| held.height == version.height && held.index == version.index);
            if !fits {
                return Err(SqlError::new(
                    "40001",
                    format!(
                        "could not serialize access: table {} is not at version ({}, {}) any more",
                        version.table.0, version.height, version.index
                    ),
                )
                .hint("read again and run the transaction again"));
            }
        }
        Ok(())
    }
}

/// The words for a code the node decided.
fn refusal(code: Code) -> SqlError {
    let message = match code {
        Code::DUPLICATE => "the same transaction is in the ledger already",
        Code::EXPIRED => "the transaction expired, or its time is too far from its block's",
        _ => "the node refused the transaction",
    };
    SqlError {
        code,
        ..SqlError::new("XX000", message)
    }
}
