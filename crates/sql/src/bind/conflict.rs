//! ON CONFLICT.

use std::sync::Arc;

use sqlparser::ast::{ConflictTarget, DoUpdate, Ident, ObjectName, OnConflict, OnConflictAction};
use stele_core::schema::{ColumnId, Index, Privileges, Table};

use super::Binder;
use super::name::{folded, parts};
use super::scope::{Clause, Environment, Relation, Scope};
use crate::error::SqlError;
use crate::physical::column_name;

impl Binder<'_> {
    pub(super) fn on_conflict(
        &mut self,
        table: &Arc<Table>,
        alias: &str,
        shown: &str,
        on: &OnConflict,
        given: &[ColumnId],
    ) -> Result<String, SqlError> {
        let target = match &on.conflict_target {
            None => None,
            Some(ConflictTarget::Columns(idents)) => Some(arbiter(table, idents)?),
            Some(ConflictTarget::OnConstraint(name)) => Some(constraint_columns(table, name)?),
        };
        let target = target.map(|columns| {
            let names: Vec<String> = columns.iter().map(|id| column_name(*id)).collect();
            format!("({})", names.join(","))
        });
        match (&on.action, target) {
            (OnConflictAction::DoNothing, target) => Ok(format!(
                " ON CONFLICT{} DO NOTHING",
                target.unwrap_or_default()
            )),
            (OnConflictAction::DoUpdate(_), None) => Err(SqlError::new(
                "42601",
                "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            )
            .hint("For example, ON CONFLICT (column_name).")),
            (OnConflictAction::DoUpdate(update), Some(target)) => {
                let update = self.do_update(table, alias, shown, update, given)?;
                Ok(format!(" ON CONFLICT{target} DO UPDATE SET {update}"))
            }
        }
    }

    fn do_update(
        &mut self,
        table: &Arc<Table>,
        alias: &str,
        shown: &str,
        update: &DoUpdate,
        given: &[ColumnId],
    ) -> Result<String, SqlError> {
        let changed: Vec<_> = update.assignments.iter().map(|one| &one.target).collect();
        let columns = super::update::assigned(table, &changed);
        self.check_writable(table, Privileges::UPDATE, &columns)?;
        self.check_read_if_used(table, alias);
        let scope = Scope {
            relations: vec![
                Relation::of_table(table, Some(alias), shown, false),
                Relation::of_table(table, Some("excluded"), "excluded", true),
            ],
            merged: Vec::new(),
        };
        let environment = Environment::new(&scope, Clause::Set);
        let others = std::mem::take(&mut self.reads);
        let mut text = self.assignments(table, &environment, &update.assignments)?;
        let mut selection = None;
        if let Some(condition) = &update.selection {
            let environment = environment.with_clause(Clause::Where);
            selection = Some(self.condition(&environment, condition)?.sql);
        }
        if let Some(cases) = self.conflict_cases(table, alias, given)? {
            let condition = selection.as_deref().unwrap_or("1");
            selection = Some(format!("CASE {cases} ELSE {condition} END"));
        }
        if let Some(condition) = selection {
            text.push_str(&format!(" WHERE {condition}"));
        }
        self.refuse_own_rows(table, "DO UPDATE")?;
        self.reads.extend(others);
        Ok(text)
    }
}

/// The unique constraint whose columns a conflict target names, in any order.
fn arbiter(table: &Table, idents: &[Ident]) -> Result<Vec<ColumnId>, SqlError> {
    let mut named = Vec::with_capacity(idents.len());
    for ident in idents {
        let name = folded(ident);
        let column = table.column_named(&name);
        named.push(column.ok_or_else(|| super::name::no_column(&name))?.id);
    }
    let same = |columns: &[ColumnId]| {
        columns.len() == named.len() && columns.iter().all(|column| named.contains(column))
    };
    let unique = table.indexes.iter().filter(|index| index.unique);
    std::iter::once(table.primary_key.clone())
        .chain(unique.filter_map(Index::plain_columns))
        .find(|columns| same(columns))
        .ok_or_else(|| {
            SqlError::new(
                "42P10",
                "there is no unique or exclusion constraint matching the ON CONFLICT specification",
            )
        })
}

fn constraint_columns(table: &Table, name: &ObjectName) -> Result<Vec<ColumnId>, SqlError> {
    let name = parts(name)?.pop().unwrap_or_default();
    if name == table.primary_key_name {
        return Ok(table.primary_key.clone());
    }
    let index = table
        .indexes
        .iter()
        .find(|index| index.unique && index.name == name);
    index.and_then(Index::plain_columns).ok_or_else(|| {
        SqlError::new(
            "42704",
            format!(
                "constraint \"{name}\" for table \"{}\" does not exist",
                table.name
            ),
        )
    })
}
