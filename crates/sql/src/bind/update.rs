//! UPDATE, and RETURNING for all writes.

use sqlparser::ast::{SelectItem, TableAlias, TableFactor, TableWithJoins, Update};
use stele_core::schema::Table;

use super::Binder;
use super::name::folded;
use super::scope::{Clause, Environment, Relation, Scope};
use crate::bound::{BoundWrite, Operation};
use crate::error::SqlError;
use crate::physical::table_name;
use crate::result::OutputColumn;
use std::sync::Arc;

impl Binder<'_> {
    pub(super) fn update(&mut self, update: &Update) -> Result<BoundWrite, SqlError> {
        if update.from.is_some() {
            return Err(SqlError::unsupported(
                "UPDATE … FROM",
                "Use a scalar sub-select: SET a = (SELECT …) WHERE EXISTS (SELECT …).",
            ));
        }
        if update.or.is_some()
            || update.output.is_some()
            || !update.order_by.is_empty()
            || update.limit.is_some()
        {
            return Err(SqlError::new("42601", "syntax error in UPDATE"));
        }
        let (table, shown) = self.written_table(&update.table)?;
        let alias = self.fresh('r');
        let scope = Scope {
            relations: vec![Relation::of_table(&table, Some(&alias), &shown, false)],
            merged: Vec::new(),
        };
        let environment = Environment::new(&scope, Clause::Set);
        let assignments = self.assignments(&table, &environment, &update.assignments)?;
        // With FROM, SQLite computes all new values before it changes the first row. A sub-select of
        // the same table then sees the rows as they were, as in PostgreSQL.
        let before = if self.reads.contains(&table.id) {
            format!(" FROM (SELECT 1) AS {}", self.fresh('r'))
        } else {
            String::new()
        };
        let condition = match &update.selection {
            None => String::new(),
            Some(tree) => {
                let environment = environment.with_clause(Clause::Where);
                format!(" WHERE {}", self.condition(&environment, tree)?.sql)
            }
        };
        let (columns, returning) = self.returning(&table, update.returning.as_deref())?;
        let sqlite = format!(
            "UPDATE {} AS {alias} SET {assignments}{before}{condition}{returning}",
            table_name(table.id)
        );
        Ok(self.bound_write(&table, Operation::Update, sqlite, columns))
    }

    /// The table an UPDATE or DELETE names, and what it calls it.
    pub(super) fn written_table(
        &mut self,
        item: &TableWithJoins,
    ) -> Result<(Arc<Table>, String), SqlError> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = &item.relation
        else {
            return Err(SqlError::new(
                "42601",
                "syntax error: a table name is needed",
            ));
        };
        if !item.joins.is_empty() {
            return Err(SqlError::new("42601", "syntax error at or near \"JOIN\"")
                .hint("Use WHERE EXISTS (SELECT …)."));
        }
        let table = self.table(name)?;
        self.check_writable(&table)?;
        self.check_readable(&table)?;
        let shown = alias.as_ref().map_or_else(
            || table.name.clone(),
            |TableAlias { name, .. }| folded(name),
        );
        Ok((table, shown))
    }

    /// RETURNING: its columns, and its text with the keyword.
    pub(super) fn returning(
        &mut self,
        table: &Arc<Table>,
        items: Option<&[SelectItem]>,
    ) -> Result<(Vec<OutputColumn>, String), SqlError> {
        let Some(items) = items else {
            return Ok((Vec::new(), String::new()));
        };
        self.check_readable(table)?;
        // SQLite knows the table by its own name there, not by its alias.
        let own = table_name(table.id);
        let scope = Scope {
            relations: vec![Relation::of_table(table, Some(&own), &table.name, false)],
            merged: Vec::new(),
        };
        let environment = Environment::new(&scope, Clause::Returning);
        let others = std::mem::take(&mut self.reads);
        let listed = self.select_list(items, &environment)?;
        self.refuse_own_rows(table, "RETURNING")?;
        self.reads.extend(others);
        let mut columns = Vec::with_capacity(listed.len());
        let mut texts = Vec::with_capacity(listed.len());
        for column in listed {
            let (expression, ty) = self.output(column.expression)?;
            texts.push(expression.sql);
            columns.push(OutputColumn {
                name: column.name,
                ty,
            });
        }
        Ok((columns, format!(" RETURNING {}", texts.join(","))))
    }
}
