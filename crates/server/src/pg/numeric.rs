//! PostgreSQL's binary NUMERIC: digits of base 10,000, the first one's weight, sign, display scale.
//!
//! ```text
//! i16 count of digits
//! i16 weight of the first digit (its value is digit * 10000^weight)
//! u16 sign: 0x0000 positive, 0x4000 negative, 0xC000 NaN, 0xD000 and 0xF000 infinities
//! u16 digits after the decimal point to show
//! u16 per digit, 0 to 9999
//! ```

use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use stele_core::Numeric;

const BASE: u128 = 10_000;
/// Decimal digits of one digit.
const BASE_DIGITS: u8 = 4;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
/// A number with more base-10,000 digits before the point than this fits no NUMERIC of the ledger.
const WEIGHT_MAX: i32 = 16;
/// Fraction digits of base 10,000 beyond this cannot change a rounding to 30 places.
const FRACTION_LEN_MAX: i32 = 32;

/// Writes the body of a value, to be shown with `scale` digits after the point.
pub(crate) fn put(value: Numeric, scale: u8, out: &mut BytesMut) {
    let value = value.rescale_exact(scale).unwrap_or(value);
    let scale = value.scale();
    let mut rest = value.coefficient().unsigned_abs();
    let mut digits = [0u16; 12];
    let mut count = 0usize;
    let mut exponent = -i32::from(scale.div_ceil(BASE_DIGITS));
    let mut first = true;
    // Digits from the least on; the lowest one is filled up to a whole digit of base 10,000.
    let partial = scale % BASE_DIGITS;
    let mut trailing = true;
    while rest > 0 {
        let digit = if first && partial > 0 {
            let unit = 10u128.pow(u32::from(partial));
            let digit = rest % unit * 10u128.pow(u32::from(BASE_DIGITS - partial));
            rest /= unit;
            digit
        } else {
            let digit = rest % BASE;
            rest /= BASE;
            digit
        };
        first = false;
        if trailing && digit == 0 {
            exponent += 1;
            continue;
        }
        trailing = false;
        if let Some(place) = digits.get_mut(count) {
            *place = digit as u16;
            count += 1;
        }
    }
    let sign = if value.coefficient() < 0 {
        NEGATIVE
    } else {
        POSITIVE
    };
    let weight = if count == 0 {
        0
    } else {
        exponent + count as i32 - 1
    };
    out.put_i16(count as i16);
    out.put_i16(weight as i16);
    out.put_u16(sign);
    out.put_u16(u16::from(scale));
    for digit in digits.iter().take(count).rev() {
        out.put_u16(*digit);
    }
}

/// Why a binary NUMERIC cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumericFault {
    /// The bytes are no NUMERIC.
    Malformed,
    /// NaN or an infinity.
    NotFinite,
    /// Too large for any NUMERIC of the ledger.
    TooLarge,
}

/// Reads the body of a value as decimal text, exact as far as 30 places after the point go.
pub(crate) fn to_text(bytes: &[u8]) -> Result<String, NumericFault> {
    let (header, digits) = bytes.split_at_checked(8).ok_or(NumericFault::Malformed)?;
    let word = |at: usize| -> Result<u16, NumericFault> {
        let pair = header.get(at..at + 2).ok_or(NumericFault::Malformed)?;
        Ok(pair.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte)))
    };
    let count = usize::from(word(0)?);
    let weight = i32::from(word(2)? as i16);
    let negative = match word(4)? {
        POSITIVE => false,
        NEGATIVE => true,
        NAN | INFINITY | MINUS_INFINITY => return Err(NumericFault::NotFinite),
        _ => return Err(NumericFault::Malformed),
    };
    if digits.len() != count * 2 {
        return Err(NumericFault::Malformed);
    }
    let digits: Vec<u16> = digits
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u16::from_be_bytes(*pair))
        .collect();
    if digits.iter().any(|digit| u128::from(*digit) >= BASE) {
        return Err(NumericFault::Malformed);
    }
    if digits.iter().all(|digit| *digit == 0) {
        return Ok("0".to_owned());
    }
    if weight > WEIGHT_MAX {
        return Err(NumericFault::TooLarge);
    }
    let mut text = String::with_capacity(digits.len() * 4 + 8);
    if negative {
        text.push('-');
    }
    let digit_of = |power: i32| -> u16 {
        usize::try_from(weight - power)
            .ok()
            .and_then(|place| digits.get(place))
            .copied()
            .unwrap_or_default()
    };
    if weight < 0 {
        text.push('0');
    }
    for power in (0..=weight).rev() {
        let _ = write!(text, "{:04}", digit_of(power));
    }
    let last = weight - digits.len() as i32 + 1;
    if last < 0 {
        text.push('.');
        for power in (last.max(-FRACTION_LEN_MAX)..0).rev() {
            let _ = write!(text, "{:04}", digit_of(power));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
