//! Row policies on what a statement wrote: each row it made must be let in, and the table must not
//! hold more than a quota. Looked at after the statement and before the actions of foreign keys,
//! which, as in PostgreSQL, are no concern of policies.

use stele_core::row::decode_row;
use stele_core::{Type, Value};

use super::Engine;
use super::error::EngineError;
use super::outcome::Failure;
use super::row_log::Touch;
use super::statement::{Allowance, Lowered};
use crate::bind::violates;
use crate::bound::{BoundWrite, Operation, RowCheck};
use crate::error::SqlError;
use crate::reach::Reach;
use crate::result::OutputColumn;
use stele_core::schema::Table;

impl Engine {
    /// Checks the rows that a statement touched since `from`.
    pub(super) fn keep_policies(
        &self,
        write: &BoundWrite,
        from: usize,
        allowance: &mut Allowance,
    ) -> Result<(), Failure> {
        if write.checks.is_empty() {
            return Ok(());
        }
        let id = write.table;
        let (touches, _) = self.writer.sink(|log| log.since(from, |table| table == id));
        let Some(table) = self.catalogue.table(id).cloned() else {
            return Ok(());
        };
        let mut made = false;
        // A row whose key changed goes away and comes again.
        let mut moved = false;
        for touch in touches {
            let changed = write.operation == Operation::Update || moved || touch.before.is_some();
            moved = touch.moved.is_some();
            if touch.after.is_none() {
                continue;
            }
            made = true;
            let check = if changed {
                &write.checks.updated
            } else {
                &write.checks.inserted
            };
            if let Some(check) = check {
                self.check_row(&table, check, &touch, allowance)?;
            }
        }
        if made {
            self.check_quotas(&table, write, allowance)?;
        }
        Ok(())
    }

    fn check_row(
        &self,
        table: &Table,
        check: &RowCheck,
        touch: &Touch,
        allowance: &mut Allowance,
    ) -> Result<(), Failure> {
        let row = touch.after.as_deref().unwrap_or_default();
        let row = decode_row(table, row).map_err(|error| EngineError::Internal {
            cause: format!("a changed row of {} cannot be read: {error}", table.name),
        })?;
        let (mut types, mut key) = (Vec::new(), Vec::new());
        for id in &table.primary_key {
            let place = table.columns.iter().position(|column| column.id == *id);
            let column = place.and_then(|place| table.columns.get(place));
            let value = place.and_then(|place| row.values.get(place));
            types.extend(column.map(|column| column.ty));
            key.extend(value.cloned());
        }
        let found = self.number(&check.sqlite, &check.reach, &types, &key, allowance)?;
        let Some(number) = found else {
            return Ok(());
        };
        let place = usize::try_from(number).unwrap_or_default();
        let what = match place.checked_sub(1).and_then(|n| check.restrictive.get(n)) {
            Some(name) => format!(" \"{name}\""),
            None => String::new(),
        };
        Err(SqlError::new("42501", violates(table, &what)).into())
    }

    fn check_quotas(
        &self,
        table: &Table,
        write: &BoundWrite,
        allowance: &mut Allowance,
    ) -> Result<(), Failure> {
        for quota in &write.checks.quotas {
            let count = self.number(&quota.sqlite, &quota.reach, &[], &[], allowance)?;
            let count = count.and_then(|count| u64::try_from(count).ok());
            if count.is_some_and(|count| count > quota.quota) {
                let what = format!(" \"{}\"", quota.policy);
                let error = SqlError::new("42501", violates(table, &what))
                    .detail(format!(
                        "The policy lets the table hold {} such rows.",
                        quota.quota
                    ))
                    .hint("Delete rows first.");
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// The one number a text gives, or none for NULL.
    fn number(
        &self,
        sqlite: &str,
        reach: &Reach,
        types: &[Type],
        parameters: &[Value],
        allowance: &mut Allowance,
    ) -> Result<Option<i64>, Failure> {
        let column = OutputColumn {
            name: String::new(),
            ty: Type::BigInt,
            system: None,
        };
        let lowered = Lowered {
            types,
            columns: std::slice::from_ref(&column),
            reach: Some(reach),
            writer: None,
            rows_once: false,
        };
        let mut prepared = self.prepare(sqlite)?;
        let rows = self.run_lowered(&mut prepared, &lowered, parameters, allowance)?;
        match rows.first().and_then(|row| row.first()) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            _ => Ok(None),
        }
    }
}
