//! Statements that change the catalogue.

mod alter;
mod constraint;
mod create;
mod foreign_key;
mod grant;
mod index;
mod namespace;
mod policy;
mod procedure;
mod sequence;
mod view;

use sqlparser::ast::{ObjectName, ObjectType, Statement};
use stele_core::schema::{Class, Column, Table, TableId};

use super::name::qualified;
use super::{BindContext, Binder};
use crate::bound::{Definition, SchemaChange};
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::parse::Extension;
pub(crate) use foreign_key::widest;
use sequence::wrong_kind;
pub(super) use view::view_query;

impl Binder<'_> {
    pub(super) fn definition(&mut self, statement: &Statement) -> Result<SchemaChange, SqlError> {
        let change = self.define(statement)?;
        if let SchemaChange::Define { definitions, .. } = &change {
            self.check_views(definitions)?;
            self.check_policies(definitions)?;
        }
        Ok(change)
    }

    fn define(&mut self, statement: &Statement) -> Result<SchemaChange, SqlError> {
        match statement {
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateIndex(create) => self.create_index(create),
            Statement::AlterTable(alter) => self.alter_table(alter),
            Statement::AlterIndex { name, operation } => self.alter_index(name, operation),
            Statement::Drop {
                object_type: ObjectType::Table,
                if_exists,
                names,
                cascade,
                ..
            } => self.drop_relations("table", names, *if_exists, *cascade),
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
            Statement::CreateView(create) => self.create_view(create),
            Statement::CreateSchema {
                schema_name,
                if_not_exists,
                or_replace: false,
                ..
            } => self.create_schema(schema_name, *if_not_exists),
            Statement::CreateRole(create) => self.create_role(create),
            Statement::Comment {
                object_type,
                object_name,
                comment,
                ..
            } => self.comment(*object_type, object_name, comment.as_deref()),
            Statement::CreatePolicy(create) => self.create_policy(create),
            Statement::AlterPolicy(alter) => self.alter_policy(alter),
            Statement::DropPolicy(drop) => self.drop_policy(drop),
            Statement::DropProcedure {
                if_exists,
                proc_desc,
                ..
            } => match (self.extension, proc_desc.as_slice()) {
                (Some(Extension::Procedure(clauses)), [one]) => {
                    self.create_procedure(&one.name, clauses)
                }
                _ => self.drop_procedure(proc_desc, *if_exists),
            },
            Statement::Grant(grant) => self.grant(grant),
            Statement::Revoke(revoke) => self.revoke(revoke),
            Statement::Drop {
                object_type: ObjectType::View,
                if_exists,
                names,
                cascade,
                ..
            } => self.drop_relations("view", names, *if_exists, *cascade),
            Statement::Drop {
                object_type: ObjectType::Schema,
                if_exists,
                names,
                cascade,
                ..
            } => self.drop_schema(names, *if_exists, *cascade),
            Statement::Drop {
                object_type: ObjectType::Role,
                if_exists,
                names,
                ..
            } => self.drop_role(names, *if_exists),
            Statement::CreateSequence {
                temporary: false,
                if_not_exists,
                name,
                data_type,
                sequence_options,
                owned_by,
            } => {
                let (ty, options) = (data_type.as_ref(), sequence_options.as_slice());
                match self.extension {
                    Some(Extension::AlterSequence { if_exists, restart }) => {
                        let owner = owned_by.as_ref();
                        self.alter_sequence(name, ty, options, owner, (*if_exists, *restart))
                    }
                    _ => {
                        let owner = owned_by.as_ref();
                        self.create_sequence(name, *if_not_exists, ty, options, owner)
                    }
                }
            }
            Statement::Drop {
                object_type: ObjectType::Sequence,
                if_exists,
                names,
                cascade,
                ..
            } => self.drop_relations("sequence", names, *if_exists, *cascade),
            Statement::Merge(_) => Err(SqlError::unsupported(
                "MERGE",
                "Use INSERT … ON CONFLICT … DO UPDATE.",
            )),
            Statement::Copy { .. } => Err(SqlError::unsupported(
                "COPY",
                "COPY goes over a PostgreSQL connection, from STDIN and to STDOUT. Here write with INSERT of many rows and read with SELECT.",
            )),
            other => Err(SqlError::unsupported(
                command_name(&other.to_string()),
                "Stele takes SELECT, WITH and VALUES, INSERT, UPDATE, DELETE and TRUNCATE, CREATE, ALTER and DROP of tables, indexes, views, sequences, schemas, roles and policies, COMMENT, GRANT and REVOKE; on a PostgreSQL connection also EXPLAIN, transactions, savepoints, cursors, PREPARE, COPY, SET and SHOW.",
            )),
        }
    }

    /// DROP TABLE, SEQUENCE or VIEW, with what goes away with them.
    fn drop_relations(
        &mut self,
        kind: &'static str,
        names: &[ObjectName],
        if_exists: bool,
        cascade: bool,
    ) -> Result<SchemaChange, SqlError> {
        let tag = match kind {
            "sequence" => "DROP SEQUENCE",
            "view" => "DROP VIEW",
            _ => "DROP TABLE",
        };
        let mut tables = Vec::with_capacity(names.len());
        let mut notice = None;
        for name in names {
            let (schema, bare) = qualified(name)?;
            match self.find_table(schema.as_deref(), &bare) {
                Some(table) => {
                    self.check_owned(table)?;
                    if table.kind.word() != kind {
                        return Err(wrong_kind(table, kind));
                    }
                    if !tables.contains(&table.id) {
                        tables.push(table.id);
                    }
                }
                None if if_exists => {
                    notice = Some(format!("{kind} \"{bare}\" does not exist, skipping"));
                }
                None => {
                    return Err(SqlError::new(
                        "42P01",
                        format!("{kind} \"{bare}\" does not exist"),
                    ));
                }
            }
        }
        Ok(match notice {
            Some(notice) if tables.is_empty() => SchemaChange::Nothing { tag, notice },
            _ => SchemaChange::Define {
                definitions: self.dropped(tables, cascade)?,
                tag,
                restart: None,
            },
        })
    }

    /// Relations that go, and those that go with them.
    fn dropped(&self, tables: Vec<TableId>, cascade: bool) -> Result<Vec<Definition>, SqlError> {
        let mut gone = tables.clone();
        for table in &tables {
            for sequence in self.owned_sequences(*table, None) {
                if !gone.contains(&sequence) {
                    gone.push(sequence);
                }
            }
        }
        self.dependent_views(&mut gone, cascade)?;
        let mut definitions: Vec<Definition> = gone.iter().copied().map(Definition::drop).collect();
        self.loosen(&gone, cascade, &mut definitions)?;
        Ok(definitions)
    }

    /// Refuses to drop what others need, or with CASCADE takes it out of them.
    fn loosen(
        &self,
        gone: &[TableId],
        cascade: bool,
        definitions: &mut Vec<Definition>,
    ) -> Result<(), SqlError> {
        let trial = self.without(gone);
        for table in self.catalogue.definitions() {
            if gone.contains(&table.id) {
                continue;
            }
            let needs = |column: &Column| {
                let identity = column.identity;
                identity.is_some_and(|identity| gone.contains(&identity.sequence))
            };
            if let Some(column) = table.columns.iter().find(|column| needs(column)) {
                let mut error = still_needed(self.catalogue, gone);
                error.detail = Some(format!(
                    "column {} of table {} takes its values from it",
                    column.name, table.name
                ));
                return Err(error.hint("ALTER TABLE … ALTER COLUMN … DROP IDENTITY first."));
            }
            let context = BindContext::new(table.owner);
            let mut trial = Binder::new(&trial, &context);
            let mut uses = table.columns.iter().filter(|column| {
                let default = column.default.as_deref();
                default.is_some_and(|text| text.contains("nextval"))
                    && trial.default_of(column).is_err()
            });
            if let Some(column) = uses.next() {
                let mut error = still_needed(self.catalogue, gone);
                error.detail = Some(format!(
                    "default value for column {} of table {} depends on it",
                    column.name, table.name
                ));
                return Err(error.hint("ALTER TABLE … ALTER COLUMN … DROP DEFAULT first."));
            }
            self.loosen_foreign_keys(table, gone, cascade, definitions)?;
        }
        Ok(())
    }

    /// The catalogue without some definitions: what binds against it needs none of them.
    fn without(&self, gone: &[TableId]) -> Catalogue {
        let mut trial = self.catalogue.clone();
        for id in gone {
            trial.remove(*id);
        }
        trial
    }

    /// Whether a table, index or key of a schema has that name already.
    fn name_taken(&self, schema: &str, name: &str) -> bool {
        let made = self.made.iter().filter_map(|made| made.after.as_deref());
        let all = self.catalogue.definitions().map(AsRef::as_ref).chain(made);
        all.filter(|table| table.schema == schema && table.kind.class() == Class::Relation)
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

/// 2BP01: something else needs what is to go.
fn still_needed(catalogue: &Catalogue, gone: &[TableId]) -> SqlError {
    let first = gone.first().and_then(|id| catalogue.table(*id));
    let (word, name) = first.map_or(("", ""), |table| (table.kind.word(), &table.name));
    SqlError::new(
        "2BP01",
        format!("cannot drop {word} {name} because other objects depend on it"),
    )
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
