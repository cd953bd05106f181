//! ANY, SOME and ALL, over a sub-select or an array.
//!
//! An array that is written out (`ARRAY[…]`, `'{…}'`) is taken apart when the statement is bound, any
//! other when it is executed.

use sqlparser::ast::{BinaryOperator, DataType, Expr, Query, Value};
use stele_core::Type;

use super::Binder;
use super::array::element_expression;
use super::cast::Asked;
use super::expression::{Expression, Kind, Ty};
use super::scope::Environment;
use super::type_name::type_name;
use super::walk::bare_ref;
use crate::array_text::array_elements;
use crate::error::SqlError;
use crate::system_type::Element;

/// A comparison with ANY or ALL.
pub(super) struct Quantified<'t> {
    pub(super) left: &'t Expr,
    pub(super) op: &'t BinaryOperator,
    pub(super) right: &'t Expr,
    pub(super) all: bool,
}

impl<'t> Quantified<'t> {
    pub(super) fn new(left: &'t Expr, op: &'t BinaryOperator, right: &'t Expr, all: bool) -> Self {
        Self {
            left,
            op,
            right,
            all,
        }
    }
}

impl Binder<'_> {
    pub(super) fn quantified(
        &mut self,
        environment: &Environment<'_>,
        tree: &Quantified<'_>,
    ) -> Result<Expression, SqlError> {
        let negated = match (tree.op, tree.all) {
            (BinaryOperator::Eq, false) => Some(false),
            (BinaryOperator::NotEq, true) => Some(true),
            _ => None,
        };
        let right = bare_ref(tree.right);
        if let Expr::Subquery(query) = right {
            return match negated {
                Some(negated) => self.in_subquery(environment, tree.left, query, negated),
                None => self.over_subquery(environment, tree, query),
            };
        }
        let left = self.expression(environment, tree.left)?;
        let (array, element) = match right {
            Expr::Cast {
                expr, data_type, ..
            } if is_written(bare_ref(expr)) => (bare_ref(expr), Some(element_type(data_type)?)),
            other => (other, None),
        };
        let mut items = Vec::new();
        if let Expr::Array(array) = array {
            for item in &array.elem {
                items.push(self.expression(environment, item)?);
            }
        } else {
            let array = self.typed(environment, array)?;
            let Kind::Literal(text) = &array.kind else {
                return self.over_array(left, tree, array, negated);
            };
            for item in array_elements(text)? {
                items.push(match item {
                    Some(item) => Expression::unknown(&item),
                    None => Expression::null(Ty::Unknown),
                });
            }
        }
        if let Some(element) = element {
            items = items
                .into_iter()
                .map(|item| self.cast(item, element, Asked::Explicitly))
                .collect::<Result<_, _>>()?;
        }
        if items.is_empty() {
            return Expression::constant(Type::Bool, stele_core::Value::Bool(tree.all));
        }
        match negated {
            Some(negated) => self.in_items(left, items, negated),
            None => {
                let mut tests = Vec::with_capacity(items.len());
                for item in items {
                    tests.push(self.binary(tree.op, left.clone(), item)?);
                }
                self.balanced(tests, if tree.all { "AND" } else { "OR" })
            }
        }
    }

    /// A comparison other than `= ANY` and `<> ALL` with the rows of a sub-select.
    fn over_subquery(
        &mut self,
        environment: &Environment<'_>,
        tree: &Quantified<'_>,
        query: &Query,
    ) -> Result<Expression, SqlError> {
        let left = self.expression(environment, tree.left)?;
        environment.check_subselect()?;
        let mut select = self.query(query, Some(environment))?;
        select.settle_columns(self)?;
        if select.columns.len() != 1 {
            return Err(SqlError::new("42601", "subquery has too many columns"));
        }
        let text = select.text(self)?;
        let alias = self.fresh('r');
        let column = select.outer_columns(&alias).pop();
        let column = column.map_or_else(|| Expression::null(Ty::Unknown), |one| one.expression);
        let test = self.binary(tree.op, left, column)?;
        let rows = format!("SELECT {} AS v FROM ({text}) AS {alias}", test.sql);
        Ok(self.over_rows(&rows, tree.all))
    }

    /// A comparison with the elements of an array only known when executed.
    fn over_array(
        &mut self,
        left: Expression,
        tree: &Quantified<'_>,
        array: Expression,
        negated: Option<bool>,
    ) -> Result<Expression, SqlError> {
        let left = self.settled(left)?;
        let beside = left.known().map_or(Element::Text, Element::holding);
        let (array, element) = self.as_array(array, beside)?;
        let alias = self.fresh('r');
        let item = element_expression(&format!("{alias}.value"), element).plain();
        // Of NULL it is one NULL: nothing equals it.
        let from = format!("json_each(coalesce({},'[null]')) AS {alias}", array.sql);
        match negated {
            Some(negated) => {
                let (left, item) = self.comparable("=", left, item)?;
                let (left, item) = self.same_scale(left, item)?;
                let word = if negated { "NOT IN" } else { "IN" };
                Ok(Expression::new(
                    format!("({} {word} (SELECT {} FROM {from}))", left.sql, item.sql),
                    Type::Bool,
                ))
            }
            None => {
                let test = self.binary(tree.op, left, item)?;
                let rows = format!("SELECT {} AS v FROM {from}", test.sql);
                Ok(self.over_rows(&rows, tree.all))
            }
        }
    }

    /// What ANY or ALL makes of the comparisons `v`: three-valued, as OR and AND are.
    fn over_rows(&mut self, rows: &str, all: bool) -> Expression {
        let (extreme, decided, otherwise) = if all { ("min", 0, 1) } else { ("max", 1, 0) };
        Expression::new(
            format!(
                "(SELECT CASE WHEN {extreme}(v) IS {decided} THEN {decided} WHEN count(*) > count(v) \
                 THEN NULL ELSE {otherwise} END FROM ({rows}))"
            ),
            Type::Bool,
        )
    }
}

/// Whether an array is written out, to be taken apart when the statement is bound.
fn is_written(tree: &Expr) -> bool {
    match tree {
        Expr::Array(_) => true,
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        _ => false,
    }
}

/// The type of the elements of an array type.
fn element_type(name: &DataType) -> Result<Type, SqlError> {
    match type_name(name)?.ty {
        Ty::System(system) => system.element().map(Element::ty),
        _ => None,
    }
    .ok_or_else(|| SqlError::new("42809", "op ANY/ALL (array) requires array on right side"))
}
