//! What names mean at a place: the relations of FROM, inner before outer.

use sqlparser::ast::{Ident, NamedWindowDefinition};
use stele_core::schema::{Column, ColumnId, Table};

use super::expression::{Expression, Kind, Ty};
use super::name::{folded, no_column};
use crate::error::SqlError;
use crate::physical::column_name;

/// One column a name can mean.
#[derive(Clone, Debug)]
pub(super) struct ScopeColumn {
    pub(super) name: String,
    pub(super) expression: Expression,
    pub(super) shown: Shown,
}

/// Which stars show a column, and so how it may be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// `*`: by its name alone.
    InStar,
    /// `relation.*` only, since USING merged it: with its relation's name.
    OfRelation,
    /// None, a column of ours: with its relation's name.
    Hidden,
}

/// One item of FROM.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) name: String,
    /// Schema of a table named without an alias: `schema.table.column` may mean it.
    pub(super) schema: Option<String>,
    pub(super) columns: Vec<ScopeColumn>,
    /// Expressions that tell its rows apart.
    pub(super) key: Vec<String>,
    /// Its name is only for `name.column`; bare names pass over it (EXCLUDED).
    pub(super) qualified_only: bool,
}

/// All relations of one query level, and columns USING merged, which come first in `*`.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) relations: Vec<Relation>,
    pub(super) merged: Vec<ScopeColumn>,
}

/// Functions of the transaction, not of their arguments.
const VOLATILE: &[&str] = &[
    "now",
    "current_timestamp",
    "transaction_timestamp",
    "statement_timestamp",
    "localtimestamp",
    "current_date",
    "random",
    "gen_random_uuid",
    "current_user",
    "session_user",
    "user",
    "current_role",
    "nextval",
    "currval",
    "setval",
    "lastval",
];

/// Where an expression stands: decides what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Select,
    Where,
    On,
    GroupBy,
    Having,
    OrderBy,
    Limit,
    Values,
    /// The arguments of a function in FROM.
    From,
    Set,
    Returning,
    Check,
    Default,
    /// A row policy's condition.
    Policy,
}

impl Clause {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Where => "WHERE",
            Self::On => "JOIN conditions",
            Self::GroupBy => "GROUP BY",
            Self::Having => "HAVING",
            Self::OrderBy => "ORDER BY",
            Self::Limit => "LIMIT",
            Self::Values => "VALUES",
            Self::From => "functions in FROM",
            Self::Set => "UPDATE",
            Self::Returning => "RETURNING",
            Self::Check => "check constraints",
            Self::Default => "DEFAULT expressions",
            Self::Policy => "policy expressions",
        }
    }

    /// What PostgreSQL calls a condition there.
    pub(super) fn condition_words(self) -> &'static str {
        match self {
            Self::On => "JOIN/ON",
            Self::Check => "CHECK",
            Self::Policy => "POLICY",
            Self::Select | Self::OrderBy | Self::Set | Self::Returning => "FILTER",
            other => other.words(),
        }
    }

    pub(super) fn takes_aggregates(self) -> bool {
        matches!(self, Self::Select | Self::Having | Self::OrderBy)
    }
}

/// What GROUP BY leaves visible.
#[derive(Clone, Debug, Default)]
pub(super) struct Grouping {
    /// The grouping expressions as parsed.
    pub(super) parsed: Vec<sqlparser::ast::Expr>,
    /// And as bound.
    pub(super) bound: Vec<Expression>,
    /// SQLite texts of columns that depend on grouped primary keys.
    pub(super) dependent: Vec<String>,
    /// Keys of other grouping sets: NULL in this one.
    pub(super) absent: Vec<AbsentKey>,
}

/// A key of GROUP BY that the grouping set at hand leaves out.
#[derive(Clone, Debug)]
pub(super) struct AbsentKey {
    pub(super) parsed: sqlparser::ast::Expr,
    pub(super) sql: String,
    /// What stands for it.
    pub(super) null: Expression,
}

/// A place: its scope and those around it.
#[derive(Clone, Copy)]
pub(super) struct Environment<'e> {
    pub(super) scope: &'e Scope,
    pub(super) outer: Option<&'e Environment<'e>>,
    pub(super) clause: Clause,
    pub(super) grouping: Option<&'e Grouping>,
    pub(super) inside_aggregate: bool,
    pub(super) inside_window: bool,
    /// What WINDOW names.
    pub(super) windows: &'e [NamedWindowDefinition],
}

impl<'e> Environment<'e> {
    pub(super) fn new(scope: &'e Scope, clause: Clause) -> Self {
        Self {
            scope,
            outer: None,
            clause,
            grouping: None,
            inside_aggregate: false,
            inside_window: false,
            windows: &[],
        }
    }

    pub(super) fn with_outer(self, outer: Option<&'e Environment<'e>>) -> Self {
        Self { outer, ..self }
    }

    pub(super) fn with_windows(self, windows: &'e [NamedWindowDefinition]) -> Self {
        Self { windows, ..self }
    }

    pub(super) fn with_clause(self, clause: Clause) -> Self {
        Self { clause, ..self }
    }

    /// Refuses what depends on the transaction where only the row may count.
    pub(super) fn check_volatile(&self, function: &str) -> Result<(), SqlError> {
        if self.clause != Clause::Check || !VOLATILE.contains(&function) {
            return Ok(());
        }
        Err(SqlError::new(
            "42P17",
            format!("{function} in a CHECK constraint is not immutable"),
        )
        .hint("A CHECK depends on the row alone: compare with a column that holds the time."))
    }

    /// Refuses a sub-select in a definition.
    pub(super) fn check_subselect(&self) -> Result<(), SqlError> {
        match self.clause {
            Clause::Check => Err(
                SqlError::new("0A000", "cannot use subquery in check constraint")
                    .hint("Check in the transaction: SELECT stele_assert(…)."),
            ),
            Clause::Default => Err(SqlError::new(
                "0A000",
                "cannot use subquery in DEFAULT expression",
            )
            .hint("Give the value in INSERT.")),
            _ => Ok(()),
        }
    }

    /// The column a bare or dotted name means.
    pub(super) fn column(&self, idents: &[Ident]) -> Result<Expression, SqlError> {
        let names: Vec<String> = idents.iter().map(folded).collect();
        let mut place = Some(self);
        let mut missing_relation = false;
        while let Some(environment) = place {
            match environment.scope.find(&names)? {
                Found::Column(expression) => {
                    if let Some(null) = environment.absent(&expression.sql) {
                        return Ok(null);
                    }
                    environment.check_grouped(&expression, &names)?;
                    return Ok(expression);
                }
                Found::NoColumn => return Err(no_column(&names.join("."))),
                Found::NoRelation => missing_relation = true,
                Found::Nothing => {}
            }
            place = environment.outer;
        }
        match names.as_slice() {
            [relation, .., _] if missing_relation => Err(SqlError::new(
                "42P01",
                format!("missing FROM-clause entry for table \"{relation}\""),
            )),
            _ => Err(no_column(&names.join("."))),
        }
    }

    /// NULL for a key that the grouping set at hand leaves out.
    fn absent(&self, sql: &str) -> Option<Expression> {
        let grouping = self.grouping.filter(|_| !self.inside_aggregate)?;
        let absent = grouping.absent.iter().find(|absent| absent.sql == sql)?;
        Some(absent.null.clone())
    }

    /// Whether an expression is one of GROUP BY's, as written.
    pub(super) fn is_grouped(&self, tree: &sqlparser::ast::Expr) -> bool {
        self.grouping
            .is_some_and(|grouping| grouping.parsed.contains(tree))
    }

    pub(super) fn check_grouped(
        &self,
        expression: &Expression,
        names: &[String],
    ) -> Result<(), SqlError> {
        let Some(grouping) = self.grouping else {
            return Ok(());
        };
        let free = self.inside_aggregate
            || grouping.bound.iter().any(|key| key.sql == expression.sql)
            || grouping.dependent.contains(&expression.sql);
        if free {
            return Ok(());
        }
        let name = match names {
            [bare] => match self.scope.owner_of(bare) {
                Some(relation) => format!("{relation}.{bare}"),
                None => bare.clone(),
            },
            dotted => dotted.join("."),
        };
        Err(SqlError::new(
            "42803",
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            ),
        ))
    }
}

enum Found {
    Column(Expression),
    NoColumn,
    NoRelation,
    Nothing,
}

impl Scope {
    /// The columns of a table by their bare names, as CHECK, ON CONFLICT and RETURNING see them.
    pub(super) fn of_bare_table(table: &Table) -> Self {
        Self {
            relations: vec![Relation::of_table(table, None, &table.name, false)],
            merged: Vec::new(),
        }
    }

    fn owner_of(&self, column: &str) -> Option<&str> {
        self.relations
            .iter()
            .find(|relation| relation.columns.iter().any(|one| one.name == column))
            .map(|relation| relation.name.as_str())
    }

    fn find(&self, names: &[String]) -> Result<Found, SqlError> {
        match names {
            [column] => {
                let bare = self
                    .relations
                    .iter()
                    .filter(|relation| !relation.qualified_only)
                    .flat_map(|relation| &relation.columns)
                    .filter(|candidate| candidate.shown == Shown::InStar);
                let mut found = self
                    .merged
                    .iter()
                    .chain(bare)
                    .filter(|candidate| candidate.name == *column);
                match (found.next(), found.next()) {
                    (Some(one), None) => Ok(Found::Column(one.expression.clone())),
                    (Some(_), Some(_)) => Err(SqlError::new(
                        "42702",
                        format!("column reference \"{column}\" is ambiguous"),
                    )),
                    _ => Ok(Found::Nothing),
                }
            }
            [relation, column] => Ok(self.find_in(None, relation, column)),
            [schema, relation, column] => Ok(self.find_in(Some(schema), relation, column)),
            _ => Ok(Found::Nothing),
        }
    }

    fn find_in(&self, schema: Option<&str>, relation: &str, column: &str) -> Found {
        match self.relation(schema, relation) {
            None => Found::NoRelation,
            Some(relation) => match relation.columns.iter().find(|one| one.name == column) {
                Some(one) => Found::Column(one.expression.clone()),
                None => Found::NoColumn,
            },
        }
    }

    pub(super) fn relation(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| {
            relation.name == name && (schema.is_none() || relation.schema.as_deref() == schema)
        })
    }

    /// The columns `*` gives.
    pub(super) fn star(&self) -> Vec<(String, Expression)> {
        let own = self
            .relations
            .iter()
            .filter(|relation| !relation.qualified_only)
            .flat_map(|relation| &relation.columns)
            .filter(|column| column.shown == Shown::InStar);
        self.merged
            .iter()
            .chain(own)
            .map(|column| (column.name.clone(), column.expression.clone()))
            .collect()
    }

    /// Expressions that tell the rows of all relations apart.
    pub(super) fn key(&self) -> Vec<String> {
        self.relations
            .iter()
            .flat_map(|relation| relation.key.iter().cloned())
            .collect()
    }
}

impl Relation {
    /// The columns of a table, as `alias.cN` or bare `cN`.
    pub(super) fn of_table(
        table: &Table,
        alias: Option<&str>,
        name: &str,
        qualified_only: bool,
    ) -> Self {
        let text = |column: stele_core::schema::ColumnId| match alias {
            Some(alias) => format!("{alias}.{}", column_name(column)),
            None => column_name(column),
        };
        let visible = |column: &Column| ScopeColumn {
            name: column.name.clone(),
            expression: Expression {
                sql: text(column.id),
                ty: Ty::Of(column.ty),
                nullable: !column.not_null,
                kind: Kind::Column,
            },
            shown: match column.id {
                ColumnId::ROW => Shown::Hidden,
                _ => Shown::InStar,
            },
        };
        Self {
            name: name.to_owned(),
            schema: Some(table.schema.clone()),
            columns: table.columns.iter().map(visible).collect(),
            key: table.primary_key.iter().map(|id| text(*id)).collect(),
            qualified_only,
        }
    }

    /// Says that an outer join may leave every column NULL.
    pub(super) fn make_nullable(&mut self) {
        for column in &mut self.columns {
            column.expression.nullable = true;
        }
    }
}
