//! Members of JSON, and JSON from values.

use sqlparser::ast::BinaryOperator;
use stele_core::Type;

use super::Binder;
use super::call::{no_function, take};
use super::cast::{Asked, padded};
use super::expression::{Expression, Family, Ty, bits, family};
use super::operator::no_operator;
use crate::error::SqlError;
use crate::system_type::SystemType;

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
        let by_path = matches!(
            op,
            BinaryOperator::HashArrow | BinaryOperator::HashLongArrow
        );
        let key = match key.known().and_then(bits) {
            Some(_) if !by_path => self.cast(key, Type::BigInt, Asked::Implicitly)?,
            _ => self.cast(key, Type::Text, Asked::Implicitly)?,
        };
        let as_text = matches!(
            op,
            BinaryOperator::LongArrow | BinaryOperator::HashLongArrow
        );
        let function = if by_path {
            "st_json_path"
        } else {
            "st_json_get"
        };
        Ok(Expression::new(
            format!("{function}({},{},{})", json.sql, key.sql, u8::from(as_text)),
            if as_text { Type::Text } else { Type::Json },
        ))
    }

    /// A value as the text of a JSON value, never NULL.
    pub(super) fn json_value(&mut self, value: Expression) -> Result<Expression, SqlError> {
        if let Some(element) = value.system().and_then(SystemType::element) {
            // Kept as JSON already; of some types not as PostgreSQL writes them in JSON.
            use crate::system_type::Element::{
                BigInt, Bool, Integer, Name, Oid, SmallInt, Text, Uuid, Varchar,
            };
            return match element {
                Bool | SmallInt | Integer | BigInt | Text | Varchar | Name | Oid | Uuid => {
                    let sql = format!("coalesce({},'null')", value.sql);
                    Ok(Expression::new(sql, Type::Text).not_null())
                }
                _ => Err(SqlError::unsupported(
                    format!("JSON of {}", value.ty),
                    "Build it with json_agg of the elements.",
                )),
            };
        }
        let value = padded(value.plain());
        let x = &value.sql;
        let sql = match value.ty {
            Ty::Of(Type::Json) => format!("coalesce({x},'null')"),
            Ty::Of(Type::Bool) => {
                format!("CASE {x} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END")
            }
            Ty::Of(ty) if family(ty) == Family::Number => {
                let text = self.cast(value, Type::Text, Asked::ByAssignment)?;
                format!("coalesce({},'null')", text.sql)
            }
            Ty::Of(ty @ (Type::Timestamp | Type::TimestampTz)) => {
                let text = self.cast(value, Type::Text, Asked::ByAssignment)?;
                let zone = if ty == Type::TimestampTz {
                    "||':00'"
                } else {
                    ""
                };
                format!("st_json_string(replace({},' ','T'){zone})", text.sql)
            }
            Ty::Interval => format!("st_json_string(st_interval_text({x}))"),
            _ => {
                let text = self.cast(value, Type::Text, Asked::ByAssignment)?;
                format!("st_json_string({})", text.sql)
            }
        };
        Ok(Expression::new(sql, Type::Text).not_null())
    }

    fn json_key(&mut self, key: Expression) -> Result<String, SqlError> {
        if key.known() == Some(Type::Json) {
            return Err(SqlError::new(
                "22023",
                "key value must be scalar, not array, composite, or json",
            ));
        }
        let text = self.cast(padded(key), Type::Text, Asked::ByAssignment)?;
        Ok(format!("st_json_key({})", text.sql))
    }

    /// `json_build_object`, `json_build_array`, `to_json`, `json_extract_path(_text)`.
    pub(super) fn json_function(
        &mut self,
        name: &str,
        arguments: Vec<Expression>,
    ) -> Result<Expression, SqlError> {
        match name {
            "to_json" => {
                let [value] = take(arguments, name)?;
                if value.is_unknown() {
                    return Err(SqlError::new(
                        "42804",
                        "could not determine polymorphic type because input has type unknown",
                    ));
                }
                let nullable = value.nullable;
                let null = format!("{} IS NULL", value.sql);
                let json = self.json_value(value)?;
                let sql = if nullable {
                    format!("iif({null},NULL,{})", json.sql)
                } else {
                    json.sql
                };
                let mut json = Expression::new(sql, Type::Json);
                json.nullable = nullable;
                Ok(json)
            }
            "json_build_array" => {
                let mut pieces = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    pieces.push(self.json_value(argument)?.sql);
                }
                Ok(joined("[", &pieces, "]"))
            }
            "json_build_object" => {
                if arguments.len() % 2 == 1 {
                    return Err(SqlError::new(
                        "22023",
                        "argument list must have even number of elements",
                    )
                    .hint("The arguments of json_build_object() must consist of alternating keys and values."));
                }
                let mut pieces = Vec::with_capacity(arguments.len() / 2);
                let mut arguments = arguments.into_iter();
                while let (Some(key), Some(value)) = (arguments.next(), arguments.next()) {
                    let key = self.json_key(key)?;
                    let value = self.json_value(value)?;
                    pieces.push(format!("st_cat(st_cat({key},' : '),{})", value.sql));
                }
                Ok(joined("{", &pieces, "}"))
            }
            _ => {
                let mut arguments = arguments.into_iter();
                let json = arguments.next().ok_or_else(|| no_function(name))?;
                let json = self.cast(json, Type::Json, Asked::Implicitly)?;
                let mut steps = Vec::new();
                for step in arguments {
                    let step = self.cast(step, Type::Text, Asked::Implicitly)?;
                    steps.push(format!("st_path_step({})", step.sql));
                }
                let as_text = name == "json_extract_path_text";
                let path = format!("('{{'||{}||'}}')", steps.join("||','||"));
                let path = if steps.is_empty() {
                    "'{}'".to_owned()
                } else {
                    path
                };
                Ok(Expression::new(
                    format!("st_json_path({},{path},{})", json.sql, u8::from(as_text)),
                    if as_text { Type::Text } else { Type::Json },
                ))
            }
        }
    }

    /// `json_agg(x)` and `json_object_agg(k, v)` as a `group_concat` in an order.
    pub(super) fn json_aggregate(
        &mut self,
        name: &str,
        operands: Vec<Expression>,
        mut order: Vec<String>,
        filter: &str,
    ) -> Result<Expression, SqlError> {
        let (piece, open, close) = if name == "json_agg" {
            let [value] = take(operands, name)?;
            (self.json_value(value)?.sql, "[", "]")
        } else {
            let [key, value] = take(operands, name)?;
            let key = self.json_key(key)?;
            let value = self.json_value(value)?;
            (
                format!("st_cat(st_cat({key},' : '),{})", value.sql),
                "{ ",
                " }",
            )
        };
        if self.writes {
            // What reaches a row must not depend on the plan.
            order.push(piece.clone());
        }
        let order = if order.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", order.join(","))
        };
        Ok(Expression::new(
            format!("('{open}'||group_concat(st_held({piece}),', '{order}){filter}||'{close}')"),
            Type::Json,
        ))
    }
}

fn joined(open: &str, pieces: &[String], close: &str) -> Expression {
    let sql = match pieces {
        [] => format!("'{open}{close}'"),
        several => format!(
            "st_concat('{open}',st_concat_ws(', ',{}),'{close}')",
            several.join(",")
        ),
    };
    Expression::new(sql, Type::Json).not_null()
}
