//! INTERVAL, and arithmetic and functions of dates and times.

use rusqlite::types::Value as SqliteValue;
use sqlparser::ast::{BinaryOperator, Interval as IntervalTree};
use stele_core::Type;
use stele_core::datetime::Field;

use super::Binder;
use super::call::{no_function, take};
use super::cast::Asked;
use super::expression::{Expression, Family, Kind, Ty, bits, family, is_text, numeric};
use super::literal::quoted_text;
use super::operator::no_operator;
use super::scope::Environment;
use crate::error::SqlError;
use crate::function::Interval;
use crate::physical::literal;

/// Names of the one time zone there is.
const UTC_NAMES: &[&str] = &[
    "utc",
    "gmt",
    "z",
    "etc/utc",
    "uct",
    "zulu",
    "universal",
    "00",
    "+00",
    "+00:00",
];

fn constant(interval: Interval) -> Expression {
    Expression::interval(literal(&SqliteValue::Blob(interval.to_bytes()))).not_null()
}

impl Binder<'_> {
    /// Casts to INTERVAL.
    pub(super) fn interval_from(&mut self, operand: Expression) -> Result<Expression, SqlError> {
        match (&operand.kind, operand.ty) {
            (_, Ty::Interval) => Ok(operand),
            (Kind::Null, _) => Ok(Expression::null(Ty::Interval)),
            (Kind::Literal(text), _) => Interval::parse(text, None).map(constant),
            (_, Ty::Unknown) => {
                let text = self.settled(operand)?;
                self.interval_from(text)
            }
            (_, Ty::Of(ty)) if is_text(ty) => Ok(Expression::interval(format!(
                "st_interval_parse({})",
                operand.sql
            ))
            .null_like(&[&operand])),
            (_, given) => Err(SqlError::new(
                "42846",
                format!("cannot cast type {given} to interval"),
            )),
        }
    }

    /// `INTERVAL '1' DAY`, `INTERVAL '1 day'`.
    pub(super) fn interval_literal(
        &mut self,
        _: &Environment<'_>,
        tree: &IntervalTree,
    ) -> Result<Expression, SqlError> {
        let Some(text) = quoted_text(&tree.value) else {
            return Err(SqlError::unsupported(
                "INTERVAL of an expression",
                "Write x * INTERVAL '1 day', or x::interval.",
            ));
        };
        if tree.last_field.is_some() || tree.fractional_seconds_precision.is_some() {
            return Err(SqlError::unsupported(
                "INTERVAL … TO …",
                "Write the units inside the quotes: INTERVAL '1 day 2 hours'.",
            ));
        }
        let field = tree.leading_field.as_ref().map(ToString::to_string);
        Interval::parse(text, field.as_deref()).map(constant)
    }

    /// Arithmetic in which a date, time or interval takes part; `None` when none does.
    pub(super) fn time_arithmetic(
        &mut self,
        op: &BinaryOperator,
        left: &Expression,
        right: &Expression,
    ) -> Result<Option<Expression>, SqlError> {
        let timely = |side: &Expression| {
            side.ty == Ty::Interval || side.known().is_some_and(|ty| family(ty) == Family::Time)
        };
        if !timely(left) && !timely(right) {
            return Ok(None);
        }
        let fail = || no_operator(&op.to_string(), left.ty, right.ty);
        let left = self.beside_time(op, left.clone(), right)?;
        let right = self.beside_time(op, right.clone(), &left)?;
        let null = [&left, &right];
        let (a, b) = (&left.sql, &right.sql);
        let plus = *op == BinaryOperator::Plus;
        let minus = *op == BinaryOperator::Minus;
        let times = *op == BinaryOperator::Multiply;
        let result = match (left.ty, right.ty) {
            (Ty::Interval, Ty::Interval) if plus => {
                Expression::interval(format!("st_interval_add({a},{b})"))
            }
            (Ty::Interval, Ty::Interval) if minus => {
                Expression::interval(format!("st_interval_add({a},st_interval_neg({b}))"))
            }
            (Ty::Interval, Ty::Of(ty)) if times && bits(ty).is_some() => {
                Expression::interval(format!("st_interval_mul({a},{b})"))
            }
            (Ty::Of(ty), Ty::Interval) if times && bits(ty).is_some() => {
                Expression::interval(format!("st_interval_mul({b},{a})"))
            }
            (Ty::Interval, Ty::Of(_)) | (Ty::Of(_), Ty::Interval) if times => {
                return Err(SqlError::unsupported(
                    "an interval times a fraction",
                    "Multiply a smaller interval by a whole number.",
                ));
            }
            (Ty::Of(time), Ty::Interval) if (plus || minus) && family(time) == Family::Time => {
                let verb = if plus { "add" } else { "sub" };
                return self.moved(left.clone(), time, &right, verb).map(Some);
            }
            (Ty::Interval, Ty::Of(time)) if plus && family(time) == Family::Time => {
                return self.moved(right.clone(), time, &left, "add").map(Some);
            }
            (Ty::Of(Type::Date), Ty::Of(ty)) if (plus || minus) && bits(ty).is_some() => {
                let count = if plus {
                    b.clone()
                } else {
                    format!("st_int_neg({b},64)")
                };
                Expression::new(format!("st_date_add({a},{count})"), Type::Date)
            }
            (Ty::Of(ty), Ty::Of(Type::Date)) if plus && bits(ty).is_some() => {
                Expression::new(format!("st_date_add({b},{a})"), Type::Date)
            }
            (Ty::Of(Type::Date), Ty::Of(Type::Date)) if minus => {
                Expression::new(format!("({a} - {b})"), Type::Integer)
            }
            (Ty::Of(x), Ty::Of(y))
                if minus && family(x) == Family::Time && family(y) == Family::Time =>
            {
                let x = self.cast(left.clone(), Type::TimestampTz, Asked::Implicitly)?;
                let y = self.cast(right.clone(), Type::TimestampTz, Asked::Implicitly)?;
                Expression::interval(format!("st_time_diff({},{})", x.sql, y.sql))
            }
            _ => return Err(fail()),
        };
        Ok(Some(result.null_like(&null)))
    }

    /// Gives a literal or parameter beside a date, time or interval the type PostgreSQL would.
    fn beside_time(
        &mut self,
        op: &BinaryOperator,
        side: Expression,
        other: &Expression,
    ) -> Result<Expression, SqlError> {
        if !side.is_unknown() {
            return Ok(side);
        }
        match (other.ty, op) {
            (Ty::Interval, BinaryOperator::Multiply) => {
                self.cast(side, Type::BigInt, Asked::Implicitly)
            }
            (Ty::Of(Type::Date), BinaryOperator::Plus) => {
                self.cast(side, Type::Integer, Asked::Implicitly)
            }
            (Ty::Interval, _) | (Ty::Of(_), BinaryOperator::Plus) => self.interval_from(side),
            (Ty::Of(ty), _) => self.cast(side, ty, Asked::Implicitly),
            (Ty::Unknown | Ty::System(_), _) => Ok(side),
        }
    }

    /// A date or time moved by an interval; a date becomes a timestamp.
    fn moved(
        &mut self,
        time: Expression,
        ty: Type,
        interval: &Expression,
        verb: &str,
    ) -> Result<Expression, SqlError> {
        let ty = if ty == Type::Date {
            Type::Timestamp
        } else {
            ty
        };
        let time = self.cast(time, ty, Asked::Implicitly)?;
        Ok(
            Expression::new(format!("st_time_{verb}({},{})", time.sql, interval.sql), ty)
                .null_like(&[&time, interval]),
        )
    }

    /// `extract(field FROM x)`, or `date_part` when not exact.
    pub(super) fn extract(
        &mut self,
        field: &str,
        operand: Expression,
        exact: bool,
    ) -> Result<Expression, SqlError> {
        let operand = if operand.is_unknown() {
            self.cast(operand, Type::Timestamp, Asked::Implicitly)?
        } else {
            operand
        };
        let field = field.trim_matches('\'');
        let name = field.to_ascii_lowercase();
        let result = match operand.ty {
            Ty::Interval => interval_field(&name, &operand)?,
            Ty::Of(ty) if family(ty) == Family::Time => {
                let Some(known) = Field::named(&name) else {
                    return Err(SqlError::new(
                        "22023",
                        format!("unit \"{field}\" not recognized for type {ty}"),
                    ));
                };
                if ty == Type::Date && known.is_of_time() && !exact {
                    let operand = self.cast(operand, Type::Timestamp, Asked::Implicitly)?;
                    return self.extract(field, operand, exact);
                }
                if ty == Type::Date && known.is_of_time() {
                    return Err(SqlError::new(
                        "0A000",
                        format!("unit \"{field}\" not supported for type date"),
                    ));
                }
                let (function, scale) = if ty == Type::Date {
                    ("st_extract_date", 0)
                } else {
                    ("st_extract", known.scale())
                };
                Expression::new(
                    format!("{function}({},'{name}',{scale})", operand.sql),
                    numeric(scale),
                )
            }
            other => {
                return Err(no_function(&format!("extract(unknown, {other})")));
            }
        };
        let result = result.null_like(&[&operand]);
        if exact {
            return Ok(result);
        }
        self.cast(result, Type::Double, Asked::Implicitly)
    }

    /// Functions of dates and times.
    pub(super) fn time_function(
        &mut self,
        name: &str,
        mut arguments: Vec<Expression>,
    ) -> Result<Expression, SqlError> {
        match name {
            "date_part" | "extract" => {
                let [field, operand] = take(arguments, name)?;
                let Kind::Literal(field) = &field.kind else {
                    return Err(SqlError::unsupported(
                        format!("{name} of a field that is no literal"),
                        "Use CASE over several fields.",
                    ));
                };
                self.extract(field, operand, name == "extract")
            }
            "date_trunc" => {
                if arguments.len() == 3
                    && let Some(zone) = arguments.pop()
                {
                    check_zone(&zone)?;
                }
                let [unit, operand] = take(arguments, name)?;
                let unit = self.cast(unit, Type::Text, Asked::Implicitly)?;
                let ty = match operand.ty {
                    Ty::Of(Type::Timestamp) => Type::Timestamp,
                    Ty::Of(Type::TimestampTz | Type::Date) | Ty::Unknown => Type::TimestampTz,
                    other => return Err(no_function(&format!("date_trunc(text, {other})"))),
                };
                let operand = self.cast(operand, ty, Asked::Implicitly)?;
                Ok(
                    Expression::new(format!("st_date_trunc({},{})", unit.sql, operand.sql), ty)
                        .null_like(&[&unit, &operand]),
                )
            }
            "timezone" => {
                let [zone, operand] = take(arguments, name)?;
                check_zone(&zone)?;
                let to = match operand.ty {
                    Ty::Of(Type::TimestampTz) => Type::Timestamp,
                    _ => Type::TimestampTz,
                };
                self.cast(operand, to, Asked::ByAssignment)
            }
            "to_timestamp" if arguments.len() == 2 => {
                self.calendar_function("to_timestamp", arguments)
            }
            "to_timestamp" => {
                let [seconds] = take(arguments, name)?;
                let seconds = self.cast(seconds, Type::Double, Asked::Implicitly)?;
                Ok(Expression::new(
                    format!("st_to_timestamp({})", seconds.sql),
                    Type::TimestampTz,
                )
                .null_like(&[&seconds]))
            }
            "make_date" => {
                let parts: [Expression; 3] = take(arguments, name)?;
                let mut texts = Vec::with_capacity(parts.len());
                for part in parts {
                    texts.push(self.cast(part, Type::Integer, Asked::Implicitly)?.sql);
                }
                Ok(Expression::new(
                    format!("st_make_date({})", texts.join(",")),
                    Type::Date,
                ))
            }
            _ => Err(SqlError::unsupported(
                format!("the function {name}"),
                "Subtract timestamps, or use INTERVAL 'n unit'.",
            )),
        }
    }
}

fn interval_field(name: &str, operand: &Expression) -> Result<Expression, SqlError> {
    let name = match name {
        "years" => "year",
        "months" => "month",
        "days" => "day",
        "hours" => "hour",
        "minutes" => "minute",
        "seconds" => "second",
        other => other,
    };
    let field = format!("st_interval_field({},'{name}')", operand.sql);
    let from = crate::function::type_arguments(Type::BigInt);
    Ok(match name {
        "year" | "month" | "day" | "hour" | "minute" => {
            let to = crate::function::type_arguments(numeric(0));
            Expression::new(format!("st_cast({field},{from},{to})"), numeric(0))
        }
        "epoch" | "second" => {
            // Microseconds over a million, exactly.
            let whole = crate::function::type_arguments(numeric(0));
            let million = literal(&SqliteValue::Integer(1_000_000));
            Expression::new(
                format!(
                    "st_num_div(st_cast({field},{from},{whole}),0,st_cast({million},{from},{whole}),0,6)"
                ),
                numeric(6),
            )
        }
        _ => {
            return Err(SqlError::new(
                "22023",
                format!("unit \"{name}\" not recognized for type interval"),
            ));
        }
    })
}

fn check_zone(zone: &Expression) -> Result<(), SqlError> {
    match &zone.kind {
        Kind::Literal(name) if UTC_NAMES.contains(&name.to_ascii_lowercase().as_str()) => Ok(()),
        _ => Err(SqlError::unsupported(
            "a time zone other than UTC",
            "Timestamps are UTC; convert in the client.",
        )),
    }
}
