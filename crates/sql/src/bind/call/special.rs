//! Functions with a syntax of their own, and those without parentheses.

use sqlparser::ast::{CeilFloorKind, Expr, TrimWhereField};
use stele_core::{Type, Value};

use crate::bind::Binder;
use crate::bind::cast::Asked;
use crate::bind::expression::Expression;
use crate::bind::literal::quoted_text;
use crate::bind::scope::Environment;
use crate::error::SqlError;

/// The PostgreSQL version clients are told: the one whose behaviour we follow.
pub(in crate::bind) const SERVER_VERSION: &str = "15.0";

impl Binder<'_> {
    /// A function without arguments, written with or without parentheses; `None` when there is none
    /// of that name.
    pub(in crate::bind) fn niladic(&mut self, name: &str) -> Option<Result<Expression, SqlError>> {
        let text = |text: &str| Expression::constant(Type::Text, Value::Text(text.to_owned()));
        Some(match name {
            "now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp" => {
                Ok(Expression::new("st_now()", Type::TimestampTz).not_null())
            }
            "localtimestamp" => Ok(Expression::new("st_now()", Type::Timestamp).not_null()),
            "current_date" => {
                let now = Expression::new("st_now()", Type::TimestampTz).not_null();
                self.cast(now, Type::Date, super::super::cast::Asked::Explicitly)
            }
            "random" => Ok(Expression::new("st_random()", Type::Double).not_null()),
            "gen_random_uuid" => Ok(Expression::new("st_random_uuid()", Type::Uuid).not_null()),
            // In a procedure, who called it; else the same as the current user.
            "session_user" if self.parameter_names.is_procedure() => {
                Ok(Expression::new("st_caller()", Type::Text).not_null())
            }
            "current_user" | "session_user" | "user" | "current_role" => {
                text(&self.context.user.clone())
            }
            "current_schema" => text(self.first_schema()),
            "current_database" | "current_catalog" => text("stele"),
            // Not the program's own version: what is written must not depend on it.
            "version" => text(&format!("PostgreSQL {SERVER_VERSION} (Stele)")),
            _ => return None,
        })
    }

    /// The rest of the expression forms the parser has.
    pub(in crate::bind) fn special_call(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        let (name, trees): (&str, Vec<&Expr>) = match tree {
            Expr::Ceil {
                expr,
                field: CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime),
            } => ("ceil", vec![expr]),
            Expr::Floor {
                expr,
                field: CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime),
            } => ("floor", vec![expr]),
            Expr::Position { expr, r#in } => ("position", vec![r#in, expr]),
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                return self.substring(
                    environment,
                    expr,
                    substring_from.as_deref(),
                    substring_for.as_deref(),
                );
            }
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "btrim",
                };
                let mut trees = vec![expr.as_ref()];
                trees.extend(trim_what.as_deref());
                trees.extend(trim_characters.iter().flatten());
                (name, trees)
            }
            Expr::Extract { field, expr, .. } => {
                let operand = self.expression(environment, expr)?;
                return self.extract(&field.to_string(), operand, true);
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                let timestamp = self.expression(environment, timestamp)?;
                let zone = self.expression(environment, time_zone)?;
                return self.function_of("timezone", vec![zone, timestamp]);
            }
            Expr::Tuple(_) => {
                return Err(SqlError::unsupported(
                    "a row as a value",
                    "Compare rows with =, <>, <, > or IN; list columns one by one elsewhere.",
                ));
            }
            Expr::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => {
                let escape = escape_char.as_deref();
                return self.similar(environment, expr, pattern, escape, *negated);
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let mut trees = vec![expr.as_ref(), overlay_what, overlay_from];
                trees.extend(overlay_for.as_deref());
                ("overlay", trees)
            }
            other => {
                let mut shown = other.to_string();
                shown.truncate(shown.floor_char_boundary(80));
                return Err(SqlError::unsupported(
                    format!("the expression {shown}"),
                    "See the SQL reference for the expressions Stele takes.",
                ));
            }
        };
        let mut arguments = Vec::with_capacity(trees.len());
        for tree in trees {
            arguments.push(self.expression(environment, tree)?);
        }
        self.function_of(name, arguments)
    }

    /// `x SIMILAR TO pattern`: the pattern is a literal.
    fn similar(
        &mut self,
        environment: &Environment<'_>,
        operand: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
    ) -> Result<Expression, SqlError> {
        let operand = self.expression(environment, operand)?;
        let operand = self.cast(operand, Type::Text, Asked::Implicitly)?;
        let escape = match escape {
            None => Some('\\'),
            Some(tree) => match quoted_text(tree) {
                Some(text) if text.chars().count() < 2 => text.chars().next(),
                _ => {
                    return Err(SqlError::new("22025", "invalid escape string")
                        .hint("Escape string must be empty or one character."));
                }
            },
        };
        let Some(pattern) = quoted_text(pattern) else {
            return Err(SqlError::unsupported(
                "SIMILAR TO a pattern that is no literal",
                "Use LIKE, or ~ with a regular expression.",
            ));
        };
        let regex = Expression::unknown(&crate::function::similar(pattern, escape)?);
        let not = if negated { "NOT " } else { "" };
        let sql = format!("({not}st_regex_like({},{},''))", operand.sql, regex.sql);
        Ok(Expression::new(sql, Type::Bool).null_like(&[&operand]))
    }

    fn substring(
        &mut self,
        environment: &Environment<'_>,
        operand: &Expr,
        from: Option<&Expr>,
        length: Option<&Expr>,
    ) -> Result<Expression, SqlError> {
        let mut arguments = vec![self.expression(environment, operand)?];
        match from {
            Some(from) => arguments.push(self.expression(environment, from)?),
            None => arguments.push(Expression::constant(Type::Integer, Value::Int(1))?),
        }
        if let Some(length) = length {
            arguments.push(self.expression(environment, length)?);
        }
        self.function_of("substring", arguments)
    }
}
