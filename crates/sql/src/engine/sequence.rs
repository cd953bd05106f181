//! Sequences: a row each, lent to the SQL functions while a statement runs.

use stele_core::Value;
use stele_core::row::{Row, decode_row, encode_row};
use stele_core::schema::{Kind, Table, TableId};

use super::Engine;
use super::error::EngineError;
use super::outcome::Failure;
use super::row_log::{Stamp, Touch};
use crate::bound::Sequences;
use crate::error::SqlError;
use crate::function::SequenceState;

/// A sequence's columns: `last_value`, `log_cnt`, `is_called`.
fn row_of(state: &SequenceState) -> Row {
    Row::new(vec![
        Value::Int(state.last),
        Value::Int(0),
        Value::Bool(state.is_called),
    ])
}

impl Engine {
    /// Writes the row of a sequence that was just created; nothing for other definitions.
    pub(super) fn start_sequence(&self, table: &Table, stamp: Stamp) -> Result<(), Failure> {
        let Kind::Sequence(sequence) = &table.kind else {
            return Ok(());
        };
        let row = Row::new(vec![
            Value::Int(sequence.start),
            Value::Int(0),
            Value::Bool(false),
        ]);
        self.write_sequence(table.id, None, &row, stamp)
    }

    /// Sets a sequence back: its next value is `value`.
    pub(super) fn restart_sequence(
        &self,
        id: TableId,
        value: i64,
        stamp: Stamp,
    ) -> Result<(), Failure> {
        let before = self.sequence_row(id)?;
        let row = Row::new(vec![Value::Int(value), Value::Int(0), Value::Bool(false)]);
        self.write_sequence(id, Some(before), &row, stamp)
    }

    /// Lends the sequences of a statement to its functions.
    pub(super) fn lend_sequences(&self, sequences: &Sequences) -> Result<(), Failure> {
        for id in &sequences.ids {
            if let Some(table) = self.catalogue.table(*id)
                && let Kind::Sequence(sequence) = &table.kind
            {
                let (row, _) = self.sequence_row(*id)?;
                let row = decode_row(table, &row).map_err(|error| damaged(*id, &error))?;
                let (Some(Value::Int(last)), Some(Value::Bool(is_called))) =
                    (row.values.first(), row.values.get(2))
                else {
                    return Err(damaged(*id, &"its row is of another form").into());
                };
                self.context.lend(
                    id.0,
                    SequenceState {
                        name: table.name.clone(),
                        sequence: sequence.clone(),
                        last: *last,
                        is_called: *is_called,
                    },
                );
            }
        }
        Ok(())
    }

    /// Takes the sequences back and writes what was taken from them.
    pub(super) fn return_sequences(
        &self,
        sequences: &Sequences,
        stamp: Stamp,
    ) -> Result<(), Failure> {
        for id in &sequences.ids {
            let Some(state) = self.context.take_back(id.0) else {
                continue;
            };
            if sequences.changes {
                let before = self.sequence_row(*id)?;
                self.write_sequence(*id, Some(before), &row_of(&state), stamp)?;
            }
        }
        Ok(())
    }

    fn sequence_row(&self, id: TableId) -> Result<(Vec<u8>, Stamp), Failure> {
        let layout = self.writer.sink(|log| log.layout(id));
        let layout = layout.ok_or(EngineError::NoTable(id))?;
        let key = sequence_key();
        let found = layout.get(&self.writer, &key)?;
        Ok(found.ok_or_else(|| damaged(id, &"its row is gone"))?)
    }

    fn write_sequence(
        &self,
        id: TableId,
        before: Option<(Vec<u8>, Stamp)>,
        row: &Row,
        stamp: Stamp,
    ) -> Result<(), Failure> {
        let layout = self.writer.sink(|log| log.layout(id));
        let layout = layout.ok_or(EngineError::NoTable(id))?;
        let key = sequence_key();
        let after = encode_row(&layout.table, row)
            .map_err(|error| SqlError::new(error.sqlstate(), error.to_string()))?;
        if before.as_ref().is_some_and(|(before, _)| *before == after) {
            return Ok(());
        }
        if before.is_some() {
            layout.delete(&self.writer, &key)?;
        }
        layout.insert(&self.writer, &after, stamp)?;
        self.writer.sink(|log| {
            log.push(Touch {
                table: id,
                key,
                before,
                after: Some(after),
                moved: None,
            });
            log.take_failure()
                .map_or(Ok(()), |refused| Err(Failure::from(refused)))
        })
    }
}

/// The encoded key of a sequence's one row: BIGINT 0.
fn sequence_key() -> Vec<u8> {
    vec![0x80, 0, 0, 0, 0, 0, 0, 0]
}

fn damaged(id: TableId, cause: &dyn std::fmt::Display) -> EngineError {
    EngineError::Corrupt {
        path: String::new(),
        cause: format!("sequence {}: {cause}", id.0),
    }
}
