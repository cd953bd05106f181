//! Conditions that may pass a fence: comparisons of one column with a constant.
//!
//! They read nothing but a column, cannot fail, and are false of NULL, so they may be tested before the
//! policies are and inside of an outer join. An index then serves a table that is fenced.

use sqlparser::ast::{BinaryOperator, Expr};

use super::Binder;
use super::scope::Environment;
use crate::error::SqlError;

/// How a slot begins; a client's text may hold it too.
pub(super) const SLOT: &str = "/*r";

impl Binder<'_> {
    /// The parts of a condition that may be tested before policies are.
    pub(super) fn passing(
        &mut self,
        environment: &Environment<'_>,
        condition: &Expr,
    ) -> Result<Vec<String>, SqlError> {
        let mut passing = Vec::new();
        for part in conjuncts(condition) {
            if is_simple(part) {
                let text = self.condition(environment, part)?.sql;
                if compared(&text).is_some() {
                    passing.push(text);
                }
            }
        }
        Ok(passing)
    }

    /// The text of WHERE for a target of which rows may be hidden: its policies before all that could
    /// fail.
    pub(super) fn guarded(
        &mut self,
        environment: &Environment<'_>,
        condition: Option<&Expr>,
        bound: &str,
        policy: &str,
    ) -> Result<String, SqlError> {
        let mut parts = match condition {
            Some(condition) => self.passing(environment, condition)?,
            None => Vec::new(),
        };
        parts.push(format!("CASE WHEN {policy} THEN {bound} END"));
        Ok(parts.join(" AND "))
    }
}

/// Marks where a fence takes conditions, as a comment: `own` is the fence's name, `inner` the table's
/// inside of it.
pub(super) fn slot(own: &str, inner: &str) -> String {
    format!("/*{own}:{inner}*/")
}

/// The operands of a chain of AND, or the condition itself.
pub(super) fn conjuncts(tree: &Expr) -> Vec<&Expr> {
    let mut found = Vec::new();
    // Right operands wait; the parser bounds how many there are.
    let mut open = vec![tree];
    while let Some(tree) = open.pop() {
        match tree {
            Expr::Nested(inner) => open.push(inner),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => {
                open.push(right);
                open.push(left);
            }
            other => found.push(other),
        }
    }
    found
}

/// Whether it may be a comparison of a column with a constant; nothing deep, for it is bound twice.
fn is_simple(tree: &Expr) -> bool {
    let side = |tree: &Expr| match super::walk::bare_ref(tree) {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Value(_)
        | Expr::TypedString(_) => true,
        Expr::UnaryOp { expr, .. } | Expr::Cast { expr, .. } => matches!(**expr, Expr::Value(_)),
        _ => false,
    };
    matches!(tree, Expr::BinaryOp { left, right, .. } if side(left) && side(right))
}

/// The relation whose column a lowered condition compares with a constant; none when it does anything
/// else.
pub(super) fn compared(sqlite: &str) -> Option<&str> {
    let mut text = sqlite;
    while let Some(inner) = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        text = inner;
    }
    let (relation, rest) = text.split_once('.')?;
    let is_name = |name: &str, letter: char| {
        name.strip_prefix(letter).is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric())?;
    let (column, rest) = rest.split_at(end);
    if !is_name(relation, 'r') || !is_name(column, 'c') {
        return None;
    }
    let operator = ["<=", ">=", "=", "<", ">"];
    let constant = operator
        .iter()
        .find_map(|operator| rest.trim_start().strip_prefix(operator))?;
    is_constant(constant.trim()).then_some(relation)
}

/// Whether a text is one literal or parameter.
fn is_constant(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = text.strip_prefix('?') {
        return digits(number);
    }
    let quoted = text.strip_prefix(['x', 'X']).unwrap_or(text);
    if let Some(inner) = quoted
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    {
        return !inner.replace("''", "").contains('\'');
    }
    digits(text.strip_prefix('-').unwrap_or(text))
}

/// A FROM with a condition put into the slot of its fence.
pub(super) fn filled(from: &str, own: &str, condition: &str) -> String {
    let start = format!("/*{own}:");
    // Quoted literals, where a client's text is, are every second piece.
    let pieces = from.split('\'').enumerate().map(|(number, piece)| {
        let slot = piece.find(&start).filter(|_| number % 2 == 0);
        let Some((before, rest)) = slot.and_then(|at| piece.split_at_checked(at)) else {
            return piece.to_owned();
        };
        let inner = rest
            .strip_prefix(&start)
            .and_then(|rest| rest.split_once("*/"));
        match inner {
            Some((inner, _)) => {
                let condition = condition.replacen(&format!("{own}."), &format!("{inner}."), 1);
                format!("{before} AND {condition}{rest}")
            }
            None => piece.to_owned(),
        }
    });
    pieces.collect::<Vec<_>>().join("'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_column_compared_with_a_constant_passes() {
        for passes in [
            "(r1.c2 = 5)",
            "r1.c2=?3",
            "((r1.c2 >= 'it''s'))",
            "r1.c2 < x'00ff'",
            "r1.c1 > -4",
        ] {
            assert_eq!(compared(passes), Some("r1"), "{passes}");
        }
        for not in [
            "r1.c2 = r1.c3",
            "r1.c2 = 1 OR 1=1",
            "r1.c2 = 'a' || st_fail('b')",
            "r1.c2 = st_cast('x')",
            "st_div(1,r1.c2) = 5",
            "(r1.c2 = 5) OR (r1.c3 = 6)",
            "r1.c2 IS 5",
            "r1.c2",
            "r1.c2 = -",
        ] {
            assert_eq!(compared(not), None, "{not}");
        }
    }

    #[test]
    fn a_slot_in_a_literal_is_none() {
        let from = "t1 WHERE '/*r1:r2*/' = 1 /*r1:r2*/ LIMIT -1";
        assert_eq!(
            filled(from, "r1", "(r1.c1 = '/*r1:r2*/')"),
            "t1 WHERE '/*r1:r2*/' = 1  AND (r2.c1 = '/*r1:r2*/')/*r1:r2*/ LIMIT -1"
        );
    }
}
