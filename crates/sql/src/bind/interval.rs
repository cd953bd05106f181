//! INTERVAL and date arithmetic.

use sqlparser::ast::{BinaryOperator, FunctionArg, Interval};

use super::Binder;
use super::expression::Expression;
use super::query::Select;
use super::scope::Environment;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn interval_from(&mut self, operand: Expression) -> Result<Expression, SqlError> {
        Err(SqlError::unsupported(
            format!("an interval of {}", operand.ty),
            "Add days to a DATE.",
        ))
    }

    pub(super) fn interval_literal(
        &mut self,
        _: &Environment<'_>,
        _: &Interval,
    ) -> Result<Expression, SqlError> {
        Err(SqlError::unsupported("an interval", "Add days to a DATE."))
    }

    pub(super) fn time_arithmetic(
        &mut self,
        _: &BinaryOperator,
        _: &Expression,
        _: &Expression,
    ) -> Result<Option<Expression>, SqlError> {
        Ok(None)
    }

    pub(super) fn extract(
        &mut self,
        _: &str,
        _: Expression,
        _: bool,
    ) -> Result<Expression, SqlError> {
        Err(SqlError::unsupported("extract", "Later."))
    }

    pub(super) fn time_function(
        &mut self,
        name: &str,
        _: Vec<Expression>,
    ) -> Result<Expression, SqlError> {
        Err(SqlError::unsupported(name, "Later."))
    }

    pub(super) fn json_member(
        &mut self,
        _: &BinaryOperator,
        _: Expression,
        _: Expression,
    ) -> Result<Expression, SqlError> {
        Err(SqlError::unsupported("a JSON operator", "Later."))
    }

    pub(super) fn system_relation(&mut self, _: Option<&str>, _: &str) -> Option<(Select, String)> {
        None
    }

    pub(super) fn generate_series(
        &mut self,
        _: &[FunctionArg],
        _: Option<&Environment<'_>>,
    ) -> Result<(Select, String), SqlError> {
        Err(SqlError::unsupported("generate_series", "Use VALUES."))
    }
}
