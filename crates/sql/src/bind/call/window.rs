//! Window functions.

use sqlparser::ast::{Function, FunctionArg, FunctionArgExpr, FunctionArguments, WindowType};
use stele_core::Type;
use stele_core::numeric::div_scale;

use super::no_function;
use super::window_spec::Window;
use crate::bind::Binder;
use crate::bind::aggregate::is_aggregate;
use crate::bind::expression::{Expression, Family, Kind, bits, family, is_text, numeric, scale_of};
use crate::bind::scope::{Clause, Environment};
use crate::error::SqlError;
use crate::function::type_arguments;

/// Functions that need not be aggregates.
const NAMES: &[&str] = &[
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// Whether a function only has a meaning over a window.
pub(in crate::bind) fn is_window_function(name: &str) -> bool {
    NAMES.contains(&name)
}

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
        if environment.inside_aggregate {
            return Err(SqlError::new(
                "42803",
                "aggregate function calls cannot contain window function calls",
            ));
        }
        if environment.inside_window {
            return Err(SqlError::new(
                "42P20",
                "window function calls cannot be nested",
            ));
        }
        let environment = &Environment {
            inside_window: true,
            ..*environment
        };
        let (operands, counts_rows) = self.window_operands(environment, name, function)?;
        let filter = match &function.filter {
            None => String::new(),
            Some(_) if !is_aggregate(name) => {
                return Err(SqlError::new(
                    "0A000",
                    "FILTER is not implemented for non-aggregate window functions",
                ));
            }
            Some(tree) => {
                let condition = self.condition(environment, tree)?;
                format!(" FILTER (WHERE {})", condition.sql)
            }
        };
        self.count_window()?;
        let spec = super::window_spec::resolve(environment.windows, over)?;
        let window = self.window_of(environment, &spec)?;
        let text = self.window_text(environment, name, &window)?;
        let over = format!("{filter} OVER ({text})");
        if counts_rows {
            return Ok(Expression::new(format!("count(*){over}"), Type::BigInt).not_null());
        }
        self.window_call(name, operands, &over, &window)
    }

    fn window_operands(
        &mut self,
        environment: &Environment<'_>,
        name: &str,
        function: &Function,
    ) -> Result<(Vec<Expression>, bool), SqlError> {
        let trees = match &function.args {
            FunctionArguments::List(list)
                if list.duplicate_treatment.is_some() || !list.clauses.is_empty() =>
            {
                return Err(SqlError::unsupported(
                    "DISTINCT or ORDER BY in a window function",
                    "Order after OVER.",
                ));
            }
            FunctionArguments::List(list) => list.args.as_slice(),
            _ => &[][..],
        };
        let mut operands = Vec::new();
        for tree in trees {
            match tree {
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                    if name == "count" && trees.len() == 1 =>
                {
                    return Ok((operands, true));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) => {
                    operands.push(self.expression(environment, tree)?);
                }
                _ => return Err(no_function(name)),
            }
        }
        Ok((operands, false))
    }

    fn window_call(
        &mut self,
        name: &str,
        mut operands: Vec<Expression>,
        over: &str,
        window: &Window,
    ) -> Result<Expression, SqlError> {
        let types: Vec<String> = operands.iter().map(|one| one.ty.to_string()).collect();
        let signature = format!("{name}({})", types.join(", "));
        // The default of lag and lead has the type of what it stands for.
        if let ("lag" | "lead", [_, _, _]) = (name, operands.as_slice()) {
            let default = operands.pop();
            let pair: Vec<Expression> = operands.drain(..1).chain(default).collect();
            let offset = operands.pop();
            operands = self.unify(pair, name)?;
            operands.splice(1..1, offset);
        } else {
            operands = operands
                .into_iter()
                .map(|operand| self.settled(operand))
                .collect::<Result<_, _>>()?;
        }
        let first = operands.first().and_then(Expression::known);
        let value = |ty: Type| if is_text(ty) { Type::Text } else { ty };
        let (call, ty) = match (name, operands.as_slice(), first) {
            ("row_number" | "rank" | "dense_rank", [], _) => {
                (format!("{name}(){over}"), Type::BigInt)
            }
            ("percent_rank" | "cume_dist", [], _) => (format!("{name}(){over}"), Type::Double),
            ("ntile", [_], Some(_)) => {
                let count = constant(name, operands.first(), 1)?;
                (format!("ntile({count}){over}"), Type::Integer)
            }
            ("count", [x], _) => (format!("count({}){over}", x.sql), Type::BigInt),
            ("bool_and" | "every", [x], Some(Type::Bool)) => {
                (format!("min({}){over}", x.sql), Type::Bool)
            }
            ("bool_or", [x], Some(Type::Bool)) => (format!("max({}){over}", x.sql), Type::Bool),
            ("min" | "max", [x], Some(ty))
                if matches!(family(ty), Family::Number | Family::Text | Family::Time) =>
            {
                (format!("{name}({}){over}", x.sql), value(ty))
            }
            ("sum" | "avg", [x], Some(ty)) if family(ty) == Family::Number => {
                return self.window_sum(name, x, ty, over, window);
            }
            ("first_value" | "last_value", [x], Some(ty)) => {
                (format!("{name}({}){over}", x.sql), value(ty))
            }
            ("nth_value", [x, place], Some(ty)) => {
                let place = constant(name, Some(place), 1)?;
                (format!("nth_value({},{place}){over}", x.sql), value(ty))
            }
            ("lag" | "lead", [x], Some(ty)) => (format!("{name}({}){over}", x.sql), value(ty)),
            ("lag" | "lead", [x, offset, rest @ ..], Some(ty)) if rest.len() < 2 => {
                let offset = constant(name, Some(offset), 0)?;
                let default = rest.first().map(|one| format!(",{}", one.sql));
                let default = default.unwrap_or_default();
                (
                    format!("{name}({},{offset}{default}){over}", x.sql),
                    value(ty),
                )
            }
            _ if is_window_function(name) || is_aggregate(name) => {
                return Err(no_function(&signature));
            }
            _ => {
                return Err(SqlError::new(
                    "42809",
                    format!(
                        "OVER specified, but {name} is not a window function nor an aggregate function"
                    ),
                ));
            }
        };
        let mut result = Expression::new(call, ty);
        result.nullable = !matches!(
            name,
            "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "count"
        );
        Ok(result)
    }

    fn window_sum(
        &mut self,
        name: &str,
        operand: &Expression,
        ty: Type,
        over: &str,
        window: &Window,
    ) -> Result<Expression, SqlError> {
        let x = &operand.sql;
        if ty == Type::Double {
            if self.writes || !window.starts_unbounded {
                return Err(SqlError::unsupported(
                    format!(
                        "{name} of DOUBLE PRECISION over a moving window, or in a statement that changes rows"
                    ),
                    "Its result depends on the order of the rows: use NUMERIC.",
                ));
            }
            return Ok(Expression::new(format!("st_real_{name}({x}){over}"), ty));
        }
        let scale = scale_of(ty).unwrap_or_default();
        let sum = match bits(ty) {
            Some(16 | 32) if name == "sum" => {
                return Ok(Expression::new(format!("sum({x}){over}"), Type::BigInt));
            }
            Some(_) => "st_big_sum",
            None => "st_num_sum",
        };
        let sum = format!("{sum}({x}){over}");
        if name == "sum" {
            return Ok(Expression::new(sum, numeric(scale)));
        }
        let quotient = div_scale(scale, 0);
        let count = format!(
            "st_cast(count({x}){over},{},{})",
            type_arguments(Type::BigInt),
            type_arguments(numeric(0))
        );
        Ok(Expression::new(
            format!("st_num_div({sum},{scale},{count},0,{quotient})"),
            numeric(quotient),
        ))
    }

    /// PARTITION BY, ORDER BY and the frame.
    fn window_text(
        &mut self,
        environment: &Environment<'_>,
        name: &str,
        window: &Window,
    ) -> Result<String, SqlError> {
        let mut order = window.order.clone();
        if self.writes {
            // Which of equal rows comes first must not depend on the plan.
            let by_place = matches!(name, "row_number" | "lag" | "lead" | "ntile");
            let by_frame = matches!(name, "first_value" | "last_value" | "nth_value");
            if by_frame && !window.by_rows {
                return Err(SqlError::unsupported(
                    format!("{name} in a statement that changes rows, but over ROWS"),
                    "Write the frame, such as ROWS UNBOUNDED PRECEDING, or use min or max.",
                ));
            }
            if by_place || window.by_rows {
                order.extend(match environment.grouping {
                    Some(grouping) => grouping.bound.iter().map(|key| key.sql.clone()).collect(),
                    None => environment.scope.key(),
                });
            }
        }
        let mut parts = Vec::new();
        if !window.partition.is_empty() {
            parts.push(format!("PARTITION BY {}", window.partition.join(",")));
        }
        if !order.is_empty() {
            parts.push(format!("ORDER BY {}", order.join(",")));
        }
        if let Some(frame) = &window.frame {
            parts.push(frame.clone());
        }
        Ok(parts.join(" "))
    }
}

/// A whole number written out, at least `least`.
fn constant(name: &str, operand: Option<&Expression>, least: i64) -> Result<i64, SqlError> {
    match operand.map(|operand| &operand.kind) {
        Some(Kind::Constant(stele_core::Value::Int(value))) if *value >= least => Ok(*value),
        Some(Kind::Constant(stele_core::Value::Int(_))) if least > 0 => Err(SqlError::new(
            if name == "ntile" { "22014" } else { "22016" },
            format!("argument of {name} must be greater than zero"),
        )),
        _ => Err(SqlError::unsupported(
            format!("{name} with a number that is no constant"),
            "Give a whole number.",
        )),
    }
}
