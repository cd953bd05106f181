//! One SELECT: its list, WHERE, GROUP BY, HAVING, ORDER BY, DISTINCT.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByOptions, Select as SelectTree, SelectItem,
    SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};
use stele_core::Type;

use super::Binder;
use super::aggregate::holds_aggregate;
use super::expression::{Expression, Kind};
use super::name::{folded, qualified};
use super::output::column_label;
use super::query::{Column, Select, order_item, position};
use super::scope::{Clause, Environment, Grouping, Scope};
use super::walk::bare_ref;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn select(
        &mut self,
        tree: &SelectTree,
        order: &[(&Expr, OrderByOptions)],
        outer: Option<&Environment<'_>>,
    ) -> Result<Select, SqlError> {
        refuse_extras(tree)?;
        let (scope, from) = self.from(&tree.from, outer)?;
        let mut tail = if from.is_empty() {
            String::new()
        } else {
            format!(" FROM {from}")
        };
        let place = Environment::new(&scope, Clause::Select).with_outer(outer);
        if let Some(condition) = &tree.selection {
            let environment = place.with_clause(Clause::Where);
            let condition = self.condition(&environment, condition)?;
            tail.push_str(&format!(" WHERE {}", condition.sql));
        }
        let grouping = self.grouping(tree, order, &place)?;
        let place = Environment {
            grouping: grouping.as_ref(),
            ..place
        };
        let columns = self.select_list(&tree.projection, &place)?;
        if let Some(grouping) = &grouping {
            let keys: Vec<&str> = grouping
                .bound
                .iter()
                .filter(|key| !matches!(key.kind, Kind::Constant(_)))
                .map(|key| key.sql.as_str())
                .collect();
            if !keys.is_empty() {
                tail.push_str(&format!(" GROUP BY {}", keys.join(",")));
            } else if !grouping.bound.is_empty() {
                tail.push_str(" GROUP BY NULL");
            }
            if let Some(condition) = &tree.having {
                let environment = place.with_clause(Clause::Having);
                let condition = self.condition(&environment, condition)?;
                // The count makes it an aggregate query even where nothing else does.
                let aggregate = if grouping.bound.is_empty() {
                    "count(*) >= 0 AND "
                } else {
                    ""
                };
                tail.push_str(&format!(" HAVING {aggregate}{}", condition.sql));
            }
        }
        let distinct = match &tree.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(_)) => {
                return Err(SqlError::unsupported(
                    "DISTINCT ON",
                    "Use GROUP BY with min or max, or row_number() in a sub-select.",
                ));
            }
        };
        let mut select = Select {
            distinct,
            columns,
            tail,
            key: match &grouping {
                Some(grouping) => grouping.bound.iter().map(|key| key.sql.clone()).collect(),
                None => scope.key(),
            },
            single_row: grouping
                .as_ref()
                .is_some_and(|grouping| grouping.bound.is_empty())
                || tree.from.is_empty(),
            ..Select::default()
        };
        if distinct {
            select.settle_columns(self)?;
            let json = |column: &Column| column.expression.known() == Some(Type::Json);
            if select.columns.iter().any(json) {
                return Err(SqlError::new(
                    "42883",
                    "could not identify an equality operator for type json",
                ));
            }
        }
        let environment = place.with_clause(Clause::OrderBy);
        for (item, options) in order {
            let item = self.order_by(&mut select, &environment, item, options)?;
            select.order.push(item);
        }
        Ok(select)
    }

    /// GROUP BY, or the single group of aggregates without it; `None` when rows stay rows.
    fn grouping(
        &mut self,
        tree: &SelectTree,
        order: &[(&Expr, OrderByOptions)],
        place: &Environment<'_>,
    ) -> Result<Option<Grouping>, SqlError> {
        let GroupByExpr::Expressions(keys, modifiers) = &tree.group_by else {
            return Err(SqlError::unsupported("GROUP BY ALL", "Name the columns."));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::unsupported(
                "GROUP BY with a modifier",
                "Use one SELECT a grouping and UNION ALL.",
            ));
        }
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
            let key = self.output_named(tree, key, place.scope)?;
            if matches!(key, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_)) {
                return Err(SqlError::unsupported(
                    "GROUPING SETS, CUBE and ROLLUP",
                    "Use one SELECT a grouping and UNION ALL.",
                ));
            }
            let bound = self.expression(&environment, key)?;
            let bound = self.settled(bound)?;
            if bound.known() == Some(Type::Json) {
                return Err(SqlError::new(
                    "42883",
                    "could not identify an equality operator for type json",
                ));
            }
            grouping.parsed.push(bare_ref(key).clone());
            grouping.bound.push(bound);
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

    /// The columns of a select list or of RETURNING.
    pub(super) fn select_list(
        &mut self,
        items: &[SelectItem],
        place: &Environment<'_>,
    ) -> Result<Vec<Column>, SqlError> {
        let mut columns = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::UnnamedExpr(tree) => {
                    let expression = self.expression(place, tree)?;
                    columns.push(Column {
                        name: column_label(tree),
                        expression,
                    });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let expression = self.expression(place, expr)?;
                    columns.push(Column {
                        name: folded(alias),
                        expression,
                    });
                }
                SelectItem::Wildcard(options) => {
                    plain_wildcard(options)?;
                    let star = place.scope.star();
                    if star.is_empty() {
                        return Err(SqlError::new(
                            "42601",
                            "SELECT * with no tables specified is not valid",
                        ));
                    }
                    self.push_star(&mut columns, star, place)?;
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    plain_wildcard(options)?;
                    let (schema, bare) = qualified(name)?;
                    let Some(relation) = place.scope.relation(schema.as_deref(), &bare) else {
                        return Err(SqlError::new(
                            "42P01",
                            format!("missing FROM-clause entry for table \"{bare}\""),
                        ));
                    };
                    let star = relation
                        .columns
                        .iter()
                        .map(|column| (column.name.clone(), column.expression.clone()))
                        .collect();
                    self.push_star(&mut columns, star, place)?;
                }
                other => {
                    return Err(SqlError::unsupported(
                        format!("{other} in a select list"),
                        "Name the columns.",
                    ));
                }
            }
        }
        Ok(columns)
    }

    fn push_star(
        &mut self,
        columns: &mut Vec<Column>,
        star: Vec<(String, Expression)>,
        place: &Environment<'_>,
    ) -> Result<(), SqlError> {
        for (name, expression) in star {
            place.check_grouped(&expression, std::slice::from_ref(&name))?;
            columns.push(Column { name, expression });
        }
        Ok(())
    }

    /// One item of ORDER BY: a position, an output name, or an expression over the input.
    fn order_by(
        &mut self,
        select: &mut Select,
        environment: &Environment<'_>,
        tree: &Expr,
        options: &OrderByOptions,
    ) -> Result<String, SqlError> {
        let named = match tree {
            Expr::Identifier(ident) => {
                let name = folded(ident);
                let mut places = select
                    .columns
                    .iter()
                    .enumerate()
                    .filter(|(_, column)| column.name == name);
                match (places.next(), places.next()) {
                    (Some((place, first)), Some((_, second)))
                        if first.expression != second.expression =>
                    {
                        let _ = place;
                        return Err(SqlError::new(
                            "42702",
                            format!("ORDER BY \"{name}\" is ambiguous"),
                        ));
                    }
                    (Some((place, _)), _) => Some(place),
                    _ => None,
                }
            }
            _ => position(tree, select.columns.len())?,
        };
        if let Some(column) = named.and_then(|place| select.columns.get(place)) {
            return order_item(&column.expression, options);
        }
        let expression = self.expression(environment, tree)?;
        let listed = select
            .columns
            .iter()
            .any(|column| column.expression.sql == expression.sql);
        if select.distinct && !listed {
            return Err(SqlError::new(
                "42P10",
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            ));
        }
        order_item(&expression, options)
    }
}

fn plain_wildcard(options: &WildcardAdditionalOptions) -> Result<(), SqlError> {
    if options.opt_ilike.is_some()
        || options.opt_exclude.is_some()
        || options.opt_except.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
    {
        return Err(SqlError::new("42601", "syntax error after *"));
    }
    Ok(())
}

fn refuse_extras(tree: &SelectTree) -> Result<(), SqlError> {
    if tree.into.is_some() {
        return Err(SqlError::unsupported(
            "SELECT INTO",
            "Use CREATE TABLE with a primary key, then INSERT … SELECT.",
        ));
    }
    if !tree.named_window.is_empty() {
        return Err(SqlError::unsupported(
            "WINDOW",
            "Write the window after OVER.",
        ));
    }
    let odd = tree.top.is_some()
        || tree.exclude.is_some()
        || !tree.lateral_views.is_empty()
        || tree.prewhere.is_some()
        || !tree.connect_by.is_empty()
        || !tree.cluster_by.is_empty()
        || !tree.distribute_by.is_empty()
        || !tree.sort_by.is_empty()
        || tree.qualify.is_some()
        || tree.value_table_mode.is_some();
    if odd {
        return Err(SqlError::new("42601", "syntax error in SELECT"));
    }
    Ok(())
}
