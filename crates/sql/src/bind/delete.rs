//! DELETE.

use sqlparser::ast::{CascadeOption, Delete, FromTable, Truncate, TruncateIdentityOption};

use stele_core::schema::{Kind, PolicyCommand, Privileges};

use super::Binder;
use super::scope::{Clause, Environment, Relation, Scope};
use crate::bound::{BoundWrite, Operation};
use crate::error::SqlError;
use crate::physical::table_name;

impl Binder<'_> {
    pub(super) fn delete(&mut self, delete: &Delete) -> Result<BoundWrite, SqlError> {
        if !delete.tables.is_empty()
            || delete.output.is_some()
            || !delete.order_by.is_empty()
            || delete.limit.is_some()
        {
            return Err(SqlError::new("42601", "syntax error in DELETE"));
        }
        let (FromTable::WithFromKeyword(items) | FromTable::WithoutKeyword(items)) = &delete.from;
        let [item] = items.as_slice() else {
            return Err(SqlError::new("42601", "DELETE takes one table"));
        };
        let (table, shown) = self.written_table(item, Privileges::DELETE, &[])?;
        let alias = self.fresh('r');
        self.check_read_if_used(&table, &alias);
        let scope = Scope {
            relations: vec![Relation::of_table(&table, Some(&alias), &shown, false)],
            merged: Vec::new(),
        };
        let environment = Environment::new(&scope, Clause::Where);
        let mut conditions = Vec::new();
        match (&delete.using, &delete.selection) {
            (None, None) => {}
            (None, Some(tree)) => conditions.push(self.condition(&environment, tree)?.sql),
            // A row goes when some row of the others matches: no order matters.
            (Some(items), selection) => {
                let (others, from) = self.from(items, Some(&environment))?;
                let inner = Environment::new(&others, Clause::Where).with_outer(Some(&environment));
                let condition = match selection {
                    Some(tree) => self.condition(&inner, tree)?.sql,
                    None => "1".to_owned(),
                };
                conditions.push(format!("EXISTS (SELECT 1 FROM {from} WHERE {condition})"));
            }
        }
        let column = format!("{alias}.c");
        let reads = delete.returning.is_some()
            || delete.using.is_some()
            || conditions
                .iter()
                .any(|condition| condition.contains(&column));
        let policy = self.target_condition(&table, PolicyCommand::Delete, &alias, reads)?;
        if let Some(policy) = policy {
            let bound = match conditions.pop() {
                Some(condition) => condition,
                None => "1".to_owned(),
            };
            let selection = delete.selection.as_ref().filter(|_| delete.using.is_none());
            conditions.push(self.guarded(&environment, selection, &bound, &policy)?);
        }
        // Always true: every write takes the two hidden parameters.
        let (height, index) = self.hidden();
        conditions.push(format!("({height} >= 0 AND {index} >= 0)"));
        let (columns, returning) = self.returning(
            &table,
            &shown,
            delete.using.is_some(),
            delete.returning.as_deref(),
        )?;
        let sqlite = format!(
            "DELETE FROM {} AS {alias} WHERE {}{returning}",
            table_name(table.id),
            conditions.join(" AND ")
        );
        Ok(self.bound_write(&table, Operation::Delete, sqlite, columns))
    }

    /// TRUNCATE: every row goes, and each is recorded.
    pub(super) fn truncate(&mut self, truncate: &Truncate) -> Result<BoundWrite, SqlError> {
        let [target] = truncate.table_names.as_slice() else {
            return Err(SqlError::unsupported(
                "TRUNCATE of several tables",
                "Send one TRUNCATE for each.",
            ));
        };
        if truncate.partitions.is_some() || truncate.if_exists || truncate.on_cluster.is_some() {
            return Err(SqlError::new("42601", "syntax error in TRUNCATE"));
        }
        if matches!(truncate.cascade, Some(CascadeOption::Cascade)) {
            return Err(SqlError::unsupported(
                "TRUNCATE … CASCADE",
                "Empty the tables that refer to it first.",
            ));
        }
        self.writes = true;
        let table = self.table(&target.name)?;
        self.check_writable(&table, Privileges::DELETE, &[])?;
        self.check_unfiltered(&table, "TRUNCATE")?;
        let (height, index) = self.hidden();
        let sqlite = format!(
            "DELETE FROM {} WHERE ({height} >= 0 AND {index} >= 0)",
            table_name(table.id)
        );
        let write = self.bound_write(&table, Operation::Truncate, sqlite, Vec::new());
        if !matches!(truncate.identity, Some(TruncateIdentityOption::Restart)) {
            return Ok(write);
        }
        // As in PostgreSQL, only who owns the sequences sets them back.
        self.check_owned(&table)?;
        let owned = self.owned_sequences(table.id, None);
        let restarts = owned.into_iter().filter_map(|id| {
            match self.catalogue.table(id).map(|sequence| &sequence.kind) {
                Some(Kind::Sequence(sequence)) => Some((id, sequence.start)),
                _ => None,
            }
        });
        Ok(BoundWrite {
            restarts: restarts.collect(),
            ..write
        })
    }
}
