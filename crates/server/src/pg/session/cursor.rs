//! SQL cursors: DECLARE, FETCH, MOVE, CLOSE.
//!
//! A cursor is a portal under the cursor's name, so that drivers can describe it. Its rows are
//! taken whole when it is declared: it shows one state however long it stays open.

use std::sync::Arc;

use stele_core::Value;
use stele_sql::{OutputColumn, SqlError, StatementResult};

use super::Session;
use super::extended::Portal;
use super::plan::{Class, Plan};
use super::run::{Delivery, Rows};
use crate::pg::command::{Declaration, Fetch};
use crate::pg::kept::rows_len;

impl Session {
    /// DECLARE.
    pub(super) fn declare(
        &mut self,
        plan: &Arc<Plan>,
        declaration: &Declaration,
        parameters: Vec<Value>,
        delivery: &Delivery,
    ) -> Result<(), SqlError> {
        self.check_not_failed()?;
        if plan.class != Class::Read {
            return Err(SqlError::new(
                "42601",
                "a cursor is declared FOR a SELECT or VALUES",
            ));
        }
        if !declaration.hold && !self.in_transaction() {
            return Err(SqlError::new(
                "25P01",
                "DECLARE CURSOR can only be used in transaction blocks",
            )
            .hint("BEGIN first, or declare it WITH HOLD."));
        }
        self.check_new_portal(&declaration.name)?;
        let result = self.read(plan, parameters, delivery.characters_before)?;
        let kept = self.keeper.keep(rows_len(&result.rows))?;
        let portal = Portal::cursor(plan.clone(), Rows::new(result), kept, declaration.hold);
        self.portals.insert(declaration.name.clone(), portal);
        self.out.command_complete("DECLARE CURSOR");
        Ok(())
    }

    /// FETCH and MOVE.
    pub(super) fn fetch(&mut self, fetch: &Fetch, delivery: &Delivery) -> Result<(), SqlError> {
        let rows = self.cursor(&fetch.name)?;
        let rows_max = fetch.rows_max.unwrap_or(usize::MAX);
        if fetch.give && rows_max > 0 {
            let len = rows.next_len(rows_max);
            self.out.reserve(len)?;
        }
        let rows = self.cursor(&fetch.name)?;
        let taken = rows.take(rows_max);
        if !fetch.give {
            let tag = format!("MOVE {}", taken.len());
            self.out.command_complete(&tag);
            return Ok(());
        }
        let result = StatementResult {
            tag: format!("FETCH {}", taken.len()),
            columns: rows.columns().to_vec(),
            rows: taken,
            rows_affected: 0,
        };
        self.deliver(result, delivery.clone());
        Ok(())
    }

    /// Columns of what FETCH gives.
    pub(super) fn fetch_columns(&mut self, fetch: &Fetch) -> Result<Vec<OutputColumn>, SqlError> {
        if !fetch.give {
            return Ok(Vec::new());
        }
        self.cursor(&fetch.name).map(|rows| rows.columns().to_vec())
    }

    /// CLOSE; no name is ALL.
    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> Result<&'static str, SqlError> {
        match name {
            None => {
                self.portals.retain(|_, portal| !portal.is_cursor());
                Ok("CLOSE CURSOR ALL")
            }
            Some(name) => {
                self.cursor(name)?;
                self.portals.remove(name);
                Ok("CLOSE CURSOR")
            }
        }
    }

    fn cursor(&mut self, name: &str) -> Result<&mut Rows, SqlError> {
        self.portals
            .get_mut(name)
            .and_then(Portal::cursor_rows)
            .ok_or_else(|| SqlError::new("34000", format!("cursor \"{name}\" does not exist")))
    }
}
