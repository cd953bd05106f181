//! Indexes.

use sqlparser::ast::{AlterIndexOperation, CreateIndex, ObjectName, ObjectNamePart};
use stele_core::schema::Table;

use super::constraint::{already_exists, columns_by_name, index_column};
use crate::bind::Binder;
use crate::bind::name::{new_name, qualified};
use crate::bound::SchemaChange;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Result<SchemaChange, SqlError> {
        if create.predicate.is_some() || !create.include.is_empty() || !create.with.is_empty() {
            return Err(SqlError::unsupported(
                "a partial or covering index",
                "Index plain columns of all rows.",
            ));
        }
        if create.nulls_distinct == Some(false) {
            return Err(SqlError::unsupported(
                "NULLS NOT DISTINCT",
                "Make the column NOT NULL.",
            ));
        }
        let table = self.table(&create.table_name)?;
        self.check_owned(&table)?;
        let mut table = Table::clone(&table);
        let name = match &create.name {
            None => None,
            Some(name) => {
                let ident = name.0.last().and_then(ObjectNamePart::as_ident);
                let ident =
                    ident.ok_or_else(|| SqlError::new("42601", "syntax error in CREATE INDEX"))?;
                Some(new_name(ident)?)
            }
        };
        if let Some(name) = &name
            && self.name_taken(&table.schema, name)
        {
            if create.if_not_exists {
                return Ok(SchemaChange::Nothing {
                    tag: "CREATE INDEX",
                    notice: format!("relation \"{name}\" already exists, skipping"),
                });
            }
            return Err(already_exists(name));
        }
        let columns = columns_by_name(&table, create.columns.iter().map(index_column))?;
        self.add_index(&mut table, name, columns, create.unique, "idx")?;
        Ok(SchemaChange::AlterTable {
            table: Box::new(table),
            tag: "CREATE INDEX",
        })
    }

    pub(super) fn drop_index(
        &mut self,
        names: &[ObjectName],
        if_exists: bool,
    ) -> Result<SchemaChange, SqlError> {
        let [name] = names else {
            return Err(SqlError::unsupported(
                "DROP INDEX of several indexes",
                "Drop them one by one.",
            ));
        };
        let (_, bare) = qualified(name)?;
        let Some(mut table) = self.table_of_index(&bare) else {
            if if_exists {
                return Ok(SchemaChange::Nothing {
                    tag: "DROP INDEX",
                    notice: format!("index \"{bare}\" does not exist, skipping"),
                });
            }
            return Err(no_index(&bare));
        };
        self.check_owned(&table)?;
        table.indexes.retain(|index| index.name != bare);
        Ok(SchemaChange::AlterTable {
            table: Box::new(table),
            tag: "DROP INDEX",
        })
    }

    pub(super) fn alter_index(
        &mut self,
        _: &ObjectName,
        _: &AlterIndexOperation,
    ) -> Result<SchemaChange, SqlError> {
        Err(SqlError::unsupported(
            "ALTER INDEX",
            "Drop it and create it anew.",
        ))
    }

    fn table_of_index(&self, name: &str) -> Option<Table> {
        self.catalogue
            .tables()
            .find(|table| table.indexes.iter().any(|index| index.name == name))
            .map(|table| Table::clone(table))
    }
}

fn no_index(name: &str) -> SqlError {
    SqlError::new("42704", format!("index \"{name}\" does not exist"))
}
