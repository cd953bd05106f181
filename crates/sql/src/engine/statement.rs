//! Running one statement inside its bounds.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{CachedStatement, OptionalExtension, StatementStatus};
use stele_core::genesis::Limits;
use stele_core::schema::TableId;
use stele_core::value::{check, coerce};
use stele_core::{AccountId, Type, Value};

use super::Engine;
use super::bind_text;
use super::budget::Budget;
use super::call::{Body, CALL_STATEMENTS_MAX};
use super::error::EngineError;
use super::foreign_key::{Deferral, ForeignKeys};
use super::outcome::Failure;
use super::row_log::Stamp;
use crate::bound::{Bound, BoundQuery, BoundWrite, Operation};
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::physical;
use crate::reach::Reach;
use crate::result::{OutputColumn, StatementResult};
use crate::spill;

/// Bound statements kept.
const STATEMENTS_MAX: usize = 4_096;
/// Bound procedures kept.
const PROCEDURES_MAX: usize = 256;

/// Statements bound against the catalogue as it is. Emptied when the catalogue changes.
#[derive(Debug, Default)]
pub(super) struct StatementCache {
    bound: HashMap<AccountId, HashMap<String, Vec<Declared>>>,
    count: usize,
    foreign_keys: Option<Arc<ForeignKeys>>,
    procedures: HashMap<TableId, Arc<Body>>,
}

/// A statement bound with the parameter types a client declared.
#[derive(Debug)]
struct Declared {
    types: Vec<Option<Type>>,
    bound: Arc<Bound>,
}

impl StatementCache {
    pub(super) fn clear(&mut self) {
        self.bound.clear();
        self.count = 0;
        self.foreign_keys = None;
        self.procedures.clear();
    }

    pub(super) fn procedure(&self, id: TableId) -> Option<Arc<Body>> {
        self.procedures.get(&id).cloned()
    }

    pub(super) fn set_procedure(&mut self, id: TableId, body: Arc<Body>) {
        if self.procedures.len() >= PROCEDURES_MAX {
            self.procedures.clear();
        }
        self.procedures.insert(id, body);
    }

    pub(super) fn foreign_keys(&self) -> Option<Arc<ForeignKeys>> {
        self.foreign_keys.clone()
    }

    pub(super) fn set_foreign_keys(&mut self, keys: Arc<ForeignKeys>) {
        self.foreign_keys = Some(keys);
    }

    pub(super) fn get(
        &self,
        account: AccountId,
        sql: &str,
        declared: &[Option<Type>],
    ) -> Option<Arc<Bound>> {
        let held = self.bound.get(&account)?.get(sql)?;
        let found = held.iter().find(|held| held.types == declared)?;
        Some(Arc::clone(&found.bound))
    }

    pub(super) fn put(
        &mut self,
        account: AccountId,
        sql: &str,
        declared: &[Option<Type>],
        bound: Arc<Bound>,
    ) {
        if self.count >= STATEMENTS_MAX {
            self.clear();
        }
        self.count += 1;
        let of_account = self.bound.entry(account).or_default();
        let types = declared.to_vec();
        of_account
            .entry(sql.to_owned())
            .or_default()
            .push(Declared { types, bound });
    }
}

/// What the transaction under way has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) vm_steps: u64,
    pub(super) result_rows: u64,
    pub(super) result_bytes: u64,
    /// Bytes held on the way to results, see [`crate::spill`].
    pub(super) held_bytes: u64,
    /// What functions may do, see [`crate::spill`].
    pub(super) work: u64,
    /// Statements of procedures.
    pub(super) call_statements: u32,
    /// How deep procedures are in each other.
    pub(super) call_depth: u32,
    /// When foreign keys are checked.
    pub(super) deferral: Deferral,
}

impl Allowance {
    /// What a fresh transaction may cost.
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            vm_steps: limits.vm_steps_max,
            result_rows: limits.result_rows_max,
            result_bytes: limits.result_bytes_max,
            held_bytes: spill::TRANSACTION_BYTES_MAX,
            work: spill::TRANSACTION_WORK_MAX,
            call_statements: CALL_STATEMENTS_MAX,
            call_depth: 0,
            deferral: Deferral::AsMade,
        }
    }
}

/// A user's lowered statement, ready to run.
pub(super) struct Lowered<'a> {
    pub(super) types: &'a [Type],
    pub(super) columns: &'a [OutputColumn],
    /// What its steps may meet; none when they all weigh one.
    pub(super) reach: Option<&'a Reach>,
    /// Who writes; none for a read.
    pub(super) writer: Option<Stamp>,
    /// Whether changing a row a second time is a failure.
    pub(super) rows_once: bool,
}

impl Engine {
    /// Binds a statement for an account, or remembers it.
    pub(super) fn bind(&mut self, account: AccountId, sql: &str) -> Result<Arc<Bound>, SqlError> {
        if let Some(bound) = self.statements.get(account, sql, &[]) {
            return Ok(bound);
        }
        let bound = Arc::new(bind_text(sql, &self.catalogue, account, &[], None)?);
        self.statements.put(account, sql, &[], Arc::clone(&bound));
        Ok(bound)
    }

    /// Prepares a bound query or write, or takes it prepared before.
    pub(super) fn prepare(&self, sqlite: &str) -> Result<CachedStatement<'_>, Failure> {
        self.wall.raise();
        let prepared = self.writer.prepare_cached(sqlite);
        self.wall.lower();
        prepared.map_err(|error| Failure::of_statement(error, &self.catalogue))
    }

    /// Runs a prepared query in the open transaction.
    pub(super) fn run_query(
        &self,
        prepared: &mut rusqlite::Statement<'_>,
        query: &BoundQuery,
        parameters: &[Value],
        stamp: Stamp,
        allowance: &mut Allowance,
    ) -> Result<StatementResult, Failure> {
        let lowered = Lowered {
            types: &query.parameters,
            columns: &query.columns,
            reach: Some(&query.reach),
            writer: None,
            rows_once: false,
        };
        self.lend_sequences(&query.sequences)?;
        let rows = self.run_lowered(prepared, &lowered, parameters, allowance)?;
        self.return_sequences(&query.sequences, stamp)?;
        Ok(StatementResult {
            tag: query.tag(rows.len()),
            columns: query.columns.clone(),
            rows,
            rows_affected: 0,
        })
    }

    /// Runs a prepared write in the open transaction.
    pub(super) fn run_write(
        &self,
        prepared: &mut rusqlite::Statement<'_>,
        write: &BoundWrite,
        parameters: &[Value],
        stamp: Stamp,
        allowance: &mut Allowance,
    ) -> Result<StatementResult, Failure> {
        let lowered = Lowered {
            types: &write.parameters,
            columns: &write.columns,
            reach: Some(&write.reach),
            writer: Some(stamp),
            rows_once: write.rows_once,
        };
        self.lend_sequences(&write.sequences)?;
        let rows = self
            .run_lowered(prepared, &lowered, parameters, allowance)
            .map_err(|failure| self.with_key(failure, write, parameters, stamp))?;
        let rows_affected = self.writer.changes();
        self.return_sequences(&write.sequences, stamp)?;
        for (sequence, value) in &write.restarts {
            self.restart_sequence(*sequence, *value, stamp)?;
        }
        let tag = match write.operation {
            Operation::Insert => format!("INSERT 0 {rows_affected}"),
            Operation::Update => format!("UPDATE {rows_affected}"),
            Operation::Delete => format!("DELETE {rows_affected}"),
            Operation::Truncate => "TRUNCATE TABLE".to_owned(),
        };
        Ok(StatementResult {
            tag,
            columns: write.columns.clone(),
            rows,
            rows_affected,
        })
    }

    pub(super) fn run_lowered(
        &self,
        prepared: &mut rusqlite::Statement<'_>,
        lowered: &Lowered<'_>,
        parameters: &[Value],
        allowance: &mut Allowance,
    ) -> Result<Vec<Vec<Value>>, Failure> {
        let longest = self.longest(lowered.reach, parameters)?;
        self.wall.raise();
        self.writer.sink(|log| {
            log.set_active(true);
            log.set_rows_once(lowered.rows_once);
        });
        let ran = step(
            prepared,
            &self.budget,
            lowered,
            parameters,
            longest,
            allowance,
            &self.catalogue,
        );
        let (refused, failure) = self.writer.end_statement(|log| {
            log.set_active(false);
            log.set_rows_once(false);
            log.take_failure()
        });
        self.wall.lower();
        if let Some(failure) = failure {
            return Err(Failure::Engine(EngineError::Internal {
                cause: failure.to_owned(),
            }));
        }
        match (refused, ran) {
            // A full disk is a full disk, whatever else happened.
            (_, Err(Failure::Engine(error))) => Err(Failure::Engine(error)),
            (Some(refused), _) => Err(refused.into()),
            (None, ran) => ran,
        }
    }
}

impl Engine {
    /// Bytes of the longest value that makes the steps of a statement weigh more, before it begins.
    fn longest(&self, reach: Option<&Reach>, parameters: &[Value]) -> Result<u64, Failure> {
        let Some(reach) = reach else { return Ok(0) };
        let longest = parameters.iter().map(value_len).max().unwrap_or(0);
        if !reach.weighs(longest) {
            return Ok(0);
        }
        let mut longest = longest.max(reach.literal_len);
        for (table, column) in &reach.columns {
            let sql = physical::longest_sql(*table, *column);
            let found: Option<i64> = self
                .writer
                .prepare_cached(&sql)
                .and_then(|mut prepared| prepared.query_row([], |row| row.get(0)).optional())
                .map_err(EngineError::from)?;
            longest = longest.max(found.unwrap_or(0).unsigned_abs());
        }
        Ok(longest)
    }
}

/// Steps a statement to its end, within bounds: exactly counted, wherever it was stopped. `longest` are the
/// bytes of the longest value that makes its steps weigh more.
pub(super) fn step(
    statement: &mut rusqlite::Statement<'_>,
    budget: &Budget,
    lowered: &Lowered<'_>,
    parameters: &[Value],
    longest: u64,
    allowance: &mut Allowance,
    catalogue: &Catalogue,
) -> Result<Vec<Vec<Value>>, Failure> {
    let repeats = lowered.reach.is_some_and(|reach| reach.repeats);
    budget.start(allowance.vm_steps, longest, repeats);
    spill::start(allowance.held_bytes, allowance.work);
    let stepped = step_within(statement, budget, lowered, parameters, allowance, catalogue);
    let left = spill::end();
    budget.end();
    (allowance.held_bytes, allowance.work) = left.unwrap_or_default();
    match left {
        Some(_) => stepped,
        None => Err(spill::too_much().into()),
    }
}

fn step_within(
    statement: &mut rusqlite::Statement<'_>,
    budget: &Budget,
    lowered: &Lowered<'_>,
    parameters: &[Value],
    allowance: &mut Allowance,
    catalogue: &Catalogue,
) -> Result<Vec<Vec<Value>>, Failure> {
    let failed = |error| Failure::of_statement(error, catalogue);
    statement.reset_status(StatementStatus::VmStep);
    bind_parameters(statement, lowered.types, parameters)?;
    if let Some(stamp) = lowered.writer {
        let next = lowered.types.len() + 1;
        statement
            .raw_bind_parameter(next, stamp.height)
            .map_err(failed)?;
        statement
            .raw_bind_parameter(next + 1, stamp.index)
            .map_err(failed)?;
    }
    let mut results = Vec::new();
    let mut rows = statement.raw_query();
    loop {
        match rows.next() {
            Ok(Some(row)) => results.push(read_row(row, lowered.columns, allowance)?),
            Ok(None) => break,
            Err(_) if budget.has_stopped() => return Err(too_long(budget.weight()).into()),
            Err(error) => {
                return Err(match budget.cancelled() {
                    Some(stop) => stop.error().into(),
                    None => failed(error),
                });
            }
        }
    }
    drop(rows);
    let steps = statement.reset_status(StatementStatus::VmStep);
    let weight = budget.weight();
    let weighed = u64::from(steps.cast_unsigned()).saturating_mul(weight);
    allowance.vm_steps = allowance
        .vm_steps
        .checked_sub(weighed)
        .ok_or_else(|| Failure::from(too_long(weight)))?;
    Ok(results)
}

/// Reads a result row and takes it from the allowance.
pub(super) fn read_row(
    row: &rusqlite::Row<'_>,
    columns: &[OutputColumn],
    allowance: &mut Allowance,
) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::with_capacity(columns.len());
    let mut bytes = 0;
    for (place, column) in columns.iter().enumerate() {
        let value =
            physical::from_sqlite(column.ty, row.get_ref(place).map_err(EngineError::from)?)?;
        bytes += value_len(&value);
        values.push(value);
    }
    let left = |had: u64, takes: u64| {
        had.checked_sub(takes).ok_or_else(|| {
            SqlError::new("54000", "the result is too large").hint("ask for fewer rows, with LIMIT")
        })
    };
    allowance.result_rows = left(allowance.result_rows, 1)?;
    allowance.result_bytes = left(allowance.result_bytes, bytes)?;
    Ok(values)
}

/// Bytes a value counts for in a result.
fn value_len(value: &Value) -> u64 {
    let len = match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 16,
    };
    len as u64
}

/// Binds the user's parameters, each brought to the type the binder gave it.
pub(super) fn bind_parameters(
    statement: &mut rusqlite::Statement<'_>,
    types: &[Type],
    parameters: &[Value],
) -> Result<(), Failure> {
    if types.len() != parameters.len() {
        return Err(SqlError::new(
            "08P01",
            format!(
                "the statement takes {} parameters, {} were given",
                types.len(),
                parameters.len()
            ),
        )
        .into());
    }
    // A statement of a procedure need not use the last ones.
    let used = statement.parameter_count();
    for (place, (ty, value)) in types.iter().zip(parameters).enumerate().take(used) {
        if check(*ty, value).is_ok() {
            bind_value(statement, place + 1, *ty, value)?;
        } else {
            let value = coerce(*ty, value.clone()).map_err(SqlError::from)?;
            bind_value(statement, place + 1, *ty, &value)?;
        }
    }
    Ok(())
}

/// Binds a value of a type as SQLite keeps it, long ones without a copy of our own.
pub(super) fn bind_value(
    statement: &mut rusqlite::Statement<'_>,
    place: usize,
    ty: Type,
    value: &Value,
) -> Result<(), Failure> {
    let bound = match (ty, value) {
        (Type::Text | Type::Varchar(_) | Type::Char(_), Value::Text(text))
        | (Type::Json, Value::Json(text)) => statement.raw_bind_parameter(place, text.as_str()),
        (Type::Bytea, Value::Bytes(bytes)) => statement.raw_bind_parameter(place, bytes.as_slice()),
        _ => statement.raw_bind_parameter(place, physical::to_sqlite(ty, value)?),
    };
    Ok(bound.map_err(EngineError::from)?)
}

fn too_long(weight: u64) -> SqlError {
    let error = SqlError::new("54000", "the transaction takes too many steps");
    if weight > 1 {
        return error
            .detail(format!("A step weighs {weight}, for each 4 KiB of the longest value it may meet one."))
            .hint("Join, recurse and compute windows without the columns of long values, and read these by their keys.");
    }
    error.hint("narrow it with an indexed condition, or split it into smaller transactions")
}
