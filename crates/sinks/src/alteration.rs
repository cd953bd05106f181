//! What leads from one shape of a table to the next, a step each.

use stele_flow::{Column, Table};

/// One step. Steps are taken in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Alteration<'t> {
    /// A column goes.
    Drop(&'t Column),
    /// A column gets another name.
    Rename {
        /// As it was.
        from: &'t Column,
        /// As it is then.
        to: &'t Column,
    },
    /// A column gets another type, and its values stay what they are.
    Retype {
        /// As it was, but for its name, which is the new one.
        from: &'t Column,
        /// As it is then.
        to: &'t Column,
    },
    /// A column comes, with its `missing` value in all rows.
    Add(&'t Column),
}

/// The steps from one shape to the next; the name of the table is not among them.
pub(crate) fn alterations<'t>(before: &'t Table, after: &'t Table) -> Vec<Alteration<'t>> {
    let mut steps = Vec::new();
    let dropped = before
        .columns
        .iter()
        .filter(|column| after.column(column.id).is_none());
    steps.extend(dropped.map(Alteration::Drop));
    let kept = || {
        let pairs = before.columns.iter();
        pairs.filter_map(|from| Some((from, after.column(from.id)?)))
    };
    let renamed = kept().filter(|(from, to)| from.name != to.name);
    steps.extend(renamed.map(|(from, to)| Alteration::Rename { from, to }));
    let retyped = kept().filter(|(from, to)| from.ty != to.ty);
    steps.extend(retyped.map(|(from, to)| Alteration::Retype { from, to }));
    let added = after
        .columns
        .iter()
        .filter(|column| before.column(column.id).is_none());
    steps.extend(added.map(Alteration::Add));
    steps
}
