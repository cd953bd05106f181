//! The definitions of a height: an immutable value shared by the writer and all readers.

use std::collections::BTreeMap;
use std::sync::Arc;

use stele_core::schema::{Class, FIRST_USER_TABLE, Kind, Table, TableId};

/// The schema searched when a name has none.
pub const DEFAULT_SCHEMA: &str = "public";
/// The schema of the built-in tables.
pub const LEDGER_SCHEMA: &str = "stele";

/// All table definitions at one height.
#[derive(Clone, Debug)]
pub struct Catalogue {
    version: u64,
    by_id: BTreeMap<TableId, Arc<Table>>,
    by_name: BTreeMap<(Class, String, String), TableId>,
    next_table: TableId,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            version: 0,
            by_id: BTreeMap::new(),
            by_name: BTreeMap::new(),
            next_table: FIRST_USER_TABLE,
        }
    }
}

impl Catalogue {
    /// Counts the changes ever made: a bound statement is good for one version only.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The id the next created table gets.
    #[must_use]
    pub fn next_table(&self) -> TableId {
        self.next_table
    }

    /// Restores what a stored catalogue had counted.
    pub fn set_counters(&mut self, version: u64, next_table: TableId) {
        self.version = version;
        self.next_table = next_table;
    }

    /// The definition of that id.
    #[must_use]
    pub fn table(&self, id: TableId) -> Option<&Arc<Table>> {
        self.by_id.get(&id)
    }

    /// The table, view or sequence of that name.
    #[must_use]
    pub fn table_named(&self, schema: &str, name: &str) -> Option<&Arc<Table>> {
        self.named(Class::Relation, schema, name)
    }

    /// The definition of a class of that name; schemas and roles are in no schema.
    #[must_use]
    pub fn named(&self, class: Class, schema: &str, name: &str) -> Option<&Arc<Table>> {
        let id = self
            .by_name
            .get(&(class, schema.to_owned(), name.to_owned()))?;
        self.by_id.get(id)
    }

    /// All tables in id order.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        let all = self.by_id.values();
        all.filter(|definition| definition.kind == Kind::Table)
    }

    /// All definitions in id order: tables, and what else the catalogue holds.
    pub fn definitions(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.by_id.values()
    }

    /// The definitions that keep rows, in id order.
    pub fn with_rows(&self) -> impl Iterator<Item = &Arc<Table>> {
        let all = self.by_id.values();
        all.filter(|definition| definition.kind.has_rows())
    }

    /// Tables so ordered that one which refers to another comes before it, otherwise as given: in this order they
    /// can be emptied. Those that refer to each other in a ring come last.
    #[must_use]
    pub fn referring_first(&self, tables: &[TableId]) -> Vec<TableId> {
        let mut left = tables.to_vec();
        let mut ordered = Vec::with_capacity(left.len());
        let refers = |from: &TableId, to: TableId| {
            let keys = self.table(*from).map(|table| table.foreign_keys.as_slice());
            let mut keys = keys.unwrap_or_default().iter();
            *from != to && keys.any(|key| key.references == to)
        };
        while let Some(place) = (0..left.len()).find(|place| {
            (left.get(*place)).is_some_and(|to| !left.iter().any(|from| refers(from, *to)))
        }) {
            ordered.push(left.remove(place));
        }
        ordered.append(&mut left);
        ordered
    }

    /// Whether a schema is there: the two every ledger has, or one that was created.
    #[must_use]
    pub fn has_schema(&self, name: &str) -> bool {
        name == DEFAULT_SCHEMA
            || name == LEDGER_SCHEMA
            || self.named(Class::Schema, "", name).is_some()
    }

    /// Adds a table or replaces its definition.
    pub fn put(&mut self, table: Table) {
        self.remove_names(table.id);
        self.version += 1;
        self.next_table = self.next_table.max(TableId(table.id.0.saturating_add(1)));
        self.by_name.insert(name_of(&table), table.id);
        self.by_id.insert(table.id, Arc::new(table));
    }

    /// Removes a table.
    pub fn remove(&mut self, id: TableId) {
        self.remove_names(id);
        self.version += 1;
        self.by_id.remove(&id);
    }

    fn remove_names(&mut self, id: TableId) {
        if let Some(table) = self.by_id.get(&id) {
            self.by_name.remove(&name_of(table));
        }
    }
}

fn name_of(table: &Table) -> (Class, String, String) {
    (table.kind.class(), table.schema.clone(), table.name.clone())
}

#[cfg(test)]
mod tests {
    use stele_core::AccountId;
    use stele_core::schema::{Action, ForeignKey, Timing};

    use super::*;

    #[test]
    fn tables_that_refer_come_before_those_they_refer_to() {
        let mut catalogue = Catalogue::default();
        // 3 → 2 → 1, 4 → 4, 5 ⇄ 6
        for (id, references) in [
            (1, vec![]),
            (2, vec![1]),
            (3, vec![2]),
            (4, vec![4]),
            (5, vec![6]),
            (6, vec![5]),
        ] {
            let name = format!("t{id}");
            let mut table = Table::plain(
                TableId(id),
                ("public", &name),
                AccountId([0; 32]),
                Vec::new(),
                Vec::new(),
            );
            let key = |to| ForeignKey {
                name: format!("k{to}"),
                columns: Vec::new(),
                references: TableId(to),
                referenced: Vec::new(),
                on_delete: Action::NoAction,
                on_update: Action::NoAction,
                timing: Timing::Immediate,
            };
            table.foreign_keys = references.into_iter().map(key).collect();
            catalogue.put(table);
        }
        let ordered = |ids: &[u32]| -> Vec<u32> {
            let ids: Vec<TableId> = ids.iter().map(|id| TableId(*id)).collect();
            catalogue
                .referring_first(&ids)
                .iter()
                .map(|id| id.0)
                .collect()
        };
        assert_eq!(ordered(&[1, 2, 3]), [3, 2, 1]);
        assert_eq!(ordered(&[4, 1, 2]), [4, 2, 1]);
        assert_eq!(ordered(&[5, 6, 1]), [1, 5, 6]);
        assert_eq!(ordered(&[1, 1, 9]), [1, 1, 9]);
    }
}
