//! Names, types and lowering: a parsed statement against one version of the catalogue.
//!
//! Every expression gets a type, and every operator, cast, comparison and ordering becomes SQLite
//! text that has PostgreSQL's meaning without leaning on SQLite's affinities. Names in the output
//! are ours alone (`t1000`, `c1`, `r2`, `k3`, see [`crate::physical`]); what a client wrote is there
//! only as quoted literals of known types.
//!
//! Terms: a *relation* is an item of FROM, `rN` in the output; an *output column* of a sub-select is
//! `kN`; an expression is *unknown* while nothing has given a quoted literal or a parameter a type.

mod aggregate;
mod array;
mod calendar;
mod call;
mod cast;
mod common_table;
mod conditional;
mod conflict;
mod definition;
mod delete;
mod distinct;
mod expression;
mod fence;
mod from;
mod functions;
mod grouping;
mod insert;
mod interval;
mod json;
mod literal;
mod name;
mod operator;
mod output;
mod parameter;
mod past;
mod permission;
mod policy;
mod procedure;
mod quantified;
mod query;
mod scope;
mod select;
mod sequence;
mod series;
mod set_operation;
mod system;
mod type_name;
mod update;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlparser::ast::{SetExpr, Statement, With};
use stele_core::Type;
use stele_core::account::AccountId;
use stele_core::schema::{Column, ColumnId, Table, TableId};

use crate::bound::{Bound, Definition, Sequences};
use crate::catalogue::{Catalogue, DEFAULT_SCHEMA};
use crate::error::SqlError;
use crate::parse::{Extension, ParsedStatement};
use common_table::CommonTable;
pub(crate) use definition::widest;
use parameter::Parameter;
pub use past::check_moment;
pub use permission::OPEN_TABLES;
pub(crate) use policy::violates;
pub(crate) use procedure::bind_statement;
use scope::{Clause, Environment, Scope};

/// Deepest nesting the binder follows; the parser's own bound keeps most texts below it.
const DEPTH_MAX: usize = 200;

/// Bytes an expression or a view may be lowered to, and more for each byte of what the client wrote: some operators
/// write an operand twice, and views may be used twice by views.
const LOWERED_LEN_FREE: usize = 256 * 1024;
const LOWERED_LEN_PER_BYTE: usize = 16;
/// Most relations of a statement, those of its views included.
const RELATIONS_MAX: u32 = 1_000;
/// Most window functions of a statement: SQLite's time to prepare them grows with the cube.
const WINDOWS_MAX: u32 = 256;

/// Who asks, and how names are looked up.
#[derive(Clone, Debug)]
pub struct BindContext {
    /// The account whose rights count.
    pub account: AccountId,
    /// What `current_user` gives.
    pub user: String,
    /// Schemas a bare name is looked up in, in order; a new table goes to the first.
    pub search_path: Vec<String>,
    /// Types the client declared for `$1`…; `None`, or a shorter list, leaves them to be inferred.
    pub parameters: Vec<Option<Type>>,
    /// The height or time as of which every table is read that names none of its own.
    pub as_of: Option<String>,
}

impl BindContext {
    /// The context of an account with the usual search path and no declared parameters.
    #[must_use]
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            user: account.to_string(),
            search_path: vec![DEFAULT_SCHEMA.to_owned()],
            parameters: Vec::new(),
            as_of: None,
        }
    }
}

/// Binds and lowers one statement. The result is good for this version of the catalogue.
///
/// # Errors
/// What PostgreSQL would say: unknown names (42P01, 42703), types that do not fit (42804, 42883),
/// missing rights (42501), and 0A000 with a hint for what Stele does not take.
pub fn bind(
    statement: &ParsedStatement,
    catalogue: &Catalogue,
    context: &BindContext,
) -> Result<Bound, SqlError> {
    let mut binder = Binder::new(catalogue, context);
    binder.expect_parameters(statement.parameter_count());
    binder.extension = statement.extension();
    binder.allow_text(statement.text());
    let bound = binder.statement(statement.statement())?;
    Ok(bound)
}

/// That an account may read all rows and columns of a table: what a proof tells.
///
/// # Errors
/// 42501 when it may not; nothing is said of a table that is not there.
pub fn check_reads_whole(
    catalogue: &Catalogue,
    account: AccountId,
    schema: &str,
    table: &str,
) -> Result<(), SqlError> {
    let Some(table) = catalogue.table_named(schema, table) else {
        return Ok(());
    };
    let context = BindContext::new(account);
    let binder = Binder::new(catalogue, &context);
    binder.check_readable(table)?;
    binder.check_unfiltered(table, "a proof")
}

/// A CHECK constraint's condition as SQLite text over the bare columns of its table.
pub(crate) fn check_condition(table: &Table, text: &str) -> Result<String, SqlError> {
    let catalogue = Catalogue::default();
    let context = BindContext::new(table.owner);
    let mut binder = Binder::new(&catalogue, &context);
    let scope = Scope::of_bare_table(table);
    let environment = Environment::new(&scope, Clause::Check);
    let parsed = crate::parse::parse_expression(text)?;
    binder.allow_text(text);
    let condition = binder.condition(&environment, &parsed)?;
    Ok(condition.sql)
}

/// A column's DEFAULT, or NULL, as SQLite text.
pub(crate) fn default_sql(column: &Column) -> Result<String, SqlError> {
    let catalogue = Catalogue::default();
    let context = BindContext::new(AccountId::LEDGER);
    let mut binder = Binder::new(&catalogue, &context);
    Ok(binder.default_of(column)?.sql)
}

/// An index expression as SQLite text over the bare columns of its table.
pub(crate) fn index_expression(table: &Table, text: &str) -> Result<String, SqlError> {
    let catalogue = Catalogue::default();
    let context = BindContext::new(table.owner);
    let mut binder = Binder::new(&catalogue, &context);
    let scope = Scope::of_bare_table(table);
    let environment = Environment::new(&scope, Clause::Check);
    let parsed = crate::parse::parse_expression(text)?;
    binder.allow_text(text);
    let bound = binder.expression(&environment, &parsed)?;
    Ok(binder.settled(bound)?.sql)
}

/// The state of binding one statement.
struct Binder<'b> {
    catalogue: &'b Catalogue,
    context: &'b BindContext,
    parameters: Vec<Parameter>,
    reads: BTreeSet<TableId>,
    common_tables: Vec<CommonTable>,
    next_name: u32,
    /// References to columns of long values so far, see [`Binder::held`].
    long_references: u32,
    depth: usize,
    /// Most bytes an expression may be lowered to.
    lowered_len_max: usize,
    /// Relations and window functions so far.
    relations: u32,
    windows: u32,
    /// How many SELECTs are open around the one being bound.
    level: usize,
    /// Whether the statement changes rows: its reads then need a total order.
    writes: bool,
    /// Whether it reads the past.
    past: bool,
    /// The account whose rights count at the moment: that of the context, or a view's owner.
    acting: AccountId,
    /// What the parser's tree does not say of the statement.
    extension: Option<&'b Extension>,
    /// Schemas a bare name is looked up in, at the moment.
    search_path: Vec<String>,
    /// Names in the output of tables not all of whose columns may be read.
    limited: Vec<(String, Arc<Table>)>,
    sequences: BTreeSet<TableId>,
    changes_sequences: bool,
    /// Ids given to new definitions.
    ids_taken: u32,
    /// Definitions that come beside the one the statement is about.
    made: Vec<Definition>,
    /// Rows that functions in the select list being bound make.
    series: array::Series,
    /// Relations of the system catalogue it reads.
    system: system::Used,
    /// Policies being bound at the moment.
    open_policies: policy::Open,
    /// What policies give columns of the rows being inserted.
    forced: Vec<(ColumnId, String)>,
    /// Names of `$1`…, in a procedure.
    parameter_names: procedure::ParameterNames,
}

impl<'b> Binder<'b> {
    fn new(catalogue: &'b Catalogue, context: &'b BindContext) -> Self {
        Self {
            catalogue,
            context,
            parameters: parameter::declared(&context.parameters),
            reads: BTreeSet::new(),
            common_tables: Vec::new(),
            next_name: 1,
            long_references: 0,
            depth: 0,
            lowered_len_max: LOWERED_LEN_FREE,
            relations: 0,
            windows: 0,
            level: 0,
            writes: false,
            past: false,
            acting: context.account,
            extension: None,
            search_path: context.search_path.clone(),
            limited: Vec::new(),
            sequences: BTreeSet::new(),
            changes_sequences: false,
            ids_taken: 0,
            made: Vec::new(),
            series: array::Series::default(),
            system: system::Used::default(),
            open_policies: policy::Open::default(),
            forced: Vec::new(),
            parameter_names: procedure::ParameterNames::default(),
        }
    }

    /// The sequences the statement uses.
    fn used_sequences(&self) -> Sequences {
        Sequences {
            ids: self.sequences.iter().copied().collect(),
            changes: self.changes_sequences,
        }
    }

    fn statement(&mut self, statement: &Statement) -> Result<Bound, SqlError> {
        let mut bound = self.statement_of(statement)?;
        bound.measure(self.catalogue);
        match &bound {
            Bound::Query(query) => self.check_limited(&query.sqlite)?,
            Bound::Write(write) => self.check_limited(&write.sqlite)?,
            Bound::Call(call) => self.check_limited(&call.arguments.sqlite)?,
            Bound::Schema(_) => {}
        }
        Ok(bound)
    }

    fn statement_of(&mut self, statement: &Statement) -> Result<Bound, SqlError> {
        match statement {
            Statement::Query(query) => match query.body.as_ref() {
                SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => {
                    self.write_with(query.with.as_ref(), inner)
                }
                _ => self.top_query(query).map(Bound::Query),
            },
            Statement::Insert(insert) => {
                self.writes = true;
                self.insert(insert).map(Bound::Write)
            }
            Statement::Update(update) => {
                self.writes = true;
                self.update(update).map(Bound::Write)
            }
            Statement::Delete(delete) => {
                self.writes = true;
                self.delete(delete).map(Bound::Write)
            }
            Statement::Truncate(truncate) => self.truncate(truncate).map(Bound::Write),
            Statement::Call(function) => self.call_procedure(function).map(Bound::Call),
            Statement::Assert { condition, message } => match self.extension {
                Some(Extension::Constraints { names, deferred }) => {
                    self.set_constraints(names, *deferred)
                }
                _ => self.assertion(condition, message.as_ref()),
            }
            .map(Bound::Query),
            other => self.definition(other).map(Bound::Schema),
        }
    }

    /// WITH before INSERT, UPDATE or DELETE.
    fn write_with(&mut self, with: Option<&With>, inner: &Statement) -> Result<Bound, SqlError> {
        self.writes = true;
        let prefix = match with {
            Some(with) => self.with(with, None)?,
            None => String::new(),
        };
        let mut bound = self.statement(inner)?;
        if let Bound::Write(write) = &mut bound {
            write.sqlite.insert_str(0, &prefix);
        }
        Ok(bound)
    }

    /// A name no other part of the statement has: `r1`, `r2`…
    fn fresh(&mut self, letter: char) -> String {
        let name = format!("{letter}{}", self.next_name);
        self.next_name += 1;
        name
    }

    /// Allows as much lowered text as a text may give.
    fn allow_text(&mut self, text: &str) {
        self.lowered_len_max += LOWERED_LEN_PER_BYTE * text.len();
    }

    /// Refuses what was lowered to too much.
    fn check_lowered(&self, sqlite: &str) -> Result<(), SqlError> {
        if sqlite.len() > self.lowered_len_max {
            return Err(crate::parse::too_complex());
        }
        Ok(())
    }

    /// Counts a relation.
    fn count_relation(&mut self) -> Result<(), SqlError> {
        let hint = "Keep what a view computes in a table, or use fewer views of views.";
        count_up(&mut self.relations, RELATIONS_MAX, "relations", hint)
    }

    /// Counts a window function.
    fn count_window(&mut self) -> Result<(), SqlError> {
        let hint = "Compute them in several statements.";
        count_up(&mut self.windows, WINDOWS_MAX, "window functions", hint)
    }

    /// Runs one level deeper, within bounds.
    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if self.depth == DEPTH_MAX {
            return Err(crate::parse::too_complex());
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Tables read besides the one written.
    fn reads_besides(&self, written: TableId) -> Vec<TableId> {
        self.reads
            .iter()
            .copied()
            .filter(|id| *id != written)
            .collect()
    }
}

/// Counts one more of what a statement and its views may have so many of.
fn count_up(count: &mut u32, max: u32, what: &str, hint: &str) -> Result<(), SqlError> {
    *count += 1;
    if *count > max {
        let message = format!("the statement and its views have more than {max} {what}");
        return Err(SqlError::new("54001", message).hint(hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
