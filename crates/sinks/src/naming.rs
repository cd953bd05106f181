//! What mirrored tables are called.

use std::collections::BTreeMap;

use stele_flow::Table;

/// Schema whose tables keep their bare name where the target has no schemas.
const PLAIN_SCHEMA: &str = "public";

/// Names chosen for tables; others get the usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// From `schema.name` in the source to the name in the target.
    pub chosen: BTreeMap<String, String>,
}

impl Naming {
    /// The name of a table where the target has no schemas: `orders` of `public.orders`, `sales_orders` of
    /// `sales.orders`.
    pub(crate) fn flat(&self, table: &Table) -> String {
        if let Some(name) = self.chosen.get(&table.to_string()) {
            return name.clone();
        }
        if table.schema == PLAIN_SCHEMA {
            table.name.clone()
        } else {
            format!("{}_{}", table.schema, table.name)
        }
    }

    /// The same with a dot between.
    pub(crate) fn dotted(&self, table: &Table) -> String {
        let (schema, name) = self.in_schema(table);
        format!("{schema}.{name}")
    }

    /// Schema and name of a table in a target with schemas: those it has, unless others were chosen.
    pub(crate) fn in_schema(&self, table: &Table) -> (String, String) {
        match self.chosen.get(&table.to_string()) {
            None => (table.schema.clone(), table.name.clone()),
            Some(name) => match name.split_once('.') {
                Some((schema, name)) => (schema.to_owned(), name.to_owned()),
                None => (table.schema.clone(), name.clone()),
            },
        }
    }
}

/// A name between quotes.
pub(crate) fn quoted(name: &str, quote: char) -> String {
    let doubled: String = [quote, quote].iter().collect();
    format!("{quote}{}{quote}", name.replace(quote, &doubled))
}
