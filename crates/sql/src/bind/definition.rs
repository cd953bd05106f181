//! Statements that change the catalogue.

mod alter;
mod constraint;
mod create;
mod index;

use sqlparser::ast::{ObjectName, ObjectType, Statement};
use stele_core::schema::Table;

use super::Binder;
use super::name::qualified;
use crate::bound::SchemaChange;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn definition(&mut self, statement: &Statement) -> Result<SchemaChange, SqlError> {
        match statement {
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateIndex(create) => self.create_index(create),
            Statement::AlterTable(alter) => self.alter_table(alter),
            Statement::AlterIndex { name, operation } => self.alter_index(name, operation),
            Statement::Drop {
                object_type: ObjectType::Table,
                if_exists,
                names,
                ..
            } => self.drop_table(names, *if_exists),
            Statement::Drop {
                object_type: ObjectType::Index,
                if_exists,
                names,
                ..
            } => self.drop_index(names, *if_exists),
            Statement::Truncate(_) => Err(SqlError::unsupported(
                "TRUNCATE",
                "Use DELETE FROM: every row that goes is recorded.",
            )),
            Statement::CreateView(_) => Err(SqlError::unsupported(
                "CREATE VIEW",
                "Keep the query in the client.",
            )),
            Statement::CreateSequence { .. } => Err(SqlError::unsupported(
                "CREATE SEQUENCE",
                "Use gen_random_uuid() or let the client count.",
            )),
            Statement::Grant(_) | Statement::Revoke(_) => Err(SqlError::unsupported(
                "GRANT and REVOKE",
                "For now only the owner of a table uses it.",
            )),
            Statement::Merge(_) => Err(SqlError::unsupported(
                "MERGE",
                "Use INSERT … ON CONFLICT … DO UPDATE.",
            )),
            Statement::Copy { .. } => Err(SqlError::unsupported(
                "COPY",
                "Write with INSERT of many rows (drivers: executemany, a pipeline, addBatch); read with SELECT.",
            )),
            other => Err(SqlError::unsupported(
                command_name(&other.to_string()),
                "Stele takes SELECT, INSERT, UPDATE, DELETE, CREATE and ALTER TABLE, CREATE INDEX, DROP, and transactions.",
            )),
        }
    }

    fn drop_table(
        &mut self,
        names: &[ObjectName],
        if_exists: bool,
    ) -> Result<SchemaChange, SqlError> {
        let mut tables = Vec::with_capacity(names.len());
        let mut notice = None;
        for name in names {
            let (schema, bare) = qualified(name)?;
            match self.find_table(schema.as_deref(), &bare) {
                Some(table) => {
                    self.check_owned(table)?;
                    if !tables.contains(&table.id) {
                        tables.push(table.id);
                    }
                }
                None if if_exists => {
                    notice = Some(format!("table \"{bare}\" does not exist, skipping"));
                }
                None => {
                    return Err(SqlError::new(
                        "42P01",
                        format!("table \"{bare}\" does not exist"),
                    ));
                }
            }
        }
        Ok(match notice {
            Some(notice) if tables.is_empty() => SchemaChange::Nothing {
                tag: "DROP TABLE",
                notice,
            },
            _ => SchemaChange::DropTable { tables },
        })
    }

    /// Whether a table, index or key of a schema has that name already.
    fn name_taken(&self, schema: &str, name: &str) -> bool {
        self.catalogue
            .tables()
            .filter(|table| table.schema == schema)
            .any(|table| taken_in(table, name))
    }

    /// A name of that beginning nothing in the schema has: `name`, `name1`, `name2`…
    fn free_name(&self, schema: &str, table: &Table, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 0;
        while self.name_taken(schema, &name) || taken_in(table, &name) {
            number += 1;
            name = super::name::numbered_name(wanted, Some(number));
        }
        name
    }
}

fn taken_in(table: &Table, name: &str) -> bool {
    table.name == name
        || table.primary_key_name == name
        || table.indexes.iter().any(|index| index.name == name)
}

/// What a statement is called: its first word, and the second where the first says too little.
fn command_name(text: &str) -> String {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default().to_uppercase();
    match (first.as_str(), words.next()) {
        ("CREATE" | "ALTER" | "DROP", Some(second)) => format!("{first} {}", second.to_uppercase()),
        _ => first,
    }
}
