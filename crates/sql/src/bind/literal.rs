//! Constants as written.

use sqlparser::ast::{self, Expr};
use stele_core::numeric::Numeric;
use stele_core::value::text;
use stele_core::{Type, Value};

use super::Binder;
use super::expression::{Expression, Ty, numeric};
use super::scope::Clause;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn literal(
        &mut self,
        clause: Clause,
        value: &ast::Value,
    ) -> Result<Expression, SqlError> {
        match value {
            ast::Value::Number(digits, _) => number(digits),
            ast::Value::SingleQuotedString(text)
            | ast::Value::EscapedStringLiteral(text)
            | ast::Value::UnicodeStringLiteral(text)
            | ast::Value::NationalStringLiteral(text) => quoted(text),
            ast::Value::DollarQuotedString(text) => quoted(&text.value),
            ast::Value::Boolean(value) => Expression::constant(Type::Bool, Value::Bool(*value)),
            ast::Value::Null => Ok(Expression::null(Ty::Unknown)),
            ast::Value::Placeholder(token) => self.placeholder(clause, token),
            ast::Value::HexStringLiteral(_) | ast::Value::SingleQuotedByteStringLiteral(_) => Err(
                SqlError::unsupported("a bit string", "Write bytes as '\\x0123'::bytea."),
            ),
            other => Err(SqlError::unsupported(
                format!("the literal {other}"),
                "Write text in single quotes.",
            )),
        }
    }
}

fn quoted(text: &str) -> Result<Expression, SqlError> {
    if text.contains('\0') {
        return Err(SqlError::new(
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    Ok(Expression::unknown(text))
}

/// A number is the first of INTEGER, BIGINT, NUMERIC that holds it.
pub(super) fn number(digits: &str) -> Result<Expression, SqlError> {
    let plain = digits.replace('_', "");
    let whole = match plain.get(..2) {
        Some("0x" | "0X") => i64::from_str_radix(plain.get(2..).unwrap_or_default(), 16).ok(),
        Some("0o" | "0O") => i64::from_str_radix(plain.get(2..).unwrap_or_default(), 8).ok(),
        Some("0b" | "0B") => i64::from_str_radix(plain.get(2..).unwrap_or_default(), 2).ok(),
        _ => plain.parse::<i64>().ok(),
    };
    if let Some(value) = whole {
        let ty = if i32::try_from(value).is_ok() {
            Type::Integer
        } else {
            Type::BigInt
        };
        return Expression::constant(ty, Value::Int(value));
    }
    match Numeric::parse(&plain) {
        Ok(value) => Expression::constant(numeric(value.scale()), Value::Numeric(value)),
        // PostgreSQL's NUMERIC would hold it; of our types only DOUBLE does.
        Err(_) if plain.contains(['e', 'E']) => {
            Expression::constant(Type::Double, text::parse(Type::Double, &plain)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// The text of a quoted literal, when an expression is one.
pub(super) fn quoted_text(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Nested(inner) => quoted_text(inner),
        Expr::Value(value) => match &value.value {
            ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => {
                Some(text)
            }
            _ => None,
        },
        _ => None,
    }
}
