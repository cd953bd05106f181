//! Assignment casts: what INSERT and UPDATE do with a value of another type.

use super::double::positive_zero;
use super::{Type, Value, ValueError, check, text};
use crate::datetime::{date_to_timestamp, timestamp_to_date};
use crate::numeric::Numeric;

/// Gives the value that a column of type `ty` keeps for `value`, as PostgreSQL's assignment casts do.
///
/// NULL stays NULL. A text is read as a literal of unknown type, by the column's own input form; so a
/// caller must refuse texts that are known to be TEXT beforehand (42804). Numbers become each
/// other: to integers and NUMERIC rounding (half away from zero, from DOUBLE to integers half to
/// even), DATE and timestamps become each other, anything becomes TEXT, VARCHAR or CHAR. A timestamp's text
/// has no zone here; who knows it to be a TIMESTAMPTZ formats it beforehand. -0 becomes 0.
///
/// # Errors
/// [`ValueError::Mismatch`] when no such cast exists, otherwise why the value does not fit.
pub fn coerce(ty: Type, value: Value) -> Result<Value, ValueError> {
    let converted = match (ty, value) {
        (_, Value::Null) => return Ok(Value::Null),
        (Type::Text | Type::Varchar(_) | Type::Char(_), Value::Text(given)) => cut(ty, given)?,
        (_, Value::Text(given)) => return text::parse(ty, &given),
        (Type::Text | Type::Varchar(_) | Type::Char(_), other) => {
            return text::parse(ty, &as_text(&other));
        }
        (Type::SmallInt | Type::Integer | Type::BigInt, value) => Value::Int(to_int(ty, value)?),
        (Type::Numeric { precision, scale }, value) => {
            let number = to_numeric(ty, scale, value)?;
            let fitted = number.fit(precision, scale);
            Value::Numeric(fitted.map_err(|error| ValueError::numeric(ty, "", error))?)
        }
        (Type::Double, Value::Int(v)) => Value::Double(v as f64),
        (Type::Double, Value::Numeric(v)) => Value::Double(positive_zero(v.to_f64())),
        (Type::Double, Value::Double(v)) => Value::Double(positive_zero(v)),
        (Type::Date, Value::Timestamp(v)) => {
            Value::Date(timestamp_to_date(v).map_err(|error| ValueError::datetime(ty, "", error))?)
        }
        (Type::Timestamp | Type::TimestampTz, Value::Date(v)) => Value::Timestamp(
            date_to_timestamp(v).map_err(|error| ValueError::datetime(ty, "", error))?,
        ),
        (_, same) => same,
    };
    check(ty, &converted)?;
    Ok(converted)
}

fn cut(ty: Type, given: String) -> Result<Value, ValueError> {
    let kept = match ty {
        Type::Varchar(max) => text::cut_spaces(ty, &given, max)?,
        Type::Char(max) => text::char_text(&given, max)?,
        _ => &given,
    };
    if kept.len() < given.len() {
        return Ok(Value::Text(kept.to_owned()));
    }
    Ok(Value::Text(given))
}

/// The text a cast gives; it differs from the output form for BOOLEAN.
fn as_text(value: &Value) -> String {
    match value {
        Value::Bool(v) => v.to_string(),
        other => text::format(Type::Text, other),
    }
}

fn to_int(ty: Type, value: Value) -> Result<i64, ValueError> {
    match value {
        Value::Int(v) => Ok(v),
        Value::Numeric(v) => v.to_i64().map_err(|_| ValueError::OutOfRange { ty }),
        Value::Double(v) => {
            let rounded = v.round_ties_even();
            // -2^63 is a double, 2^63 - 1 is not; NaN fails both comparisons.
            if rounded >= i64::MIN as f64 && rounded < -(i64::MIN as f64) {
                Ok(rounded as i64)
            } else {
                Err(ValueError::OutOfRange { ty })
            }
        }
        other => Err(mismatch(ty, &other)),
    }
}

fn to_numeric(ty: Type, scale: u8, value: Value) -> Result<Numeric, ValueError> {
    match value {
        Value::Int(v) => Ok(Numeric::from(v)),
        Value::Numeric(v) => Ok(v),
        Value::Double(v) => {
            Numeric::from_f64(v, scale).map_err(|error| ValueError::numeric(ty, "", error))
        }
        other => Err(mismatch(ty, &other)),
    }
}

fn mismatch(ty: Type, value: &Value) -> ValueError {
    ValueError::Mismatch {
        ty,
        found: value.type_word(),
    }
}

#[cfg(test)]
mod tests;
