//! DOUBLE PRECISION as text.

use super::{Type, ValueError};

/// Decimal exponents from here on are written with `e` (PostgreSQL's rule).
const EXPONENT_LARGE: i32 = 15;
/// Decimal exponents below this are written with `e`.
const EXPONENT_SMALL: i32 = -4;
/// Digits that always suffice to read a double back.
const DIGITS_MAX: usize = 17;

/// The fewest decimal digits that read back as `value` whichever way a reader rounds a tie, and of
/// these the nearest, an exact tie to the even digit: `-1.25e3`. PostgreSQL has the same rule.
///
/// The standard library's own shortest form leaves ties open, so it only says how many digits to
/// begin with; the result follows from correctly rounded printing and reading alone.
pub(crate) fn shortest_digits(value: f64) -> String {
    let shortest = format!("{value:e}");
    let mantissa = shortest.split('e').next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    for places in digits.saturating_sub(1)..DIGITS_MAX {
        let nearest = format!("{value:.places$e}");
        if reads_back(&nearest, value) {
            return nearest;
        }
        // Below a power of two the doubles lie closer, so the nearest text may miss where the next
        // one above does not.
        if places + 1 == digits && reads_back(&shortest, value) {
            return shortest;
        }
    }
    shortest
}

/// Whether a text of [`shortest_digits`]'s form reads back as `value` and is not half way to its neighbour.
fn reads_back(text: &str, value: f64) -> bool {
    if text.parse() != Ok(value) {
        return false;
    }
    // Half way, a reader goes to the even neighbour: an odd one has no such texts.
    if value.to_bits() & 1 == 1 || value == 0.0 {
        return true;
    }
    // A text of 17 digits that is not half way is farther from it than 30 more digits reach, so a
    // little less and a little more must read back, too.
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return false;
    };
    let places = mantissa
        .split_once('.')
        .map_or(0, |(_, places)| places.len());
    let digits = mantissa.replace(['-', '.'], "");
    let (Ok(digits), Ok(exponent)) = (digits.parse::<u64>(), exponent.parse::<i32>()) else {
        return false;
    };
    let exponent = exponent - places as i32;
    let less = format!("{}.{:9<30}e{exponent}", digits - 1, 9);
    let more = format!("{digits}.{:030}1e{exponent}", 0);
    [less, more]
        .iter()
        .all(|near| near.parse() == Ok(value.abs()))
}

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
    let text = shortest_digits(value);
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
