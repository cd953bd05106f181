//! How a value is shown in a result.

use tokio_postgres::types::Type;

/// Digits after the point that public files keep of a number.
const PLACES: usize = 12;

/// A value as the server words it, or, with its type, as the public files have it.
pub fn shown(value: Option<&str>, of: Option<&Type>) -> String {
    let Some(value) = value else {
        return "NULL".to_owned();
    };
    if value.is_empty() {
        return "(empty)".to_owned();
    }
    match of {
        Some(&Type::BOOL) => (if value == "t" { "true" } else { "false" }).to_owned(),
        Some(&Type::NUMERIC) => number(value),
        Some(&Type::FLOAT4 | &Type::FLOAT8) => match value.parse::<f64>() {
            Ok(parsed) if parsed.is_finite() => number(&format!("{parsed:.PLACES$}")),
            _ => value.to_owned(),
        },
        Some(&Type::TIMESTAMP) => value.replacen(' ', "T", 1),
        _ => value.trim_end_matches('\n').to_owned(),
    }
}

/// A decimal number without needless zeros, with at most [`PLACES`] digits after the point.
fn number(value: &str) -> String {
    let Some((whole, fraction)) = value.split_once('.') else {
        return value.to_owned();
    };
    let Some((kept, rest)) = fraction.split_at_checked(PLACES) else {
        return trimmed(whole, fraction);
    };
    if rest.starts_with(|digit: char| digit < '5') || rest.is_empty() {
        return trimmed(whole, kept);
    }
    let digits = format!("{whole}{kept}");
    match digits.parse::<i128>() {
        Ok(scaled) => {
            let negative = whole.starts_with('-');
            let rounded = format!("{:0width$}", scaled.unsigned_abs() + 1, width = PLACES + 1);
            let (whole, fraction) = rounded.split_at(rounded.len() - PLACES);
            trimmed(
                &format!("{}{whole}", if negative { "-" } else { "" }),
                fraction,
            )
        }
        Err(_) => trimmed(whole, kept),
    }
}

fn trimmed(whole: &str, fraction: &str) -> String {
    let fraction = fraction.trim_end_matches('0');
    match (whole, fraction) {
        ("-0", "") => "0".to_owned(),
        (_, "") => whole.to_owned(),
        _ => format!("{whole}.{fraction}"),
    }
}
