//! Intervals as text, in PostgreSQL's own style.

use std::fmt;

use super::{Interval, out_of_range};
use crate::error::SqlError;

const MICROS_PER_SECOND: i128 = 1_000_000;
/// Most digits after the point that are read.
const FRACTION_DIGITS_MAX: usize = 12;

/// How far a unit reaches.
#[derive(Clone, Copy)]
enum Unit {
    Months(i32),
    Days(i32),
    Micros(i64),
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word.to_ascii_lowercase().as_str() {
        "millennium" | "millennia" | "mil" | "mils" => Unit::Months(12_000),
        "century" | "centuries" | "cent" | "c" => Unit::Months(1_200),
        "decade" | "decades" | "dec" | "decs" => Unit::Months(120),
        "year" | "years" | "yr" | "yrs" | "y" => Unit::Months(12),
        "month" | "months" | "mon" | "mons" => Unit::Months(1),
        "week" | "weeks" | "w" => Unit::Days(7),
        "day" | "days" | "d" => Unit::Days(1),
        "hour" | "hours" | "hr" | "hrs" | "h" => Unit::Micros(3_600_000_000),
        "minute" | "minutes" | "min" | "mins" | "m" => Unit::Micros(60_000_000),
        "second" | "seconds" | "sec" | "secs" | "s" => Unit::Micros(1_000_000),
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => Unit::Micros(1_000),
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" => Unit::Micros(1),
        _ => return None,
    })
}

/// Sums of fields while a text is read, wide enough not to overflow before the end.
#[derive(Default)]
struct Sums {
    months: i128,
    days: i128,
    micros: i128,
}

/// A decimal: its whole part and its fraction over a power of ten.
struct Decimal {
    negative: bool,
    whole: i128,
    fraction: i128,
    over: i128,
}

impl Sums {
    fn add(&mut self, number: &Decimal, unit: Unit) {
        let sign = if number.negative { -1 } else { 1 };
        let day = 86_400 * MICROS_PER_SECOND;
        // A fraction spills into the next smaller field, as PostgreSQL does it.
        match unit {
            Unit::Months(count) => {
                let count = i128::from(count);
                self.months += sign * number.whole * count;
                let rest = number.fraction * count;
                self.months += sign * (rest / number.over);
                let rest = rest % number.over * 30;
                self.days += sign * (rest / number.over);
                self.micros += sign * (rest % number.over * day / number.over);
            }
            Unit::Days(count) => {
                let count = i128::from(count);
                self.days += sign * number.whole * count;
                let rest = number.fraction * count;
                self.days += sign * (rest / number.over);
                self.micros += sign * (rest % number.over * day / number.over);
            }
            Unit::Micros(count) => {
                let count = i128::from(count);
                let part = (number.fraction * count + number.over / 2) / number.over;
                self.micros += sign * (number.whole * count + part);
            }
        }
    }

    fn finish(self, ago: bool) -> Result<Interval, SqlError> {
        let sign = if ago { -1 } else { 1 };
        Ok(Interval {
            months: i32::try_from(sign * self.months).map_err(|_| out_of_range())?,
            days: i32::try_from(sign * self.days).map_err(|_| out_of_range())?,
            micros: i64::try_from(sign * self.micros).map_err(|_| out_of_range())?,
        })
    }
}

impl Interval {
    /// Reads an interval: `1 day 2 hours`, `-3 mons`, `1 12:30:00`, `2 weeks ago`. A number alone
    /// counts `default_unit`, or seconds.
    pub(crate) fn parse(text: &str, default_unit: Option<&str>) -> Result<Self, SqlError> {
        let invalid = || {
            SqlError::new(
                "22007",
                format!("invalid input syntax for type interval: \"{text}\""),
            )
        };
        let pieces = pieces(text).ok_or_else(invalid)?;
        let mut sums = Sums::default();
        let mut ago = false;
        let mut rest = pieces.iter().peekable();
        if pieces.is_empty() {
            return Err(invalid());
        }
        while let Some(piece) = rest.next() {
            if ago {
                return Err(invalid());
            }
            if piece.eq_ignore_ascii_case("ago") {
                ago = true;
                continue;
            }
            if piece.contains(':') {
                let clock = clock(piece).ok_or_else(invalid)?;
                sums.micros += clock;
                continue;
            }
            let number = decimal(piece).ok_or_else(invalid)?;
            let named = match rest.peek() {
                Some(word) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    let found = unit(word);
                    if found.is_some() {
                        rest.next();
                    }
                    found
                }
                // `1 12:30` counts days before a clock.
                Some(clock) if clock.contains(':') => Some(Unit::Days(1)),
                _ => None,
            };
            let unit = match (named, default_unit) {
                (Some(unit), _) => unit,
                (None, Some(word)) => unit(word).ok_or_else(invalid)?,
                (None, None) if rest.peek().is_none() => Unit::Micros(1_000_000),
                (None, None) => return Err(invalid()),
            };
            sums.add(&number, unit);
        }
        sums.finish(ago)
    }
}

/// Splits a text into numbers, words and clocks: `1day` is two pieces.
fn pieces(text: &str) -> Option<Vec<String>> {
    let mut pieces: Vec<String> = Vec::new();
    let mut current = String::new();
    for character in text.chars() {
        let alphabetic = character.is_ascii_alphabetic();
        let numeric = character.is_ascii_digit() || matches!(character, '.' | ':' | '+' | '-');
        if !alphabetic && !numeric && !character.is_ascii_whitespace() && character != '@' {
            return None;
        }
        let was_alphabetic = current.ends_with(|c: char| c.is_ascii_alphabetic());
        let breaks = !alphabetic && !numeric || !current.is_empty() && was_alphabetic != alphabetic;
        if breaks && !current.is_empty() {
            pieces.push(std::mem::take(&mut current));
        }
        if alphabetic || numeric {
            current.push(character);
        }
    }
    if !current.is_empty() {
        pieces.push(current);
    }
    Some(pieces)
}

fn decimal(piece: &str) -> Option<Decimal> {
    let (negative, digits) = match piece.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, piece.strip_prefix('+').unwrap_or(piece)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty()
        || !plain(whole)
        || !plain(fraction)
        || whole.len() > 18
    {
        return None;
    }
    let fraction = fraction.get(..FRACTION_DIGITS_MAX).unwrap_or(fraction);
    Some(Decimal {
        negative,
        whole: if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        },
        fraction: if fraction.is_empty() {
            0
        } else {
            fraction.parse().ok()?
        },
        over: 10i128.pow(fraction.len() as u32),
    })
}

/// `hh:mm`, `hh:mm:ss.ffffff` in microseconds.
fn clock(piece: &str) -> Option<i128> {
    let (sign, piece) = match piece.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, piece.strip_prefix('+').unwrap_or(piece)),
    };
    let mut parts = piece.split(':');
    let hours = decimal(parts.next()?)?;
    let minutes = decimal(parts.next()?)?;
    let seconds = match parts.next() {
        Some(seconds) => decimal(seconds)?,
        None => decimal("0")?,
    };
    if parts.next().is_some() || minutes.whole > 59 || seconds.whole > 59 {
        return None;
    }
    let mut sums = Sums::default();
    sums.add(&hours, Unit::Micros(3_600_000_000));
    sums.add(&minutes, Unit::Micros(60_000_000));
    sums.add(&seconds, Unit::Micros(1_000_000));
    Some(sign * sums.micros)
}

/// `1 year 2 mons -3 days +04:05:06.7`, as PostgreSQL writes it.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut empty = true;
        let mut after_negative = false;
        let fields = [
            (self.months / 12, "year"),
            (self.months % 12, "mon"),
            (self.days, "day"),
        ];
        for (count, name) in fields {
            if count == 0 {
                continue;
            }
            let space = if empty { "" } else { " " };
            let plus = if after_negative && count > 0 { "+" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{space}{plus}{count} {name}{plural}")?;
            after_negative = count < 0;
            empty = false;
        }
        if self.micros == 0 && !empty {
            return Ok(());
        }
        let sign = if self.micros < 0 {
            "-"
        } else if after_negative {
            "+"
        } else {
            ""
        };
        let micros = self.micros.unsigned_abs();
        let seconds = micros / 1_000_000;
        let space = if empty { "" } else { " " };
        write!(
            f,
            "{space}{sign}{:02}:{:02}:{:02}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )?;
        let fraction = micros % 1_000_000;
        if fraction > 0 {
            let digits = format!("{fraction:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}
