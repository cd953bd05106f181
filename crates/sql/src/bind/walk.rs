//! Expression trees, node by node.

use sqlparser::ast::{BinaryOperator, CaseWhen, CastKind, Expr, Ident, UnaryOperator};
use stele_core::Type;

use super::Binder;
use super::expression::{Expression, Kind, Ty};
use super::name::folded;
use super::scope::Environment;
use super::type_name::type_name;
use crate::error::SqlError;

/// References to columns of long values in a statement before further ones are counted.
const LONG_REFERENCES_FREE: u32 = 64;
/// A VARCHAR of at most so many characters is not long.
const SHORT_LEN_MAX: u32 = 4_096;

impl Binder<'_> {
    /// Binds an expression, seen as a type values are kept in.
    pub(super) fn expression(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        self.typed(environment, tree).map(Expression::plain)
    }

    /// Binds an expression; it may be of a system type or an array.
    pub(super) fn typed(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        if let Some(grouping) = environment.grouping
            && !environment.inside_aggregate
        {
            let mut keys = grouping.parsed.iter().zip(&grouping.bound);
            let bare = bare_ref(tree);
            if let Some((_, key)) = keys.find(|(parsed, _)| *parsed == bare) {
                return Ok(key.clone());
            }
            let mut absent = grouping.absent.iter();
            if let Some(absent) = absent.find(|absent| absent.parsed == *bare) {
                return Ok(absent.null.clone());
            }
        }
        let expression = self.deeper(|binder| binder.node(environment, tree))?;
        self.check_lowered(&expression.sql)?;
        Ok(expression)
    }

    /// Binds a condition: a BOOLEAN.
    pub(super) fn condition(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        let condition = self.expression(environment, tree)?;
        self.truth(condition, environment.clause.condition_words())
    }

    /// Insists on a BOOLEAN.
    pub(super) fn truth(
        &mut self,
        condition: Expression,
        place: &str,
    ) -> Result<Expression, SqlError> {
        match condition.ty {
            Ty::Of(Type::Bool) | Ty::Unknown => {
                self.cast(condition, Type::Bool, super::cast::Asked::Implicitly)
            }
            other => Err(SqlError::new(
                "42804",
                format!("argument of {place} must be type boolean, not type {other}"),
            )),
        }
    }

    fn node(&mut self, environment: &Environment<'_>, tree: &Expr) -> Result<Expression, SqlError> {
        match tree {
            Expr::Nested(inner) => self.typed(environment, inner),
            Expr::Identifier(ident) => self.identifier(environment, ident),
            Expr::CompoundIdentifier(idents) => self.column_or_parameter(environment, idents),
            Expr::Value(value) => self.literal(environment.clause, &value.value),
            Expr::BinaryOp { .. } => self.chain(environment, tree),
            Expr::UnaryOp { op, expr } => self.unary_node(environment, *op, expr),
            Expr::Function(function) => self.call(environment, function),
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => {
                let inner = self.typed(environment, expr)?;
                self.cast_to_name(inner, type_name(data_type)?)
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case_node(
                environment,
                operand.as_deref(),
                conditions,
                else_result.as_deref(),
            ),
            Expr::IsNull(inner) => self.is_null(environment, inner, false),
            Expr::IsNotNull(inner) => self.is_null(environment, inner, true),
            Expr::IsTrue(inner) => self.is_truth(environment, inner, "IS 1"),
            Expr::IsNotTrue(inner) => self.is_truth(environment, inner, "IS NOT 1"),
            Expr::IsFalse(inner) => self.is_truth(environment, inner, "IS 0"),
            Expr::IsNotFalse(inner) => self.is_truth(environment, inner, "IS NOT 0"),
            Expr::IsUnknown(inner) => self.is_truth(environment, inner, "IS NULL"),
            Expr::IsNotUnknown(inner) => self.is_truth(environment, inner, "IS NOT NULL"),
            Expr::IsDistinctFrom(a, b) => self.is_distinct(environment, a, b, true),
            Expr::IsNotDistinctFrom(a, b) => self.is_distinct(environment, a, b, false),
            _ => self.rarer_node(environment, tree),
        }
    }

    fn rarer_node(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        match tree {
            Expr::InList {
                expr,
                list,
                negated,
            } => self.in_list(environment, expr, list, *negated),
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => self.in_subquery(environment, expr, subquery, *negated),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => self.between(environment, expr, low, high, *negated),
            Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like(
                environment,
                (expr, pattern, escape_char.as_deref()),
                *negated,
                false,
            ),
            Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like(
                environment,
                (expr, pattern, escape_char.as_deref()),
                *negated,
                true,
            ),
            Expr::Exists { subquery, negated } => self.exists(environment, subquery, *negated),
            Expr::Subquery(query) => self.scalar_subquery(environment, query),
            Expr::TypedString(typed) => {
                let text = self.literal(environment.clause, &typed.value.value)?;
                self.cast_to_name(text, type_name(&typed.data_type)?)
            }
            Expr::Interval(interval) => self.interval_literal(environment, interval),
            Expr::Collate { expr, collation } => {
                let name = super::name::parts(collation)?;
                match name.last().map(String::as_str) {
                    Some("C" | "POSIX" | "default" | "ucs_basic") => self.typed(environment, expr),
                    _ => Err(SqlError::unsupported(
                        format!("collation {collation}"),
                        "Text compares by its bytes (collation \"C\"); leave COLLATE out.",
                    )),
                }
            }
            Expr::Array(_)
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. }
            | Expr::CompoundFieldAccess { .. } => self.array_node(environment, tree),
            _ => self.special_call(environment, tree),
        }
    }

    /// A bare identifier: a column, or one of the few functions written without parentheses.
    fn identifier(
        &mut self,
        environment: &Environment<'_>,
        ident: &Ident,
    ) -> Result<Expression, SqlError> {
        if ident.quote_style.is_none()
            && let Some(value) = self.niladic(&folded(ident))
        {
            environment.check_volatile(&folded(ident))?;
            return value;
        }
        self.column_or_parameter(environment, std::slice::from_ref(ident))
    }

    /// A column, or in a procedure a parameter where there is no column of that name.
    fn column_or_parameter(
        &mut self,
        environment: &Environment<'_>,
        idents: &[Ident],
    ) -> Result<Expression, SqlError> {
        match environment.column(idents) {
            Err(error) if matches!(error.code.as_str(), "42703" | "42P01") => {
                let parameter = self.named_parameter(environment.clause, idents);
                parameter.unwrap_or(Err(error))
            }
            found => found.map(|column| self.held(column)),
        }
    }

    /// A reference to a column. SQLite copies a long value for each reference, and holds the copies of a
    /// function's arguments and of a row of results at the same time: beyond some references they are counted.
    pub(super) fn held(&mut self, column: Expression) -> Expression {
        let is_long = match column.known() {
            Some(Type::Text | Type::Bytea | Type::Json) => true,
            Some(Type::Varchar(len)) => len > SHORT_LEN_MAX,
            _ => false,
        };
        if !is_long || column.kind == Kind::Null {
            return column;
        }
        self.long_references += 1;
        if self.long_references <= LONG_REFERENCES_FREE {
            return column;
        }
        Expression {
            sql: format!("st_held({})", column.sql),
            kind: Kind::Other,
            ..column
        }
    }

    /// Binary operators associate to the left: a long chain is walked, not recursed into.
    fn chain(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        if let Expr::BinaryOp {
            op: op @ (BinaryOperator::And | BinaryOperator::Or),
            ..
        } = tree
        {
            return self.logic_chain(environment, op, tree);
        }
        let mut pending: Vec<(&BinaryOperator, &Expr)> = Vec::new();
        let mut leftmost = tree;
        while let Expr::BinaryOp { left, op, right } = leftmost {
            let is_key = |tree| !pending.is_empty() && environment.is_grouped(tree);
            if matches!(op, BinaryOperator::And | BinaryOperator::Or) || is_key(leftmost) {
                break;
            }
            pending.push((op, right));
            leftmost = left;
        }
        // Rows and quantified comparisons are no operands.
        if let [(op, right)] = pending.as_slice()
            && let (Expr::Tuple(left), Expr::Tuple(right)) = (bare_ref(leftmost), bare_ref(right))
        {
            if **op == BinaryOperator::Overlaps {
                return self.overlaps(environment, left, right);
            }
            return self.compare_rows(environment, op, left, right);
        }
        let mut result = self.typed(environment, leftmost)?;
        while let Some((op, right)) = pending.pop() {
            let right = self.typed(environment, right)?;
            result = self.binary(op, result, right)?;
        }
        Ok(result)
    }

    /// AND and OR as a balanced tree: SQLite's depth stays small however many there are.
    fn logic_chain(
        &mut self,
        environment: &Environment<'_>,
        op: &BinaryOperator,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        let mut operands = Vec::new();
        let mut leftmost = tree;
        while let Expr::BinaryOp {
            left,
            op: found,
            right,
        } = leftmost
        {
            if found != op {
                break;
            }
            operands.push(right.as_ref());
            leftmost = left;
        }
        operands.push(leftmost);
        let word = if *op == BinaryOperator::And {
            "AND"
        } else {
            "OR"
        };
        let mut bound = Vec::with_capacity(operands.len());
        for operand in operands.into_iter().rev() {
            let operand = self.expression(environment, operand)?;
            bound.push(self.truth(operand, word)?);
        }
        self.balanced(bound, word)
    }

    /// Joins conditions by AND or OR, as a balanced tree.
    pub(super) fn balanced(
        &mut self,
        mut bound: Vec<Expression>,
        word: &str,
    ) -> Result<Expression, SqlError> {
        while bound.len() > 1 {
            let mut halved = Vec::with_capacity(bound.len().div_ceil(2));
            let mut rest = bound.into_iter();
            while let Some(left) = rest.next() {
                halved.push(match rest.next() {
                    Some(right) => {
                        Expression::new(format!("({} {word} {})", left.sql, right.sql), Type::Bool)
                            .null_like(&[&left, &right])
                    }
                    None => left,
                });
            }
            bound = halved;
        }
        bound
            .pop()
            .ok_or_else(|| SqlError::new("XX000", "a condition without operands"))
    }

    fn unary_node(
        &mut self,
        environment: &Environment<'_>,
        op: UnaryOperator,
        operand: &Expr,
    ) -> Result<Expression, SqlError> {
        // The least integer is written as the negation of a number one too large.
        if op == UnaryOperator::Minus
            && let Expr::Value(value) = operand
            && let sqlparser::ast::Value::Number(digits, _) = &value.value
        {
            return super::literal::number(&format!("-{digits}"));
        }
        let operand = self.expression(environment, operand)?;
        self.unary(op, operand)
    }

    fn case_node(
        &mut self,
        environment: &Environment<'_>,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Expression, SqlError> {
        self.case(environment, operand, conditions, otherwise)
    }
}

/// The tree without parentheses around it.
pub(super) fn bare_ref(mut tree: &Expr) -> &Expr {
    while let Expr::Nested(inner) = tree {
        tree = inner;
    }
    tree
}
