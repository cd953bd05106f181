//! WITH, recursive or not.
//!
//! A recursive table is lowered to SQLite's own: its first query, `UNION [ALL]`, and a second one
//! that names the table once, directly in its FROM. It ends when the second gives no more rows, or
//! at the cost bound of the transaction.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Cte, Query, SelectItem, SetExpr, SetOperator, SetQuantifier, With, visit_relations,
};
use stele_core::Type;

use super::Binder;
use super::aggregate::holds_aggregate;
use super::cast::{Asked, common_type};
use super::expression::{Expression, Ty, is_text, scale_of};
use super::name::{folded, new_name};
use super::query::{Column, Select, rename_columns};
use super::scope::Environment;
use crate::error::SqlError;

/// A table of WITH.
#[derive(Clone, Debug)]
pub(super) struct CommonTable {
    pub(super) name: String,
    /// Its name in the output.
    pub(super) alias: String,
    pub(super) columns: Vec<Column>,
    /// While its own recursive query is bound: the level that may name it.
    pub(super) recursive: Option<Recursion>,
}

/// How a recursive query names its own table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recursion {
    /// Level of the SELECT whose FROM may name it.
    pub(super) level: usize,
    /// How often it did.
    pub(super) uses: usize,
}

impl Binder<'_> {
    /// `WITH …` as SQLite text; its tables are visible from then on.
    pub(super) fn with(
        &mut self,
        with: &With,
        outer: Option<&Environment<'_>>,
    ) -> Result<String, SqlError> {
        let mut texts = Vec::with_capacity(with.cte_tables.len());
        let mut names: Vec<String> = Vec::with_capacity(with.cte_tables.len());
        for table in &with.cte_tables {
            let name = new_name(&table.alias.name)?;
            if names.contains(&name) {
                return Err(SqlError::new(
                    "42712",
                    format!("WITH query name \"{name}\" specified more than once"),
                ));
            }
            let text = match recursive_parts(with.recursive, table, &name) {
                Some(parts) => self.recursive_table(table, &name, &parts, outer)?,
                None => self.plain_table(table, &name, outer)?,
            };
            texts.push(text);
            names.push(name);
        }
        // SQLite takes the word for all tables of the clause; it changes nothing for the others.
        let word = if with.recursive {
            "WITH RECURSIVE"
        } else {
            "WITH"
        };
        Ok(format!("{word} {} ", texts.join(",")))
    }

    fn plain_table(
        &mut self,
        table: &Cte,
        name: &str,
        outer: Option<&Environment<'_>>,
    ) -> Result<String, SqlError> {
        let mut select = self.query(&table.query, outer)?;
        select.settle_columns(self)?;
        rename_columns(&mut select.columns, &table.alias.columns, name)?;
        let alias = self.fresh('w');
        let text = select.text(self)?;
        // What draws random values is computed once, however often it is named.
        let once = if text.contains("st_random") {
            "MATERIALIZED "
        } else {
            ""
        };
        let text = format!("{} AS {once}({text})", heading(&alias, &select));
        self.common_tables.push(CommonTable {
            name: name.to_owned(),
            alias,
            columns: select.columns,
            recursive: None,
        });
        Ok(text)
    }

    fn recursive_table(
        &mut self,
        table: &Cte,
        name: &str,
        parts: &Parts<'_>,
        outer: Option<&Environment<'_>>,
    ) -> Result<String, SqlError> {
        refuse_extras(&table.query, parts.second)?;
        let mut first = self.set_expression(parts.first, outer)?;
        first.settle_columns(self)?;
        rename_columns(&mut first.columns, &table.alias.columns, name)?;
        for column in &mut first.columns {
            column.expression.nullable = true;
            let is_array = (column.expression.system()).is_some_and(|ty| ty.element().is_some());
            if !is_array && column.expression.known().is_some_and(is_text) {
                column.expression.ty = Ty::Of(Type::Text);
            }
        }
        let alias = self.fresh('w');
        let place = self.common_tables.len();
        self.common_tables.push(CommonTable {
            name: name.to_owned(),
            alias: alias.clone(),
            columns: first.columns.clone(),
            recursive: Some(Recursion {
                level: self.level + 1,
                uses: 0,
            }),
        });
        let mut second = self.set_expression(parts.second, outer)?;
        if first.columns.len() != second.columns.len() {
            return Err(SqlError::new(
                "42601",
                "each UNION query must have the same number of columns",
            ));
        }
        let uses = self
            .common_tables
            .get_mut(place)
            .and_then(|table| table.recursive.take())
            .map_or(0, |recursion| recursion.uses);
        if uses > 1 {
            return Err(misplaced(name, "more than once"));
        }
        for (number, (a, b)) in first.columns.iter().zip(&mut second.columns).enumerate() {
            let given = std::mem::replace(&mut b.expression, Expression::unknown(""));
            b.expression = self.recursive_column(name, number + 1, &a.expression, given)?;
        }
        let first_text = first.text(self)?;
        let own = self.fresh('r');
        let word = if parts.all { "UNION ALL" } else { "UNION" };
        let second = second.text(self)?;
        if second.contains(") OVER (") {
            return Err(SqlError::unsupported(
                "a window function in a recursive query",
                "Compute it over the result of the recursion.",
            ));
        }
        Ok(format!(
            "{} AS (SELECT * FROM ({first_text}) AS {own} {word} {second})",
            heading(&alias, &first),
        ))
    }

    /// A column of the recursive query as the type the first query gave it.
    fn recursive_column(
        &mut self,
        name: &str,
        number: usize,
        first: &Expression,
        second: Expression,
    ) -> Result<Expression, SqlError> {
        let pair = [first.clone(), second.clone()];
        let common = common_type(&pair, "UNION")?;
        let fits = match (common, first.ty) {
            (Ty::Of(a), Ty::Of(b)) if is_text(a) => is_text(b),
            // A scale that grew would grow for ever.
            (Ty::Of(Type::Numeric { .. }), Ty::Of(own @ Type::Numeric { .. })) => {
                second.is_unknown() || second.known().and_then(scale_of) <= scale_of(own)
            }
            (_, Ty::System(own)) => second.is_unknown() || second.known() == Some(own.stored()),
            (a, b) => a == b,
        };
        if !fits {
            return Err(SqlError::new(
                "42804",
                format!(
                    "recursive query \"{name}\" column {number} has type {} in non-recursive term but type {common} overall",
                    first.ty
                ),
            )
            .hint("Cast the output of the non-recursive term to the correct type."));
        }
        match first.ty {
            Ty::Of(ty) => self.cast(second, ty, Asked::Implicitly),
            Ty::Interval => self.interval_from(second),
            Ty::System(to) => match second.system() {
                Some(from) if from == to => Ok(second),
                _ => self.cast_to_system(second, to),
            },
            Ty::Unknown => Ok(second),
        }
    }
}

/// `w1(k1,k2)`
fn heading(alias: &str, select: &Select) -> String {
    let columns: Vec<String> = (1..=select.columns.len())
        .map(|number| format!("k{number}"))
        .collect();
    format!("{alias}({})", columns.join(","))
}

/// The two queries of a recursive table.
struct Parts<'t> {
    first: &'t SetExpr,
    second: &'t SetExpr,
    all: bool,
}

/// The parts of a table of WITH RECURSIVE that names itself.
fn recursive_parts<'t>(recursive: bool, table: &'t Cte, name: &str) -> Option<Parts<'t>> {
    if !recursive {
        return None;
    }
    let SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier,
        left,
        right,
    } = table.query.body.as_ref()
    else {
        return None;
    };
    let names_itself = visit_relations(right, |relation| {
        let bare = match relation.0.as_slice() {
            [part] => part.as_ident().map(folded),
            _ => None,
        };
        if bare.as_deref() == Some(name) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    names_itself.is_break().then_some(Parts {
        first: left,
        second: right,
        all: *set_quantifier == SetQuantifier::All,
    })
}

/// What neither PostgreSQL nor SQLite does in a recursive query.
fn refuse_extras(query: &Query, second: &SetExpr) -> Result<(), SqlError> {
    if query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some() {
        return Err(SqlError::new(
            "0A000",
            "ORDER BY and LIMIT in a recursive query are not implemented",
        )
        .hint("Put them on the query that reads the recursive table."));
    }
    if query.with.is_some() {
        return Err(SqlError::unsupported(
            "WITH inside a recursive query",
            "Put it before, in the same WITH.",
        ));
    }
    let SetExpr::Select(select) = second else {
        return Err(SqlError::unsupported(
            "a recursive query that is no plain SELECT",
            "Write WITH RECURSIVE t AS (… UNION ALL SELECT … FROM t …).",
        ));
    };
    let aggregate = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(tree) | SelectItem::ExprWithAlias { expr: tree, .. } => {
            holds_aggregate(tree)
        }
        _ => false,
    };
    if select.projection.iter().any(aggregate)
        || select.having.as_ref().is_some_and(holds_aggregate)
    {
        return Err(SqlError::new(
            "42P19",
            "aggregate functions are not allowed in a recursive query's recursive term",
        ));
    }
    if select.distinct.is_some() {
        return Err(SqlError::unsupported(
            "DISTINCT in a recursive query",
            "Use UNION without ALL: it keeps each row once.",
        ));
    }
    Ok(())
}

/// Where a recursive query may name itself.
pub(super) fn misplaced(name: &str, place: &str) -> SqlError {
    SqlError::new(
        "42P19",
        format!("recursive reference to query \"{name}\" must not appear {place}"),
    )
    .hint("Name it once, in FROM of the second query.")
}
