//! `->` and `->>`.

use sqlparser::ast::BinaryOperator;
use stele_core::Type;

use super::Binder;
use super::cast::Asked;
use super::expression::{Expression, bits};
use super::operator::no_operator;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn json_member(
        &mut self,
        op: &BinaryOperator,
        json: Expression,
        key: Expression,
    ) -> Result<Expression, SqlError> {
        if !json.is_unknown() && json.known() != Some(Type::Json) {
            return Err(no_operator(&op.to_string(), json.ty, key.ty));
        }
        let json = self.cast(json, Type::Json, Asked::Implicitly)?;
        let key = match key.known().and_then(bits) {
            Some(_) => self.cast(key, Type::BigInt, Asked::Implicitly)?,
            None => self.cast(key, Type::Text, Asked::Implicitly)?,
        };
        let as_text = *op == BinaryOperator::LongArrow;
        Ok(Expression::new(
            format!(
                "st_json_get({},{},{})",
                json.sql,
                key.sql,
                u8::from(as_text)
            ),
            if as_text { Type::Text } else { Type::Json },
        ))
    }
}
