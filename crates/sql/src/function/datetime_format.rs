//! `to_char` of times, `to_date` and `to_timestamp` by a pattern: those parts that know no locale.

use rusqlite::Connection;
use rusqlite::types::Value;
use stele_core::datetime::{
    Civil, Field, MICROS_PER_DAY, civil_of_timestamp, date_of, date_to_timestamp,
    extract_from_timestamp, timestamp_of,
};

use super::arguments::strict;
use super::text::text;
use crate::error::SqlError;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
/// Longest name of a month or day: without FM names are padded to it.
const NAME_WIDTH: usize = 9;

/// What a pattern is made of, longest first.
const PARTS: &[&str] = &[
    "YYYY", "IYYY", "YYY", "YY", "HH24", "HH12", "HH", "MI", "MS", "US", "MM", "SS", "MONTH",
    "Month", "month", "MON", "Mon", "mon", "DDD", "DD", "DAY", "Day", "day", "DY", "Dy", "dy",
    "IW", "WW", "ID", "AM", "PM", "am", "pm", "Q", "D", "W",
];

/// Parts of PostgreSQL's patterns that are not taken.
const REFUSED: &[&str] = &[
    "SSSS", "TH", "th", "TM", "SP", "CC", "RM", "rm", "TZ", "tz", "OF", "FX", "BC", "bc", "AD",
    "ad", "A.M.", "P.M.", "a.m.", "p.m.", "B.C.", "A.D.", "Y,YYY", "IYY", "IY", "IDDD", "FF", "J",
    "Y", "I",
];

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    strict(connection, "st_to_char", 2, |arguments| {
        text(written(arguments.int(0)?, arguments.text(1)?)?)
    })?;
    strict(connection, "st_to_time", 2, |arguments| {
        Ok(Value::Integer(read(
            arguments.text(0)?,
            arguments.text(1)?,
        )?))
    })
}

enum Piece<'p> {
    /// A part, and whether FM stands before it.
    Part(&'static str, bool),
    Literal(&'p str),
}

/// Whether a pattern goes on with a part. Only names say by their letters' case how they are written.
fn begins_with(pattern: &str, part: &str) -> bool {
    let is_name = matches!(
        part.to_ascii_uppercase().as_str(),
        "MONTH" | "MON" | "DAY" | "DY" | "AM" | "PM"
    );
    let Some(head) = pattern.get(..part.len()) else {
        return false;
    };
    head == part || !is_name && head.eq_ignore_ascii_case(part)
}

fn pieces(pattern: &str) -> Result<Vec<Piece<'_>>, SqlError> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let (tight, after) = match rest.split_at_checked(2) {
            Some((head, after)) if head.eq_ignore_ascii_case("FM") => (true, after),
            _ => (false, rest),
        };
        let refused = REFUSED.iter().find(|part| begins_with(after, part));
        let part = PARTS.iter().find(|part| begins_with(after, part));
        match (refused, part) {
            // MONTH begins as MON does, TH as nothing else: the longer one counts.
            (Some(refused), part) if part.is_none_or(|part| part.len() < refused.len()) => {
                return Err(SqlError::unsupported(
                    format!("the pattern {refused}"),
                    "Patterns take YYYY YY MM DD HH24 HH12 MI SS MS US AM PM DDD D ID IW IYYY WW W Q, names of months and days, FM, and \"text\".",
                ));
            }
            (_, Some(part)) => {
                pieces.push(Piece::Part(part, tight));
                rest = after.get(part.len()..).unwrap_or_default();
            }
            _ => {
                let quoted = after
                    .strip_prefix('"')
                    .and_then(|inner| inner.split_once('"'));
                let (literal, left) = match quoted {
                    Some((literal, left)) => (literal, left),
                    None if tight => ("", after),
                    None => rest.split_at(first.len_utf8()),
                };
                pieces.push(Piece::Literal(literal));
                rest = left;
            }
        }
    }
    Ok(pieces)
}

fn field(micros: i64, field: Field) -> Result<i64, SqlError> {
    let value = extract_from_timestamp(micros, field)?;
    Ok(value.to_string().parse().unwrap_or_default())
}

fn written(micros: i64, pattern: &str) -> Result<String, SqlError> {
    let civil = civil_of_timestamp(micros);
    let mut result = String::new();
    for piece in pieces(pattern)? {
        match piece {
            Piece::Literal(literal) => result.push_str(literal),
            Piece::Part(part, tight) => result.push_str(&part_text(micros, &civil, part, tight)?),
        }
    }
    Ok(result)
}

fn part_text(micros: i64, civil: &Civil, part: &str, tight: bool) -> Result<String, SqlError> {
    let number = |value: i64, width: usize| {
        if tight {
            value.to_string()
        } else {
            format!("{value:0width$}")
        }
    };
    let year = i64::from(civil.year);
    let hour = i64::from(civil.hour);
    let half = (hour + 11) % 12 + 1;
    let day_of_week = field(micros, Field::named("dow").ok_or_else(broken)?)?;
    let counted = |name: &str| -> Result<i64, SqlError> {
        field(micros, Field::named(name).ok_or_else(broken)?)
    };
    Ok(match part {
        "YYYY" => number(year, 4),
        "YYY" => number(year % 1000, 3),
        "YY" => number(year % 100, 2),
        "IYYY" => number(counted("isoyear")?, 4),
        "MM" => number(civil.month.into(), 2),
        "DD" => number(civil.day.into(), 2),
        "DDD" => number(counted("doy")?, 3),
        "D" => number(day_of_week + 1, 1),
        "ID" => number(counted("isodow")?, 1),
        "IW" => number(counted("week")?, 2),
        "WW" => number((counted("doy")? - 1) / 7 + 1, 2),
        "W" => number((i64::from(civil.day) - 1) / 7 + 1, 1),
        "Q" => number(counted("quarter")?, 1),
        "HH24" => number(hour, 2),
        "HH" | "HH12" => number(half, 2),
        "MI" => number(civil.minute.into(), 2),
        "SS" => number(civil.second.into(), 2),
        "MS" => number(i64::from(civil.micros) / 1_000, 3),
        "US" => number(civil.micros.into(), 6),
        "AM" | "PM" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "am" | "pm" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        name => {
            let names: &[&str] =
                if name.eq_ignore_ascii_case("month") || name.eq_ignore_ascii_case("mon") {
                    &MONTHS
                } else {
                    &DAYS
                };
            let place = if names.len() == MONTHS.len() {
                i64::from(civil.month) - 1
            } else {
                day_of_week
            };
            let full = usize::try_from(place)
                .ok()
                .and_then(|place| names.get(place));
            let full = full.copied().unwrap_or_default();
            let short = name.len() == 3 && names.len() == MONTHS.len() || name.len() == 2;
            let shown = if short {
                full.get(..3).unwrap_or(full)
            } else {
                full
            };
            let mut letters = name.chars();
            let upper = letters.next().is_some_and(|c| c.is_ascii_uppercase());
            let all = upper && letters.next().is_some_and(|c| c.is_ascii_uppercase());
            let mut cased = match (upper, all) {
                (_, true) => shown.to_ascii_uppercase(),
                (true, false) => shown.to_owned(),
                (false, _) => shown.to_ascii_lowercase(),
            };
            while !short && !tight && cased.len() < NAME_WIDTH {
                cased.push(' ');
            }
            cased
        }
    })
}

fn broken() -> SqlError {
    SqlError::new("XX000", "a field of a time has no name")
}

/// A text read by a pattern, as microseconds.
fn read(given: &str, pattern: &str) -> Result<i64, SqlError> {
    let mut rest = given.trim_start();
    let mut parts = Read::default();
    for piece in pieces(pattern)? {
        match piece {
            Piece::Literal(literal) => {
                for _ in literal.chars() {
                    // What stands between two parts is any one character but a letter or digit.
                    rest = rest
                        .strip_prefix(|c: char| !c.is_alphanumeric())
                        .unwrap_or(rest);
                }
            }
            Piece::Part(part, _) => {
                rest = rest.trim_start();
                rest = parts.take(part, rest, given)?;
            }
        }
    }
    parts.micros()
}

#[derive(Default)]
struct Read {
    year: Option<i32>,
    month: Option<u8>,
    day: Option<u8>,
    day_of_year: Option<i64>,
    hour: u8,
    minute: u8,
    second: u8,
    micros: u32,
    afternoon: Option<bool>,
}

impl Read {
    fn take<'t>(&mut self, part: &str, rest: &'t str, given: &str) -> Result<&'t str, SqlError> {
        let wrong = || {
            SqlError::new(
                "22007",
                format!(
                    "invalid value \"{}\" for \"{part}\"",
                    rest.chars().take(10).collect::<String>()
                ),
            )
        };
        let width = match part {
            "YYYY" => 4,
            "MS" | "DDD" => 3,
            "US" => 6,
            "YY" | "MM" | "DD" | "HH24" | "HH12" | "HH" | "MI" | "SS" => 2,
            "AM" | "PM" | "am" | "pm" => {
                let mark = rest.get(..2).unwrap_or_default().to_ascii_lowercase();
                self.afternoon = Some(match mark.as_str() {
                    "am" => false,
                    "pm" => true,
                    _ => return Err(wrong()),
                });
                return Ok(rest.get(2..).unwrap_or_default());
            }
            _ if part.eq_ignore_ascii_case("mon") || part.eq_ignore_ascii_case("month") => {
                let full = part.len() == 5;
                for (name, month) in MONTHS.iter().zip(1..) {
                    let name = if full {
                        name
                    } else {
                        name.get(..3).unwrap_or(name)
                    };
                    let begins = rest
                        .get(..name.len())
                        .is_some_and(|head| head.eq_ignore_ascii_case(name));
                    if begins {
                        self.month = Some(month);
                        return Ok(rest.get(name.len()..).unwrap_or_default());
                    }
                }
                return Err(wrong());
            }
            other => {
                return Err(SqlError::unsupported(
                    format!("reading the pattern {other}"),
                    "Read YYYY MM DD DDD Mon Month HH24 HH12 MI SS MS US AM PM.",
                ));
            }
        };
        let digits = rest
            .bytes()
            .take(width)
            .take_while(u8::is_ascii_digit)
            .count();
        let (text, left) = rest.split_at(digits);
        let number: u32 = text.parse().map_err(|_| wrong())?;
        let small = u8::try_from(number).map_err(|_| out_of_range(given));
        let scaled = |places: u32| number * 10u32.pow(places.saturating_sub(digits as u32));
        match part {
            "YYYY" => self.year = Some(number.cast_signed()),
            "YY" => {
                let century = if number < 70 { 2000 } else { 1900 };
                self.year = Some(number.cast_signed() + century);
            }
            "MM" => self.month = Some(small?),
            "DD" => self.day = Some(small?),
            "DDD" => self.day_of_year = Some(number.into()),
            "HH24" | "HH12" | "HH" => {
                self.hour = small?;
                if part != "HH24" && !(1..=12).contains(&self.hour) {
                    return Err(SqlError::new(
                        "22007",
                        format!("hour \"{number}\" is invalid for the 12-hour clock"),
                    ));
                }
                if part != "HH24" && self.afternoon.is_none() {
                    self.afternoon = Some(false);
                }
            }
            "MI" => self.minute = small?,
            "SS" => self.second = small?,
            "MS" => self.micros = scaled(3) * 1_000,
            _ => self.micros = scaled(6),
        }
        Ok(left)
    }

    fn micros(&self) -> Result<i64, SqlError> {
        let year = self.year.unwrap_or(1);
        let hour = match self.afternoon {
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let days = match self.day_of_year {
            Some(day) if self.month.is_none() => {
                let first = date_of(year, 1, 1)?;
                stele_core::datetime::add_days(first, day - 1)?
            }
            _ => date_of(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        if hour > 23 || self.minute > 59 || self.second > 59 {
            return Err(out_of_range(&format!(
                "{hour}:{}:{}",
                self.minute, self.second
            )));
        }
        let day = civil_of_timestamp(date_to_timestamp(days)?);
        let micros = timestamp_of(&Civil {
            hour,
            minute: self.minute,
            second: self.second,
            micros: self.micros,
            ..day
        })?;
        debug_assert!(micros.rem_euclid(MICROS_PER_DAY) >= 0);
        Ok(micros)
    }
}

fn out_of_range(given: &str) -> SqlError {
    SqlError::new(
        "22008",
        format!("date/time field value out of range: \"{given}\""),
    )
}
