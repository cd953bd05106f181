//! Regular expressions: linear in time, of the `regex` crate, whose tables are part of the build.
//!
//! PostgreSQL's own have more (back references, look-around) and, where several matches begin at one
//! place, take the longest where these take the first alternative.

use regex::{Regex, RegexBuilder};
use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value;

use super::arguments::{Arguments, PURE, counted};
use super::failure::raise;
use super::text::{check_len, grow, text};
use crate::error::SqlError;

/// Largest compiled pattern, in bytes.
const PROGRAM_LEN_MAX: usize = 256 * 1024;
/// Deepest nesting of a pattern.
const NESTING_MAX: u32 = 50;
/// Most bytes of a text times bytes of a pattern.
const WORK_MAX: usize = 256 * 1024 * 1024;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // (text, pattern, flags)
    function(connection, "st_regex_like", 3, |arguments, regex| {
        Ok(Value::Integer(regex.is_match(arguments.text(0)?).into()))
    })?;
    function(connection, "st_regex_count", 3, |arguments, regex| {
        Ok(Value::Integer(
            regex.find_iter(arguments.text(0)?).count() as i64
        ))
    })?;
    // The first group if there is one, else the whole match.
    function(connection, "st_regex_part", 3, |arguments, regex| {
        let subject = arguments.text(0)?;
        let Some(found) = regex.captures(subject) else {
            return Ok(Value::Null);
        };
        let part = if regex.captures_len() > 1 { 1 } else { 0 };
        match found.get(part) {
            Some(part) => text(part.as_str().to_owned()),
            None => Ok(Value::Null),
        }
    })?;
    function(
        connection,
        "st_regex_find",
        3,
        |arguments, regex| match regex.find(arguments.text(0)?) {
            Some(found) => text(found.as_str().to_owned()),
            None => Ok(Value::Null),
        },
    )?;
    // (text, pattern, flags, replacement)
    function(connection, "st_regex_replace", 4, |arguments, regex| {
        let all = arguments.text(2)?.contains('g');
        let replacement = arguments.text(3)?;
        let given = arguments.text(0)?;
        let (mut result, mut after) = (String::new(), 0);
        for found in regex
            .captures_iter(given)
            .take(if all { usize::MAX } else { 1 })
        {
            let Some(whole) = found.get(0) else { continue };
            let between = given.get(after..whole.start()).unwrap_or_default();
            grow(&mut result, between)?;
            expand(&mut result, &found, replacement)?;
            after = whole.end();
        }
        grow(&mut result, given.get(after..).unwrap_or_default())?;
        text(result)
    })
}

/// Appends a replacement with `\1`, `\&` and `\\` filled in.
fn expand(
    result: &mut String,
    found: &regex::Captures<'_>,
    replacement: &str,
) -> Result<(), SqlError> {
    check_len(result.len().saturating_add(replacement.len()))?;
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            result.push(character);
            continue;
        }
        let group = match characters.next() {
            Some('&') => Some(0),
            Some(digit) if digit.is_ascii_digit() && digit != '0' => {
                digit.to_digit(10).map(|digit| digit as usize)
            }
            Some('\\') | None => {
                result.push('\\');
                None
            }
            Some(other) => {
                result.push('\\');
                result.push(other);
                None
            }
        };
        if let Some(part) = group.and_then(|group| found.get(group)) {
            grow(result, part.as_str())?;
        }
    }
    Ok(())
}

/// Registers a strict function of (text, pattern, flags, …); a constant pattern is compiled once.
fn function(
    connection: &Connection,
    name: &str,
    count: i32,
    run: impl Fn(&Arguments<'_>, &Regex) -> Result<Value, SqlError> + Send + 'static,
) -> rusqlite::Result<()> {
    connection.create_scalar_function(name, count, PURE, move |context| {
        let arguments = Arguments(context);
        if (0..arguments.len()).any(|index| arguments.is_null(index)) {
            return Ok(Value::Null);
        }
        let work = |arguments: &Arguments<'_>| -> Result<Value, SqlError> {
            let (subject, pattern) = (arguments.text(0)?, arguments.text(1)?);
            if subject.len().saturating_mul(pattern.len()) > WORK_MAX {
                return Err(
                    SqlError::new("54000", "the regular expression takes too many steps")
                        .hint("Match a shorter text, or use a shorter pattern."),
                );
            }
            let regex = compiled(context, pattern, arguments.text(2)?)?;
            run(arguments, &regex)
        };
        arguments
            .count()
            .and_then(|()| work(&arguments))
            .and_then(counted)
            .map_err(raise)
    })
}

/// The pattern compiled, kept by SQLite while the statement's pattern is a constant.
fn compiled(context: &Context<'_>, pattern: &str, flags: &str) -> Result<Regex, SqlError> {
    if let Ok(Some(kept)) = context.get_aux::<(String, Regex)>(1)
        && kept.0 == flags
    {
        return Ok(kept.1.clone());
    }
    let regex = compile(pattern, flags)?;
    // Not kept is compiled again: slower, the same result.
    let _ = context.set_aux(1, (flags.to_owned(), regex.clone()));
    Ok(regex)
}

fn compile(pattern: &str, flags: &str) -> Result<Regex, SqlError> {
    if pattern.starts_with("***") || pattern.contains(r"\m") || pattern.contains(r"\M") {
        return Err(SqlError::unsupported(
            r"a regular expression with ***, \m or \M",
            r"Use \b for the edge of a word.",
        ));
    }
    let mut builder = if flags.contains('q') {
        RegexBuilder::new(&regex::escape(pattern))
    } else {
        RegexBuilder::new(pattern)
    };
    builder
        .size_limit(PROGRAM_LEN_MAX)
        .dfa_size_limit(PROGRAM_LEN_MAX * 4)
        .nest_limit(NESTING_MAX)
        .dot_matches_new_line(true);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            's' => builder.dot_matches_new_line(true).multi_line(false),
            'n' | 'm' => builder.dot_matches_new_line(false).multi_line(true),
            'x' => builder.ignore_whitespace(true),
            'g' | 'q' => &mut builder,
            other => {
                return Err(SqlError::new(
                    "22023",
                    format!("invalid regular expression option: \"{other}\""),
                ));
            }
        };
    }
    builder.build().map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default();
        SqlError::new(
            "2201B",
            format!(
                "invalid regular expression: {}",
                reason.trim_start_matches("error: ")
            ),
        )
        .hint("Back references and look-around are not taken: they have no bound on their cost.")
    })
}

/// SIMILAR TO as a regular expression over the whole text.
pub(crate) fn similar(pattern: &str, escape: Option<char>) -> Result<String, SqlError> {
    let mut regex = String::from("^(?:");
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            match characters.next() {
                Some(next) => regex.push_str(&regex::escape(next.encode_utf8(&mut [0; 4]))),
                None => {
                    return Err(SqlError::new("22025", "invalid escape sequence"));
                }
            }
            continue;
        }
        match character {
            _ if in_class => {
                in_class = character != ']';
                if character == '\\' {
                    regex.push('\\');
                }
                regex.push(character);
            }
            '[' => {
                in_class = true;
                regex.push('[');
            }
            '%' => regex.push_str("(?s:.)*"),
            '_' => regex.push_str("(?s:.)"),
            '(' => regex.push_str("(?:"),
            '.' | '^' | '$' | '\\' => {
                regex.push('\\');
                regex.push(character);
            }
            other => regex.push(other),
        }
    }
    regex.push_str(")$");
    Ok(regex)
}
