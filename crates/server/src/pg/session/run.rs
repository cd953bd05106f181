//! Running statements: reads at once, writes at the end of their batch.

use std::sync::Arc;

use stele_core::Value;
use stele_core::transaction::{Payload, Statement};
use stele_node::Pending;
use stele_sql::{OutputColumn, SqlError, StatementResult};

use super::plan::{Class, Plan};
use super::{Session, blocking};
use crate::pg::codec::Formats;
use crate::pg::error::{moved, node_error, outcome_unknown, receipt_error};
use crate::pg::reply::Replies;
use crate::pg::scanner::Scanner;
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
                let result = self.read(plan, parameters, before)?;
                self.check_columns(plan, &result)?;
                self.deliver(result, delivery);
                Ok(())
            }
            Class::Write | Class::Schema => self.write(plan, parameters, delivery),
        }
    }

    /// Runs a read; it sees the open transaction's writes.
    pub(super) fn read(
        &mut self,
        plan: &Plan,
        parameters: Vec<Value>,
        characters_before: u32,
    ) -> Result<StatementResult, SqlError> {
        let sees_own_writes = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| !transaction.statements().is_empty());
        if !sees_own_writes {
            let answer = blocking(|| self.node.query(self.account, &plan.sql, &parameters));
            return match answer {
                Ok(answer) => Ok(answer.result),
                Err(error) => Err(moved(node_error(error), characters_before)),
            };
        }
        let statement = Statement {
            sql: plan.sql.clone(),
            parameters,
            result: None,
        };
        let result = self.preview(Some((statement, characters_before)))?;
        result.ok_or_else(|| SqlError::new("XX000", "the preview gave no result for a read"))
    }

    fn write(
        &mut self,
        plan: &Plan,
        parameters: Vec<Value>,
        delivery: Delivery,
    ) -> Result<(), SqlError> {
        let bounds = self.bounds();
        let statement = Statement {
            sql: plan.sql.clone(),
            parameters,
            result: None,
        };
        let transaction = self.begin();
        if transaction.read_only {
            let word = Scanner::new(&plan.sql)
                .next_token()
                .map(|(token, _, _)| token.content().to_ascii_uppercase())
                .unwrap_or_default();
            return Err(SqlError::new(
                "25006",
                format!("cannot execute {word} in a read-only transaction"),
            ));
        }
        transaction.push(statement, plan.class == Class::Schema, bounds)?;
        let limited = delivery.rows_max > 0 && plan.columns.as_ref().is_none_or(|c| !c.is_empty());
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

    /// A prepared read whose table has changed since gives other columns than were described.
    fn check_columns(&self, plan: &Plan, result: &StatementResult) -> Result<(), SqlError> {
        match &plan.columns {
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
        let (account, node) = (self.account, &self.node);
        let (time_us, seed) = (transaction.time_us, transaction.seed);
        let known = parameters.is_some();
        let statement = Statement {
            sql: plan.sql.clone(),
            parameters: parameters.unwrap_or_else(|| vec![Value::Null; plan.parameters.len()]),
            result: None,
        };
        let previewed = transaction.with(Some(statement), |statements| {
            blocking(|| node.preview(account, statements, time_us, seed))
        });
        match previewed {
            Ok(mut results) => Ok(results.pop().map(|last| last.columns).unwrap_or_default()),
            Err(error) if known => Err(node_error(error)),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Answers writes whose results are still to come from a preview.
    pub(super) fn preview_deferred(&mut self) -> Result<(), SqlError> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        self.preview(None).map(|_| ())
    }

    /// Previews the open transaction and one read more, whose result it gives; answers the writes
    /// whose results are still to come.
    pub(super) fn preview(
        &mut self,
        read: Option<(Statement, u32)>,
    ) -> Result<Option<StatementResult>, SqlError> {
        let bounds = self.bounds();
        let Some(mut transaction) = self.transaction.take() else {
            return Ok(None);
        };
        if let Err(error) = transaction.count_preview(bounds) {
            self.transaction = Some(transaction);
            self.drop_deferred(0);
            return Err(error);
        }
        let (extra, read_before) = match read {
            Some((statement, before)) => (Some(statement), Some(before)),
            None => (None, None),
        };
        let known = transaction.answered();
        let total = transaction.statements().len();
        let (time_us, seed) = (transaction.time_us, transaction.seed);
        let previewed = transaction.with(extra, |statements| {
            self.preview_or_locate(statements, known, time_us, seed)
        });
        let outcome = match previewed {
            Ok(mut results) => {
                let shown = read_before.and_then(|_| results.pop());
                self.answer_deferred(results.into_iter().skip(known));
                transaction.mark_answered();
                Ok(shown)
            }
            Err(failure) => {
                let good = failure.place.saturating_sub(known);
                let before = match self.deferred.get(good) {
                    Some(deferred) => deferred.delivery.characters_before,
                    None => read_before.unwrap_or_default(),
                };
                self.drop_deferred(good);
                self.answer_deferred(failure.results.into_iter().skip(known));
                transaction.fail(failure.place.min(total));
                Err(moved(failure.error, before))
            }
        };
        self.transaction = Some(transaction);
        outcome
    }

    /// Previews statements; when one fails, finds out which by halving. The first `known` are
    /// known to succeed.
    fn preview_or_locate(
        &self,
        statements: &[Statement],
        known: usize,
        time_us: i64,
        seed: [u8; 16],
    ) -> Result<Vec<StatementResult>, Box<Failure>> {
        let run = |count: usize| {
            let some = statements.get(..count).unwrap_or(statements);
            blocking(|| self.node.preview(self.account, some, time_us, seed))
        };
        let error = match run(statements.len()) {
            Ok(results) => return Ok(results),
            Err(error) => error,
        };
        let mut failure = Box::new(Failure {
            place: known,
            results: Vec::new(),
            error: node_error(error),
        });
        let mut bad = statements.len();
        while bad > failure.place + 1 {
            let middle = failure.place + (bad - failure.place) / 2;
            match run(middle) {
                Ok(results) => {
                    failure.place = middle;
                    failure.results = results;
                }
                Err(error) => {
                    bad = middle;
                    failure.error = node_error(error);
                }
            }
        }
        Err(failure)
    }

    /// Submits the open transaction, waits for its block and answers the writes whose results are
    /// still to come.
    pub(super) async fn commit(&mut self) -> Result<(), SqlError> {
        let Some(mut transaction) = self.transaction.take() else {
            return Ok(());
        };
        self.end_local(&mut transaction);
        if transaction.statements().is_empty() {
            return Ok(());
        }
        let known = transaction.answered();
        let (time_us, seed) = (transaction.time_us, transaction.seed);
        let (explicit, read_only) = (transaction.explicit, transaction.read_only);
        let settings = transaction.settings.take();
        // Only a batch needs them again, to find out which statement failed.
        let copy = (self.deferred.len() > 1).then(|| transaction.statements().to_vec());
        // A statement that failed before COMMIT leaves the client in a failed transaction.
        let stays_open = explicit && !self.deferred.is_empty();
        let mut error = match self.submit(transaction).await {
            Ok(results) => {
                self.answer_deferred(results.into_iter().skip(known));
                return Ok(());
            }
            Err(error) => error,
        };
        let mut good = 0;
        let mut shown = Vec::new();
        if let Some(statements) = copy
            && let Err(failure) = self.preview_or_locate(&statements, known, time_us, seed)
        {
            good = failure.place.saturating_sub(known);
            (error, shown) = (failure.error, failure.results);
        }
        if let Some(failed) = self.deferred.get(good) {
            error = moved(error, failed.delivery.characters_before);
        }
        self.drop_deferred(good);
        self.answer_deferred(shown.into_iter().skip(known));
        if stays_open {
            let mut failed = Transaction::new(true, read_only, time_us, seed);
            failed.settings = settings;
            failed.fail(0);
            self.transaction = Some(failed);
        } else {
            self.restore_settings(settings);
        }
        Err(error)
    }

    async fn submit(&self, transaction: Transaction) -> Result<Vec<StatementResult>, SqlError> {
        let previewed = transaction.answered() > 0;
        let (time_us, seed) = (transaction.time_us, transaction.seed);
        let payload = Payload::Statements(transaction.into_statements());
        let pending = if previewed {
            // The node takes its own clock's time when this one has grown too old to be taken.
            self.node.write_at(&self.key, payload, time_us, seed)
        } else {
            self.node.write(&self.key, payload)
        };
        let Pending { id, receipt } = pending.map_err(node_error)?;
        match receipt.await {
            Ok(Ok(receipt)) => match receipt_error(&receipt) {
                Some(error) => Err(error),
                None => Ok(receipt.results),
            },
            Ok(Err(error)) => Err(node_error(error)),
            Err(_) => Err(outcome_unknown(&id)),
        }
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
        let out = &mut self.out;
        if delivery.describe && !result.columns.is_empty() {
            out.row_description(&result.columns, &delivery.formats);
        }
        let mut rows = Rows::new(result);
        rows.give(&delivery.formats, delivery.rows_max, out);
        if let Some(portal) = delivery.portal.and_then(|name| self.portals.get_mut(&name)) {
            portal.keep(rows);
        }
    }
}

/// Where a list of statements fails.
struct Failure {
    /// Place of the statement that failed.
    place: usize,
    /// Results of those before it, if they were run apart.
    results: Vec<StatementResult>,
    /// The failure.
    error: SqlError,
}
