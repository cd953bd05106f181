//! Which key a refused row had: PostgreSQL's detail of 23505.
//!
//! SQLite names the constraint only. The values are looked for afterwards, in the rows an INSERT of
//! VALUES would have made. They are words for a client and no part of the outcome, so where they cannot
//! be told cheaply and for certain there are none.

use stele_core::Value;
use stele_core::schema::{ColumnId, Table};
use stele_core::value::text;

use super::Engine;
use super::outcome::Failure;
use super::row_log::Stamp;
use super::statement::{Allowance, Lowered, step};
use crate::bound::BoundWrite;
use crate::error::SqlError;
use crate::physical::{column_name, table_name};
use crate::result::OutputColumn;

/// Most steps of SQLite's machine spent on looking.
const LOOK_STEPS_MAX: u64 = 1_000_000;
/// Longest detail, in bytes.
const DETAIL_LEN_MAX: usize = 1_024;

impl Engine {
    /// The failure of an INSERT, with the key that was there already if it can be told.
    pub(super) fn with_key(
        &self,
        failure: Failure,
        write: &BoundWrite,
        parameters: &[Value],
        stamp: Stamp,
    ) -> Failure {
        match failure {
            Failure::Outcome(mut error)
                if error.code.as_str() == "23505" && error.detail.is_none() =>
            {
                error.detail = self.key_of(&error, write, parameters, stamp);
                Failure::Outcome(error)
            }
            other => other,
        }
    }

    fn key_of(
        &self,
        error: &SqlError,
        write: &BoundWrite,
        parameters: &[Value],
        stamp: Stamp,
    ) -> Option<String> {
        if !write.is_certain || !write.sequences.ids.is_empty() {
            return None;
        }
        let table = self.catalogue.table(write.table)?;
        let key = key_columns(table, error.constraint.as_deref()?)?;
        let (head, rows) = write.sqlite.split_once(") VALUES")?;
        let (_, names) = head.split_once('(')?;
        let list = |prefix: &str| {
            let names = key.iter().map(|id| format!("{prefix}{}", column_name(*id)));
            names.collect::<Vec<_>>()
        };
        let (mine, own) = (list("v."), list("o."));
        let same = mine.iter().zip(&own).map(|(v, o)| format!("{v}={o}"));
        let same = same.collect::<Vec<_>>().join(" AND ");
        let mine = mine.join(",");
        let with = format!("WITH v({names}) AS (VALUES{rows})");
        let stored = format!(
            "{with} SELECT {mine} FROM v JOIN {} AS o ON {same} LIMIT 1",
            table_name(table.id)
        );
        let twice =
            format!("{with} SELECT {mine} FROM v GROUP BY {mine} HAVING count(*)>1 LIMIT 1");
        let columns: Vec<OutputColumn> = key
            .iter()
            .filter_map(|id| table.column(*id))
            .map(|column| OutputColumn {
                name: column.name.clone(),
                ty: column.ty,
                system: None,
            })
            .collect();
        let lowered = Lowered {
            types: &write.parameters,
            columns: &columns,
            reach: None,
            writer: Some(stamp),
            rows_once: false,
        };
        let found = [stored, twice]
            .iter()
            .find_map(|query| self.look(query, &lowered, parameters))?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let values: Vec<String> = columns
            .iter()
            .zip(&found)
            .map(|(column, value)| text::format(column.ty, value))
            .collect();
        let detail = format!(
            "Key ({})=({}) already exists.",
            names.join(", "),
            values.join(", ")
        );
        (detail.len() <= DETAIL_LEN_MAX).then_some(detail)
    }

    fn look(&self, query: &str, lowered: &Lowered<'_>, parameters: &[Value]) -> Option<Vec<Value>> {
        let mut allowance = Allowance {
            vm_steps: LOOK_STEPS_MAX,
            ..Allowance::of(&self.limits)
        };
        let mut prepared = self.prepare(query).ok()?;
        let rows = step(
            &mut prepared,
            &self.budget,
            lowered,
            parameters,
            0,
            &mut allowance,
            &self.catalogue,
        );
        rows.ok()?.pop()
    }
}

/// The columns of a primary key or unique constraint, all of them plain.
fn key_columns(table: &Table, constraint: &str) -> Option<Vec<ColumnId>> {
    if table.primary_key_name == constraint {
        return Some(table.primary_key.clone());
    }
    let index = table.indexes.iter().find(|index| index.name == constraint);
    index.and_then(|index| index.plain_columns())
}
