//! Joins.

use sqlparser::ast::{Expr, Join, JoinConstraint, JoinOperator, TableWithJoins};

use super::super::Binder;
use super::super::expression::{Expression, Kind};
use super::super::name::{no_column, parts};
use super::super::scope::{Clause, Environment, Scope, ScopeColumn, Shown};
use super::merge;
use crate::error::SqlError;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Inner,
    Left,
    Right,
    Full,
}

impl Binder<'_> {
    pub(super) fn joined(
        &mut self,
        item: &TableWithJoins,
        outer: Option<&Environment<'_>>,
    ) -> Result<(Scope, String), SqlError> {
        let (mut scope, mut text) = self.factor(&item.relation, outer)?;
        for join in &item.joins {
            let (right, right_text) = self.factor(&join.relation, outer)?;
            (scope, text) = self.join(scope, text, right, &right_text, join, outer)?;
        }
        Ok((scope, text))
    }

    fn join(
        &mut self,
        mut left: Scope,
        mut text: String,
        mut right: Scope,
        right_text: &str,
        join: &Join,
        outer: Option<&Environment<'_>>,
    ) -> Result<(Scope, String), SqlError> {
        let (side, constraint) = operator(&join.join_operator)?;
        let names = match constraint {
            JoinConstraint::Using(names) => {
                let mut columns = Vec::with_capacity(names.len());
                for name in names {
                    columns.extend(parts(name)?);
                }
                columns
            }
            JoinConstraint::Natural => {
                let right_names: Vec<String> =
                    right.star().into_iter().map(|(name, _)| name).collect();
                left.star()
                    .into_iter()
                    .map(|(name, _)| name)
                    .filter(|name| right_names.contains(name))
                    .collect()
            }
            JoinConstraint::On(_) | JoinConstraint::None => Vec::new(),
        };
        let mut conditions = Vec::new();
        let mut merged = Vec::new();
        for name in &names {
            let (condition, column) = self.merge_column(&mut left, &mut right, name, side)?;
            conditions.push(condition);
            merged.push(column);
        }
        if matches!(side, Side::Left | Side::Full) {
            right.relations.iter_mut().for_each(|r| r.make_nullable());
        }
        if matches!(side, Side::Right | Side::Full) {
            left.relations.iter_mut().for_each(|r| r.make_nullable());
        }
        merge(&mut left, right)?;
        merged.append(&mut left.merged);
        left.merged = merged;
        if let JoinConstraint::On(tree) = constraint {
            conditions.push(self.on_condition(&left, tree, outer)?);
        }
        let word = match side {
            Side::Inner if conditions.is_empty() => "CROSS JOIN",
            Side::Inner => "JOIN",
            Side::Left => "LEFT JOIN",
            Side::Right => "RIGHT JOIN",
            Side::Full => "FULL JOIN",
        };
        text.push_str(&format!(" {word} {right_text}"));
        if !conditions.is_empty() {
            text.push_str(&format!(" ON {}", conditions.join(" AND ")));
        } else if side != Side::Inner {
            text.push_str(" ON 1");
        }
        Ok((left, text))
    }

    fn on_condition(
        &mut self,
        scope: &Scope,
        tree: &Expr,
        outer: Option<&Environment<'_>>,
    ) -> Result<String, SqlError> {
        let environment = Environment::new(scope, Clause::On).with_outer(outer);
        Ok(self.condition(&environment, tree)?.sql)
    }

    /// One column of USING: the condition, and the column both become.
    fn merge_column(
        &mut self,
        left: &mut Scope,
        right: &mut Scope,
        name: &str,
        side: Side,
    ) -> Result<(String, ScopeColumn), SqlError> {
        let a = take_column(left, name, "left")?;
        let b = take_column(right, name, "right")?;
        let condition = self.compare(&sqlparser::ast::BinaryOperator::Eq, a.clone(), b.clone())?;
        let mut pair = self.unify(vec![a, b], "JOIN/USING")?.into_iter();
        let (Some(a), Some(b)) = (pair.next(), pair.next()) else {
            return Err(no_column(name));
        };
        let expression = match side {
            Side::Inner | Side::Left => a,
            Side::Right => b,
            Side::Full => Expression {
                sql: format!("coalesce({},{})", a.sql, b.sql),
                nullable: a.nullable || b.nullable,
                ty: a.ty,
                kind: Kind::Other,
            },
        };
        Ok((
            condition.sql,
            ScopeColumn {
                name: name.to_owned(),
                expression,
                shown: Shown::InStar,
            },
        ))
    }
}

/// Finds a column of one side and hides it behind the merged one.
fn take_column(scope: &mut Scope, name: &str, side: &str) -> Result<Expression, SqlError> {
    let merged = scope.merged.iter().position(|column| column.name == name);
    if let Some(place) = merged {
        return Ok(scope.merged.remove(place).expression);
    }
    let mut found = scope
        .relations
        .iter_mut()
        .flat_map(|relation| &mut relation.columns)
        .filter(|column| column.shown == Shown::InStar && column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => {
            column.shown = Shown::OfRelation;
            Ok(column.expression.clone())
        }
        (Some(_), Some(_)) => Err(SqlError::new(
            "42702",
            format!("common column name \"{name}\" appears more than once in {side} table"),
        )),
        _ => Err(SqlError::new(
            "42703",
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        )),
    }
}

fn operator(operator: &JoinOperator) -> Result<(Side, &JoinConstraint), SqlError> {
    Ok(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint) => (Side::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (Side::Left, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (Side::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (Side::Full, constraint),
        _ => {
            return Err(SqlError::unsupported(
                "this kind of join",
                "Use INNER, LEFT, RIGHT, FULL or CROSS JOIN.",
            ));
        }
    })
}
