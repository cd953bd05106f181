//! CALL: the statements of a procedure, one after the other, in the caller's transaction.
//!
//! They run with the rights of the procedure's owner and within what the transaction may still cost;
//! a failure is one of the whole transaction.

use std::sync::Arc;

use stele_core::AccountId;
use stele_core::outcome::Change;
use stele_core::schema::{Kind, TableId};
use stele_core::transaction::Statement;

use super::Engine;
use super::error::EngineError;
use super::outcome::Failure;
use super::row_log::Stamp;
use super::statement::Allowance;
use crate::bind::bind_statement;
use crate::bound::{Bound, BoundCall};
use crate::error::SqlError;
use crate::result::StatementResult;

/// Deepest nesting of procedures that call procedures.
pub(super) const CALL_DEPTH_MAX: u32 = 16;
/// Most statements of procedures in one transaction.
pub(super) const CALL_STATEMENTS_MAX: u32 = 10_000;

/// A procedure's statements, bound against the catalogue as it is.
#[derive(Debug)]
pub(super) struct Body {
    owner: AccountId,
    statements: Vec<(String, Bound)>,
}

impl Engine {
    /// Runs a procedure for an account.
    pub(super) fn run_call(
        &mut self,
        account: AccountId,
        call: &BoundCall,
        statement: &Statement,
        stamp: Stamp,
        allowance: &mut Allowance,
        changes: &mut Vec<Change>,
    ) -> Result<StatementResult, Failure> {
        let given = {
            let mut prepared = self.prepare(&call.arguments.sqlite)?;
            let values = &statement.parameters;
            self.run_query(&mut prepared, &call.arguments, values, stamp, allowance)?
        };
        let arguments = given.rows.into_iter().next().unwrap_or_default();
        let body = self.body(call.procedure)?;
        if allowance.call_depth == CALL_DEPTH_MAX {
            return Err(SqlError::new(
                "54001",
                format!("procedures call each other more than {CALL_DEPTH_MAX} deep"),
            )
            .hint("Call less deeply: a procedure cannot end a recursion by a condition.")
            .into());
        }
        if allowance.call_depth == 0 {
            self.context.set_caller(account);
        }
        allowance.call_depth += 1;
        let mut rows_affected = 0u64;
        for (sql, bound) in &body.statements {
            allowance.call_statements = match allowance.call_statements.checked_sub(1) {
                Some(left) => left,
                None => {
                    return Err(SqlError::new(
                        "54000",
                        format!("the procedures of a transaction run more than {CALL_STATEMENTS_MAX} statements"),
                    )
                    .hint("Split it into smaller transactions.")
                    .into());
                }
            };
            let statement = Statement {
                sql: sql.clone(),
                parameters: arguments.clone(),
                result: None,
            };
            let statements = std::slice::from_ref(&statement);
            let ran = self.run_alike(body.owner, bound, statements, stamp, allowance, changes)?;
            for result in ran {
                rows_affected = rows_affected.saturating_add(result.rows_affected);
            }
        }
        allowance.call_depth -= 1;
        Ok(StatementResult {
            tag: "CALL".to_owned(),
            rows_affected,
            ..StatementResult::default()
        })
    }

    /// A procedure's statements, bound or remembered.
    fn body(&mut self, id: TableId) -> Result<Arc<Body>, Failure> {
        if let Some(body) = self.statements.procedure(id) {
            return Ok(body);
        }
        let Some(definition) = self.catalogue.table(id) else {
            return Err(EngineError::NoTable(id).into());
        };
        let Kind::Procedure(procedure) = &definition.kind else {
            return Err(EngineError::NoTable(id).into());
        };
        let mut statements = Vec::with_capacity(procedure.statements.len());
        for (place, sql) in procedure.statements.iter().enumerate() {
            let bound = bind_statement(&self.catalogue, definition, procedure, place)?;
            statements.push((sql.clone(), bound));
        }
        let owner = definition.owner;
        let body = Arc::new(Body { owner, statements });
        self.statements.set_procedure(id, Arc::clone(&body));
        Ok(body)
    }
}
