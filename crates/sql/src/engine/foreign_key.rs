//! Foreign keys: checked and carried on after each statement, from what it did to rows.
//!
//! SQLite's own enforcement is not used: it would act again when recorded effects are applied, and it
//! tells neither the constraint nor the key. What actions do are row changes like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stele_core::row::{decode_known_columns, decode_row};
use stele_core::schema::{Action, ColumnId, ForeignKey, Table, TableId, Timing};
use stele_core::value::text;
use stele_core::{Type, Value};

use super::Engine;
use super::error::EngineError;
use super::outcome::Failure;
use super::row_log::Stamp;
use super::rows::lenient;
use super::statement::{Allowance, Lowered};
use crate::bind::{default_sql, widest};
use crate::bound::SetConstraints;
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::physical::{column_name, table_name};
use crate::result::OutputColumn;

/// Most rounds of actions that follow from actions.
const ROUNDS_MAX: usize = 1_000;

/// A foreign key with the statements that keep it.
#[derive(Debug)]
struct Kept {
    child: Arc<Table>,
    parent: Arc<Table>,
    key: ForeignKey,
    types: Vec<Type>,
    /// Gives a row when no row is referred to.
    missing: String,
    /// Gives a row when some row refers and none is referred to.
    dangling: String,
    /// Gives a row when any row refers to any.
    any: String,
    /// Gives a row when some row refers.
    referred: String,
    on_delete: Option<String>,
    on_update: Option<String>,
}

/// When the transaction under way wants its deferrable keys checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Deferral {
    /// As each was made.
    #[default]
    AsMade,
    /// After each statement.
    Immediate,
    /// At the end.
    Deferred,
}

impl Deferral {
    fn defers(self, timing: Timing) -> bool {
        match (self, timing) {
            (_, Timing::Immediate) | (Self::Immediate, _) => false,
            (Self::Deferred, _) => true,
            (Self::AsMade, timing) => timing == Timing::Deferred,
        }
    }
}

/// All foreign keys of a catalogue.
#[derive(Debug, Default)]
pub(super) struct ForeignKeys {
    kept: Vec<Kept>,
    of_child: BTreeMap<TableId, Vec<usize>>,
    of_parent: BTreeMap<TableId, Vec<usize>>,
    concerned: BTreeSet<TableId>,
}

impl ForeignKeys {
    pub(super) fn of(catalogue: &Catalogue) -> Result<Self, SqlError> {
        let mut all = Self::default();
        for child in catalogue.tables() {
            for key in &child.foreign_keys {
                let Some(parent) = catalogue.table(key.references) else {
                    continue;
                };
                let place = all.kept.len();
                all.kept.push(Kept::new(child, parent, key)?);
                all.of_child.entry(child.id).or_default().push(place);
                all.of_parent.entry(parent.id).or_default().push(place);
                all.concerned.extend([child.id, parent.id]);
            }
        }
        Ok(all)
    }

    /// Whether a table refers or is referred to.
    pub(super) fn concern(&self, table: TableId) -> bool {
        self.concerned.contains(&table)
    }

    fn at<'k>(
        &'k self,
        places: &'k BTreeMap<TableId, Vec<usize>>,
        table: TableId,
    ) -> impl Iterator<Item = &'k Kept> {
        let places = places.get(&table).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.kept.get(*place))
    }
}

impl Kept {
    fn new(child: &Arc<Table>, parent: &Arc<Table>, key: &ForeignKey) -> Result<Self, SqlError> {
        let equal = |columns: &[ColumnId]| {
            let equal = columns.iter().zip(1..);
            let equal: Vec<String> = equal
                .map(|(id, n)| format!("{}=?{n}", column_name(*id)))
                .collect();
            equal.join(" AND ")
        };
        let (rows, others) = (table_name(child.id), table_name(parent.id));
        let (own, other) = (equal(&key.columns), equal(&key.referenced));
        let not_null = |id: &ColumnId| format!("{} IS NOT NULL", column_name(*id));
        let set_columns: Vec<String> = key.columns.iter().map(not_null).collect();
        let types = key.columns.iter().filter_map(|id| child.column(*id));
        let count = key.columns.len();
        let set = |values: Vec<String>, hidden: usize| {
            let columns = key.columns.iter().zip(values);
            let set: Vec<String> = columns
                .map(|(id, value)| format!("{}={value}", column_name(*id)))
                .collect();
            format!(
                "UPDATE {rows} SET {},_h=?{hidden},_x=?{} WHERE {own}",
                set.join(","),
                hidden + 1
            )
        };
        let action = |action: Action, on_update: bool| -> Result<Option<String>, SqlError> {
            Ok(match action {
                Action::NoAction | Action::Restrict => None,
                Action::Cascade if on_update => {
                    let values = (count + 1..=count * 2).map(|n| format!("?{n}")).collect();
                    Some(set(values, count * 2 + 1))
                }
                Action::Cascade => Some(format!(
                    "DELETE FROM {rows} WHERE {own} AND ?{} >= 0 AND ?{} >= 0",
                    count + 1,
                    count + 2
                )),
                Action::SetNull => Some(set(vec!["NULL".to_owned(); count], count + 1)),
                Action::SetDefault => {
                    let columns = key.columns.iter().filter_map(|id| child.column(*id));
                    let values = columns.map(default_sql).collect::<Result<_, _>>()?;
                    Some(set(values, count + 1))
                }
            })
        };
        Ok(Self {
            types: types.map(|column| widest(column.ty)).collect(),
            missing: format!("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM {others} WHERE {other})"),
            dangling: format!(
                "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM {others} WHERE {other}) AND EXISTS (SELECT 1 FROM {rows} WHERE {own})"
            ),
            any: format!(
                "SELECT 1 FROM {rows} WHERE {} LIMIT 1",
                set_columns.join(" AND ")
            ),
            referred: format!("SELECT 1 WHERE EXISTS (SELECT 1 FROM {rows} WHERE {own})"),
            on_delete: action(key.on_delete, false)?,
            on_update: action(key.on_update, true)?,
            child: Arc::clone(child),
            parent: Arc::clone(parent),
            key: key.clone(),
        })
    }

    fn refers_to_nothing(&self, values: &[Value]) -> SqlError {
        let mut error = SqlError::new(
            "23503",
            format!(
                "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
                self.child.name, self.key.name
            ),
        );
        error.detail = Some(format!(
            "Key {} is not present in table \"{}\".",
            shown(&self.child, &self.key.columns, values),
            self.parent.name
        ));
        error.constraint = Some(self.key.name.clone());
        error
    }

    fn cannot_truncate(&self) -> SqlError {
        let (child, parent) = (&self.child.name, &self.parent.name);
        SqlError::new(
            "0A000",
            "cannot truncate a table referenced in a foreign key constraint",
        )
        .detail(format!(
            "Table \"{child}\" references \"{parent}\", and has rows that do."
        ))
        .hint(format!(
            "Truncate table \"{child}\" at the same time: TRUNCATE {child}, {parent}"
        ))
    }

    fn still_referred_to(&self, values: &[Value]) -> SqlError {
        let mut error = SqlError::new(
            "23503",
            format!(
                "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
                self.parent.name, self.key.name, self.child.name
            ),
        );
        error.detail = Some(format!(
            "Key {} is still referenced from table \"{}\".",
            shown(&self.parent, &self.key.referenced, values),
            self.child.name
        ));
        error.constraint = Some(self.key.name.clone());
        error
    }
}

/// `(a, b)=(1, x)`
fn shown(table: &Table, columns: &[ColumnId], values: &[Value]) -> String {
    let columns: Vec<_> = columns.iter().filter_map(|id| table.column(*id)).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let values: Vec<String> = columns
        .iter()
        .zip(values)
        .map(|(column, value)| text::format(column.ty, value))
        .collect();
    format!("({})=({})", names.join(", "), values.join(", "))
}

/// A check that waits for the end of the statement or transaction.
struct Check<'k> {
    kept: &'k Kept,
    values: Vec<Value>,
    of_child: bool,
}

impl Engine {
    /// The foreign keys of the catalogue as it is.
    pub(super) fn foreign_keys(&mut self) -> Result<Arc<ForeignKeys>, SqlError> {
        if let Some(keys) = self.statements.foreign_keys() {
            return Ok(keys);
        }
        let keys = Arc::new(ForeignKeys::of(&self.catalogue)?);
        self.statements.set_foreign_keys(Arc::clone(&keys));
        Ok(keys)
    }

    /// Carries out the actions that follow from what was touched since `from`, and checks the keys:
    /// those checked after a statement, or at the end of the transaction those that were deferred.
    pub(super) fn keep_foreign_keys(
        &self,
        keys: &ForeignKeys,
        from: usize,
        at_end: bool,
        stamp: Stamp,
        allowance: &mut Allowance,
    ) -> Result<(), Failure> {
        for check in self.due_checks(keys, from, at_end, stamp, allowance)? {
            self.check_key(&check, allowance)?;
        }
        Ok(())
    }

    /// TRUNCATE takes no action on rows of other tables: it is refused while there are any that refer to the table.
    pub(super) fn check_not_referred_to(
        &self,
        keys: &ForeignKeys,
        table: TableId,
        allowance: &mut Allowance,
    ) -> Result<(), Failure> {
        for kept in keys.at(&keys.of_parent, table) {
            let waits = kept.on_delete.is_none() && allowance.deferral.defers(kept.key.timing);
            if kept.child.id == table || waits {
                continue;
            }
            if self.gives_rows(&kept.any, &[], &[], allowance)? {
                return Err(kept.cannot_truncate().into());
            }
        }
        Ok(())
    }

    /// SET CONSTRAINTS: checks what waits for the end and is not to wait any more.
    pub(super) fn set_constraints(
        &mut self,
        set: &SetConstraints,
        stamp: Stamp,
        allowance: &mut Allowance,
    ) -> Result<(), Failure> {
        if !set.deferred {
            let keys = self.foreign_keys()?;
            for check in self.due_checks(&keys, 0, true, stamp, allowance)? {
                let (child, name) = (check.kept.child.id, &check.kept.key.name);
                let is_named = |named: &(TableId, String)| named.0 == child && named.1 == *name;
                if set
                    .keys
                    .as_ref()
                    .is_none_or(|keys| keys.iter().any(is_named))
                {
                    self.check_key(&check, allowance)?;
                }
            }
        }
        if set.keys.is_none() {
            allowance.deferral = match set.deferred {
                true => Deferral::Deferred,
                false => Deferral::Immediate,
            };
        }
        Ok(())
    }

    /// Carries out the actions that are due, and gives the checks that are.
    fn due_checks<'k>(
        &self,
        keys: &'k ForeignKeys,
        from: usize,
        at_end: bool,
        stamp: Stamp,
        allowance: &mut Allowance,
    ) -> Result<Vec<Check<'k>>, Failure> {
        if keys.kept.is_empty() {
            return Ok(Vec::new());
        }
        let mut checks = Vec::new();
        let mut done = from;
        for round in 0.. {
            let (touches, end) = self
                .writer
                .sink(|log| log.since(done, |table| keys.concern(table)));
            done = end;
            if touches.is_empty() {
                break;
            }
            if round == ROUNDS_MAX {
                return Err(SqlError::new("54001", "the actions of foreign keys never end").into());
            }
            for touch in touches {
                let table = self.catalogue.table(touch.table).cloned();
                let Some(table) = table else { continue };
                let before = touch.before.as_ref().map(|(row, _)| row.as_slice());
                let before = values(&table, before)?;
                let after = values(&table, touch.after.as_deref())?;
                let moved = values(&table, touch.moved.as_deref())?;
                for kept in keys.at(&keys.of_parent, table.id) {
                    let of = |row: &Option<Vec<Value>>| picked(&table, &kept.key.referenced, row);
                    let Some(old) = of(&before) else { continue };
                    let new = of(&after).or_else(|| of(&moved));
                    if new.as_ref() != Some(&old) {
                        let check = self.act(kept, old, new, at_end, stamp, allowance)?;
                        checks.extend(check);
                    }
                }
                for kept in keys.at(&keys.of_child, table.id) {
                    let of = |row: &Option<Vec<Value>>| picked(&table, &kept.key.columns, row);
                    if allowance.deferral.defers(kept.key.timing) == at_end
                        && let Some(values) = of(&after)
                        && of(&before).as_ref() != Some(&values)
                    {
                        checks.push(Check {
                            kept,
                            values,
                            of_child: true,
                        });
                    }
                }
            }
            if at_end {
                break;
            }
        }
        Ok(checks)
    }

    /// What follows when a key that may be referred to is gone: an action, or a check.
    fn act<'k>(
        &self,
        kept: &'k Kept,
        old: Vec<Value>,
        new: Option<Vec<Value>>,
        at_end: bool,
        stamp: Stamp,
        allowance: &mut Allowance,
    ) -> Result<Option<Check<'k>>, Failure> {
        let (action, statement) = match new {
            None => (kept.key.on_delete, &kept.on_delete),
            Some(_) => (kept.key.on_update, &kept.on_update),
        };
        if let Some(sqlite) = statement {
            if !at_end {
                let mut parameters = old;
                let mut types = kept.types.clone();
                if action == Action::Cascade
                    && let Some(new) = new
                {
                    parameters.extend(new);
                    types.extend(kept.types.iter().copied());
                }
                self.run_internal(sqlite, &types, &[], &parameters, Some(stamp), allowance)?;
                if action == Action::SetDefault {
                    // The default may be the very key that is gone.
                    parameters.truncate(kept.types.len());
                    return Ok(Some(Check {
                        kept,
                        values: parameters,
                        of_child: false,
                    }));
                }
            }
            return Ok(None);
        }
        if action == Action::Restrict {
            if !at_end && self.gives_rows(&kept.referred, &kept.types, &old, allowance)? {
                return Err(kept.still_referred_to(&old).into());
            }
            return Ok(None);
        }
        let due = allowance.deferral.defers(kept.key.timing) == at_end;
        Ok(due.then_some(Check {
            kept,
            values: old,
            of_child: false,
        }))
    }

    fn check_key(&self, check: &Check<'_>, allowance: &mut Allowance) -> Result<(), Failure> {
        let (kept, values) = (check.kept, &check.values);
        // A row that refers may be gone or changed by now: only then is the second question asked.
        if self.gives_rows(&kept.missing, &kept.types, values, allowance)?
            && self.gives_rows(&kept.dangling, &kept.types, values, allowance)?
        {
            return Err(if check.of_child {
                kept.refers_to_nothing(values).into()
            } else {
                kept.still_referred_to(values).into()
            });
        }
        Ok(())
    }

    /// Checks the rows there are when a foreign key is added.
    pub(super) fn check_new_foreign_keys(
        &mut self,
        before: Option<&Table>,
        after: &Table,
        allowance: &mut Allowance,
    ) -> Result<(), Failure> {
        let is_new =
            |key: &ForeignKey| before.is_some_and(|before| !before.foreign_keys.contains(key));
        if !after.foreign_keys.iter().any(is_new) {
            return Ok(());
        }
        let keys = self.foreign_keys()?;
        for kept in keys
            .at(&keys.of_child, after.id)
            .filter(|kept| is_new(&kept.key))
        {
            let own: Vec<String> = kept.key.columns.iter().map(|id| column_name(*id)).collect();
            let pairs = kept.key.referenced.iter().zip(&own);
            let equal: Vec<String> = pairs
                .map(|(id, own)| format!("p.{}=c.{own}", column_name(*id)))
                .collect();
            let present: Vec<String> = own.iter().map(|c| format!("c.{c} IS NOT NULL")).collect();
            let own: Vec<String> = own.iter().map(|c| format!("c.{c}")).collect();
            let sqlite = format!(
                "SELECT {} FROM {} AS c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {}) LIMIT 1",
                own.join(","),
                table_name(after.id),
                present.join(" AND "),
                table_name(kept.parent.id),
                equal.join(" AND ")
            );
            let columns: Vec<OutputColumn> = kept
                .types
                .iter()
                .map(|ty| OutputColumn {
                    name: String::new(),
                    ty: *ty,
                    system: None,
                })
                .collect();
            let rows = self.run_internal(&sqlite, &[], &columns, &[], None, allowance)?;
            if let Some(values) = rows.first() {
                return Err(kept.refers_to_nothing(values).into());
            }
        }
        Ok(())
    }

    fn gives_rows(
        &self,
        sqlite: &str,
        types: &[Type],
        parameters: &[Value],
        allowance: &mut Allowance,
    ) -> Result<bool, Failure> {
        let rows = self.run_internal(sqlite, types, &[], parameters, None, allowance)?;
        Ok(!rows.is_empty())
    }

    pub(super) fn run_internal(
        &self,
        sqlite: &str,
        types: &[Type],
        columns: &[OutputColumn],
        parameters: &[Value],
        writer: Option<Stamp>,
        allowance: &mut Allowance,
    ) -> Result<Vec<Vec<Value>>, Failure> {
        let lowered = Lowered {
            types,
            columns,
            // Probes of keys.
            reach: None,
            writer,
            rows_once: false,
        };
        let mut prepared = self.prepare(sqlite)?;
        self.run_lowered(&mut prepared, &lowered, parameters, allowance)
    }
}

fn values(table: &Table, row: Option<&[u8]>) -> Result<Option<Vec<Value>>, EngineError> {
    let Some(row) = row else { return Ok(None) };
    // The transaction may have dropped columns since.
    let decoded = decode_row(table, row).or_else(|_| decode_known_columns(&lenient(table), row));
    let decoded = decoded.map_err(|error| EngineError::Internal {
        cause: format!("a changed row of {} cannot be read: {error}", table.name),
    })?;
    Ok(Some(decoded.values))
}

/// The values of some columns; none when the row is not there or one of them is NULL.
fn picked(table: &Table, columns: &[ColumnId], row: &Option<Vec<Value>>) -> Option<Vec<Value>> {
    let row = row.as_ref()?;
    let pick = |id: &ColumnId| {
        let place = table.columns.iter().position(|column| column.id == *id)?;
        row.get(place).filter(|value| !value.is_null()).cloned()
    };
    columns.iter().map(pick).collect()
}
