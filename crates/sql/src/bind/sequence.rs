//! `nextval`, `currval`, `setval`, `lastval`: numbers from sequences.
//!
//! A statement takes numbers from sequences the engine gave its functions beforehand, and the engine
//! writes back what was taken. So the text carries the sequence's id, and the statement lists it.

use sqlparser::ast::{CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};
use stele_core::Type;
use stele_core::schema::{Column, Kind, Privileges, Table};

use super::Binder;
use super::expression::Expression;
use super::literal::quoted_text;
use super::name::no_relation;
use super::scope::{Clause, Environment};
use crate::error::SqlError;

impl Binder<'_> {
    /// A call of a sequence function; `None` when it is none.
    pub(super) fn sequence_call(
        &mut self,
        environment: &Environment<'_>,
        name: &str,
        trees: &[&Expr],
    ) -> Option<Result<Expression, SqlError>> {
        Some(match (name, trees) {
            ("nextval", [tree]) => self.next_value(environment, tree),
            ("currval", [tree]) => self.current_value(tree),
            ("setval", [tree, value]) => self.set_value(environment, tree, value, None),
            ("setval", [tree, value, called]) => {
                self.set_value(environment, tree, value, Some(called))
            }
            ("lastval", []) => {
                self.changes_sequences = true;
                Ok(Expression::new("st_lastval()", Type::BigInt).not_null())
            }
            _ => return None,
        })
    }

    /// The next value of an identity column.
    pub(super) fn identity_value(&mut self, column: &Column) -> Option<Expression> {
        let sequence = column.identity?.sequence;
        self.sequences.insert(sequence);
        self.changes_sequences = true;
        let sql = format!("st_nextval({})", sequence.0);
        Some(Expression::new(sql, column.ty).not_null())
    }

    fn next_value(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        let sequence = self.sequence(tree)?;
        refuse_place(environment, "nextval")?;
        self.check_privilege(&sequence, Privileges::USAGE.with(Privileges::UPDATE))?;
        self.changes_sequences = true;
        let sql = format!("st_nextval({})", sequence.id.0);
        Ok(Expression::new(sql, Type::BigInt).not_null())
    }

    fn current_value(&mut self, tree: &Expr) -> Result<Expression, SqlError> {
        let sequence = self.sequence(tree)?;
        self.check_privilege(&sequence, Privileges::USAGE.with(Privileges::SELECT))?;
        // What it gives follows from the transaction, which a read of a snapshot does not know.
        self.changes_sequences = true;
        let sql = format!("st_currval({})", sequence.id.0);
        Ok(Expression::new(sql, Type::BigInt).not_null())
    }

    fn set_value(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
        value: &Expr,
        called: Option<&Expr>,
    ) -> Result<Expression, SqlError> {
        let sequence = self.sequence(tree)?;
        refuse_place(environment, "setval")?;
        self.check_privilege(&sequence, Privileges::UPDATE)?;
        self.changes_sequences = true;
        let asked = super::cast::Asked::Implicitly;
        let value = self.expression(environment, value)?;
        let value = self.cast(value, Type::BigInt, asked)?;
        let called = match called {
            None => "1".to_owned(),
            Some(tree) => {
                let called = self.expression(environment, tree)?;
                self.cast(called, Type::Bool, asked)?.sql
            }
        };
        let sql = format!("st_setval({},{},{called})", sequence.id.0, value.sql);
        Ok(Expression::new(sql, Type::BigInt))
    }

    /// The sequence a quoted name means, with or without `::regclass`.
    fn sequence(&mut self, tree: &Expr) -> Result<std::sync::Arc<Table>, SqlError> {
        let inner = match tree {
            Expr::Cast {
                kind: CastKind::DoubleColon | CastKind::Cast,
                expr,
                data_type,
                ..
            } if ["regclass", "text"].contains(&data_type.to_string().to_lowercase().as_str()) => {
                expr
            }
            other => other,
        };
        if let Expr::Function(call) = inner
            && call
                .name
                .to_string()
                .rsplit('.')
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("pg_get_serial_sequence"))
        {
            return self.serial_sequence(call);
        }
        let Some(text) = quoted_text(inner) else {
            return Err(SqlError::unsupported(
                "the name of a sequence that is computed",
                "Write it as a quoted literal: nextval('name').",
            ));
        };
        let (schema, name) = path(text);
        let table = self.find_table(schema.as_deref(), &name).cloned();
        let table = table.ok_or_else(|| no_relation(schema.as_deref(), &name))?;
        if !matches!(table.kind, Kind::Sequence(_)) {
            return Err(SqlError::new(
                "42809",
                format!("\"{}\" is not a sequence", table.name),
            ));
        }
        self.sequences.insert(table.id);
        Ok(table)
    }

    /// The sequence of an identity column, by `pg_get_serial_sequence('table', 'column')`.
    fn serial_sequence(&mut self, call: &Function) -> Result<std::sync::Arc<Table>, SqlError> {
        let texts = match &call.args {
            FunctionArguments::List(list) => list.args.iter().map(quoted_argument).collect(),
            _ => None,
        };
        let texts: Option<Vec<&str>> = texts;
        let Some([table, column]) = texts.as_deref() else {
            return Err(SqlError::unsupported(
                "the name of a sequence that is computed",
                "Write the table and the column as quoted literals.",
            ));
        };
        let (schema, name) = path(table);
        let found = self.find_table(schema.as_deref(), &name).cloned();
        let found = found.ok_or_else(|| no_relation(schema.as_deref(), &name))?;
        let no_column = || {
            SqlError::new(
                "42703",
                format!("column \"{column}\" of relation \"{name}\" does not exist"),
            )
        };
        let column = found.column_named(column).ok_or_else(no_column)?;
        let sequence = column.identity.map(|identity| identity.sequence);
        let sequence = sequence.and_then(|id| self.catalogue.table(id)).cloned();
        let sequence = sequence.ok_or_else(|| {
            SqlError::unsupported(
                format!("the sequence of column \"{}\", which has none", column.name),
                "Name a column that is GENERATED … AS IDENTITY.",
            )
        })?;
        self.sequences.insert(sequence.id);
        Ok(sequence)
    }
}

fn quoted_argument(argument: &FunctionArg) -> Option<&str> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) => quoted_text(tree),
        _ => None,
    }
}

/// Schema and name as regclass reads them.
fn path(text: &str) -> (Option<String>, String) {
    match text.split_once('.') {
        Some((schema, name)) => (Some(unquoted(schema)), unquoted(name)),
        None => (None, unquoted(text)),
    }
}

/// A name as regclass reads it: folded unless it is in double quotes.
fn unquoted(name: &str) -> String {
    match name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_ascii_lowercase(),
    }
}

/// How often a condition is tried is the planner's matter, so none may take numbers.
fn refuse_place(environment: &Environment<'_>, function: &str) -> Result<(), SqlError> {
    let takes = matches!(
        environment.clause,
        Clause::Select | Clause::Values | Clause::Set | Clause::Default
    );
    if takes {
        return Ok(());
    }
    Err(SqlError::unsupported(
        format!("{function} in {}", environment.clause.words()),
        "Take the number in a SELECT list, VALUES, SET or DEFAULT.",
    ))
}
