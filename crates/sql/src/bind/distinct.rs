//! DISTINCT ON: the first row of each group, numbered by a window.

use sqlparser::ast::Expr;

use super::Binder;
use super::expression::{Expression, Kind};
use super::query::{Column, Select, order_key, order_suffix};
use super::scope::{Clause, Environment};
use super::select::OrderKey;
use crate::error::SqlError;
use stele_core::Type;

impl Binder<'_> {
    /// Keeps of `select` the first row for each value of the keys, in the order asked for.
    pub(super) fn distinct_on(
        &mut self,
        mut select: Select,
        environment: &Environment<'_>,
        keys: &[Expr],
        order: Vec<OrderKey>,
    ) -> Result<Select, SqlError> {
        select.settle_columns(self)?;
        let environment = environment.with_clause(Clause::OrderBy);
        let mut partition = Vec::with_capacity(keys.len());
        for key in keys {
            let expression = self.output_or_input(&select, &environment, key)?;
            partition.push(order_key(&expression)?);
        }
        let leading = order.iter().take(partition.len());
        if leading.clone().any(|key| !partition.contains(&key.text)) {
            return Err(SqlError::new(
                "42P10",
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            ));
        }
        let mut items = Vec::with_capacity(order.len());
        for key in &order {
            items.push(format!(
                "{}{}",
                key.text,
                order_suffix(&key.options, key.nullable)?
            ));
        }
        if self.writes {
            // Which of equal rows is kept must not depend on the plan.
            items.extend(select.columns.iter().map(|c| c.expression.sql.clone()));
            items.extend(select.key.iter().cloned());
        }
        let shown = select.columns.len();
        let hidden = |sql: String| Column {
            name: String::new(),
            expression: Expression {
                kind: Kind::Other,
                ..Expression::new(sql, Type::Text)
            },
        };
        select
            .columns
            .extend(order.iter().map(|key| hidden(key.text.clone())));
        let windowed = |text: &String| text.contains("OVER (");
        if partition.iter().chain(&items).any(windowed) {
            return Err(SqlError::unsupported(
                "DISTINCT ON with a window function among its keys or in its ORDER BY",
                "Compute it in a sub-select in FROM.",
            ));
        }
        let mut window = format!("PARTITION BY {}", partition.join(","));
        if !items.is_empty() {
            window.push_str(&format!(" ORDER BY {}", items.join(",")));
        }
        select
            .columns
            .push(hidden(format!("row_number() OVER ({window})")));
        let number = select.columns.len();
        select.key = Vec::new();
        let text = select.text(self)?;
        let alias = self.fresh('r');
        let mut columns = select.outer_columns(&alias);
        columns.truncate(shown);
        let mut ordering = Vec::with_capacity(order.len());
        for (place, key) in order.iter().enumerate() {
            let suffix = order_suffix(&key.options, key.nullable)?;
            ordering.push(format!("{alias}.k{}{suffix}", shown + place + 1));
        }
        Ok(Select {
            columns,
            tail: format!(" FROM ({text}) AS {alias} WHERE {alias}.k{number} = 1"),
            order: ordering,
            single_row: select.single_row,
            ..Select::default()
        })
    }
}
