//! Comparing every version of every row with what the blocks' effects say of it.
//!
//! The state root commits to current rows, not to who wrote them nor to what they were before. Both follow
//! from effects alone: a change with a row after it **begins** a version at its height and place in the
//! block, one with a row before it **ends** a version there. So a version that is kept stands for one
//! beginning, and one in the history for an ending too; all beginnings and endings that are kept must be
//! those the effects give, each as often. Together with every version ending after it began, that
//! leaves one way to pair them, so nothing need be looked up across heights.
//!
//! The two collections are compared by sums: each item is hashed with a secret drawn for this check, falls
//! by table, key and height into one of [`CELLS`] cells, and is added there if it is kept and taken away
//! if effects give it. Whoever edits the database does not know the secret, so a cell that is zero at the end
//! holds equal collections, however the database was made (odds of 2⁻¹²⁸ against). Memory is that of
//! the cells, whatever the number of rows. Only when a cell differs a second reading keeps the items of some such
//! cells, and what is left of these names table, key and height.

use std::collections::BTreeMap;

use stele_core::Suite;
use stele_core::hash::Domain;
use stele_core::outcome::{BlockEffects, Change};
use stele_core::row::{Row, decode_row, encode_row};
use stele_core::schema::{Column, Table, TableId};

use crate::catalogue::Catalogue;
use crate::engine::row_log::Stamp;
use crate::engine::rows::lenient;

/// Sums kept: 1 MiB of them.
const CELLS: usize = 65_536;
/// Most cells whose items the second reading keeps.
const SUSPECTS_MAX: usize = 64;
/// Most items it keeps at once; cells are given up beyond that.
const ITEMS_MAX: usize = 100_000;

/// Length of the secret, in bytes.
pub const SECRET_LEN: usize = 32;

/// Whence an item is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A current row.
    Row,
    /// A row of the history.
    History,
    /// The effects of a block.
    Effects,
}

/// What happened to a version there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was written.
    Begins = 1,
    /// It was superseded or deleted.
    Ends = 2,
}

/// Beginning or end of a version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'i> {
    pub(super) end: End,
    pub(super) table: TableId,
    pub(super) key: &'i [u8],
    pub(super) stamp: Stamp,
    /// Encoded under the table's definition as it is now.
    pub(super) row: &'i [u8],
}

/// What does not fit at one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Heights, ascending.
    pub(super) heights: Vec<u64>,
    /// Whether something is kept that no effects give, and whether it is a current row's.
    pub(super) is_kept: bool,
    pub(super) is_current: bool,
    /// Whether something effects give is not kept.
    pub(super) is_missing: bool,
}

/// The misfits by table and key; what of them could be named.
#[derive(Debug, Default)]
pub(super) struct Misfits {
    pub(super) named: BTreeMap<(TableId, Vec<u8>), Misfit>,
    /// Whether there are more than those.
    pub(super) is_cut: bool,
}

/// An item of a suspected cell that has no counterpart yet.
struct Open {
    count: i64,
    table: TableId,
    key: Vec<u8>,
    height: u64,
    origin: Origin,
}

/// The comparison under way.
pub(super) struct Versions {
    suite: Suite,
    secret: [u8; SECRET_LEN],
    catalogue: BTreeMap<TableId, Definitions>,
    definitions: BTreeMap<TableId, Definitions>,
    cells: Vec<u128>,
    /// In the second reading: of suspected cells, the items that are left.
    suspects: Option<BTreeMap<u16, BTreeMap<u128, Open>>>,
    items: usize,
    is_cut: bool,
}

impl Versions {
    pub(super) fn new(suite: Suite, secret: [u8; SECRET_LEN], catalogue: &Catalogue) -> Self {
        let catalogue: BTreeMap<TableId, Definitions> = catalogue
            .with_rows()
            .map(|table| (table.id, Definitions::new(table)))
            .collect();
        Self {
            suite,
            secret,
            definitions: catalogue.clone(),
            catalogue,
            cells: vec![0; CELLS],
            suspects: None,
            items: 0,
            is_cut: false,
        }
    }

    /// Adds an item that is kept, or takes one away that effects give.
    pub(super) fn add(&mut self, origin: Origin, item: Item<'_>) {
        let (table, height) = (item.table.0.to_be_bytes(), item.stamp.height.to_be_bytes());
        let hash = |parts: &[&[u8]]| self.suite.hash(Domain::KeptVersion, parts).0;
        let [high, low, ..] = hash(&[&self.secret, &[0], &table, &height, item.key]);
        let cell = u16::from_be_bytes([high, low]);
        if let Some(suspects) = &self.suspects
            && !suspects.contains_key(&cell)
        {
            return;
        }
        let key_len = u16::try_from(item.key.len()).unwrap_or(u16::MAX);
        let digest = hash(&[
            &self.secret,
            &[item.end as u8],
            &table,
            &height,
            &item.stamp.index.to_be_bytes(),
            &key_len.to_be_bytes(),
            item.key,
            item.row,
        ]);
        let digest = u128::from_be_bytes(digest.first_chunk().copied().unwrap_or_default());
        if self.suspects.is_some() {
            self.keep(cell, digest, origin, item);
        } else if let Some(sum) = self.cells.get_mut(usize::from(cell)) {
            *sum = match origin {
                Origin::Effects => sum.wrapping_sub(digest),
                Origin::Row | Origin::History => sum.wrapping_add(digest),
            };
        }
    }

    /// Whether all that was added has its counterpart.
    pub(super) fn is_even(&self) -> bool {
        self.cells.iter().all(|sum| *sum == 0)
    }

    /// Begins the second reading: everything is to be added once more.
    pub(super) fn begin_naming(&mut self) {
        let uneven = (0u16..=u16::MAX)
            .zip(&self.cells)
            .filter(|(_, sum)| **sum != 0);
        let mut suspects: Vec<u16> = uneven.map(|(cell, _)| cell).collect();
        self.is_cut = suspects.len() > SUSPECTS_MAX;
        suspects.truncate(SUSPECTS_MAX);
        self.suspects = Some(
            suspects
                .into_iter()
                .map(|cell| (cell, BTreeMap::new()))
                .collect(),
        );
        self.definitions = self.catalogue.clone();
    }

    fn keep(&mut self, cell: u16, digest: u128, origin: Origin, item: Item<'_>) {
        let Some(suspects) = &mut self.suspects else {
            return;
        };
        let Some(items) = suspects.get_mut(&cell) else {
            return;
        };
        let open = items.entry(digest).or_insert_with(|| {
            self.items += 1;
            Open {
                count: 0,
                table: item.table,
                key: item.key.to_vec(),
                height: item.stamp.height,
                origin,
            }
        });
        open.count += if origin == Origin::Effects { -1 } else { 1 };
        if open.count == 0 {
            items.remove(&digest);
            self.items -= 1;
        }
        while self.items > ITEMS_MAX {
            let Some((_, given_up)) = suspects.pop_last() else {
                return;
            };
            self.items -= given_up.len();
            self.is_cut = true;
        }
    }

    /// What the second reading left.
    pub(super) fn misfits(self) -> Misfits {
        let mut misfits = Misfits {
            is_cut: self.is_cut,
            ..Misfits::default()
        };
        for open in self
            .suspects
            .into_iter()
            .flatten()
            .flat_map(|(_, items)| items.into_values())
        {
            let misfit = misfits.named.entry((open.table, open.key)).or_default();
            if let Err(place) = misfit.heights.binary_search(&open.height) {
                misfit.heights.insert(place, open.height);
            }
            misfit.is_missing |= open.count < 0;
            misfit.is_kept |= open.count > 0;
            misfit.is_current |= open.origin == Origin::Row;
        }
        misfits
    }

    /// Takes away what the effects of a block give. Blocks come in order, from the first.
    ///
    /// # Errors
    /// A table and what its definitions do not admit: the catalogue is not that of the blocks.
    pub(super) fn add_effects(&mut self, effects: &BlockEffects) -> Result<(), (TableId, String)> {
        for (transaction, index) in effects.transactions.iter().zip(0u32..) {
            let stamp = Stamp {
                height: effects.leaf.height,
                index,
            };
            for change in &transaction.changes {
                match change {
                    Change::Schema {
                        table,
                        before,
                        after,
                    } => {
                        if let Some(definitions) = self.definitions.get_mut(table) {
                            before.iter().for_each(|table| definitions.learn(table));
                            after.iter().for_each(|table| definitions.learn(table));
                        }
                    }
                    Change::Row(row) => {
                        let ends = [(End::Ends, &row.before), (End::Begins, &row.after)];
                        for (end, bytes) in ends {
                            let (Some(bytes), Some(definitions)) =
                                (bytes, self.definitions.get(&row.table))
                            else {
                                continue;
                            };
                            let fitted = definitions.fit(bytes).map_err(|why| (row.table, why))?;
                            let item = Item {
                                end,
                                table: row.table,
                                key: &row.key,
                                stamp,
                                row: fitted.as_deref().unwrap_or(bytes),
                            };
                            self.add(Origin::Effects, item);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a table's columns are, and were.
#[derive(Clone)]
struct Definitions {
    /// As it is now.
    now: Table,
    /// With all columns it ever had so far: their ids are never used again.
    ever: Table,
    /// Whether these are the same columns.
    is_same: bool,
}

impl Definitions {
    fn new(table: &Table) -> Self {
        Self {
            now: lenient(table),
            ever: lenient(table),
            is_same: true,
        }
    }

    fn learn(&mut self, table: &Table) {
        for column in &table.columns {
            let place = self
                .ever
                .columns
                .binary_search_by_key(&column.id, |known| known.id);
            if let Err(place) = place {
                let not_null = false;
                let column = Column {
                    not_null,
                    ..column.clone()
                };
                self.ever.columns.insert(place, column);
                self.is_same = false;
            }
        }
    }

    /// A row of effects under the definition of now; none when it is the same bytes.
    fn fit(&self, row: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if self.is_same {
            return Ok(None);
        }
        let old = decode_row(&self.ever, row).map_err(|error| error.to_string())?;
        let values = self.now.columns.iter().map(|column| {
            let value = old.get(&self.ever, column.id);
            value.cloned().unwrap_or_else(|| column.missing.clone())
        });
        let fitted = Row {
            values: values.collect(),
            salt: old.salt,
        };
        encode_row(&self.now, &fitted)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}
