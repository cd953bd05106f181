//! Running statements: reads at once, writes at the end of their batch.

use std::sync::Arc;

use stele_core::Value;
use stele_core::transaction::Statement;
use stele_node::{OpenTransaction, Pending};
use stele_sql::engine::Previewed;
use stele_sql::{OutputColumn, SqlError, StatementResult};

use tokio::time::timeout;

use super::plan::{Class, Plan};
use super::{Session, blocking};
use crate::pg::codec::Formats;
use crate::pg::error::{moved, node_error, outcome_unknown, receipt_error, still_waiting};
use crate::pg::kept::rows_len;
use crate::pg::reply::Replies;
use crate::pg::scanner::Scanner;
use crate::pg::settings::{AS_OF, EXPECTED_VERSIONS};
use crate::pg::transaction::Transaction;

/// How a result is to be given.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    /// Formats of its columns.
    pub(super) formats: Formats,
    /// Whether its columns are described first, as the simple protocol wants.
    pub(super) describe: bool,
    /// The portal that keeps rows beyond the limit; none without a limit.
    pub(super) portal: Option<String>,
    /// Most rows to give; 0 for all.
    pub(super) rows_max: usize,
    /// Characters before the statement in its message.
    pub(super) characters_before: u32,
    /// Whether another statement answers for this one.
    pub(super) silent: bool,
}

impl Delivery {
    /// For a statement of a simple-query message.
    pub(super) fn simple(characters_before: u32) -> Self {
        Self {
            describe: true,
            characters_before,
            ..Self::default()
        }
    }
}

/// A write whose result is still to come.
pub(super) struct Deferred {
    delivery: Delivery,
    /// Replies that follow its result.
    pub(super) after: Replies,
    /// Statements prepared behind it, which an error of it undoes.
    pub(super) prepared: Vec<String>,
}

/// Rows of a result that are still to be given.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<OutputColumn>,
    rows: std::vec::IntoIter<Vec<Value>>,
    tag: String,
    given: usize,
}

impl Rows {
    pub(super) fn new(result: StatementResult) -> Self {
        Self {
            columns: result.columns,
            rows: result.rows.into_iter(),
            tag: result.tag,
            given: 0,
        }
    }

    /// Their columns.
    pub(super) fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// Bytes of so many of them (0: of all).
    pub(super) fn next_len(&self, rows_max: usize) -> usize {
        let rows = self.rows.as_slice();
        let next = rows.get(..rows_max).filter(|_| rows_max > 0);
        rows_len(next.unwrap_or(rows))
    }

    /// Takes rows up to a limit.
    pub(super) fn take(&mut self, rows_max: usize) -> Vec<Vec<Value>> {
        self.rows.by_ref().take(rows_max).collect()
    }

    /// Gives rows up to the limit (0: all); whether that was all.
    pub(super) fn give(&mut self, formats: &Formats, rows_max: usize, out: &mut Replies) -> bool {
        let limit = if rows_max == 0 { usize::MAX } else { rows_max };
        let mut count = 0;
        for row in self.rows.by_ref().take(limit) {
            out.row(&self.columns, &row, formats);
            count += 1;
        }
        let first = self.given == 0;
        self.given += count;
        if self.rows.len() > 0 {
            out.portal_suspended();
            return false;
        }
        if first || !self.tag.starts_with("SELECT") {
            out.command_complete(&self.tag);
        } else {
            out.command_complete(&format!("SELECT {count}"));
        }
        true
    }
}

impl Session {
    /// Runs a statement; a write's result comes later.
    pub(super) fn run(
        &mut self,
        plan: &Arc<Plan>,
        parameters: Vec<Value>,
        delivery: Delivery,
    ) -> Result<(), SqlError> {
        self.check_not_failed()?;
        match &plan.class {
            Class::Nothing { tag, notice } => {
                let notice = SqlError::new("00000", notice.clone());
                let out = self.next_replies();
                out.notice("NOTICE", &notice);
                out.command_complete(tag);
                Ok(())
            }
            Class::Read => {
                let before = delivery.characters_before;
                let mut result = self.read(plan, parameters, before)?;
                self.check_columns(plan, &result)?;
                self.check_kept(&result, &delivery)?;
                if let Some(columns) = &plan.columns {
                    result.columns.clone_from(columns);
                }
                self.deliver(result, delivery);
                Ok(())
            }
            Class::Write | Class::Schema => self.write(plan, parameters, delivery),
        }
    }

    /// Refuses a result of which too much would have to be kept for later.
    fn check_kept(&self, result: &StatementResult, delivery: &Delivery) -> Result<(), SqlError> {
        match result.rows.get(delivery.rows_max..) {
            Some(later) if delivery.portal.is_some() => self.keeper.keep(rows_len(later)).map(drop),
            _ => Ok(()),
        }
    }

    /// Runs writes that are answered as one: by the last.
    pub(super) fn run_all(
        &mut self,
        plans: &[Arc<Plan>],
        delivery: &Delivery,
    ) -> Result<(), SqlError> {
        for (place, plan) in plans.iter().enumerate() {
            let delivery = Delivery {
                silent: place + 1 < plans.len(),
                ..delivery.clone()
            };
            self.run(plan, Vec::new(), delivery)?;
        }
        Ok(())
    }

    /// Runs a read; it sees the open transaction's writes, and is compared again at COMMIT if the
    /// transaction writes.
    pub(super) fn read(
        &mut self,
        plan: &Plan,
        parameters: Vec<Value>,
        characters_before: u32,
    ) -> Result<StatementResult, SqlError> {
        self.preview_deferred()?;
        let failed = |error| moved(node_error(error), characters_before);
        let (node, account) = (&self.node, self.account);
        let Some(transaction) = &mut self.transaction else {
            let options = self.read_options();
            let answer = blocking(|| node.query_with(account, &plan.sql, &parameters, options));
            let result = answer.map(|answer| answer.result).map_err(failed)?;
            self.out.reserve(rows_len(&result.rows))?;
            return Ok(result);
        };
        transaction.open.set_as_of(self.settings.as_of());
        if transaction.read_only {
            transaction.open.stop_comparing();
        }
        let statement = Statement {
            sql: plan.sql.clone(),
            parameters,
            result: None,
        };
        let seen = blocking(|| node.read_in(&mut transaction.open, statement));
        let result = seen.map(|seen| seen.result).map_err(failed)?;
        self.out.reserve(rows_len(&result.rows))?;
        Ok(result)
    }

    fn write(
        &mut self,
        plan: &Plan,
        parameters: Vec<Value>,
        delivery: Delivery,
    ) -> Result<(), SqlError> {
        let word = || {
            let first = Scanner::new(&plan.sql).next_token();
            first.map_or_else(String::new, |(token, _, _)| {
                token.content().to_ascii_uppercase()
            })
        };
        self.check_newest(word)?;
        let limited = delivery.rows_max > 0 && plan.columns.as_ref().is_none_or(|c| !c.is_empty());
        if limited {
            self.keeper.keep(0)?;
        }
        let statement = Statement {
            sql: plan.sql.clone(),
            parameters,
            result: None,
        };
        let transaction = self.begin();
        if transaction.read_only {
            return Err(SqlError::new(
                "25006",
                format!("cannot execute {} in a read-only transaction", word()),
            ));
        }
        transaction.open.push(statement, plan.bound.as_deref())?;
        self.deferred.push(Deferred {
            delivery,
            after: Replies::default(),
            prepared: Vec::new(),
        });
        // The client asks for some rows of what a write returns: they are needed now.
        if limited {
            self.preview_deferred()
        } else {
            Ok(())
        }
    }

    /// Refuses to write while the session reads the past.
    pub(super) fn check_newest(&self, what: impl Fn() -> String) -> Result<(), SqlError> {
        match self.settings.as_of() {
            None => Ok(()),
            Some(_) => Err(SqlError::new(
                "25006",
                format!("cannot execute {} while {AS_OF} is set", what()),
            )
            .hint(format!("RESET {AS_OF} first: the past cannot be written."))),
        }
    }

    /// A prepared read whose table has changed since gives other columns than were described.
    fn check_columns(&self, plan: &Plan, result: &StatementResult) -> Result<(), SqlError> {
        match &plan.executed_columns {
            Some(columns) if *columns != result.columns => Err(SqlError::new(
                "0A000",
                "cached plan must not change result type",
            )
            .hint("Prepare the statement again: a table it reads has changed.")),
            _ => Ok(()),
        }
    }

    /// Columns of a statement that could not be bound beforehand, by running it once. Without
    /// parameters it is run with NULLs, and has no columns if that fails.
    pub(super) fn columns_by_preview(
        &mut self,
        plan: &Plan,
        parameters: Option<Vec<Value>>,
    ) -> Result<Vec<OutputColumn>, SqlError> {
        self.preview_deferred()?;
        let Some(transaction) = &mut self.transaction else {
            return Ok(Vec::new());
        };
        let node = &self.node;
        let known = parameters.is_some();
        let statement = Statement {
            sql: plan.sql.clone(),
            parameters: parameters.unwrap_or_else(|| vec![Value::Null; plan.parameters.len()]),
            result: None,
        };
        let mut previewed = blocking(|| node.preview(&mut transaction.open, Some(&statement)))
            .map_err(node_error)?;
        match previewed.failure {
            None => Ok(previewed
                .results
                .pop()
                .map(|last| last.columns)
                .unwrap_or_default()),
            Some(failure) if known => Err(failure.error),
            Some(_) => Ok(Vec::new()),
        }
    }

    /// Answers writes whose results are still to come from a preview.
    pub(super) fn preview_deferred(&mut self) -> Result<(), SqlError> {
        self.preview_all().map_err(|(_, error)| error)
    }

    /// As [`Self::preview_deferred`]; a failure comes with the number of writes that were answered
    /// before it.
    pub(super) fn preview_all(&mut self) -> Result<(), (usize, SqlError)> {
        let all = self.deferred.len();
        if all == 0 {
            return Ok(());
        }
        let bounds = self.bounds();
        let Some(mut transaction) = self.transaction.take() else {
            return Ok(());
        };
        if let Err(error) = transaction.count_preview(bounds) {
            self.transaction = Some(transaction);
            self.drop_deferred(0);
            return Err((0, error));
        }
        let known = transaction.open.answered();
        let node = &self.node;
        let previewed = blocking(|| node.preview(&mut transaction.open, None));
        let outcome = match previewed {
            Ok(Previewed {
                results, failure, ..
            }) => {
                self.answer_deferred(results.into_iter());
                // One that was answered before and now gives something else fails this one.
                failure.map_or(Ok(()), |failure| {
                    Err((failure.place.max(known), failure.error))
                })
            }
            Err(error) => Err((known, node_error(error))),
        };
        let outcome = outcome.map_err(|(kept, error)| {
            transaction.fail(kept);
            let answered = all.saturating_sub(self.deferred.len());
            (answered, self.failed_deferred(error))
        });
        self.transaction = Some(transaction);
        outcome
    }

    /// Drops what is deferred; the first of it has failed.
    fn failed_deferred(&mut self, error: SqlError) -> SqlError {
        let before = self
            .deferred
            .first()
            .map_or(0, |deferred| deferred.delivery.characters_before);
        self.drop_deferred(0);
        moved(error, before)
    }

    /// Submits the open transaction, waits for its block and answers the writes whose results are
    /// still to come.
    pub(super) async fn commit(&mut self) -> Result<(), SqlError> {
        let Some(mut transaction) = self.transaction.take() else {
            return Ok(());
        };
        if transaction.open.writes() == 0 {
            self.end_local(&mut transaction);
            return Ok(());
        }
        let versions = self.settings.changed(EXPECTED_VERSIONS).unwrap_or_default();
        let expected = self.node.expected_versions(versions);
        self.end_local(&mut transaction);
        let known = transaction.open.answered();
        let (explicit, read_only) = (transaction.explicit, transaction.read_only);
        let settings = transaction.settings.take();
        // Only a batch needs them again, to find out which statement failed.
        let copy = (self.deferred.len() > 1).then(|| transaction.open.clone());
        // A statement that failed before COMMIT leaves the client in a failed transaction.
        let stays_open = explicit && !self.deferred.is_empty();
        let submitted = match expected {
            Ok(expected) => {
                transaction.open.expect(expected);
                self.submit(transaction.open).await
            }
            Err(error) => Err(error),
        };
        let mut error = match submitted {
            Ok((results, height)) => {
                self.wait_for_replica(height);
                self.answer_deferred(results.into_iter().skip(known));
                return Ok(());
            }
            Err(error) => error,
        };
        if let Some(mut again) = copy
            && let Ok(previewed) = blocking(|| self.node.preview(&mut again, None))
            && let Some(failure) = previewed.failure
        {
            error = failure.error;
            self.answer_deferred(previewed.results.into_iter());
        }
        error = self.failed_deferred(error);
        if stays_open {
            let bare = self.fresh_open();
            let mut failed = Transaction::new(true, read_only, bare);
            failed.settings = settings;
            failed.fail(0);
            self.transaction = Some(failed);
        } else {
            self.restore_settings(settings);
        }
        Err(error)
    }

    /// Results of each statement, and the height of the block.
    async fn submit(&self, open: OpenTransaction) -> Result<(Vec<StatementResult>, u64), SqlError> {
        let pending = blocking(|| self.node.commit(&self.key, open));
        let Pending { id, receipt } = pending.map_err(node_error)?;
        let Ok(received) = timeout(self.config.write_wait, receipt).await else {
            return Err(still_waiting(&id));
        };
        match received {
            Ok(Ok(receipt)) => match receipt_error(&receipt) {
                Some(error) => Err(error),
                None => Ok((receipt.results, receipt.height)),
            },
            Ok(Err(error)) => Err(node_error(error)),
            Err(_) => Err(outcome_unknown(&id)),
        }
    }

    /// Waits until the replica the session names has what was written. That it has not is no failure of the write: the
    /// client is warned.
    fn wait_for_replica(&mut self, height: u64) {
        let Some(name) = self.settings.wait_for_replica().map(str::to_owned) else {
            return;
        };
        let wait = self.config.write_wait;
        let reached = match &self.config.replicas {
            Some(replicas) => {
                blocking(|| replicas.reach(&name, height, wait)).map_err(|error| error.to_string())
            }
            None => Err("this node keeps no replicas".to_owned()),
        };
        let why = match reached {
            Ok(true) => return,
            Ok(false) => format!("replica \"{name}\" has not applied it yet"),
            Err(why) => why,
        };
        let message = format!("the write is applied in block {height}, but {why}");
        let warning = SqlError::new("01000", message);
        self.out.notice("WARNING", &warning);
    }

    /// Gives the writes at the front of the queue their results, in order.
    fn answer_deferred(&mut self, results: impl Iterator<Item = StatementResult>) {
        let mut deferred = std::mem::take(&mut self.deferred).into_iter();
        for (result, waiting) in results.zip(deferred.by_ref()) {
            self.deliver(result, waiting.delivery);
            self.out.append(waiting.after);
        }
        self.deferred = deferred.collect();
    }

    /// Forgets deferred writes from a place on, and what was prepared behind them.
    pub(super) fn drop_deferred(&mut self, from: usize) {
        for dropped in self.deferred.drain(from.min(self.deferred.len())..) {
            for name in dropped.prepared {
                self.prepared.remove(&name);
            }
        }
    }

    /// Gives a result.
    pub(super) fn deliver(&mut self, result: StatementResult, delivery: Delivery) {
        if delivery.silent {
            return;
        }
        let out = &mut self.out;
        if delivery.describe && !result.columns.is_empty() {
            out.row_description(&result.columns, &delivery.formats);
        }
        let mut rows = Rows::new(result);
        let all = rows.give(&delivery.formats, delivery.rows_max, out);
        out.count();
        if all {
            return;
        }
        if let Some(portal) = delivery.portal.and_then(|name| self.portals.get_mut(&name)) {
            let kept = self.keeper.count(rows_len(rows.rows.as_slice()));
            portal.keep(rows, kept);
        }
    }
}
