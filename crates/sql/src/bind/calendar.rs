//! Functions of dates, times and intervals beyond [`super::interval`].

use sqlparser::ast::{BinaryOperator, Expr};
use stele_core::Type;

use super::Binder;
use super::call::{no_function, take};
use super::cast::Asked;
use super::expression::{Expression, Family, Ty, family};
use super::scope::Environment;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn calendar_function(
        &mut self,
        name: &str,
        mut arguments: Vec<Expression>,
    ) -> Result<Expression, SqlError> {
        match name {
            "age" => {
                if arguments.len() == 1 {
                    let now = Expression::new("st_now()", Type::TimestampTz).not_null();
                    let today = self.cast(now, Type::Date, Asked::Explicitly)?;
                    arguments.insert(0, self.cast(today, Type::TimestampTz, Asked::Implicitly)?);
                }
                let [to, from] = take(arguments, name)?;
                let to = self.as_time(name, to)?;
                let from = self.as_time(name, from)?;
                Ok(
                    Expression::interval(format!("st_age({},{})", to.sql, from.sql))
                        .null_like(&[&to, &from]),
                )
            }
            "date_bin" => {
                let [stride, source, origin] = take(arguments, name)?;
                let stride = self.interval_from(stride)?;
                let ty = match source.ty {
                    Ty::Of(Type::TimestampTz) => Type::TimestampTz,
                    _ => Type::Timestamp,
                };
                let source = self.as_time(name, source)?;
                let origin = self.as_time(name, origin)?;
                let sql = format!("st_date_bin({},{},{})", stride.sql, source.sql, origin.sql);
                Ok(Expression::new(sql, ty).null_like(&[&stride, &source, &origin]))
            }
            "make_timestamp" | "make_timestamptz" => {
                let parts: [Expression; 6] = take(arguments, name)?;
                let mut texts = Vec::with_capacity(parts.len());
                for (place, part) in parts.into_iter().enumerate() {
                    let ty = if place == 5 {
                        Type::Double
                    } else {
                        Type::Integer
                    };
                    texts.push(self.cast(part, ty, Asked::Implicitly)?.sql);
                }
                let ty = if name == "make_timestamp" {
                    Type::Timestamp
                } else {
                    Type::TimestampTz
                };
                let sql = format!("st_make_timestamp({})", texts.join(","));
                Ok(Expression::new(sql, ty))
            }
            "to_char" => {
                let [value, pattern] = take(arguments, name)?;
                if !value.is_unknown()
                    && !value.known().is_some_and(|ty| family(ty) == Family::Time)
                {
                    return Err(SqlError::unsupported(
                        format!("to_char of {}", value.ty),
                        "Format numbers in the client, or with round, lpad and a cast to TEXT.",
                    ));
                }
                let value = self.as_time(name, value)?;
                let pattern = self.cast(pattern, Type::Text, Asked::Implicitly)?;
                let sql = format!("st_to_char({},{})", value.sql, pattern.sql);
                Ok(Expression::new(sql, Type::Text).null_like(&[&value, &pattern]))
            }
            "to_date" | "to_timestamp" => {
                let [given, pattern] = take(arguments, name)?;
                let given = self.cast(given, Type::Text, Asked::Implicitly)?;
                let pattern = self.cast(pattern, Type::Text, Asked::Implicitly)?;
                let sql = format!("st_to_time({},{})", given.sql, pattern.sql);
                let time = Expression::new(sql, Type::TimestampTz).null_like(&[&given, &pattern]);
                if name == "to_date" {
                    self.cast(time, Type::Date, Asked::Explicitly)
                } else {
                    Ok(time)
                }
            }
            "justify_days" | "justify_hours" | "justify_interval" => {
                let [interval] = take(arguments, name)?;
                let interval = self.interval_from(interval)?;
                Ok(Expression::interval(format!("st_{name}({})", interval.sql))
                    .null_like(&[&interval]))
            }
            _ => Err(no_function(name)),
        }
    }

    /// `(a, b) OVERLAPS (c, d)`: each an end and another, or an end and a length.
    pub(super) fn overlaps(
        &mut self,
        environment: &Environment<'_>,
        left: &[Expr],
        right: &[Expr],
    ) -> Result<Expression, SqlError> {
        let (a, b) = self.ends(environment, left)?;
        let (c, d) = self.ends(environment, right)?;
        // Periods hold their start and not their end, unless they are a moment.
        let (s, e) = (format!("min({a},{b})"), format!("max({a},{b})"));
        let (t, f) = (format!("min({c},{d})"), format!("max({c},{d})"));
        Ok(Expression::new(
            format!("(({s} = {t}) OR ({s} > {t} AND {s} < {f}) OR ({t} > {s} AND {t} < {e}))"),
            Type::Bool,
        ))
    }

    fn ends(
        &mut self,
        environment: &Environment<'_>,
        row: &[Expr],
    ) -> Result<(String, String), SqlError> {
        let [start, end] = row else {
            return Err(SqlError::new(
                "42601",
                "wrong number of parameters on side of OVERLAPS expression",
            ));
        };
        let start = self.expression(environment, start)?;
        let start = self.as_time("overlaps", start)?;
        let end = self.expression(environment, end)?;
        let end = if end.ty == Ty::Interval {
            self.binary(&BinaryOperator::Plus, start.clone(), end)?
        } else {
            self.as_time("overlaps", end)?
        };
        Ok((start.sql, end.sql))
    }

    /// A date or time as a timestamp.
    fn as_time(&mut self, name: &str, value: Expression) -> Result<Expression, SqlError> {
        match value.ty {
            Ty::Unknown => self.cast(value, Type::Timestamp, Asked::Implicitly),
            Ty::Of(Type::Timestamp | Type::TimestampTz) => Ok(value),
            Ty::Of(Type::Date) => self.cast(value, Type::Timestamp, Asked::Implicitly),
            other => Err(no_function(&format!("{name}({other})"))),
        }
    }
}
