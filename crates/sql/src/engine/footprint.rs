//! Which statements of an open transaction a preview of the newest ones needs.
//!
//! Clients take turns on the executor, and a preview that another one has displaced begins anew. It
//! then leaves out statements that share no table with what is asked for, directly or through others:
//! nothing they do can show in its results. A transaction is compared as a whole when the ledger
//! executes it, whatever its previews left out.

use std::collections::BTreeSet;

use stele_core::AccountId;
use stele_core::schema::{FIRST_USER_TABLE, TableId};
use stele_core::transaction::Statement;

use super::Engine;
use super::foreign_key::ForeignKeys;
use super::preview::PreviewRequest;
use crate::bound::{Bound, Reliance};

/// The tables of a statement that depends on nothing but their rows and changes nothing else.
type Footprint = BTreeSet<TableId>;

/// Which statements are left out, and their tables.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// One for each statement the client has the result of; empty when none is left out.
    places: Vec<bool>,
    tables: BTreeSet<TableId>,
}

impl LeftOut {
    /// Whether the statement at a place is left out.
    pub(super) fn holds(&self, place: usize) -> bool {
        self.places.get(place).copied().unwrap_or(false)
    }
}

impl Engine {
    /// What a preview that begins anew can leave out.
    pub(super) fn unneeded(&mut self, request: &PreviewRequest<'_>) -> LeftOut {
        let answered = request.statements.get(..request.from).unwrap_or_default();
        // Without anything new the question is whether all of it still holds.
        if answered.is_empty() || new_ones(request).next().is_none() {
            return LeftOut::default();
        }
        // Whatever is wrong, running them all will say so.
        let Ok(keys) = self.foreign_keys() else {
            return LeftOut::default();
        };
        let mut needed = Footprint::new();
        for statement in new_ones(request) {
            match self.footprint(request.account, statement, &keys) {
                Some(tables) => needed.extend(tables),
                None => return LeftOut::default(),
            }
        }
        let mut left_out = LeftOut {
            places: vec![false; answered.len()],
            tables: BTreeSet::new(),
        };
        for (statement, place) in answered.iter().zip(&mut left_out.places).rev() {
            let Some(tables) = self.footprint(request.account, statement, &keys) else {
                return LeftOut::default();
            };
            if tables.is_disjoint(&needed) {
                *place = true;
                left_out.tables.extend(tables);
            } else {
                needed.extend(tables);
            }
        }
        // One that is needed may have made another one so, of which a later one was left out.
        if !left_out.tables.is_disjoint(&needed) {
            return LeftOut::default();
        }
        left_out
    }

    /// Whether a kept preview that left something out can go on with what is new.
    pub(super) fn suffices(&mut self, left_out: &LeftOut, request: &PreviewRequest<'_>) -> bool {
        if left_out.tables.is_empty() {
            return true;
        }
        let Ok(keys) = self.foreign_keys() else {
            return false;
        };
        let mut new = new_ones(request).peekable();
        new.peek().is_some()
            && new.all(|statement| {
                self.footprint(request.account, statement, &keys)
                    .is_some_and(|tables| tables.is_disjoint(&left_out.tables))
            })
    }

    /// None when it may depend on more than rows of its tables, or change more.
    fn footprint(
        &mut self,
        account: AccountId,
        statement: &Statement,
        keys: &ForeignKeys,
    ) -> Option<Footprint> {
        let bound = self.bind(account, &statement.sql).ok()?;
        let Reliance {
            chance,
            state_root,
            table_versions,
            // These follow from the transaction, or are not compared.
            time: _,
            row_order: _,
            assertion: _,
            catalogue: _,
        } = bound.reliance();
        if chance || state_root || table_versions {
            return None;
        }
        match bound.as_ref() {
            Bound::Query(query)
                if query.sequences.ids.is_empty() && query.constraints.is_none() && !query.past =>
            {
                Some(query.reads.iter().copied().collect())
            }
            Bound::Write(write)
                if write.sequences.ids.is_empty()
                    && write.restarts.is_empty()
                    && write.checks.is_empty()
                    && !keys.concern(write.table)
                    // Rows of built-in tables mean more: rights, keys.
                    && write.table >= FIRST_USER_TABLE =>
            {
                Some(write.reads.iter().copied().chain([write.table]).collect())
            }
            _ => None,
        }
    }
}

/// Statements whose results are asked for.
fn new_ones<'a>(request: &PreviewRequest<'a>) -> impl Iterator<Item = &'a Statement> {
    let new = request.statements.get(request.from..).unwrap_or_default();
    new.iter().chain(request.extra)
}
