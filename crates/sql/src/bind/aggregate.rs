//! Aggregates.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, OrderByExpr, WindowType,
};
use stele_core::Type;
use stele_core::numeric::div_scale;

use super::Binder;
use super::call::function_name;
use super::cast::Asked;
use super::expression::{Expression, Family, bits, family, is_text, numeric, scale_of};
use super::query::order_item;
use super::scope::Environment;
use crate::error::SqlError;
use crate::system_type::SystemType;

/// Aggregates we know.
const NAMES: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "every",
    "string_agg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "json_agg",
    "json_object_agg",
    "array_agg",
];

pub(super) fn is_aggregate(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Whether an expression holds an aggregate of its own level; sub-selects are levels of their own.
pub(super) fn holds_aggregate(tree: &Expr) -> bool {
    Finder::default().finds(tree)
}

/// Finds aggregates with a list instead of recursion: chains of operators can be long.
#[derive(Default)]
struct Finder<'t> {
    pending: Vec<&'t Expr>,
}

impl<'t> Finder<'t> {
    fn finds(mut self, tree: &'t Expr) -> bool {
        self.pending.push(tree);
        while let Some(tree) = self.pending.pop() {
            if self.visit(tree) {
                return true;
            }
        }
        false
    }

    fn visit(&mut self, tree: &'t Expr) -> bool {
        match tree {
            Expr::Function(function) => {
                let name = function_name(function).unwrap_or_default();
                if function.over.is_none() && is_aggregate(&name) {
                    return true;
                }
                self.pending.extend(function.filter.as_deref());
                if let Some(WindowType::WindowSpec(spec)) = &function.over {
                    self.pending.extend(&spec.partition_by);
                    let order = spec.order_by.iter().map(|item| &item.expr);
                    self.pending.extend(order);
                }
                if let FunctionArguments::List(list) = &function.args {
                    for argument in &list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) = argument {
                            self.pending.push(inner);
                        }
                    }
                }
            }
            Expr::BinaryOp { left, right, .. } => self.pending.extend([left.as_ref(), right]),
            Expr::UnaryOp { expr, .. }
            | Expr::Nested(expr)
            | Expr::Cast { expr, .. }
            | Expr::IsNull(expr)
            | Expr::IsNotNull(expr)
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr)
            | Expr::Collate { expr, .. }
            | Expr::Extract { expr, .. }
            | Expr::Ceil { expr, .. }
            | Expr::Floor { expr, .. }
            | Expr::InSubquery { expr, .. } => self.pending.push(expr),
            Expr::IsDistinctFrom(a, b) | Expr::IsNotDistinctFrom(a, b) => {
                self.pending.extend([a.as_ref(), b]);
            }
            Expr::InList { expr, list, .. } => {
                self.pending.push(expr);
                self.pending.extend(list);
            }
            Expr::Between {
                expr, low, high, ..
            } => self.pending.extend([expr.as_ref(), low, high]),
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => {
                self.pending.extend([expr.as_ref(), pattern]);
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                self.pending.extend(operand.as_deref());
                self.pending.extend(else_result.as_deref());
                for when in conditions {
                    self.pending.extend([&when.condition, &when.result]);
                }
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                self.pending.push(expr);
                self.pending.extend(substring_from.as_deref());
                self.pending.extend(substring_for.as_deref());
            }
            Expr::Trim { expr, .. } => self.pending.push(expr),
            Expr::Position { expr, r#in } => self.pending.extend([expr.as_ref(), r#in]),
            Expr::Tuple(parts) => self.pending.extend(parts),
            _ => {}
        }
        false
    }
}

/// The parts of a call of an aggregate.
struct Call<'t> {
    name: &'t str,
    distinct: bool,
    arguments: &'t [FunctionArg],
    order: &'t [OrderByExpr],
}

impl Binder<'_> {
    pub(super) fn aggregate(
        &mut self,
        environment: &Environment<'_>,
        name: &str,
        function: &Function,
    ) -> Result<Expression, SqlError> {
        if !environment.clause.takes_aggregates() {
            return Err(SqlError::new(
                "42803",
                format!(
                    "aggregate functions are not allowed in {}",
                    environment.clause.words()
                ),
            ));
        }
        if environment.inside_aggregate {
            return Err(SqlError::new(
                "42803",
                "aggregate function calls cannot be nested",
            ));
        }
        if !function.within_group.is_empty() {
            return Err(SqlError::unsupported(
                "WITHIN GROUP",
                "Order in the client.",
            ));
        }
        let inside = Environment {
            inside_aggregate: true,
            ..*environment
        };
        let (distinct, arguments, clauses) = match &function.args {
            FunctionArguments::List(list) => (
                list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
                list.args.as_slice(),
                list.clauses.as_slice(),
            ),
            _ => (false, &[][..], &[][..]),
        };
        let order = match clauses {
            [] => &[][..],
            [FunctionArgumentClause::OrderBy(order)] => order.as_slice(),
            _ => return Err(SqlError::new("42601", format!("syntax error in {name}()"))),
        };
        let filter = match &function.filter {
            None => String::new(),
            Some(tree) => {
                let condition = self.condition(&inside, tree)?;
                format!(" FILTER (WHERE {})", condition.sql)
            }
        };
        let call = Call {
            name,
            distinct,
            arguments,
            order,
        };
        self.aggregate_call(&inside, &call, &filter)
    }

    fn aggregate_call(
        &mut self,
        inside: &Environment<'_>,
        call: &Call<'_>,
        filter: &str,
    ) -> Result<Expression, SqlError> {
        if let ("count", [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]) =
            (call.name, call.arguments)
        {
            return Ok(Expression::new(format!("count(*){filter}"), Type::BigInt).not_null());
        }
        if let ("array_agg", [FunctionArg::Unnamed(FunctionArgExpr::Expr(tree))]) =
            (call.name, call.arguments)
        {
            let operand = self.typed(inside, tree)?;
            return self.array_agg(inside, call, operand, filter);
        }
        let mut operands = Vec::with_capacity(call.arguments.len());
        for argument in call.arguments {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) = argument else {
                return Err(SqlError::new(
                    "42601",
                    format!("syntax error in {}()", call.name),
                ));
            };
            let operand = self.typed(inside, tree)?;
            operands.push(match call.name {
                "json_agg" | "json_object_agg" => operand,
                "min" | "max" if operand.is_array() => {
                    return Err(SqlError::unsupported(
                        "ordering arrays",
                        "Take the least or greatest of single elements.",
                    ));
                }
                _ => operand.plain(),
            });
        }
        if matches!(call.name, "json_agg" | "json_object_agg") {
            if call.distinct {
                return Err(SqlError::unsupported(
                    format!("{}(DISTINCT …)", call.name),
                    "Aggregate over a sub-select with DISTINCT.",
                ));
            }
            let mut order = Vec::with_capacity(call.order.len());
            for item in call.order {
                let key = self.expression(inside, &item.expr)?;
                order.push(order_item(&key, &item.options)?);
            }
            return self.json_aggregate(call.name, operands, order, filter);
        }
        if call.name == "string_agg" {
            return self.string_agg(inside, call, operands, filter);
        }
        let given = operands.iter().map(|operand| operand.ty.to_string());
        let signature = format!("{}({})", call.name, given.collect::<Vec<_>>().join(", "));
        let mut operands = operands.into_iter();
        let (Some(operand), None) = (operands.next(), operands.next()) else {
            return Err(no_function(&signature));
        };
        let operand = self.settled(operand)?;
        let Some(ty) = operand.known() else {
            return Err(SqlError::unsupported(
                "an aggregate of intervals",
                "Aggregate extract(epoch FROM …).",
            ));
        };
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let x = &operand.sql;
        let plain = |function: &str| format!("{function}({distinct}{x}){filter}");
        let result = match (call.name, family(ty)) {
            ("count", _) => Expression::new(plain("count"), Type::BigInt).not_null(),
            ("min" | "max", Family::Number | Family::Text | Family::Time) => {
                let ty = if is_text(ty) { Type::Text } else { ty };
                Expression::new(plain(call.name), ty)
            }
            ("bool_and" | "every", Family::Bool) => Expression::new(plain("min"), ty),
            ("bool_or", Family::Bool) => Expression::new(plain("max"), ty),
            ("bit_and" | "bit_or" | "bit_xor", Family::Number) if bits(ty).is_some() => {
                Expression::new(plain(&format!("st_{}", call.name)), ty)
            }
            ("sum" | "avg", Family::Number) if ty == Type::Double => {
                if self.writes {
                    return Err(SqlError::unsupported(
                        format!(
                            "{} of DOUBLE PRECISION in a statement that changes rows",
                            call.name
                        ),
                        "Its result depends on the order of the rows: use NUMERIC.",
                    ));
                }
                Expression::new(plain(&format!("st_real_{}", call.name)), ty)
            }
            ("sum", Family::Number) => match ty {
                Type::SmallInt | Type::Integer => Expression::new(plain("sum"), Type::BigInt),
                Type::BigInt => Expression::new(plain("st_big_sum"), numeric(0)),
                _ => Expression::new(
                    plain("st_num_sum"),
                    numeric(scale_of(ty).unwrap_or_default()),
                ),
            },
            ("avg", Family::Number) => {
                let from = scale_of(ty).unwrap_or_default();
                let sum = if bits(ty).is_some() {
                    "st_big_sum"
                } else {
                    "st_num_sum"
                };
                let scale = div_scale(from, 0);
                // The count is a NUMERIC of scale 0 like a sum of ones.
                let count = format!(
                    "st_cast({},{},{})",
                    plain("count"),
                    crate::function::type_arguments(Type::BigInt),
                    crate::function::type_arguments(numeric(0))
                );
                let sql = format!("st_num_div({},{from},{count},0,{scale})", plain(sum));
                Expression::new(sql, numeric(scale))
            }
            _ => return Err(no_function(&signature)),
        };
        Ok(result)
    }

    fn array_agg(
        &mut self,
        inside: &Environment<'_>,
        call: &Call<'_>,
        operand: Expression,
        filter: &str,
    ) -> Result<Expression, SqlError> {
        let operand = self.settled(operand)?;
        let (element, value) = self.element_json(&operand)?;
        let mut items = Vec::with_capacity(call.order.len());
        for item in call.order {
            let key = self.expression(inside, &item.expr)?;
            items.push(order_item(&key, &item.options)?);
        }
        if self.writes {
            // What reaches a row must not depend on the plan.
            items.push(operand.sql.clone());
        }
        let order = if items.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", items.join(","))
        };
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let sql = format!("nullif(json_group_array({distinct}{value}{order}){filter},'[]')");
        let array = SystemType::Array(element);
        Ok(Expression::new(sql, Type::Text).of_system(array))
    }

    fn string_agg(
        &mut self,
        inside: &Environment<'_>,
        call: &Call<'_>,
        operands: Vec<Expression>,
        filter: &str,
    ) -> Result<Expression, SqlError> {
        let mut operands = operands.into_iter();
        let (Some(text), Some(separator), None) =
            (operands.next(), operands.next(), operands.next())
        else {
            return Err(no_function("string_agg"));
        };
        for operand in [&text, &separator] {
            if !operand.is_unknown() && !operand.known().is_some_and(is_text) {
                return Err(no_function(&format!(
                    "string_agg({}, {})",
                    text.ty, separator.ty
                )));
            }
        }
        if call.distinct {
            return Err(SqlError::unsupported(
                "string_agg(DISTINCT …)",
                "Aggregate over a sub-select with DISTINCT.",
            ));
        }
        let text = self.cast(text, Type::Text, Asked::Implicitly)?;
        let separator = self.cast(separator, Type::Text, Asked::Implicitly)?;
        let mut items = Vec::with_capacity(call.order.len());
        for item in call.order {
            let key = self.expression(inside, &item.expr)?;
            items.push(order_item(&key, &item.options)?);
        }
        if self.writes {
            // What reaches a row must not depend on the plan.
            items.push(text.sql.clone());
        }
        let order = if items.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", items.join(","))
        };
        Ok(Expression::new(
            format!(
                "group_concat(st_held({}),coalesce({},''){order}){filter}",
                text.sql, separator.sql
            ),
            Type::Text,
        ))
    }
}

fn no_function(signature: &str) -> SqlError {
    super::call::no_function(signature)
}
