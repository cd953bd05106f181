//! The ledger as a source of row changes: its own blocks' effects, its state, and what is certified about it.

mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use stele_core::outcome::{BlockEffects, Change, RowChange};
use stele_core::row::{Row, decode_row};
use stele_core::schema::{Table, TableId};
use stele_core::{Encode as _, Hash, Suite};
use stele_flow::change::{Block, Change as FlowChange, Position, Table as Shape};
use stele_flow::{Commitment, RowChange as FlowRowChange, Source, SourceError, State, StateDigest};
use stele_sql::engine::builtin_tables;

use crate::error::NodeError;
use crate::node::Node;
use state::{LedgerCommitment, LedgerState};

/// Blocks of a ledger and what executing them gave, wherever they lie.
pub(crate) trait Chain: Send + Sync {
    /// Height of the newest block whose effects are there.
    fn tip(&self) -> u64;

    /// Hash of a block's.
    fn hash(&self, height: u64) -> Result<Hash, NodeError>;

    /// A block's effects.
    fn effects(&self, height: u64) -> Result<BlockEffects, NodeError>;

    /// The running node whose blocks these are, if there is one.
    fn node(&self) -> Option<&Node>;
}

impl Chain for Node {
    fn tip(&self) -> u64 {
        self.height()
    }

    fn hash(&self, height: u64) -> Result<Hash, NodeError> {
        Ok(self.inner.meta(height)?.hash)
    }

    fn effects(&self, height: u64) -> Result<BlockEffects, NodeError> {
        self.inner.effects(height)
    }

    fn node(&self) -> Option<&Node> {
        Some(self)
    }
}

/// Gives the changes of the ledger's blocks, in order.
pub struct LedgerSource {
    chain: Arc<dyn Chain>,
    suite: Suite,
    id: String,
    at: Position,
    /// Root of the state after the block it stands at.
    state_root: Option<Hash>,
    definitions: BTreeMap<TableId, Arc<Table>>,
    shapes: BTreeMap<TableId, Arc<Shape>>,
}

impl Node {
    /// The ledger as a source of row changes, standing before its first block.
    #[must_use]
    pub fn source(&self) -> LedgerSource {
        LedgerSource::new(Arc::new(self.clone()), self.suite(), self.ledger())
    }
}

fn position(chain: &dyn Chain, height: u64) -> Result<Position, SourceError> {
    let hash = match height {
        0 => Hash::ZERO,
        height => chain.hash(height).map_err(unreadable)?,
    };
    Ok(Position { height, hash })
}

fn unreadable(error: impl std::fmt::Display) -> SourceError {
    SourceError::Unreadable(error.to_string())
}

impl LedgerSource {
    pub(crate) fn new(chain: Arc<dyn Chain>, suite: Suite, ledger: Hash) -> Self {
        let mut source = Self {
            chain,
            suite,
            id: format!("ledger:{ledger}"),
            at: Position::START,
            state_root: None,
            definitions: BTreeMap::new(),
            shapes: BTreeMap::new(),
        };
        source.take(builtin_definitions());
        source
    }

    fn take(&mut self, definitions: BTreeMap<TableId, Arc<Table>>) {
        let shapes = definitions.iter();
        self.shapes = shapes
            .filter_map(|(id, table)| Some((*id, Arc::new(Shape::of(table)?))))
            .collect();
        self.definitions = definitions;
    }

    /// Definitions in force after a height: those of a running node's newest state, with what the blocks since did
    /// to them undone; without one, what the blocks up to the height did.
    fn definitions_at(&self, height: u64) -> Result<BTreeMap<TableId, Arc<Table>>, SourceError> {
        let Some(node) = self.chain.node() else {
            let mut tables = builtin_definitions();
            for earlier in 1..=height {
                let effects = self.chain.effects(earlier).map_err(unreadable)?;
                for change in effects.transactions.into_iter().flat_map(|one| one.changes) {
                    if let Change::Schema { table, after, .. } = change {
                        match after {
                            Some(after) => tables.insert(table, Arc::from(after)),
                            None => tables.remove(&table),
                        };
                    }
                }
            }
            return Ok(tables);
        };
        let snapshot = node.snapshot().map_err(unreadable)?;
        let tables = snapshot.catalogue().definitions();
        let mut tables: BTreeMap<_, _> = tables.map(|table| (table.id, table.clone())).collect();
        let newest = snapshot.height();
        drop(snapshot);
        for later in (height + 1..=newest).rev() {
            let effects = self.chain.effects(later).map_err(unreadable)?;
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
        let new = after.as_deref().and_then(Shape::of).map(Arc::new);
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
        // A row before the change may be one of an older definition of the same transaction: it is given in the columns
        // of the one in force.
        let before = |bytes: Vec<u8>| {
            let older = older.iter().filter(|old| old.id == row.table);
            for definition in std::iter::once(table).chain(older) {
                if let Ok(held) = decode_row(definition, &bytes) {
                    let columns = table.columns.iter().map(|column| {
                        let value = held.get(definition, column.id);
                        value.unwrap_or(&column.missing).clone()
                    });
                    return Ok(Row::new(columns.collect()));
                }
            }
            Err(format!("a row of {shape} before its change does not read"))
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
        self.chain.tip()
    }

    fn seek(&mut self, position: Position) -> Result<(), SourceError> {
        let tip = self.tip();
        if position.height > tip {
            return Err(SourceError::Ahead {
                cursor: position.height,
                tip,
            });
        }
        let own = self::position(&*self.chain, position.height)?;
        if own.hash != position.hash {
            return Err(SourceError::Forked {
                height: position.height,
                found: position.hash.to_string(),
                expected: own.hash.to_string(),
            });
        }
        self.state_root = None;
        let definitions = match position.height {
            0 => builtin_definitions(),
            height => self.definitions_at(height)?,
        };
        self.take(definitions);
        self.at = position;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Block>, SourceError> {
        let height = self.at.height + 1;
        if height > self.tip() {
            return Ok(None);
        }
        let position = self::position(&*self.chain, height)?;
        let effects = self.chain.effects(height).map_err(unreadable)?;
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
        let state_root = effects.leaf.state_root;
        // The tables every ledger has are there before its first block, and come with it.
        let mut changes: Vec<FlowChange> = match height {
            1 => self.shapes.values().cloned().map(made).collect(),
            _ => Vec::new(),
        };
        changes.extend(self.changes(effects).map_err(|why| {
            unreadable(format!(
                "effects of block {height}: {why}; run `stele audit`"
            ))
        })?);
        self.at = position;
        self.state_root = Some(state_root);
        Ok(Some(Block {
            position,
            time_us,
            changes,
            len,
        }))
    }

    fn state(&self) -> Result<Option<Box<dyn State + '_>>, SourceError> {
        match self.chain.node() {
            Some(node) => Ok(Some(Box::new(LedgerState::new(node)?))),
            None => Ok(None),
        }
    }

    fn commitment(&self, height: u64) -> Result<Option<Box<dyn Commitment + '_>>, SourceError> {
        match self.chain.node() {
            Some(node) => Ok(Some(Box::new(LedgerCommitment::new(node, height)?))),
            None => Ok(None),
        }
    }

    fn digest(&self) -> Result<Option<StateDigest>, SourceError> {
        let root = match (self.state_root, self.at.height) {
            (_, 0) => return Ok(None),
            (Some(root), _) => root,
            (None, height) => {
                self.chain
                    .effects(height)
                    .map_err(unreadable)?
                    .leaf
                    .state_root
            }
        };
        let definitions = self.definitions.values();
        Ok(Some(StateDigest {
            suite: self.suite,
            root,
            definitions: definitions.map(|table| table.as_ref().clone()).collect(),
        }))
    }
}

fn builtin_definitions() -> BTreeMap<TableId, Arc<Table>> {
    let tables = builtin_tables().into_iter();
    tables.map(|table| (table.id, Arc::new(table))).collect()
}

fn made(table: Arc<Shape>) -> FlowChange {
    FlowChange::Table {
        before: None,
        after: Some(table),
    }
}
