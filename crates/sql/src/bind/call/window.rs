//! Window functions SQLite itself has: they number and compare rows, nothing more.

use sqlparser::ast::{
    Function, FunctionArg, FunctionArgExpr, FunctionArguments, WindowSpec, WindowType,
};
use stele_core::Type;

use super::no_function;
use crate::bind::Binder;
use crate::bind::expression::{Expression, Kind, is_text};
use crate::bind::query::order_item;
use crate::bind::scope::{Clause, Environment};
use crate::error::SqlError;

impl Binder<'_> {
    pub(in crate::bind) fn window(
        &mut self,
        environment: &Environment<'_>,
        name: &str,
        function: &Function,
        over: &WindowType,
    ) -> Result<Expression, SqlError> {
        if !matches!(environment.clause, Clause::Select | Clause::OrderBy) {
            return Err(SqlError::new(
                "42P20",
                format!(
                    "window functions are not allowed in {}",
                    environment.clause.words()
                ),
            ));
        }
        let WindowType::WindowSpec(spec) = over else {
            return Err(SqlError::unsupported(
                "a named window",
                "Write the window after OVER.",
            ));
        };
        if environment.grouping.is_some() || function.filter.is_some() {
            return Err(SqlError::unsupported(
                "a window function over groups or with FILTER",
                "Group in a sub-select of FROM.",
            ));
        }
        let (trees, distinct) = match &function.args {
            FunctionArguments::List(list) => (
                list.args.as_slice(),
                list.duplicate_treatment.is_some() || !list.clauses.is_empty(),
            ),
            _ => (&[][..], false),
        };
        if distinct {
            return Err(SqlError::unsupported(
                "DISTINCT or ORDER BY in a window function",
                "Order after OVER.",
            ));
        }
        let mut operands = Vec::new();
        let mut counts_rows = false;
        for tree in trees {
            match tree {
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => counts_rows = true,
                FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) => {
                    let operand = self.expression(environment, tree)?;
                    operands.push(self.settled(operand)?);
                }
                _ => return Err(no_function(name)),
            }
        }
        let ties = if !self.writes {
            false
        } else if matches!(name, "first_value" | "last_value") {
            return Err(SqlError::unsupported(
                format!("{name} in a statement that changes rows"),
                "Use min or max, or lag and lead.",
            ));
        } else {
            // Which of equal rows comes first must not depend on the plan.
            matches!(name, "row_number" | "lag" | "lead")
        };
        let window = self.window_text(environment, spec, ties)?;
        let first = operands.first().and_then(Expression::known);
        let value = |ty: Type| if is_text(ty) { Type::Text } else { ty };
        let (call, ty) = match (name, operands.as_slice(), first) {
            ("row_number" | "rank" | "dense_rank", [], _) if !counts_rows => {
                (format!("{name}()"), Type::BigInt)
            }
            ("count", [], _) if counts_rows => ("count(*)".to_owned(), Type::BigInt),
            ("count", [x], _) => (format!("count({})", x.sql), Type::BigInt),
            ("sum", [x], Some(Type::SmallInt | Type::Integer)) => {
                (format!("sum({})", x.sql), Type::BigInt)
            }
            ("min" | "max" | "first_value" | "last_value", [x], Some(ty)) => {
                (format!("{name}({})", x.sql), value(ty))
            }
            ("lag" | "lead", [x], Some(ty)) => (format!("{name}({})", x.sql), value(ty)),
            ("lag" | "lead", [x, offset], Some(ty)) => {
                let Kind::Constant(stele_core::Value::Int(0..)) = offset.kind else {
                    return Err(SqlError::unsupported(
                        format!("{name} by an offset that is no constant"),
                        "Give a whole number.",
                    ));
                };
                (format!("{name}({},{})", x.sql, offset.sql), value(ty))
            }
            _ => {
                return Err(SqlError::unsupported(
                    format!("{name} as a window function"),
                    "Windows take row_number, rank, dense_rank, count, min, max, lag, lead, first_value, last_value, and sum of INTEGER.",
                ));
            }
        };
        let mut result = Expression::new(format!("{call} OVER ({window})"), ty);
        result.nullable = !matches!(name, "row_number" | "rank" | "dense_rank" | "count");
        Ok(result)
    }

    fn window_text(
        &mut self,
        environment: &Environment<'_>,
        spec: &WindowSpec,
        ties: bool,
    ) -> Result<String, SqlError> {
        if spec.window_frame.is_some() || spec.window_name.is_some() {
            return Err(SqlError::unsupported(
                "a window frame",
                "Leave it out: the frame is then all rows up to the current one and its peers.",
            ));
        }
        let mut parts = Vec::new();
        let mut keys = Vec::with_capacity(spec.partition_by.len());
        for tree in &spec.partition_by {
            let key = self.expression(environment, tree)?;
            keys.push(self.settled(key)?.sql);
        }
        if !keys.is_empty() {
            parts.push(format!("PARTITION BY {}", keys.join(",")));
        }
        let mut items = Vec::with_capacity(spec.order_by.len());
        for item in &spec.order_by {
            let key = self.expression(environment, &item.expr)?;
            items.push(order_item(&key, &item.options)?);
        }
        if ties {
            items.extend(environment.scope.key());
        }
        if !items.is_empty() {
            parts.push(format!("ORDER BY {}", items.join(",")));
        }
        Ok(parts.join(" "))
    }
}
