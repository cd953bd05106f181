//! GROUP BY: plain keys, and ROLLUP, CUBE and GROUPING SETS as one SELECT a set.

use sqlparser::ast::{Expr, GroupByExpr, OrderByOptions, Select as SelectTree, SelectItem};
use stele_core::{Type, Value};

use super::Binder;
use super::aggregate::holds_aggregate;
use super::expression::{Expression, Kind, Ty};
use super::name::folded;
use super::query::{Column, Select, order_suffix, position};
use super::scope::{AbsentKey, Clause, Environment, Grouping, Scope};
use super::walk::bare_ref;
use crate::error::SqlError;

/// Most columns of one CUBE.
const CUBE_KEYS_MAX: usize = 12;
/// Most sets a GROUP BY may come to: each is a SELECT of its own.
const SETS_MAX: usize = 256;

/// The keys of one grouping.
pub(super) type GroupingSet<'t> = Vec<&'t Expr>;

impl Binder<'_> {
    /// GROUP BY, or the single group of aggregates without it; `None` when rows stay rows.
    pub(super) fn grouping(
        &mut self,
        tree: &SelectTree,
        order: &[(&Expr, OrderByOptions)],
        place: &Environment<'_>,
        set: Option<&GroupingSet<'_>>,
    ) -> Result<Option<Grouping>, SqlError> {
        let keys = plain_keys(tree)?;
        let aggregated = tree.having.is_some()
            || tree.projection.iter().any(|item| match item {
                SelectItem::UnnamedExpr(tree) | SelectItem::ExprWithAlias { expr: tree, .. } => {
                    holds_aggregate(tree)
                }
                _ => false,
            })
            || order.iter().any(|(tree, _)| holds_aggregate(tree));
        if keys.is_empty() && !aggregated {
            return Ok(None);
        }
        let mut grouping = Grouping::default();
        let environment = place.with_clause(Clause::GroupBy);
        for key in keys {
            let named = self.output_named(tree, key, place.scope)?;
            let bound = self.expression(&environment, named)?;
            let bound = self.settled(bound)?;
            if bound.known() == Some(Type::Json) {
                return Err(SqlError::new(
                    "42883",
                    "could not identify an equality operator for type json",
                ));
            }
            let parsed = bare_ref(named).clone();
            let kept = set.is_none_or(|set| set.iter().any(|one| bare_ref(one) == bare_ref(key)));
            if kept {
                grouping.parsed.push(parsed);
                grouping.bound.push(bound);
            } else if !grouping.absent.iter().any(|absent| absent.parsed == parsed) {
                grouping.absent.push(AbsentKey {
                    parsed,
                    sql: bound.sql,
                    null: Expression::null(bound.ty),
                });
            }
        }
        // Columns of a table whose whole primary key is grouped have one value a group.
        for relation in &place.scope.relations {
            let grouped = |key: &String| grouping.bound.iter().any(|bound| bound.sql == *key);
            let of_table = relation
                .columns
                .iter()
                .any(|column| column.expression.kind == Kind::Column);
            if of_table && relation.key.iter().all(grouped) {
                let columns = relation.columns.iter();
                let texts = columns.map(|column| column.expression.sql.clone());
                grouping.dependent.extend(texts);
            }
        }
        Ok(Some(grouping))
    }

    /// The select-list item that a position or an output name in GROUP BY means, or itself.
    fn output_named<'t>(
        &self,
        tree: &'t SelectTree,
        key: &'t Expr,
        scope: &Scope,
    ) -> Result<&'t Expr, SqlError> {
        if let Some(place) = position(key, tree.projection.len())? {
            return match tree.projection.get(place) {
                Some(
                    SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. },
                ) => Ok(item),
                _ => Err(SqlError::unsupported(
                    "a position that means *",
                    "Name the column.",
                )),
            };
        }
        if let Expr::Identifier(ident) = key {
            let name = folded(ident);
            // An input column goes before an output name.
            let input = scope.star().iter().any(|(column, _)| *column == name);
            if !input {
                for item in &tree.projection {
                    if let SelectItem::ExprWithAlias { expr, alias } = item
                        && folded(alias) == name
                    {
                        return Ok(expr);
                    }
                }
            }
        }
        Ok(key)
    }

    /// A SELECT with several groupings: one SELECT for each, all rows together.
    pub(super) fn select_by_sets(
        &mut self,
        tree: &SelectTree,
        order: &[(&Expr, OrderByOptions)],
        outer: Option<&Environment<'_>>,
        sets: &[GroupingSet<'_>],
    ) -> Result<Select, SqlError> {
        let mut columns: Vec<Column> = Vec::new();
        let mut texts = Vec::with_capacity(sets.len());
        let mut distinct = false;
        for set in sets {
            let (mut select, keys) = self.select_plain(tree, order, outer, Some(set))?;
            select.settle_columns(self)?;
            distinct = std::mem::take(&mut select.distinct);
            for (number, column) in select.columns.iter().enumerate() {
                match columns.get_mut(number) {
                    Some(known) => known.expression.nullable |= column.expression.nullable,
                    None => columns.push(column.clone()),
                }
            }
            for key in keys {
                select.columns.push(Column {
                    name: String::new(),
                    expression: Expression {
                        sql: key.value,
                        ty: Ty::Of(Type::Text),
                        nullable: true,
                        kind: Kind::Other,
                    },
                });
            }
            texts.push(select.text(self)?);
        }
        let alias = self.fresh('r');
        let shown = columns.len();
        let select = Select {
            columns,
            ..Select::default()
        };
        let mut ordering = Vec::with_capacity(order.len());
        for (number, (_, options)) in order.iter().enumerate() {
            let suffix = order_suffix(options, true)?;
            ordering.push(format!("{alias}.k{}{suffix}", shown + number + 1));
        }
        Ok(Select {
            distinct,
            columns: select.outer_columns(&alias),
            tail: format!(" FROM ({}) AS {alias}", texts.join(" UNION ALL ")),
            order: ordering,
            ..Select::default()
        })
    }

    /// `grouping(a, b)`: a bit for each key, set where the row's grouping leaves it out.
    pub(super) fn grouping_bits(
        &mut self,
        environment: &Environment<'_>,
        keys: &[&Expr],
    ) -> Result<Expression, SqlError> {
        let wrong = || {
            SqlError::new(
                "42803",
                "arguments to GROUPING must be grouping expressions of the associated query level",
            )
        };
        let grouping = environment.grouping.ok_or_else(wrong)?;
        if keys.len() > 31 {
            return Err(SqlError::new(
                "54023",
                "GROUPING must have fewer than 32 arguments",
            ));
        }
        let mut bits = 0;
        for key in keys {
            let key = bare_ref(key);
            let absent = grouping.absent.iter().any(|absent| absent.parsed == *key);
            if !absent && !grouping.parsed.contains(key) {
                return Err(wrong());
            }
            bits = bits << 1 | i64::from(absent);
        }
        Expression::constant(Type::Integer, Value::Int(bits))
    }
}

fn keys_of(tree: &SelectTree) -> Result<&[Expr], SqlError> {
    let GroupByExpr::Expressions(keys, modifiers) = &tree.group_by else {
        return Err(SqlError::unsupported("GROUP BY ALL", "Name the columns."));
    };
    if !modifiers.is_empty() {
        return Err(SqlError::unsupported(
            "GROUP BY with a modifier",
            "Use GROUP BY ROLLUP (…), CUBE (…) or GROUPING SETS (…).",
        ));
    }
    Ok(keys)
}

/// Every key of GROUP BY, in whatever set.
fn plain_keys(tree: &SelectTree) -> Result<Vec<&Expr>, SqlError> {
    let mut keys: Vec<&Expr> = Vec::new();
    for key in keys_of(tree)? {
        match key {
            Expr::Rollup(lists) | Expr::Cube(lists) | Expr::GroupingSets(lists) => {
                for one in lists.iter().flatten() {
                    if !keys.contains(&one) {
                        keys.push(one);
                    }
                }
            }
            plain => keys.push(plain),
        }
    }
    Ok(keys)
}

/// The groupings ROLLUP, CUBE and GROUPING SETS ask for; `None` when GROUP BY has none of them.
pub(super) fn grouping_sets(tree: &SelectTree) -> Result<Option<Vec<GroupingSet<'_>>>, SqlError> {
    let keys = keys_of(tree)?;
    let several =
        |key: &Expr| matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
    if !keys.iter().any(several) {
        return Ok(None);
    }
    let mut sets: Vec<GroupingSet<'_>> = vec![Vec::new()];
    for key in keys {
        let choices = choices(key)?;
        if sets.len().saturating_mul(choices.len()) > SETS_MAX {
            return Err(too_many());
        }
        sets = sets
            .iter()
            .flat_map(|set| {
                choices.iter().map(move |choice| {
                    let mut joined = set.clone();
                    joined.extend(choice);
                    joined
                })
            })
            .collect();
    }
    Ok(Some(sets))
}

fn choices(key: &Expr) -> Result<Vec<GroupingSet<'_>>, SqlError> {
    Ok(match key {
        Expr::GroupingSets(lists) => lists.iter().map(|list| list.iter().collect()).collect(),
        Expr::Rollup(lists) => (0..=lists.len())
            .rev()
            .map(|count| lists.iter().take(count).flatten().collect())
            .collect(),
        Expr::Cube(lists) => {
            if lists.len() > CUBE_KEYS_MAX {
                return Err(too_many());
            }
            (0..1u32 << lists.len())
                .rev()
                .map(|mask| {
                    let chosen = lists.iter().enumerate();
                    chosen
                        .filter(|(place, _)| mask >> place & 1 == 1)
                        .flat_map(|(_, list)| list)
                        .collect()
                })
                .collect()
        }
        plain => vec![vec![plain]],
    })
}

fn too_many() -> SqlError {
    SqlError::new("54000", format!("more than {SETS_MAX} grouping sets"))
        .hint("Name the groupings that are wanted in GROUPING SETS.")
}
