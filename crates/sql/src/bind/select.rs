//! One SELECT: its list, WHERE, GROUP BY, HAVING, ORDER BY, DISTINCT.

use sqlparser::ast::{
    Distinct, Expr, OrderByOptions, Select as SelectTree, SelectItem,
    SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};
use stele_core::Type;

use super::Binder;
use super::aggregate::holds_aggregate;
use super::expression::{Expression, Kind, Ty};
use super::fence;
use super::grouping::{GroupingSet, grouping_sets};
use super::name::{folded, qualified};
use super::output::column_label;
use super::query::{Column, Select, order_key, order_suffix, position};
use super::scope::{Clause, Environment, Grouping, Shown};
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn select(
        &mut self,
        tree: &SelectTree,
        order: &[(&Expr, OrderByOptions)],
        outer: Option<&Environment<'_>>,
    ) -> Result<Select, SqlError> {
        refuse_extras(tree)?;
        self.level += 1;
        let result = match grouping_sets(tree)? {
            Some(sets) => self.select_by_sets(tree, order, outer, &sets),
            None => self.select_ordered(tree, order, outer),
        };
        self.level -= 1;
        result
    }

    fn select_ordered(
        &mut self,
        tree: &SelectTree,
        order: &[(&Expr, OrderByOptions)],
        outer: Option<&Environment<'_>>,
    ) -> Result<Select, SqlError> {
        let (mut select, keys) = self.select_plain(tree, order, outer, None)?;
        for key in keys {
            let suffix = order_suffix(&key.options, key.nullable)?;
            select.order.push(format!("{}{suffix}", key.text));
        }
        Ok(select)
    }

    /// One SELECT with one grouping, and what ORDER BY asks for.
    pub(super) fn select_plain(
        &mut self,
        tree: &SelectTree,
        order: &[(&Expr, OrderByOptions)],
        outer: Option<&Environment<'_>>,
        set: Option<&GroupingSet<'_>>,
    ) -> Result<(Select, Vec<OrderKey>), SqlError> {
        let (scope, mut from) = self.from(&tree.from, outer)?;
        let mut condition_text = String::new();
        let place = Environment::new(&scope, Clause::Select)
            .with_outer(outer)
            .with_windows(&tree.named_window);
        if let Some(condition) = &tree.selection {
            let environment = place.with_clause(Clause::Where);
            let bound = self.condition(&environment, condition)?;
            condition_text = format!(" WHERE {}", bound.sql);
            if from.contains(fence::SLOT) {
                for passing in self.passing(&environment, condition)? {
                    if let Some(relation) = fence::compared(&passing) {
                        from = fence::filled(&from, relation, &passing);
                    }
                }
            }
        }
        let grouping = self.grouping(tree, order, &place, set)?;
        let place = Environment {
            grouping: grouping.as_ref(),
            ..place
        };
        let outer_series = std::mem::take(&mut self.series);
        let columns = self.select_list(&tree.projection, &place);
        let series = std::mem::replace(&mut self.series, outer_series);
        let mut columns = columns?;
        let series = series.relation();
        let several_rows = series.is_some();
        let relations: Vec<String> = [Some(from), series]
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect();
        let mut tail = match relations.as_slice() {
            [] => condition_text,
            some => format!(" FROM {}{condition_text}", some.join(" CROSS JOIN ")),
        };
        if let Some(grouping) = &grouping {
            let text = self.group_by(tree, &place, grouping)?;
            tail.push_str(&text);
            if grouping.bound.is_empty()
                && !tree.projection.iter().any(listed_aggregate)
                && let Some(first) = columns.first_mut()
            {
                // The count makes it an aggregate query even where nothing else does.
                let expression = &mut first.expression;
                if !expression.is_unknown() {
                    expression.sql = format!("iif(count(*) >= 0,{},NULL)", expression.sql);
                    expression.kind = Kind::Other;
                }
            }
        }
        let distinct = matches!(&tree.distinct, Some(Distinct::Distinct));
        let mut select = Select {
            distinct,
            columns,
            tail,
            key: match &grouping {
                Some(grouping) => grouping.bound.iter().map(|key| key.sql.clone()).collect(),
                None => scope.key(),
            },
            is_plain: !distinct && !several_rows && grouping.is_none(),
            single_row: !several_rows
                && (grouping
                    .as_ref()
                    .is_some_and(|grouping| grouping.bound.is_empty())
                    || tree.from.is_empty()),
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
        let mut keys = Vec::with_capacity(order.len());
        for (item, options) in order {
            keys.push(self.order_by(&mut select, &environment, item, options)?);
        }
        match &tree.distinct {
            Some(Distinct::On(_)) if set.is_some() => Err(SqlError::unsupported(
                "DISTINCT ON with grouping sets",
                "Group in a sub-select of FROM.",
            )),
            Some(Distinct::On(on)) => {
                let select = self.distinct_on(select, &environment, on, keys)?;
                Ok((select, Vec::new()))
            }
            _ => Ok((select, keys)),
        }
    }

    /// ` GROUP BY … HAVING …`
    fn group_by(
        &mut self,
        tree: &SelectTree,
        place: &Environment<'_>,
        grouping: &Grouping,
    ) -> Result<String, SqlError> {
        let mut text = String::new();
        let keys: Vec<String> = grouping
            .bound
            .iter()
            .filter(|key| !key.is_row_free())
            .map(Expression::as_key)
            .collect();
        if !keys.is_empty() {
            text.push_str(&format!(" GROUP BY {}", keys.join(",")));
        } else if !grouping.bound.is_empty() {
            text.push_str(" GROUP BY NULL");
        }
        if let Some(condition) = &tree.having {
            let environment = place.with_clause(Clause::Having);
            let condition = self.condition(&environment, condition)?;
            text.push_str(&format!(" HAVING {}", condition.sql));
        }
        Ok(text)
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
                    let expression = self.typed(place, tree)?;
                    columns.push(Column {
                        name: column_label(tree),
                        expression,
                    });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let expression = self.typed(place, expr)?;
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
                        .filter(|column| column.shown != Shown::Hidden)
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
            let expression = self.held(expression);
            columns.push(Column { name, expression });
        }
        Ok(())
    }

    /// One item of ORDER BY.
    fn order_by(
        &mut self,
        select: &mut Select,
        environment: &Environment<'_>,
        tree: &Expr,
        options: &OrderByOptions,
    ) -> Result<OrderKey, SqlError> {
        let expression = self.output_or_input(select, environment, tree)?;
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
        Ok(OrderKey {
            text: order_key(&expression)?,
            value: match expression.ty {
                Ty::Interval => order_key(&expression)?,
                _ => expression.sql.clone(),
            },
            nullable: expression.nullable,
            options: options.clone(),
        })
    }

    /// What ORDER BY or DISTINCT ON names: a position, an output name, or an expression over the
    /// input.
    pub(super) fn output_or_input(
        &mut self,
        select: &Select,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        let named = match tree {
            Expr::Identifier(ident) => {
                let name = folded(ident);
                let mut places = select
                    .columns
                    .iter()
                    .enumerate()
                    .filter(|(_, column)| column.name == name);
                let first = places.next();
                if let Some((_, first)) = first
                    && places.any(|(_, other)| other.expression != first.expression)
                {
                    return Err(SqlError::new(
                        "42702",
                        format!("ORDER BY \"{name}\" is ambiguous"),
                    ));
                }
                first.map(|(place, _)| place)
            }
            _ => position(tree, select.columns.len())?,
        };
        match named.and_then(|place| select.columns.get(place)) {
            Some(column) => Ok(column.expression.clone()),
            None => self.expression(environment, tree),
        }
    }
}

/// An item of ORDER BY, bound.
#[derive(Clone, Debug)]
pub(super) struct OrderKey {
    pub(super) text: String,
    /// The same where constants count: in one of several SELECTs of a UNION.
    pub(super) value: String,
    pub(super) nullable: bool,
    pub(super) options: OrderByOptions,
}

fn listed_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(tree) | SelectItem::ExprWithAlias { expr: tree, .. } => {
            holds_aggregate(tree)
        }
        _ => false,
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
