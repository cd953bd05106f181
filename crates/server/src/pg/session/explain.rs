//! EXPLAIN.

use stele_core::{Type, Value};
use stele_sql::{OutputColumn, SqlError, StatementResult};

use super::plan::Plan;
use super::run::Delivery;
use super::{Session, blocking};
use crate::pg::error::node_error;

/// The one column of what it answers, as PostgreSQL names it.
pub(super) fn columns() -> Vec<OutputColumn> {
    vec![OutputColumn {
        name: "QUERY PLAN".to_owned(),
        ty: Type::Text,
        system: None,
    }]
}

impl Session {
    /// Answers with the plan of a statement, which is not run.
    pub(super) fn explain(&mut self, plan: &Plan, delivery: Delivery) -> Result<(), SqlError> {
        self.check_not_failed()?;
        self.preview_deferred()?;
        let (node, options) = (&self.node, self.read_options());
        let lines = blocking(|| node.explain(self.account, &plan.sql, options));
        let rows = lines.map_err(node_error)?.into_iter();
        let result = StatementResult {
            tag: "EXPLAIN".to_owned(),
            columns: columns(),
            rows: rows.map(|line| vec![Value::Text(line)]).collect(),
            rows_affected: 0,
        };
        self.deliver(result, delivery);
        Ok(())
    }
}
