//! Which tables a replica keeps.

use stele_core::schema::FIRST_USER_TABLE;
use stele_flow::Table;

/// Schema of a name without one.
const PLAIN_SCHEMA: &str = "public";

/// All tables of users, or those listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `schema.name`, `name` (of `public`), `schema.*`, or `*` for whatever has rows, sequences and the
    /// ledger's own tables among it; none: all tables of users.
    pub names: Vec<String>,
}

impl Selection {
    /// Whether a table is among them. A table that is kept stays so when it is renamed.
    #[must_use]
    pub fn takes(&self, table: &Table) -> bool {
        if self.names.is_empty() {
            return table.id >= FIRST_USER_TABLE && !table.is_sequence;
        }
        self.names.iter().any(|name| match name.split_once('.') {
            None if name == "*" => true,
            None => table.schema == PLAIN_SCHEMA && table.name == *name,
            Some((schema, "*")) => table.schema == schema && !table.is_sequence,
            Some((schema, name)) => table.schema == schema && table.name == name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_core::schema::{ColumnId, TableId};

    fn table(id: u32, schema: &str, name: &str) -> Table {
        Table {
            id: TableId(id),
            schema: schema.to_owned(),
            name: name.to_owned(),
            is_sequence: false,
            columns: Vec::new(),
            key: vec![ColumnId(1)],
        }
    }

    fn taken(names: &[&str], table: &Table) -> bool {
        let names = names.iter().map(ToString::to_string).collect();
        Selection { names }.takes(table)
    }

    #[test]
    fn lists_name_tables_and_schemas_and_none_names_all_of_users() {
        let orders = table(1_000, "public", "orders");
        assert!(taken(&[], &orders) && taken(&["orders"], &orders));
        assert!(taken(&["public.*"], &orders) && !taken(&["sales.*"], &orders));
        let kv = table(1, "stele", "kv");
        assert!(!taken(&[], &kv) && taken(&["stele.kv"], &kv));
    }
}
