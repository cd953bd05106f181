//! Decimals in a key, independent of scale.
//!
//! A value other than 0 is `±0.d1d2d3… * 10^exponent` with `d1` not 0. Written are
//!
//! 1. one byte: `80 + (exponent + 30)` for positive values, `80 - (exponent + 30)` for negative ones
//!    (exponents are -29 to 38, so 81 to C4 and 7F to 3C); 0 is the single byte 80;
//! 2. the digits in pairs, one byte each: the pair plus 1 (01 to 64), the last pair filled with a 0
//!    and never 00;
//! 3. one byte 00.
//!
//! For negative values the bytes of 2 and 3 are inverted, so that larger magnitudes sort first.

use crate::codec::{DecodeError, Reader};
use crate::numeric::Numeric;
use crate::value::{NUMERIC_PRECISION_MAX, NUMERIC_SCALE_MAX};

const ZERO: u8 = 0x80;
/// Added to an exponent so that the least one is 1.
const EXPONENT_BIAS: i32 = NUMERIC_SCALE_MAX as i32;
/// Most digit pairs of a value.
const PAIRS_MAX: usize = NUMERIC_PRECISION_MAX as usize / 2;
const INVALID: DecodeError = DecodeError::Invalid("a decimal in a key is not in its one form");

/// Appends a decimal.
pub(super) fn put(out: &mut Vec<u8>, value: Numeric) {
    let value = value.normalized();
    if value.is_zero() {
        out.push(ZERO);
        return;
    }
    let negative = value.sign() < 0;
    let digits = value.digit_count();
    // 1 to 68: at most 38 digits before the point, at most 29 zeros after it.
    let biased = (digits as i32 - i32::from(value.scale()) + EXPONENT_BIAS) as u8;
    out.push(if negative {
        ZERO - biased
    } else {
        ZERO + biased
    });
    let flip = if negative { 0xff } else { 0 };

    // Pairs count from the first digit, so an odd number of digits gets a 0 at the end. Ten times a
    // coefficient below 10^38 fits a u128, though not an i128.
    let mut rest = value.coefficient().unsigned_abs();
    if digits % 2 == 1 {
        rest *= 10;
    }
    let mut pairs = [0u8; PAIRS_MAX];
    let mut unused = PAIRS_MAX;
    for pair in pairs.iter_mut().rev() {
        // 128-bit division is slow; nearly every value fits 64.
        let low = match u64::try_from(rest) {
            Ok(small) => {
                rest = u128::from(small / 100);
                small % 100
            }
            Err(_) => {
                let low = rest % 100;
                rest /= 100;
                low as u64
            }
        };
        *pair = low as u8;
        unused -= 1;
        if rest == 0 {
            break;
        }
    }
    let end = pairs
        .iter()
        .rposition(|pair| *pair != 0)
        .map_or(0, |last| last + 1);
    let written = pairs.get(unused..end).unwrap_or_default();
    out.extend(written.iter().map(|pair| (pair + 1) ^ flip));
    out.push(flip);
}

/// Reads a decimal back; it has the least scale.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Numeric, DecodeError> {
    let head = reader.u8()?;
    let negative = head < ZERO;
    let biased = i32::from(head.abs_diff(ZERO));
    if biased == 0 {
        return Ok(Numeric::ZERO);
    }
    let flip = if negative { 0xff } else { 0 };
    let (mut coefficient, mut digits, mut last) = (0u128, 0i32, 0u8);
    loop {
        let pair = match reader.u8()? ^ flip {
            0 => break,
            byte @ 1..=100 => byte - 1,
            _ => return Err(INVALID),
        };
        // The first digit is not 0, and 19 pairs are 38 digits: within a u128.
        if digits == 2 * PAIRS_MAX as i32 || (digits == 0 && pair < 10) {
            return Err(INVALID);
        }
        coefficient = coefficient * 100 + u128::from(pair);
        digits += 2;
        last = pair;
    }
    if last == 0 {
        return Err(INVALID);
    }
    let mut scale = digits - (biased - EXPONENT_BIAS);
    if last % 10 == 0 {
        coefficient /= 10;
        scale -= 1;
    }
    // A negative scale is zeros before the point.
    for _ in scale..0 {
        coefficient = coefficient.checked_mul(10).ok_or(INVALID)?;
    }
    let coefficient = i128::try_from(coefficient).map_err(|_| INVALID)?;
    let scale = u8::try_from(scale.max(0)).map_err(|_| INVALID)?;
    Numeric::new(if negative { -coefficient } else { coefficient }, scale).map_err(|_| INVALID)
}
