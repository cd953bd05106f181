//! DELETE.

use sqlparser::ast::{Delete, FromTable};

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
        let (table, shown) = self.written_table(item)?;
        let alias = self.fresh('r');
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
        // Always true: every write takes the two hidden parameters.
        let (height, index) = self.hidden();
        conditions.push(format!("({height} >= 0 AND {index} >= 0)"));
        let (columns, returning) = self.returning(&table, delete.returning.as_deref())?;
        let sqlite = format!(
            "DELETE FROM {} AS {alias} WHERE {}{returning}",
            table_name(table.id),
            conditions.join(" AND ")
        );
        Ok(self.bound_write(&table, Operation::Delete, sqlite, columns))
    }
}
