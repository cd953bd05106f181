//! UPDATE, and RETURNING for all writes.

use sqlparser::ast::{
    AssignmentTarget, SelectItem, TableAlias, TableFactor, TableWithJoins, Update,
    UpdateTableFromKind,
};
use stele_core::schema::{ColumnId, PolicyCommand, Privileges, Table};

use super::Binder;
use super::from::merge;
use super::name::folded;
use super::scope::{Clause, Environment, Relation, Scope};
use crate::bound::{BoundWrite, Operation};
use crate::error::SqlError;
use crate::physical::{column_name, table_name};
use crate::result::OutputColumn;
use std::sync::Arc;

/// The columns that assignments change; those that are not there are told later.
pub(super) fn assigned(table: &Table, targets: &[&AssignmentTarget]) -> Vec<ColumnId> {
    let names = targets.iter().flat_map(|target| match target {
        AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
        AssignmentTarget::Tuple(names) => names.as_slice(),
    });
    let columns = names.filter_map(|name| {
        let name = super::name::parts(name).ok()?.pop()?;
        table.column_named(&name)
    });
    columns.map(|column| column.id).collect()
}

impl Binder<'_> {
    pub(super) fn update(&mut self, update: &Update) -> Result<BoundWrite, SqlError> {
        let from = match &update.from {
            None => None,
            Some(UpdateTableFromKind::AfterSet(items)) => Some(items.as_slice()),
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(SqlError::new("42601", "syntax error at or near \"FROM\""));
            }
        };
        if update.or.is_some()
            || update.output.is_some()
            || !update.order_by.is_empty()
            || update.limit.is_some()
        {
            return Err(SqlError::new("42601", "syntax error in UPDATE"));
        }
        let changed: Vec<_> = update.assignments.iter().map(|one| &one.target).collect();
        let (table, shown) = self.written_table(&update.table, Privileges::UPDATE, &changed)?;
        if let Some(items) = from {
            return self.update_from(update, &table, &shown, items);
        }
        let alias = self.fresh('r');
        self.check_read_if_used(&table, &alias);
        let scope = Scope {
            relations: vec![Relation::of_table(&table, Some(&alias), &shown, false)],
            merged: Vec::new(),
        };
        let environment = Environment::new(&scope, Clause::Set);
        let assignments = self.assignments(&table, &environment, &update.assignments)?;
        let environment = environment.with_clause(Clause::Where);
        let mut condition = match &update.selection {
            None => String::new(),
            Some(tree) => self.condition(&environment, tree)?.sql,
        };
        let column = format!("{alias}.c");
        let reads = update.returning.is_some()
            || assignments.contains(&column)
            || condition.contains(&column);
        let policy = self.target_condition(&table, PolicyCommand::Update, &alias, reads)?;
        if let Some(policy) = policy {
            let bound = if condition.is_empty() {
                "1"
            } else {
                &condition
            };
            let selection = update.selection.as_ref();
            condition = self.guarded(&environment, selection, bound, &policy)?;
        }
        if !condition.is_empty() {
            condition.insert_str(0, " WHERE ");
        }
        // With FROM, SQLite computes all new values before it changes the first row. A sub-select of
        // the same table then sees the rows as they were, as in PostgreSQL.
        let before = if self.reads.contains(&table.id) {
            format!(" FROM (SELECT 1) AS {}", self.fresh('r'))
        } else {
            String::new()
        };
        let (columns, returning) =
            self.returning(&table, &shown, false, update.returning.as_deref())?;
        let checks = self.row_checks(&table, None, Some(&assigned(&table, &changed)), reads)?;
        let sqlite = format!(
            "UPDATE {} AS {alias} SET {assignments}{before}{condition}{returning}",
            table_name(table.id)
        );
        let write = self.bound_write(&table, Operation::Update, sqlite, columns);
        Ok(write.checking(checks))
    }

    /// UPDATE … FROM. A row that several rows of FROM match must get the same values from each, else
    /// the statement fails: which of them counts would depend on the plan.
    fn update_from(
        &mut self,
        update: &Update,
        table: &Arc<Table>,
        shown: &str,
        items: &[TableWithJoins],
    ) -> Result<BoundWrite, SqlError> {
        let (mut scope, from) = self.from(items, None)?;
        let inner = self.fresh('r');
        self.check_read_if_used(table, &inner);
        let target = Relation::of_table(table, Some(&inner), shown, false);
        let keys = target.key.clone();
        let own = Scope {
            relations: vec![target],
            merged: Vec::new(),
        };
        merge(&mut scope, own)?;
        let environment = Environment::new(&scope, Clause::Set);
        let assigned = self.assigned(table, &environment, &update.assignments)?;
        let condition = match &update.selection {
            None => String::new(),
            Some(tree) => {
                let environment = environment.with_clause(Clause::Where);
                format!(" WHERE {}", self.condition(&environment, tree)?.sql)
            }
        };
        let (columns, returning) =
            self.returning(table, shown, true, update.returning.as_deref())?;
        let target = match self.target_condition(table, PolicyCommand::Update, &inner, true)? {
            None => format!("{} AS {inner}", table_name(table.id)),
            Some(policy) => {
                let rows = table_name(table.id);
                format!("(SELECT * FROM {rows} AS {inner} WHERE {policy} LIMIT -1) AS {inner}")
            }
        };
        let changed: Vec<_> = update.assignments.iter().map(|one| &one.target).collect();
        let given = self::assigned(table, &changed);
        let checks = self.row_checks(table, None, Some(&given), true)?;
        let (outer, matched) = (self.fresh('r'), self.fresh('r'));
        let mut list = Vec::new();
        let mut joined = Vec::new();
        for (number, (id, key)) in table.primary_key.iter().zip(&keys).enumerate() {
            list.push(format!("{key} AS p{number}"));
            joined.push(format!("{outer}.{}={matched}.p{number}", column_name(*id)));
        }
        let mut sets = Vec::new();
        for (number, (id, value)) in assigned.iter().enumerate() {
            list.push(format!("st_same({value}) AS v{number}"));
            sets.push(format!("{}={matched}.v{number}", column_name(*id)));
        }
        let (height, index) = self.hidden();
        let name = table_name(table.id);
        let sqlite = format!(
            "UPDATE {name} AS {outer} SET {},_h={height},_x={index} FROM (SELECT {} FROM {from} JOIN {target}{condition} GROUP BY {}) AS {matched} WHERE {}{returning}",
            sets.join(","),
            list.join(","),
            keys.join(","),
            joined.join(" AND ")
        );
        let write = self.bound_write(table, Operation::Update, sqlite, columns);
        Ok(write.checking(checks))
    }

    /// The table an UPDATE or DELETE names, and what it calls it.
    pub(super) fn written_table(
        &mut self,
        item: &TableWithJoins,
        privilege: Privileges,
        changed: &[&AssignmentTarget],
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
        let columns = assigned(&table, changed);
        self.check_writable(&table, privilege, &columns)?;
        let shown = alias.as_ref().map_or_else(
            || table.name.clone(),
            |TableAlias { name, .. }| folded(name),
        );
        Ok((table, shown))
    }

    /// RETURNING: its columns, and its text with the keyword. `joined` says that the statement names
    /// other tables, of which SQLite returns nothing.
    pub(super) fn returning(
        &mut self,
        table: &Arc<Table>,
        shown: &str,
        joined: bool,
        items: Option<&[SelectItem]>,
    ) -> Result<(Vec<OutputColumn>, String), SqlError> {
        let Some(items) = items else {
            return Ok((Vec::new(), String::new()));
        };
        // SQLite knows the table by its own name there, not by its alias.
        let own = table_name(table.id);
        self.check_read_as(table, &own)?;
        let scope = Scope {
            relations: vec![Relation::of_table(table, Some(&own), shown, false)],
            merged: Vec::new(),
        };
        let environment = Environment::new(&scope, Clause::Returning);
        let others = std::mem::take(&mut self.reads);
        let all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_));
        if joined && items.iter().any(all) {
            return Err(other_rows(shown));
        }
        let listed = match self.select_list(items, &environment) {
            Err(error) if joined && matches!(error.code.as_str(), "42P01" | "42703") => {
                return Err(other_rows(shown));
            }
            listed => listed?,
        };
        self.refuse_own_rows(table, "RETURNING")?;
        self.reads.extend(others);
        let mut columns = Vec::with_capacity(listed.len());
        let mut texts = Vec::with_capacity(listed.len());
        for column in listed {
            let (expression, ty, system) = self.output(column.expression)?;
            texts.push(expression.sql);
            columns.push(OutputColumn {
                name: column.name,
                ty,
                system,
            });
        }
        Ok((columns, format!(" RETURNING {}", texts.join(","))))
    }
}

fn other_rows(shown: &str) -> SqlError {
    SqlError::unsupported(
        "RETURNING of another table than the one that is changed",
        format!("Return its own columns: RETURNING {shown}.*."),
    )
}
