//! The ledger as a source of row changes: its own blocks' effects, its state, and what is certified about it.

mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use stele_core::outcome::{BlockEffects, Change, RowChange};
use stele_core::row::{Row, decode_row};
use stele_core::schema::{Kind, Table, TableId};
use stele_core::{Encode as _, Hash};
use stele_flow::change::{Block, Change as FlowChange, Column, Position, Table as Shape};
use stele_flow::{Commitment, RowChange as FlowRowChange, Source, SourceError, State};
use stele_sql::engine::builtin_tables;

use crate::error::NodeError;
use crate::node::Node;
use state::{LedgerCommitment, LedgerState};

/// Gives the changes of the ledger's blocks, in order.
pub struct LedgerSource {
    node: Node,
    id: String,
    at: Position,
    definitions: BTreeMap<TableId, Arc<Table>>,
    shapes: BTreeMap<TableId, Arc<Shape>>,
}

impl Node {
    /// The ledger as a source of row changes, standing before its first block.
    #[must_use]
    pub fn source(&self) -> LedgerSource {
        let mut source = LedgerSource {
            node: self.clone(),
            id: format!("ledger:{}", self.ledger()),
            at: Position::START,
            definitions: BTreeMap::new(),
            shapes: BTreeMap::new(),
        };
        source.start();
        source
    }

    pub(crate) fn position(&self, height: u64) -> Result<Position, NodeError> {
        let hash = match height {
            0 => Hash::ZERO,
            height => self.inner.meta(height)?.hash,
        };
        Ok(Position { height, hash })
    }
}

/// The shape sinks keep of a table; none of what has no rows of its own or is no table of users and programs.
pub(crate) fn shape(table: &Table) -> Option<Shape> {
    if table.kind != Kind::Table {
        return None;
    }
    let columns = table.columns.iter().map(|column| Column {
        id: column.id,
        name: column.name.clone(),
        ty: column.ty,
        missing: column.missing.clone(),
    });
    Some(Shape {
        id: table.id,
        schema: table.schema.clone(),
        name: table.name.clone(),
        columns: columns.collect(),
        key: table.primary_key.clone(),
    })
}

fn unreadable(error: impl std::fmt::Display) -> SourceError {
    SourceError::Unreadable(error.to_string())
}

impl LedgerSource {
    /// Stands before the first block.
    fn start(&mut self) {
        self.at = Position::START;
        let tables = builtin_tables().into_iter();
        self.take(tables.map(|table| (table.id, Arc::new(table))).collect());
    }

    fn take(&mut self, definitions: BTreeMap<TableId, Arc<Table>>) {
        let shapes = definitions.iter();
        self.shapes = shapes
            .filter_map(|(id, table)| Some((*id, Arc::new(shape(table)?))))
            .collect();
        self.definitions = definitions;
    }

    /// Definitions in force after a height: those of now, with what the blocks since did to them undone.
    fn definitions_at(&self, height: u64) -> Result<BTreeMap<TableId, Arc<Table>>, SourceError> {
        let snapshot = self.node.snapshot().map_err(unreadable)?;
        let tables = snapshot.catalogue().definitions();
        let mut tables: BTreeMap<_, _> = tables.map(|table| (table.id, table.clone())).collect();
        let newest = snapshot.height();
        drop(snapshot);
        for later in (height + 1..=newest).rev() {
            let effects = self.node.inner.effects(later).map_err(unreadable)?;
            let changes = effects.transactions.into_iter().rev();
            for change in changes.flat_map(|one| one.changes.into_iter().rev()) {
                if let Change::Schema { table, before, .. } = change {
                    match before {
                        Some(before) => tables.insert(table, Arc::from(before)),
                        None => tables.remove(&table),
                    };
                }
            }
        }
        Ok(tables)
    }

    /// Turns a block's effects into changes of shapes and rows.
    fn changes(&mut self, effects: BlockEffects) -> Result<Vec<FlowChange>, String> {
        let mut changes = Vec::new();
        for transaction in effects.transactions {
            let mut older: Vec<Arc<Table>> = Vec::new();
            for change in transaction.changes {
                match change {
                    Change::Schema { table, after, .. } => {
                        older.extend(self.definitions.get(&table).cloned());
                        changes.extend(self.define(table, after.map(Arc::from)));
                    }
                    Change::Row(row) => changes.extend(self.row(row, &older)?),
                }
            }
        }
        Ok(changes)
    }

    fn define(&mut self, id: TableId, after: Option<Arc<Table>>) -> Option<FlowChange> {
        let new = after.as_deref().and_then(shape).map(Arc::new);
        let old = match &new {
            Some(new) => self.shapes.insert(id, new.clone()),
            None => self.shapes.remove(&id),
        };
        match after {
            Some(table) => self.definitions.insert(id, table),
            None => self.definitions.remove(&id),
        };
        (old != new).then_some(FlowChange::Table {
            before: old,
            after: new,
        })
    }

    fn row(&self, row: RowChange, older: &[Arc<Table>]) -> Result<Option<FlowChange>, String> {
        let (Some(table), Some(shape)) = (
            self.definitions.get(&row.table),
            self.shapes.get(&row.table),
        ) else {
            return match self.definitions.contains_key(&row.table) {
                true => Ok(None),
                false => Err(format!(
                    "a row of table {}, which is not there",
                    row.table.0
                )),
            };
        };
        // A row before the change may be one of an older definition of the same transaction.
        let before = |bytes: Vec<u8>| {
            let older = older.iter().filter(|old| old.id == row.table);
            let mut definitions = std::iter::once(table).chain(older);
            definitions
                .find_map(|definition| decode_row(definition, &bytes).ok())
                .ok_or_else(|| format!("a row of {shape} before its change does not read"))
        };
        let after = |bytes: Vec<u8>| {
            decode_row(table, &bytes).map_err(|error| format!("a row of {shape}: {error}"))
        };
        let values = |row: Row| row.values;
        Ok(Some(FlowChange::Row(
            shape.clone(),
            FlowRowChange {
                before: row.before.map(before).transpose()?.map(values),
                after: row.after.map(after).transpose()?.map(values),
                key: row.key,
            },
        )))
    }
}

impl Source for LedgerSource {
    fn id(&self) -> &str {
        &self.id
    }

    fn tip(&self) -> u64 {
        self.node.height()
    }

    fn seek(&mut self, position: Position) -> Result<(), SourceError> {
        let tip = self.tip();
        if position.height > tip {
            return Err(SourceError::Ahead {
                cursor: position.height,
                tip,
            });
        }
        let own = self.node.position(position.height).map_err(unreadable)?;
        if own.hash != position.hash {
            return Err(SourceError::Forked {
                height: position.height,
                found: position.hash.to_string(),
                expected: own.hash.to_string(),
            });
        }
        if position.height == 0 {
            self.start();
            return Ok(());
        }
        let definitions = self.definitions_at(position.height)?;
        self.take(definitions);
        self.at = position;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Block>, SourceError> {
        let height = self.at.height + 1;
        if height > self.tip() {
            return Ok(None);
        }
        let position = self.node.position(height).map_err(unreadable)?;
        let effects = self.node.inner.effects(height).map_err(unreadable)?;
        let len = effects.transactions.iter().map(|one| {
            let rows = one.changes.iter().map(|change| match change {
                Change::Row(row) => {
                    let side = |row: &Option<Vec<u8>>| row.as_ref().map_or(0, Vec::len);
                    row.key.len() + side(&row.before) + side(&row.after)
                }
                Change::Schema { after, .. } => after
                    .as_ref()
                    .map_or(0, |table| table.encode_to_vec().len()),
            });
            rows.sum::<usize>()
        });
        let len = len.sum();
        let time_us = effects.leaf.time_us;
        let changes = self.changes(effects).map_err(|why| {
            unreadable(format!(
                "effects of block {height}: {why}; run `stele audit`"
            ))
        })?;
        self.at = position;
        Ok(Some(Block {
            position,
            time_us,
            changes,
            len,
        }))
    }

    fn state(&self) -> Result<Option<Box<dyn State + '_>>, SourceError> {
        Ok(Some(Box::new(LedgerState::new(&self.node)?)))
    }

    fn commitment(&self, height: u64) -> Result<Option<Box<dyn Commitment + '_>>, SourceError> {
        Ok(Some(Box::new(LedgerCommitment::new(&self.node, height)?)))
    }
}
