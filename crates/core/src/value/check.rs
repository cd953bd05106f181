//! Whether a value is one that a type keeps.

use super::{Type, VALUE_LEN_MAX, Value, ValueError, json};
use crate::datetime::{DATE_MAX, DATE_MIN, DateTimeError, TIMESTAMP_MAX, TIMESTAMP_MIN};
use crate::datetime::{format_date, format_timestamp};

/// Checks that `value` is one a column of type `ty` can hold as it is: the right variant, inside
/// range, length, precision and scale, normal form. NULL passes. Nothing is converted; see
/// [`super::coerce`] for that.
///
/// # Errors
/// The first rule the value breaks.
pub fn check(ty: Type, value: &Value) -> Result<(), ValueError> {
    match (ty, value) {
        (_, Value::Null)
        | (Type::Bool, Value::Bool(_))
        | (Type::BigInt, Value::Int(_))
        | (Type::Uuid, Value::Uuid(_)) => Ok(()),
        (Type::SmallInt, Value::Int(v)) => within(i16::try_from(*v).is_ok(), ty),
        (Type::Integer, Value::Int(v)) => within(i32::try_from(*v).is_ok(), ty),
        (Type::Numeric { precision, scale }, Value::Numeric(v)) => match v.fits(precision, scale) {
            true => Ok(()),
            false => Err(ValueError::FieldOverflow { precision, scale }),
        },
        (Type::Double, Value::Double(v)) => {
            if v.is_finite() && !(*v == 0.0 && v.is_sign_negative()) {
                Ok(())
            } else {
                Err(ValueError::NotFinite { ty })
            }
        }
        (Type::Text, Value::Text(v)) => check_text(v),
        (Type::Varchar(max) | Type::Char(max), Value::Text(v)) => {
            check_text(v)?;
            if matches!(ty, Type::Char(_)) && v.ends_with(' ') {
                return Err(ValueError::Blanks);
            }
            // Bytes are at least as many as characters, so most texts need no counting.
            if v.len() <= max as usize || v.chars().count() <= max as usize {
                Ok(())
            } else {
                Err(ValueError::TooLong { ty, max })
            }
        }
        (Type::Bytea, Value::Bytes(v)) => check_len(v.len()),
        (Type::Date, Value::Date(v)) => match *v {
            DATE_MIN..=DATE_MAX => Ok(()),
            _ => Err(ValueError::datetime(
                ty,
                &format_date(*v),
                DateTimeError::DateOutOfRange,
            )),
        },
        (Type::Timestamp | Type::TimestampTz, Value::Timestamp(v)) => match *v {
            TIMESTAMP_MIN..=TIMESTAMP_MAX => Ok(()),
            _ => Err(ValueError::datetime(
                ty,
                &format_timestamp(*v),
                DateTimeError::TimestampOutOfRange,
            )),
        },
        (Type::Json, Value::Json(v)) => {
            check_text(v)?;
            json::validate(v)
        }
        _ => Err(ValueError::Mismatch {
            ty,
            found: value.type_word(),
        }),
    }
}

fn within(inside: bool, ty: Type) -> Result<(), ValueError> {
    if inside {
        Ok(())
    } else {
        Err(ValueError::OutOfRange { ty })
    }
}

pub(super) fn check_len(len: usize) -> Result<(), ValueError> {
    if len <= VALUE_LEN_MAX {
        Ok(())
    } else {
        Err(ValueError::TooLarge { len })
    }
}

pub(super) fn check_text(text: &str) -> Result<(), ValueError> {
    check_len(text.len())?;
    if text.as_bytes().contains(&0) {
        return Err(ValueError::Nul);
    }
    Ok(())
}
