//! `generate_series(from, to [, step])` over integers.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr};
use stele_core::{Type, Value};

use super::Binder;
use super::cast::Asked;
use super::expression::{Expression, bits};
use super::query::{Column, Select};
use super::scope::{Clause, Environment, Scope};
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn generate_series(
        &mut self,
        arguments: &[FunctionArg],
        outer: Option<&Environment<'_>>,
    ) -> Result<(Select, String), SqlError> {
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Values).with_outer(outer);
        let mut trees = Vec::with_capacity(3);
        for argument in arguments {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) = argument else {
                return Err(SqlError::new("42601", "syntax error in generate_series()"));
            };
            trees.push(tree);
        }
        let (ty, [from, to, step]) = self.series_bounds(&environment, &trees)?;
        let (name, limits) = (self.fresh('g'), self.fresh('g'));
        // The next value is made only while it stays within the bounds, so it cannot overflow.
        let text = format!(
            "WITH {limits}(a,b,s) AS (SELECT {from},{to},st_step({step})), {name}(k1) AS \
             (SELECT a FROM {limits} WHERE (s > 0 AND a <= b) OR (s < 0 AND a >= b) \
             UNION ALL SELECT {name}.k1 + s FROM {name} CROSS JOIN {limits} \
             WHERE (s > 0 AND {name}.k1 <= b - s) OR (s < 0 AND {name}.k1 >= b - s)) \
             SELECT k1 FROM {name}"
        );
        let select = Select {
            columns: vec![Column {
                name: "generate_series".to_owned(),
                expression: Expression::new("", ty).not_null(),
            }],
            ..Select::default()
        };
        Ok((select, text))
    }
    /// The type of the values, and first, last and step of it.
    pub(super) fn series_bounds(
        &mut self,
        environment: &Environment<'_>,
        trees: &[&Expr],
    ) -> Result<(Type, [String; 3]), SqlError> {
        let mut bounds = Vec::with_capacity(3);
        for tree in trees {
            bounds.push(self.expression(environment, tree)?);
        }
        if bounds.len() == 2 {
            bounds.push(Expression::constant(Type::Integer, Value::Int(1))?);
        }
        if bounds.len() != 3 {
            return Err(super::call::no_function("generate_series"));
        }
        let known = bounds.iter().filter_map(Expression::known);
        let mut ty = Type::Integer;
        for bound in known {
            match bits(bound) {
                Some(64) => ty = Type::BigInt,
                Some(_) => {}
                None => {
                    return Err(SqlError::unsupported(
                        format!("generate_series of {bound}"),
                        "Generate whole numbers and compute from them.",
                    ));
                }
            }
        }
        let mut texts = Vec::with_capacity(3);
        for bound in bounds {
            texts.push(self.cast(bound, ty, Asked::Implicitly)?.sql);
        }
        let texts: [String; 3] = texts
            .try_into()
            .map_err(|_| super::call::no_function("generate_series"))?;
        Ok((ty, texts))
    }
}
