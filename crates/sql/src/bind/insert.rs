//! INSERT, with RETURNING.

use std::sync::Arc;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Insert, ObjectName, OnConflict, OnConflictAction, OnInsert,
    Query, SetExpr, TableObject,
};
use stele_core::schema::{Column, ColumnId, Privileges, Table};

use super::Binder;
use super::expression::{Expression, Ty};
use super::from::gives_rows_in_order;
use super::name::{folded, parts};
use super::scope::{Clause, Environment, Scope};
use crate::bound::{BoundWrite, Operation, Reliance, RowChecks};
use crate::error::SqlError;
use crate::parse::Extension;
use crate::physical::{column_name, table_name};
use crate::reach::Reach;

impl Binder<'_> {
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<BoundWrite, SqlError> {
        refuse_extras(insert)?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::new(
                "42601",
                "syntax error: INSERT needs a table name",
            ));
        };
        let table = self.table(name)?;
        let mut targets = targets(&table, &insert.columns)?;
        if insert.columns.is_empty()
            && let Some(query) = &insert.source
            && let Some(given) = width(query)
        {
            // What is left takes its default.
            targets.truncate(given);
        }
        self.check_writable(&table, Privileges::INSERT, &targets)?;
        let alias = self.fresh('r');
        let forced = self.forced_values(&table)?;
        let outer = std::mem::replace(&mut self.forced, forced);
        let source = match &insert.source {
            None => {
                targets.clear();
                self.default_row(&table)
            }
            Some(query) => self.source(&table, &mut targets, insert.columns.is_empty(), query),
        };
        self.forced = outer;
        let source = source?;
        let shown = insert
            .table_alias
            .as_ref()
            .map_or_else(|| table.name.clone(), |alias| folded(&alias.alias));
        let on_conflict = match &insert.on {
            None => String::new(),
            Some(OnInsert::OnConflict(on)) => {
                self.on_conflict(&table, &alias, &shown, on, &targets)?
            }
            Some(_) => {
                return Err(
                    SqlError::new("42601", "syntax error at or near \"DUPLICATE\"")
                        .hint("Use ON CONFLICT … DO UPDATE."),
                );
            }
        };
        let (columns, returning) =
            self.returning(&table, &shown, false, insert.returning.as_deref())?;
        let changed = match &insert.on {
            Some(OnInsert::OnConflict(OnConflict {
                action: OnConflictAction::DoUpdate(update),
                ..
            })) => {
                let changed: Vec<_> = update.assignments.iter().map(|one| &one.target).collect();
                Some(super::update::assigned(&table, &changed))
            }
            _ => None,
        };
        let reads = insert.returning.is_some() || changed.is_some();
        let checks = self.row_checks(&table, Some(&targets), changed.as_deref(), reads)?;
        let names: Vec<String> = table.columns.iter().map(|c| column_name(c.id)).collect();
        let sqlite = format!(
            "INSERT INTO {} AS {alias}({},_h,_x) {source}{on_conflict}{returning}",
            table_name(table.id),
            names.join(",")
        );
        let is_certain =
            source.starts_with("VALUES") && on_conflict.is_empty() && columns.is_empty();
        let write = self.bound_write(&table, Operation::Insert, sqlite, columns);
        Ok(BoundWrite {
            is_certain,
            rows_once: changed.is_some(),
            ..write.checking(checks)
        })
    }

    pub(super) fn bound_write(
        &self,
        table: &Table,
        operation: Operation,
        sqlite: String,
        columns: Vec<crate::result::OutputColumn>,
    ) -> BoundWrite {
        BoundWrite {
            reliance: Reliance::of(&sqlite),
            reach: Reach::default(),
            sqlite,
            parameters: self.parameter_types(),
            arrays: self.parameter_arrays(),
            columns,
            table: table.id,
            operation,
            reads: self.reads_besides(table.id),
            rows_once: false,
            is_certain: false,
            sequences: self.used_sequences(),
            restarts: Vec::new(),
            checks: RowChecks::default(),
        }
    }

    /// The two parameters after the user's, for the columns `_h` and `_x`.
    pub(super) fn hidden(&self) -> (String, String) {
        let count = self.parameters.len();
        (format!("?{}", count + 1), format!("?{}", count + 2))
    }

    /// What goes after the column list.
    fn source(
        &mut self,
        table: &Arc<Table>,
        targets: &mut Vec<ColumnId>,
        unnamed: bool,
        query: &Query,
    ) -> Result<String, SqlError> {
        if let SetExpr::Values(values) = query.body.as_ref()
            && query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
        {
            let mut rows = Vec::with_capacity(values.rows.len());
            let lengths = values.rows.iter().map(|row| row.content.len());
            if lengths.clone().min() != lengths.max() {
                return Err(SqlError::new(
                    "42601",
                    "VALUES lists must all be the same length",
                ));
            }
            for row in &values.rows {
                rows.push(self.values_row(table, targets, &row.content)?);
            }
            return Ok(format!("VALUES {}", rows.join(",")));
        }
        let mut select = self.query(query, None)?;
        let given = select.columns.len();
        if unnamed {
            targets.truncate(given);
        }
        check_count(targets.len(), select.columns.len())?;
        let own_order = select.is_plain && gives_rows_in_order(query);
        if own_order {
            select.order.clone_from(&select.key);
        }
        select.make_castable(self);
        let alias = self.fresh('r');
        for (column, target) in select.columns.iter_mut().zip(targets.iter()) {
            let column_definition = known(table, *target)?;
            let expression = std::mem::replace(&mut column.expression, Expression::unknown(""));
            column.expression = self.assign(expression, column_definition)?;
        }
        let inner = select.text(self)?;
        let inner = self.fenced(&inner);
        let mut values = Vec::with_capacity(table.columns.len());
        let mut order = Vec::new();
        for column in &table.columns {
            let given = targets.iter().position(|target| *target == column.id);
            match given.filter(|_| self.takes_value(column).unwrap_or(true)) {
                _ if self.forced_of(column).is_some() => {
                    values.extend(self.forced_of(column));
                }
                Some(place) => {
                    self.takes_value(column)?;
                    let text = format!("{alias}.k{}", place + 1);
                    // The key first: rows are then written in the order of the table.
                    if table.primary_key.contains(&column.id) {
                        order.insert(0, text.clone());
                    } else {
                        order.push(text.clone());
                    }
                    values.push(text);
                }
                None => values.push(self.default_of(column)?.sql),
            }
        }
        let (height, index) = self.hidden();
        let values = values.join(",");
        let counts = |call| values.contains(call);
        if own_order || counts("st_nextval(") || counts("st_row_id(") {
            // Numbers are taken, and rows returned, in the order the query gives its rows.
            let rows = self.fresh('m');
            let end = if own_order || query.order_by.is_some() {
                String::new()
            } else {
                let places: Vec<String> = (1..=targets.len()).map(|n| n.to_string()).collect();
                format!(" ORDER BY {}", places.join(","))
            };
            return Ok(format!(
                "SELECT {values},{height},{index} FROM \
                 (WITH {rows} AS MATERIALIZED (SELECT * FROM ({inner}){end}) SELECT * FROM {rows}) AS {alias} WHERE 1"
            ));
        }
        Ok(format!(
            "SELECT {values},{height},{index} FROM ({inner}) AS {alias} WHERE 1 ORDER BY {}",
            order.join(",")
        ))
    }

    fn values_row(
        &mut self,
        table: &Arc<Table>,
        targets: &[ColumnId],
        row: &[Expr],
    ) -> Result<String, SqlError> {
        check_count(targets.len(), row.len())?;
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Values);
        let mut values = Vec::with_capacity(table.columns.len() + 2);
        for column in &table.columns {
            let given = targets
                .iter()
                .position(|target| *target == column.id)
                .and_then(|place| row.get(place));
            let value = match given {
                None => self.default_of(column)?,
                Some(tree) if is_default(tree) => self.default_of(column)?,
                Some(_) if !self.takes_value(column)? => self.default_of(column)?,
                Some(tree) => {
                    let value = self.expression(&environment, tree)?;
                    self.assign(value, column)?
                }
            };
            values.push(self.forced_of(column).unwrap_or(value.sql));
        }
        let (height, index) = self.hidden();
        Ok(format!("({},{height},{index})", values.join(",")))
    }

    /// What a policy gives a column of a new row.
    fn forced_of(&self, column: &Column) -> Option<String> {
        let mut forced = self.forced.iter();
        let found = forced.find(|(id, _)| *id == column.id);
        found.map(|(_, value)| value.clone())
    }

    /// Whether a value given for a column is taken: not so for an identity column with OVERRIDING USER
    /// VALUE, and refused for one that is GENERATED ALWAYS.
    fn takes_value(&self, column: &Column) -> Result<bool, SqlError> {
        match (column.identity, self.extension) {
            (None, _) => Ok(true),
            (Some(_), Some(Extension::Overriding { user })) => Ok(!user),
            (Some(identity), _) if identity.always => {
                let mut error = SqlError::new(
                    "428C9",
                    format!(
                        "cannot insert a non-DEFAULT value into column \"{}\"",
                        column.name
                    ),
                );
                error.detail = Some(format!(
                    "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                    column.name
                ));
                Err(error.hint("Use OVERRIDING SYSTEM VALUE to override."))
            }
            (Some(_), _) => Ok(true),
        }
    }

    fn default_row(&mut self, table: &Arc<Table>) -> Result<String, SqlError> {
        let mut values = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let value = match self.forced_of(column) {
                Some(value) => value,
                None => self.default_of(column)?.sql,
            };
            values.push(value);
        }
        let (height, index) = self.hidden();
        Ok(format!("VALUES ({},{height},{index})", values.join(",")))
    }

    /// A column's DEFAULT, bound anew, or NULL.
    pub(super) fn default_of(&mut self, column: &Column) -> Result<Expression, SqlError> {
        if let Some(value) = self.identity_value(column) {
            return Ok(value);
        }
        if column.id == ColumnId::ROW {
            return Ok(Expression::new("st_row_id()", column.ty).not_null());
        }
        let Some(text) = &column.default else {
            return Ok(Expression::null(Ty::Of(column.ty)));
        };
        let tree = crate::parse::parse_expression(text)?;
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Default);
        let value = self.expression(&environment, &tree)?;
        self.assign(value, column)
    }

    /// Refuses a sub-select over the very table a clause changes row by row: what it would see
    /// depends on which rows went before.
    pub(super) fn refuse_own_rows(&self, table: &Table, clause: &str) -> Result<(), SqlError> {
        if self.reads.contains(&table.id) {
            return Err(SqlError::unsupported(
                format!("a sub-select of \"{}\" in its own {clause}", table.name),
                "Read it in a statement before, or in the query INSERT takes rows from.",
            ));
        }
        Ok(())
    }

    /// `c2=…,c3=…,_h=…,_x=…`
    pub(super) fn assignments(
        &mut self,
        table: &Arc<Table>,
        environment: &Environment<'_>,
        assignments: &[Assignment],
    ) -> Result<String, SqlError> {
        let assigned = self.assigned(table, environment, assignments)?;
        let mut texts: Vec<String> = assigned
            .into_iter()
            .map(|(column, value)| format!("{}={value}", column_name(column)))
            .collect();
        let (height, index) = self.hidden();
        texts.push(format!("_h={height},_x={index}"));
        Ok(texts.join(","))
    }

    /// The columns SET names, each with its new value.
    pub(super) fn assigned(
        &mut self,
        table: &Arc<Table>,
        environment: &Environment<'_>,
        assignments: &[Assignment],
    ) -> Result<Vec<(ColumnId, String)>, SqlError> {
        let mut done: Vec<(ColumnId, String)> = Vec::new();
        for assignment in assignments {
            let pairs: Vec<(&ObjectName, &Expr)> = match &assignment.target {
                AssignmentTarget::ColumnName(name) => vec![(name, &assignment.value)],
                AssignmentTarget::Tuple(names) => match super::walk::bare_ref(&assignment.value) {
                    Expr::Tuple(values) if values.len() == names.len() => {
                        names.iter().zip(values).collect()
                    }
                    Expr::Subquery(query) if names.len() > 1 => {
                        self.assign_row(table, environment, names, query, &mut done)?;
                        continue;
                    }
                    value if names.len() == 1 => names.iter().map(|name| (name, value)).collect(),
                    _ => {
                        return Err(SqlError::unsupported(
                            "SET (…) = a row that is not written out",
                            "Assign each column: SET a = …, b = ….",
                        ));
                    }
                },
            };
            for (name, tree) in pairs {
                let column = once(table, name, &done)?;
                let always = column.identity.is_some_and(|identity| identity.always);
                let value = if always && !is_default(tree) {
                    return Err(SqlError::new(
                        "428C9",
                        format!("column \"{}\" can only be updated to DEFAULT", column.name),
                    ));
                } else if is_default(tree) {
                    self.default_of(column)?
                } else {
                    let value = self.expression(environment, tree)?;
                    self.assign(value, column)?
                };
                done.push((column.id, value.sql));
            }
        }
        Ok(done)
    }

    /// `(a, b) = (SELECT x, y …)`
    fn assign_row(
        &mut self,
        table: &Arc<Table>,
        environment: &Environment<'_>,
        names: &[ObjectName],
        query: &Query,
        done: &mut Vec<(ColumnId, String)>,
    ) -> Result<(), SqlError> {
        environment.check_subselect()?;
        let mut select = self.query(query, Some(environment))?;
        if select.columns.len() != names.len() {
            return Err(SqlError::new(
                "42601",
                "number of columns does not match number of values",
            ));
        }
        select.settle_columns(self)?;
        let text = select.text(self)?;
        for (number, name) in names.iter().enumerate() {
            let column = once(table, name, done)?;
            let Some(given) = select.columns.get(number) else {
                continue;
            };
            let value = Expression {
                sql: format!("(SELECT st_single(k{}) FROM ({text}))", number + 1),
                ty: given.expression.ty,
                nullable: true,
                kind: super::expression::Kind::Other,
            };
            let value = self.assign(value, column)?;
            done.push((column.id, value.sql));
        }
        Ok(())
    }
}

/// A column assigned to, not before.
fn once<'t>(
    table: &'t Table,
    name: &ObjectName,
    done: &[(ColumnId, String)],
) -> Result<&'t Column, SqlError> {
    let column = assigned_column(table, name)?;
    if done.iter().any(|(other, _)| *other == column.id) {
        return Err(SqlError::new(
            "42601",
            format!("multiple assignments to same column \"{}\"", column.name),
        ));
    }
    Ok(column)
}

/// How many values each row of VALUES has, when that is what is inserted.
fn width(query: &Query) -> Option<usize> {
    match query.body.as_ref() {
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.len()),
        _ => None,
    }
}

fn refuse_extras(insert: &Insert) -> Result<(), SqlError> {
    let odd = insert.or.is_some()
        || insert.ignore
        || insert.overwrite
        || insert.replace_into
        || insert.partitioned.is_some()
        || !insert.assignments.is_empty()
        || !insert.after_columns.is_empty()
        || insert.insert_alias.is_some()
        || insert.output.is_some();
    if odd {
        return Err(SqlError::new("42601", "syntax error in INSERT"));
    }
    Ok(())
}

/// Whether a value is the word DEFAULT.
fn is_default(tree: &Expr) -> bool {
    match tree {
        Expr::Identifier(ident) => {
            ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default")
        }
        _ => false,
    }
}

fn known(table: &Table, id: ColumnId) -> Result<&Column, SqlError> {
    table
        .column(id)
        .ok_or_else(|| SqlError::new("XX000", "a column vanished while binding"))
}

/// The columns an INSERT gives, in its order; all when none are named.
fn targets(table: &Table, names: &[ObjectName]) -> Result<Vec<ColumnId>, SqlError> {
    if names.is_empty() {
        return Ok(table.declared_columns().map(|column| column.id).collect());
    }
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let column = assigned_column(table, name)?;
        if targets.contains(&column.id) {
            return Err(SqlError::new(
                "42701",
                format!("column \"{}\" specified more than once", column.name),
            ));
        }
        targets.push(column.id);
    }
    Ok(targets)
}

fn assigned_column<'t>(table: &'t Table, name: &ObjectName) -> Result<&'t Column, SqlError> {
    let parts = parts(name)?;
    let column = match parts.as_slice() {
        [column] => table.column_named(column),
        _ => None,
    };
    let column = column.filter(|column| column.id != ColumnId::ROW);
    column.ok_or_else(|| {
        SqlError::new(
            "42703",
            format!(
                "column \"{}\" of relation \"{}\" does not exist",
                parts.join("."),
                table.name
            ),
        )
    })
}

fn check_count(wanted: usize, given: usize) -> Result<(), SqlError> {
    if given > wanted {
        return Err(SqlError::new(
            "42601",
            "INSERT has more expressions than target columns",
        ));
    }
    if given < wanted {
        return Err(SqlError::new(
            "42601",
            "INSERT has more target columns than expressions",
        ));
    }
    Ok(())
}
