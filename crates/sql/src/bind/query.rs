//! Queries: WITH, the body, ORDER BY, LIMIT.

use sqlparser::ast::{
    Expr, LimitClause, OrderBy, OrderByKind, OrderByOptions, OrderBySort, Query, SetExpr, Value,
};
use stele_core::Type;

use super::Binder;
use super::cast::Asked;
use super::expression::{Expression, Kind, Ty};
use super::name::folded;
use super::scope::{Clause, Environment, Relation, Scope, ScopeColumn, Shown};
use crate::bound::{BoundQuery, Reliance};
use crate::error::SqlError;
use crate::reach::Reach;
use crate::result::OutputColumn;
use crate::system_type::SystemType;

/// One column of a bound query.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) expression: Expression,
}

/// A bound query whose columns can still be cast.
#[derive(Clone, Debug, Default)]
pub(super) struct Select {
    /// `WITH …`, or empty.
    pub(super) with: String,
    pub(super) distinct: bool,
    pub(super) columns: Vec<Column>,
    /// From ` FROM` to HAVING.
    pub(super) tail: String,
    /// Items of ORDER BY.
    pub(super) order: Vec<String>,
    /// ` LIMIT …`, or empty.
    pub(super) limit: String,
    /// Expressions that tell the rows apart, when output columns may not.
    pub(super) key: Vec<String>,
    /// Whether it surely gives at most one row.
    pub(super) single_row: bool,
    /// Whether it gives a row for each of FROM that passes WHERE.
    pub(super) is_plain: bool,
}

impl Select {
    /// Its SQLite text; output columns are `k1`, `k2`…
    pub(super) fn text(&self, _: &Binder<'_>) -> Result<String, SqlError> {
        let mut sql = format!("{}SELECT ", self.with);
        if self.distinct {
            sql.push_str("DISTINCT ");
        }
        for (number, column) in self.columns.iter().enumerate() {
            if number > 0 {
                sql.push(',');
            }
            sql.push_str(&format!("{} AS k{}", column.expression.sql, number + 1));
        }
        if self.columns.is_empty() {
            sql.push_str("NULL");
        }
        sql.push_str(&self.tail);
        if !self.order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", self.order.join(",")));
        }
        sql.push_str(&self.limit);
        Ok(sql)
    }

    /// Types what is still unknown as TEXT.
    pub(super) fn settle_columns(&mut self, binder: &mut Binder<'_>) -> Result<(), SqlError> {
        for column in &mut self.columns {
            let expression = std::mem::replace(&mut column.expression, Expression::unknown(""));
            column.expression = binder.settled(expression)?;
        }
        Ok(())
    }

    /// Makes it safe to cast its columns: DISTINCT and ORDER BY go on seeing them as they were.
    pub(super) fn make_castable(&mut self, binder: &mut Binder<'_>) {
        if !self.distinct && self.order.is_empty() {
            return;
        }
        if let Ok(text) = self.text(binder) {
            let alias = binder.fresh('r');
            let single_row = self.single_row;
            let columns = self.outer_columns(&alias);
            *self = Self {
                columns,
                tail: format!(" FROM ({text}) AS {alias}"),
                single_row,
                ..Self::default()
            };
        }
    }

    /// Its output columns as seen from outside, where it is called `alias`.
    pub(super) fn outer_columns(&self, alias: &str) -> Vec<Column> {
        self.columns
            .iter()
            .enumerate()
            .map(|(number, column)| Column {
                name: column.name.clone(),
                expression: Expression {
                    // What is untyped inside stays so outside: it is a literal either way.
                    sql: if column.expression.is_unknown() {
                        column.expression.sql.clone()
                    } else {
                        format!("{alias}.k{}", number + 1)
                    },
                    ty: column.expression.ty,
                    nullable: column.expression.nullable,
                    kind: if column.expression.is_unknown() {
                        column.expression.kind.clone()
                    } else {
                        Kind::Other
                    },
                },
            })
            .collect()
    }

    /// As an item of FROM.
    pub(super) fn relation(&self, alias: &str, name: &str) -> Relation {
        let columns: Vec<ScopeColumn> = self
            .outer_columns(alias)
            .into_iter()
            .map(|column| ScopeColumn {
                name: column.name,
                expression: column.expression,
                shown: Shown::InStar,
            })
            .collect();
        Relation {
            name: name.to_owned(),
            schema: None,
            key: (1..=columns.len())
                .map(|number| format!("{alias}.k{number}"))
                .collect(),
            columns,
            qualified_only: false,
        }
    }
}

impl Binder<'_> {
    /// The outermost query of a statement.
    pub(super) fn top_query(&mut self, query: &Query) -> Result<BoundQuery, SqlError> {
        let select = self.query(query, None)?;
        self.bound_query(select)
    }

    /// A bound query as the engine takes it.
    pub(super) fn bound_query(&mut self, mut select: Select) -> Result<BoundQuery, SqlError> {
        let columns = self.output_columns(&mut select)?;
        let sqlite = select.text(self)?;
        let catalogue = self.reads_system_relations();
        let sqlite = self.with_system_relations(sqlite);
        Ok(BoundQuery {
            reliance: Reliance {
                catalogue,
                ..Reliance::of(&sqlite)
            },
            reach: Reach::default(),
            sqlite,
            parameters: self.parameter_types(),
            arrays: self.parameter_arrays(),
            columns,
            reads: self.reads.iter().copied().collect(),
            past: self.past,
            sequences: self.used_sequences(),
            asserts: false,
            constraints: None,
        })
    }

    /// Brings the columns of a query to types values can have.
    fn output_columns(&mut self, select: &mut Select) -> Result<Vec<OutputColumn>, SqlError> {
        let mut columns = Vec::with_capacity(select.columns.len());
        for column in &mut select.columns {
            let expression = std::mem::replace(&mut column.expression, Expression::unknown(""));
            let (expression, ty, system) = self.output(expression)?;
            column.expression = expression;
            columns.push(OutputColumn {
                name: column.name.clone(),
                ty,
                system,
            });
        }
        Ok(columns)
    }

    /// An expression as a value a client gets: unknown and INTERVAL become TEXT.
    pub(super) fn output(
        &mut self,
        expression: Expression,
    ) -> Result<(Expression, Type, Option<SystemType>), SqlError> {
        let expression = match expression.ty {
            Ty::Interval => self.cast(expression, Type::Text, Asked::Explicitly)?,
            // Names of things are given as names.
            Ty::System(system) if system.is_reference() => self.system_text(expression, system),
            _ => self.settled(expression)?,
        };
        let ty = expression.known().unwrap_or(Type::Text);
        let system = expression.system();
        Ok((expression, ty, system))
    }

    /// A query anywhere in a statement.
    pub(super) fn query(
        &mut self,
        query: &Query,
        outer: Option<&Environment<'_>>,
    ) -> Result<Select, SqlError> {
        let visible = self.common_tables.len();
        let result = self.deeper(|binder| binder.query_inside(query, outer));
        self.common_tables.truncate(visible);
        result
    }

    fn query_inside(
        &mut self,
        query: &Query,
        outer: Option<&Environment<'_>>,
    ) -> Result<Select, SqlError> {
        refuse_extras(query)?;
        let with = match &query.with {
            Some(with) => self.with(with, outer)?,
            None => String::new(),
        };
        let order = order_items(query.order_by.as_ref())?;
        let mut select = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, &order, outer)?,
            body => {
                let mut select = self.set_expression(body, outer)?;
                self.order_by_output(&mut select, &order)?;
                select
            }
        };
        self.limit(&mut select, query, outer)?;
        if !with.is_empty() {
            select.with = with;
        }
        Ok(select)
    }

    /// ORDER BY over a set operation or VALUES: output columns only.
    fn order_by_output(
        &mut self,
        select: &mut Select,
        order: &[(&Expr, OrderByOptions)],
    ) -> Result<(), SqlError> {
        for (tree, options) in order {
            let place = position(tree, select.columns.len())?.or_else(|| match tree {
                Expr::Identifier(ident) => {
                    let name = folded(ident);
                    select.columns.iter().position(|column| column.name == name)
                }
                _ => None,
            });
            let Some(column) = place.and_then(|place| select.columns.get(place)) else {
                return Err(SqlError::new(
                    "0A000",
                    "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
                )
                .hint("Only result column names can be used, not expressions or functions. Put the query into a sub-select of FROM."));
            };
            let item = order_item(&column.expression, options)?;
            select.order.push(item);
        }
        Ok(())
    }

    fn limit(
        &mut self,
        select: &mut Select,
        query: &Query,
        outer: Option<&Environment<'_>>,
    ) -> Result<(), SqlError> {
        let (limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset {
                limit,
                offset,
                limit_by,
            }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(_) => {
                return Err(SqlError::new("42601", "LIMIT #,# syntax is not supported")
                    .hint("Use separate LIMIT and OFFSET clauses."));
            }
        };
        let fetch = match &query.fetch {
            Some(fetch) if fetch.with_ties || fetch.percent => {
                return Err(SqlError::unsupported(
                    "FETCH WITH TIES or PERCENT",
                    "Use LIMIT.",
                ));
            }
            Some(fetch) => fetch.quantity.as_ref(),
            None => None,
        };
        let limit = limit.or(fetch);
        if limit.is_none() && offset.is_none() {
            return Ok(());
        }
        if self.writes {
            // Which rows a LIMIT keeps must not depend on the plan.
            let all = (1..=select.columns.len()).map(|number| format!("k{number}"));
            let key = if select.distinct {
                Vec::new()
            } else {
                std::mem::take(&mut select.key)
            };
            select.order.extend(all.chain(key));
        }
        if let Some(Expr::Value(value)) = limit
            && matches!(&value.value, Value::Number(digits, _) if digits == "1")
        {
            select.single_row = true;
        }
        let limit = match limit {
            Some(tree) => self.row_count(tree, outer, "st_limit")?,
            None => "-1".to_owned(),
        };
        select.limit = format!(" LIMIT {limit}");
        if let Some(tree) = offset {
            let offset = self.row_count(tree, outer, "st_offset")?;
            select.limit.push_str(&format!(" OFFSET {offset}"));
        }
        Ok(())
    }

    fn row_count(
        &mut self,
        tree: &Expr,
        outer: Option<&Environment<'_>>,
        function: &str,
    ) -> Result<String, SqlError> {
        if matches!(tree, Expr::Identifier(ident) if ident.value.eq_ignore_ascii_case("all")) {
            return Ok("-1".to_owned());
        }
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Limit).with_outer(outer);
        let count = self.expression(&environment, tree)?;
        let count = self.cast(count, Type::BigInt, Asked::ByAssignment)?;
        Ok(match &count.kind {
            Kind::Constant(stele_core::Value::Int(rows)) if *rows >= 0 => rows.to_string(),
            _ => format!("{function}({})", count.sql),
        })
    }
}

/// Gives columns the names an alias lists.
pub(super) fn rename_columns(
    columns: &mut [Column],
    names: &[sqlparser::ast::TableAliasColumnDef],
    relation: &str,
) -> Result<(), SqlError> {
    if names.len() > columns.len() {
        return Err(SqlError::new(
            "42P10",
            format!(
                "table \"{relation}\" has {} columns available but {} columns specified",
                columns.len(),
                names.len()
            ),
        ));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.name = folded(&name.name);
    }
    Ok(())
}

fn is_grouped(select: &sqlparser::ast::Select) -> bool {
    use sqlparser::ast::GroupByExpr;
    !matches!(&select.group_by, GroupByExpr::Expressions(keys, more) if keys.is_empty() && more.is_empty())
}

fn refuse_extras(query: &Query) -> Result<(), SqlError> {
    // FOR UPDATE and FOR SHARE ask for less than every read gets: what it saw must hold at COMMIT.
    if let Some(lock) = query.locks.first() {
        let plain = matches!(query.body.as_ref(), SetExpr::Select(select)
            if select.distinct.is_none() && select.having.is_none() && !is_grouped(select));
        if !plain {
            return Err(SqlError::unsupported(
                format!(
                    "FOR {} with DISTINCT, GROUP BY, HAVING or a set operation",
                    lock.lock_type
                ),
                "Leave it out: a transaction that read what has changed since fails with 40001.",
            ));
        }
    }
    if query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty()
    {
        return Err(SqlError::new("42601", "syntax error"));
    }
    Ok(())
}

fn order_items(order: Option<&OrderBy>) -> Result<Vec<(&Expr, OrderByOptions)>, SqlError> {
    match order {
        None => Ok(Vec::new()),
        Some(OrderBy {
            kind: OrderByKind::Expressions(items),
            interpolate: None,
        }) => Ok(items
            .iter()
            .map(|item| (&item.expr, item.options.clone()))
            .collect()),
        Some(_) => Err(SqlError::new("42601", "syntax error in ORDER BY")),
    }
}

/// The output column a bare whole number in ORDER BY or GROUP BY means.
pub(super) fn position(tree: &Expr, count: usize) -> Result<Option<usize>, SqlError> {
    let Expr::Value(value) = tree else {
        return Ok(None);
    };
    let Value::Number(digits, _) = &value.value else {
        return Ok(None);
    };
    match digits.parse::<usize>() {
        Ok(number) if (1..=count).contains(&number) => Ok(Some(number - 1)),
        _ => Err(SqlError::new(
            "42P10",
            format!("position {digits} is not in select list"),
        )),
    }
}

/// One item of ORDER BY as SQLite text: NULLs last when ascending, first when descending.
pub(super) fn order_item(
    expression: &Expression,
    options: &OrderByOptions,
) -> Result<String, SqlError> {
    let mut item = order_key(expression)?;
    item.push_str(order_suffix(options, expression.nullable)?);
    Ok(item)
}

/// What rows are ordered, or told apart, by.
pub(super) fn order_key(expression: &Expression) -> Result<String, SqlError> {
    if expression.known() == Some(Type::Json) {
        return Err(SqlError::new(
            "42883",
            "could not identify an ordering operator for type json",
        )
        .hint("Order by a member of it: x ->> 'name'."));
    }
    // Ordering by a constant orders nothing; SQLite would take a number for a position.
    Ok(match expression.ty {
        Ty::Interval => format!("st_interval_micros({})", expression.sql),
        _ if expression.is_row_free() => "NULL".to_owned(),
        _ => expression.as_key(),
    })
}

/// The direction of an item of ORDER BY, and where its NULLs go.
pub(super) fn order_suffix(
    options: &OrderByOptions,
    nullable: bool,
) -> Result<&'static str, SqlError> {
    let descending = match &options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(_)) => {
            return Err(SqlError::unsupported(
                "ORDER BY … USING",
                "Use ASC or DESC.",
            ));
        }
    };
    let nulls_first = options.nulls_first.unwrap_or(descending);
    Ok(match (descending, nullable, nulls_first) {
        (false, false, _) => "",
        (true, false, _) => " DESC",
        (false, true, true) => " NULLS FIRST",
        (false, true, false) => " NULLS LAST",
        (true, true, true) => " DESC NULLS FIRST",
        (true, true, false) => " DESC NULLS LAST",
    })
}
