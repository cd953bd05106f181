//! DOUBLE PRECISION as text.

use super::{Type, ValueError};

/// Decimal exponents from here on are written with `e` (PostgreSQL's rule).
const EXPONENT_LARGE: i32 = 15;
/// Decimal exponents below this are written with `e`.
const EXPONENT_SMALL: i32 = -4;

/// The shortest decimal digits that read back as `value`, laid out as PostgreSQL 12 and later do:
/// `0.1`, `100000000000000`, `1e+15`, `1e-05`.
#[must_use]
pub fn format_double(value: f64) -> String {
    if !value.is_finite() {
        // Never stored; still, a message may have to show one.
        return match value {
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => "NaN",
        }
        .to_owned();
    }
    // Rust's `{:e}` gives the shortest digits: `-1.25e3`.
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    if !(EXPONENT_SMALL..EXPONENT_LARGE).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{mark}{:02}", exponent.unsigned_abs());
    }
    let digits = mantissa.replace('.', "");
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole_len = exponent as usize + 1;
    match digits.split_at_checked(whole_len) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{digits:0<whole_len$}"),
    }
}

/// Reads PostgreSQL's input forms. Never NaN, infinite or -0.
pub(super) fn parse_double(text: &str) -> Result<f64, ValueError> {
    let ty = Type::Double;
    let trimmed = super::text::trim(text);
    let unsigned = trimmed
        .strip_prefix(['+', '-'])
        .unwrap_or(trimmed)
        .to_ascii_lowercase();
    if matches!(unsigned.as_str(), "nan" | "inf" | "infinity") {
        return Err(ValueError::NotFinite { ty });
    }
    // Rust's own words for infinity and NaN are the three above; all else it reads is a decimal.
    let value: f64 = trimmed.parse().map_err(|_| ValueError::syntax(ty, text))?;
    let mantissa = unsigned.split('e').next().unwrap_or_default();
    let is_zero = !mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if value.is_infinite() || (value == 0.0 && !is_zero) {
        return Err(ValueError::double_text_out_of_range(text));
    }
    Ok(positive_zero(value))
}

/// 0 for -0, anything else as it is.
pub(super) fn positive_zero(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}
