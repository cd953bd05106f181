//! Dates and timestamps as text: PostgreSQL's ISO style out, that and ISO 8601 in.

use super::{
    DATE_MAX, DATE_MIN, DateTimeError, MICROS_PER_DAY, MICROS_PER_SECOND, TIMESTAMP_MAX,
    TIMESTAMP_MIN, check_timestamp, civil_of_date, civil_of_timestamp, date_of,
};

/// Hours of a zone offset end here (PostgreSQL's own bound).
const ZONE_HOURS_END: i64 = 16;

/// What a text says, before it is given a type.
struct Moment {
    days: i32,
    /// Microseconds after midnight; may reach past the day (`24:00`, a leap second, rounding up).
    of_day: i64,
    /// Offset from UTC in seconds, east positive; none when the text has no zone.
    zone_s: Option<i64>,
}

/// Reads a DATE; a time and zone after it are read and left out, as PostgreSQL does.
///
/// # Errors
/// [`DateTimeError`] when the text has another form or names no date of the years 1 to 9999.
pub fn parse_date(text: &str) -> Result<i32, DateTimeError> {
    Ok(Moment::read(text)?.days)
}

/// Reads a TIMESTAMP; a zone after it is read and left out, as PostgreSQL does. A date alone is its midnight.
///
/// # Errors
/// [`DateTimeError`] when the text has another form or names no moment of the years 1 to 9999.
pub fn parse_timestamp(text: &str) -> Result<i64, DateTimeError> {
    let moment = Moment::read(text)?;
    check_timestamp(i64::from(moment.days) * MICROS_PER_DAY + moment.of_day)
}

/// Reads a TIMESTAMP WITH TIME ZONE; without a zone it is taken as UTC.
///
/// # Errors
/// [`DateTimeError`] when the text has another form or names no moment of the years 1 to 9999.
pub fn parse_timestamptz(text: &str) -> Result<i64, DateTimeError> {
    let moment = Moment::read(text)?;
    let zone = moment.zone_s.unwrap_or(0) * MICROS_PER_SECOND;
    check_timestamp(i64::from(moment.days) * MICROS_PER_DAY + moment.of_day - zone)
}

/// Writes a DATE: `2026-11-21`. A value outside the bounds is written as the nearest bound.
#[must_use]
pub fn format_date(days: i32) -> String {
    let civil = civil_of_date(days.clamp(DATE_MIN, DATE_MAX));
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

/// Writes a TIMESTAMP: `2026-11-21 10:00:00.5`. A value outside the bounds is written as the nearest bound.
#[must_use]
pub fn format_timestamp(micros: i64) -> String {
    let civil = civil_of_timestamp(micros.clamp(TIMESTAMP_MIN, TIMESTAMP_MAX));
    let mut text = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    );
    if civil.micros != 0 {
        let fraction = format!(".{:06}", civil.micros);
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

/// Writes a TIMESTAMP WITH TIME ZONE in UTC: `2026-11-21 10:00:00.5+00`.
#[must_use]
pub fn format_timestamptz(micros: i64) -> String {
    format_timestamp(micros) + "+00"
}

impl Moment {
    fn read(text: &str) -> Result<Self, DateTimeError> {
        let mut cursor = Cursor(text.trim_ascii().as_bytes());
        let days = cursor.date()?;
        let mut of_day = 0;
        let after_t = cursor.eat(b'T') || cursor.eat(b't');
        let after_space = cursor.spaces().is_ok();
        if after_t || (after_space && cursor.0.first().is_some_and(u8::is_ascii_digit)) {
            of_day = cursor.time()?;
        } else if cursor.0.first() == Some(&b'-') {
            // A zone may follow the date at once, but this one would look like a part of it.
            return Err(DateTimeError::Syntax);
        }
        cursor.spaces().ok();
        let zone_s = cursor.zone()?;
        if !cursor.is_done() {
            return Err(DateTimeError::Syntax);
        }
        Ok(Self {
            days,
            of_day,
            zone_s,
        })
    }
}

/// The bytes still to be read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    fn eat(&mut self, wanted: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == wanted => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn spaces(&mut self) -> Result<(), DateTimeError> {
        let rest = self.0.trim_ascii_start();
        if rest.len() == self.0.len() {
            return Err(DateTimeError::Syntax);
        }
        self.0 = rest;
        Ok(())
    }

    /// Digits at this place: their value and how many, `min` to `max` of them.
    fn digits(&mut self, min: usize, max: usize) -> Result<(i64, usize), DateTimeError> {
        let len = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if len < min || len > max {
            return Err(DateTimeError::Syntax);
        }
        let (digits, rest) = self.0.split_at(len);
        self.0 = rest;
        let value = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Ok((value, len))
    }

    /// `YYYY-MM-DD`, or `YYYYMMDD`.
    fn date(&mut self) -> Result<i32, DateTimeError> {
        let (year, len) = self.digits(3, 8)?;
        let (year, month, day) = if len == 8 {
            (year / 10_000, year / 100 % 100, year % 100)
        } else if self.eat(b'-') {
            let (month, _) = self.digits(1, 2)?;
            if !self.eat(b'-') {
                return Err(DateTimeError::Syntax);
            }
            (year, month, self.digits(1, 2)?.0)
        } else {
            return Err(DateTimeError::Syntax);
        };
        if year == 0 {
            return Err(DateTimeError::FieldOutOfRange);
        }
        date_of(year as i32, month as u8, day as u8)
    }

    /// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.ffffff`, in microseconds after midnight.
    fn time(&mut self) -> Result<i64, DateTimeError> {
        let (hour, _) = self.digits(1, 2)?;
        if !self.eat(b':') {
            return Err(DateTimeError::Syntax);
        }
        let (minute, _) = self.digits(1, 2)?;
        let second = if self.eat(b':') {
            self.digits(1, 2)?.0
        } else {
            0
        };
        let micros = if self.eat(b'.') { self.fraction()? } else { 0 };
        // As in PostgreSQL, second 60 is the next minute's 0, and 24:00:00 the next day's midnight.
        let of_day = (hour * 3_600 + minute * 60 + second) * MICROS_PER_SECOND + micros;
        if hour > 24
            || minute > 59
            || second > 60
            || (second == 60 && micros > 0)
            || (hour == 24 && of_day > MICROS_PER_DAY)
        {
            return Err(DateTimeError::FieldOutOfRange);
        }
        Ok(of_day)
    }

    /// Digits after the second's point, rounded half to even to microseconds.
    fn fraction(&mut self) -> Result<i64, DateTimeError> {
        const KEPT: usize = 6;
        let len = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at(len);
        self.0 = rest;
        let micros = (0..KEPT).fold(0, |sum, place| {
            let digit = digits.get(place).map_or(0, |digit| digit - b'0');
            sum * 10 + i64::from(digit)
        });
        let dropped = digits.get(KEPT..).unwrap_or_default();
        let up = match dropped {
            [] => false,
            [b'5', rest @ ..] if rest.iter().all(|digit| *digit == b'0') => micros % 2 == 1,
            [first, ..] => *first >= b'5',
        };
        Ok(micros + i64::from(up))
    }

    /// `Z`, `UTC`, `GMT`, `+08`, `+0800`, `+08:00` or `+08:00:00`, in seconds; or nothing.
    fn zone(&mut self) -> Result<Option<i64>, DateTimeError> {
        let name = self.0.to_ascii_lowercase();
        if self.0.is_empty() {
            return Ok(None);
        }
        if matches!(name.as_slice(), b"z" | b"utc" | b"gmt" | b"zulu") {
            self.0 = &[];
            return Ok(Some(0));
        }
        let sign = if self.eat(b'+') {
            1
        } else if self.eat(b'-') {
            -1
        } else {
            return Err(DateTimeError::Syntax);
        };
        let (value, len) = self.digits(1, 6)?;
        let (hours, minutes, seconds) = match len {
            1 | 2 => {
                let minutes = if self.eat(b':') {
                    self.digits(1, 2)?.0
                } else {
                    0
                };
                let seconds = if self.eat(b':') {
                    self.digits(1, 2)?.0
                } else {
                    0
                };
                (value, minutes, seconds)
            }
            3 | 4 => (value / 100, value % 100, 0),
            _ => (value / 10_000, value / 100 % 100, value % 100),
        };
        if hours >= ZONE_HOURS_END || minutes > 59 || seconds > 59 {
            return Err(DateTimeError::ZoneOutOfRange);
        }
        Ok(Some(sign * (hours * 3_600 + minutes * 60 + seconds)))
    }
}
