//! CREATE and DROP PROCEDURE.
//!
//! A procedure keeps its statements as text and the search path of who made it. They are bound when it
//! is made, to see that they can be, and again when it is called, with the rights of its owner.

use sqlparser::ast::{FunctionDesc, ObjectName};
use stele_core::Type;
use stele_core::schema::{Class, Kind, PROCEDURE_MAX, Procedure, Table};

use crate::bind::Binder;
use crate::bind::name::{new_name, qualified};
use crate::bind::procedure::bind_statement;
use crate::bind::type_name::column_type;
use crate::bound::{Definition, SchemaChange};
use crate::error::SqlError;
use crate::parse::{ProcedureClauses, StatementKind, parse};

impl Binder<'_> {
    pub(super) fn create_procedure(
        &mut self,
        name: &ObjectName,
        clauses: &ProcedureClauses,
    ) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "CREATE PROCEDURE";
        let (schema, name) = self.new_place(name)?;
        let before = self
            .catalogue
            .named(Class::Procedure, &schema, &name)
            .cloned();
        match &before {
            Some(before) if clauses.or_replace => self.check_owned(before)?,
            Some(_) => {
                return Err(SqlError::new(
                    "42723",
                    format!("procedure \"{name}\" already exists"),
                )
                .hint("Use CREATE OR REPLACE PROCEDURE. A name stands for one procedure, whatever its arguments."));
            }
            None => {}
        }
        check_language(clauses)?;
        let procedure = Procedure {
            parameters: parameters(clauses)?,
            statements: statements(clauses)?,
            search_path: self.search_path.clone(),
        };
        let id = match &before {
            Some(before) => before.id,
            None => self.new_id(),
        };
        let owner = self.context.account;
        let mut table = Table {
            kind: Kind::Procedure(procedure.clone()),
            primary_key_name: String::new(),
            ..Table::plain(id, (&schema, &name), owner, Vec::new(), Vec::new())
        };
        if let Some(before) = before {
            table.rights = before.rights.clone();
            table.comment = before.comment.clone();
        }
        // It may call itself.
        let mut after = self.catalogue.clone();
        after.put(table.clone());
        for place in 0..procedure.statements.len() {
            bind_statement(&after, &table, &procedure, place)?;
        }
        Ok(SchemaChange::put(table, TAG))
    }

    pub(super) fn drop_procedure(
        &mut self,
        named: &[FunctionDesc],
        if_exists: bool,
    ) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "DROP PROCEDURE";
        let mut definitions = Vec::with_capacity(named.len());
        for one in named {
            match self.procedure_named(&one.name) {
                Ok(procedure) => {
                    self.check_owned(&procedure)?;
                    definitions.push(Definition::drop(procedure.id));
                }
                Err(_) if if_exists => {}
                Err(error) => return Err(error),
            }
        }
        let first = named.first().map(|one| qualified(&one.name)).transpose()?;
        Ok(match first {
            Some((_, bare)) if definitions.is_empty() => SchemaChange::Nothing {
                tag: TAG,
                notice: format!("procedure {bare}() does not exist, skipping"),
            },
            _ => SchemaChange::Define {
                definitions,
                tag: TAG,
                restart: None,
            },
        })
    }
}

fn check_language(clauses: &ProcedureClauses) -> Result<(), SqlError> {
    let Some(language) = &clauses.language else {
        return Err(SqlError::new("42P13", "no language specified").hint("Write LANGUAGE SQL."));
    };
    if !language.eq_ignore_ascii_case("sql") {
        return Err(
            SqlError::new("42704", format!("language \"{language}\" does not exist")).hint(
                "Write LANGUAGE SQL: a procedure is a list of statements, the same on every node.",
            ),
        );
    }
    if clauses.invoker {
        return Err(SqlError::unsupported(
            "SECURITY INVOKER",
            "Leave it out: a procedure runs with the rights of its owner; session_user says who called.",
        ));
    }
    Ok(())
}

fn parameters(clauses: &ProcedureClauses) -> Result<Vec<(String, Type)>, SqlError> {
    if clauses.parameters.len() > PROCEDURE_MAX {
        return Err(SqlError::new(
            "54023",
            format!("procedures cannot have more than {PROCEDURE_MAX} arguments"),
        ));
    }
    let mut parameters: Vec<(String, Type)> = Vec::with_capacity(clauses.parameters.len());
    for (name, ty) in &clauses.parameters {
        let name = match name {
            Some(name) => new_name(name)?,
            None => String::new(),
        };
        if !name.is_empty() && parameters.iter().any(|(other, _)| *other == name) {
            return Err(SqlError::new(
                "42P13",
                format!("parameter name \"{name}\" used more than once"),
            ));
        }
        parameters.push((name, column_type(ty)?));
    }
    Ok(parameters)
}

fn statements(clauses: &ProcedureClauses) -> Result<Vec<String>, SqlError> {
    let Some(body) = &clauses.body else {
        return Err(
            SqlError::new("42P13", "no function body specified").hint("Write AS $$ statements $$.")
        );
    };
    let mut statements = Vec::new();
    for statement in parse(body)? {
        if !matches!(
            statement.kind(),
            StatementKind::Query | StatementKind::Write
        ) {
            return Err(SqlError::unsupported(
                "such a statement in a procedure",
                "A procedure takes SELECT, INSERT, UPDATE, DELETE, ASSERT and CALL.",
            ));
        }
        if statements.len() == PROCEDURE_MAX {
            return Err(SqlError::new(
                "54000",
                format!("a procedure has at most {PROCEDURE_MAX} statements"),
            )
            .hint("Let it CALL others."));
        }
        statements.push(statement.text().to_owned());
    }
    if statements.is_empty() {
        return Err(
            SqlError::new("42P13", "no function body specified").hint("Write AS $$ statements $$.")
        );
    }
    Ok(statements)
}
