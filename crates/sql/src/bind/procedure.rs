//! CALL, ASSERT, and the statements of procedures.
//!
//! In a procedure a name means a column if there is one, else a parameter, as in PostgreSQL;
//! `procedure.parameter` always means the parameter. `current_user` is the owner, with whose rights
//! the statements run, and `session_user` who called.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident};
use stele_core::Type;
use stele_core::schema::{Column, ColumnId, Kind, Privileges, Procedure, Table, Timing};

use super::expression::{Expression, Ty};
use super::name::folded;
use super::query::{Column as Output, Select};
use super::scope::{Clause, Environment, Scope};
use super::{BindContext, Binder};
use crate::bound::{Bound, BoundCall, BoundQuery, Reliance, SetConstraints};
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::parse::parse_single;

/// The names of `$1`…, inside a procedure.
#[derive(Clone, Debug, Default)]
pub(super) struct ParameterNames {
    /// The procedure's own.
    procedure: String,
    names: Vec<String>,
}

impl ParameterNames {
    /// Whether a procedure's statement is being bound.
    pub(super) fn is_procedure(&self) -> bool {
        !self.procedure.is_empty()
    }

    /// The number of the parameter that names mean.
    fn place(&self, idents: &[Ident]) -> Option<usize> {
        let name = match idents {
            [name] => folded(name),
            [procedure, name] if folded(procedure) == self.procedure => folded(name),
            _ => return None,
        };
        let mut names = self.names.iter();
        let place = names.position(|one| !one.is_empty() && *one == name)?;
        Some(place + 1)
    }
}

/// Binds a statement of a procedure, with the rights of its owner.
pub(crate) fn bind_statement(
    catalogue: &Catalogue,
    definition: &Table,
    procedure: &Procedure,
    place: usize,
) -> Result<Bound, SqlError> {
    let text = procedure.statements.get(place).map_or("", String::as_str);
    let statement = parse_single(text)?;
    let count = procedure.parameters.len();
    if statement.parameter_count() > count {
        return Err(SqlError::new(
            "42P02",
            format!("there is no parameter ${}", statement.parameter_count()),
        )
        .hint(format!("The procedure has {count} parameters.")));
    }
    let types = procedure.parameters.iter().map(|(_, ty)| Some(*ty));
    let context = BindContext {
        search_path: procedure.search_path.clone(),
        parameters: types.collect(),
        ..BindContext::new(definition.owner)
    };
    let mut binder = Binder::new(catalogue, &context);
    binder.extension = statement.extension();
    binder.allow_text(statement.text());
    binder.parameter_names = ParameterNames {
        procedure: definition.name.clone(),
        names: procedure
            .parameters
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
    };
    let bound = binder.statement(statement.statement())?;
    if matches!(&bound, Bound::Query(query) if query.past) {
        return Err(SqlError::unsupported(
            "a read of the past in a procedure",
            "Read it before, and give what was read as an argument.",
        ));
    }
    bound.check_executable()?;
    Ok(bound)
}

impl Binder<'_> {
    /// The parameter of a procedure that a name means, if it means one.
    pub(super) fn named_parameter(
        &mut self,
        clause: Clause,
        idents: &[Ident],
    ) -> Option<Result<Expression, SqlError>> {
        let number = self.parameter_names.place(idents)?;
        Some(self.placeholder(clause, &format!("${number}")))
    }

    /// CALL: which procedure, and a query for its arguments.
    pub(super) fn call_procedure(&mut self, function: &Function) -> Result<BoundCall, SqlError> {
        let definition = self.procedure_named(&function.name)?;
        self.check_privilege(&definition, Privileges::EXECUTE)?;
        let Kind::Procedure(procedure) = &definition.kind else {
            return Err(SqlError::new(
                "42809",
                format!("{} is not a procedure", function.name),
            ));
        };
        let trees = arguments(function, procedure)?;
        // What an argument reads is no write, but it belongs to one.
        self.writes = true;
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Values);
        let mut columns = Vec::with_capacity(trees.len());
        for (tree, (name, ty)) in trees.into_iter().zip(&procedure.parameters) {
            let value = self.expression(&environment, tree)?;
            let column = Column::plain(ColumnId(1), name.clone(), *ty);
            columns.push(Output {
                name: name.clone(),
                expression: self.assign(value, &column)?,
            });
        }
        let select = Select {
            columns,
            ..Select::default()
        };
        Ok(BoundCall {
            procedure: definition.id,
            arguments: self.bound_query(select)?,
        })
    }

    /// SET CONSTRAINTS; the ledger executes it with what it stands among, so it counts as insisting.
    pub(super) fn set_constraints(
        &mut self,
        names: &[Vec<String>],
        deferred: bool,
    ) -> Result<BoundQuery, SqlError> {
        let mut keys = Vec::with_capacity(names.len());
        for path in names {
            let (schema, name) = match path.as_slice() {
                [name] => (None, name),
                [schema, name] => (Some(schema), name),
                _ => return Err(SqlError::new("42601", "syntax error in SET CONSTRAINTS")),
            };
            let before = keys.len();
            for table in self.catalogue.tables() {
                if schema.is_some_and(|schema| *schema != table.schema) {
                    continue;
                }
                for key in table.foreign_keys.iter().filter(|key| key.name == *name) {
                    if key.timing == Timing::Immediate {
                        return Err(SqlError::new(
                            "42809",
                            format!("constraint \"{name}\" is not deferrable"),
                        ));
                    }
                    if deferred && key.timing != Timing::Deferred {
                        return Err(SqlError::unsupported(
                            "SET CONSTRAINTS name DEFERRED of one that is not INITIALLY DEFERRED",
                            "Write SET CONSTRAINTS ALL DEFERRED, or make it INITIALLY DEFERRED.",
                        ));
                    }
                    keys.push((table.id, name.clone()));
                }
            }
            if keys.len() == before {
                return Err(SqlError::new(
                    "42704",
                    format!("constraint \"{name}\" does not exist"),
                ));
            }
        }
        let query = self.bound_query(Select {
            tail: " WHERE 0".to_owned(),
            ..Select::default()
        })?;
        Ok(BoundQuery {
            asserts: true,
            constraints: Some(SetConstraints {
                keys: Some(keys).filter(|_| !names.is_empty()),
                deferred,
            }),
            reliance: Reliance {
                assertion: true,
                ..query.reliance
            },
            ..query
        })
    }

    /// ASSERT: a query without rows that fails unless the condition is true.
    pub(super) fn assertion(
        &mut self,
        condition: &Expr,
        message: Option<&Expr>,
    ) -> Result<BoundQuery, SqlError> {
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Where);
        let condition = self.expression(&environment, condition)?;
        let condition = self.truth(condition, "ASSERT")?;
        let message = match message {
            None => "'assertion failed'".to_owned(),
            Some(tree) => {
                let message = self.expression(&environment, tree)?;
                match message.ty {
                    Ty::Of(Type::Text | Type::Varchar(_) | Type::Char(_)) | Ty::Unknown => {}
                    other => {
                        return Err(SqlError::new(
                            "42804",
                            format!("the message of ASSERT must be type text, not type {other}"),
                        ));
                    }
                }
                self.settled(message)?.sql
            }
        };
        let select = Select {
            tail: format!(" WHERE NOT st_assert({},{message})", condition.sql),
            ..Select::default()
        };
        let query = self.bound_query(select)?;
        Ok(BoundQuery {
            asserts: true,
            reliance: Reliance {
                assertion: true,
                ..query.reliance
            },
            ..query
        })
    }
}

/// The arguments in the order of the parameters.
fn arguments<'f>(function: &'f Function, procedure: &Procedure) -> Result<Vec<&'f Expr>, SqlError> {
    let wrong = || {
        let types = procedure.parameters.iter().map(|(_, ty)| ty.to_string());
        SqlError::new(
            "42883",
            format!("procedure {} does not take these arguments", function.name),
        )
        .hint(format!(
            "It takes ({}).",
            types.collect::<Vec<_>>().join(", ")
        ))
    };
    let given = match &function.args {
        FunctionArguments::None => &[][..],
        FunctionArguments::List(list)
            if list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
        {
            list.args.as_slice()
        }
        _ => return Err(wrong()),
    };
    let mut found: Vec<Option<&Expr>> = vec![None; procedure.parameters.len()];
    for (place, argument) in given.iter().enumerate() {
        let (name, value) = match argument {
            FunctionArg::Unnamed(value) => (None, value),
            FunctionArg::Named { name, arg, .. } => (Some(name), arg),
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg,
                ..
            } => (Some(name), arg),
            FunctionArg::ExprNamed { .. } => return Err(wrong()),
        };
        let place = match name.map(folded) {
            None => place,
            Some(name) => {
                let mut parameters = procedure.parameters.iter();
                let place = parameters.position(|(other, _)| *other == name);
                place.ok_or_else(wrong)?
            }
        };
        match (found.get_mut(place), value) {
            (Some(slot @ None), FunctionArgExpr::Expr(tree)) => *slot = Some(tree),
            _ => return Err(wrong()),
        }
    }
    found.into_iter().map(|one| one.ok_or_else(wrong)).collect()
}
