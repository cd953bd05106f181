//! Quoting, and `format`.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::arguments::{Arguments, VARIADIC, lenient, strict};
use super::text::{check_len, grow, text};
use crate::array_text;
use crate::error::SqlError;
use crate::system_type::Element;

/// Words PostgreSQL 15 takes for names only in quotes.
const RESERVED: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint \
    binary bit boolean both case cast char character check coalesce collate collation column concurrently \
    constraint create cross current_catalog current_date current_role current_schema current_time \
    current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists \
    extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in \
    initially inner inout int integer intersect interval into is isnull join lateral leading least left like \
    limit localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric offset \
    on only or order out outer overlaps overlay placing position precision primary real references returning \
    right row select session_user setof similar smallint some substring symmetric table tablesample then time \
    timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where \
    window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot \
    xmlserialize xmltable ";

/// Most characters a field of `format` is padded to.
const WIDTH_MAX: usize = 1_000_000;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    strict(connection, "st_quote_ident", 1, |arguments| {
        text(quoted_name(arguments.text(0)?))
    })?;
    strict(connection, "st_parse_ident", 1, |arguments| {
        let names = names_of(arguments.text(0)?)?;
        let names = names.iter().map(|name| Some(name.as_str()));
        text(array_text::from_elements(Element::Text, names)?)
    })?;
    strict(connection, "st_quote_literal", 1, |arguments| {
        text(quoted_literal(arguments.text(0)?))
    })?;
    lenient(connection, "st_quote_nullable", 1, |arguments| {
        if arguments.is_null(0) {
            return text("NULL".to_owned());
        }
        text(quoted_literal(arguments.text(0)?))
    })?;
    // (text, replacement, from, for)
    strict(connection, "st_overlay", 4, |arguments| {
        let (from, count) = (arguments.int(2)?, arguments.int(3)?);
        if from <= 0 {
            return Err(SqlError::new(
                "22011",
                "negative substring length not allowed",
            ));
        }
        let characters = arguments.text(0)?.chars();
        let start = usize::try_from(from - 1).unwrap_or(usize::MAX);
        let end = (from - 1).saturating_add(count).max(0);
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        let before: String = characters.clone().take(start).collect();
        let after: String = characters.skip(end).collect();
        text(format!("{before}{}{after}", arguments.text(1)?))
    })?;
    lenient(connection, "st_format", VARIADIC, |arguments| {
        if arguments.is_null(0) {
            return Ok(Value::Null);
        }
        text(formatted(arguments)?)
    })
}

fn quoted_name(name: &str) -> String {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
        && !RESERVED.contains(&format!(" {name} "));
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn quoted_literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if value.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// `format(pattern, …)`: `%s`, `%I`, `%L`, `%%`, with `n$`, `-` and a width.
fn formatted(arguments: &Arguments<'_>) -> Result<String, SqlError> {
    let pattern = arguments.text(0)?;
    let mut result = String::new();
    let mut characters = pattern.chars().peekable();
    let mut next = 1;
    while let Some(character) = characters.next() {
        if character != '%' {
            result.push(character);
            continue;
        }
        if characters.next_if_eq(&'%').is_some() {
            result.push('%');
            continue;
        }
        let mut number = digits(&mut characters);
        let mut place = None;
        if number.is_some() && characters.next_if_eq(&'$').is_some() {
            place = number.take();
        }
        let mut left = false;
        if number.is_none() {
            left = characters.next_if_eq(&'-').is_some();
            number = digits(&mut characters);
        }
        let kind = characters.next().ok_or_else(|| {
            SqlError::new("22023", "unterminated format() type specifier")
                .hint("For a single \"%\" use \"%%\".")
        })?;
        let place = place.unwrap_or(next);
        if place == 0 {
            return Err(SqlError::new(
                "22023",
                "format specifies argument 0, but arguments are numbered from 1",
            ));
        }
        if place >= arguments.len() {
            return Err(SqlError::new("22023", "too few arguments for format()"));
        }
        next = place + 1;
        let null = arguments.is_null(place);
        let field = match kind {
            's' if null => String::new(),
            's' => arguments.text(place)?.to_owned(),
            'I' if null => {
                return Err(SqlError::new(
                    "22004",
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            'I' => quoted_name(arguments.text(place)?),
            'L' if null => "NULL".to_owned(),
            'L' => quoted_literal(arguments.text(place)?),
            other => {
                return Err(SqlError::new(
                    "22023",
                    format!("unrecognized format() type specifier \"{other}\""),
                )
                .hint("For a single \"%\" use \"%%\"."));
            }
        };
        let width = number.unwrap_or(0);
        if width > WIDTH_MAX {
            return Err(SqlError::new("54000", "a width of format() is too large"));
        }
        let missing = width.saturating_sub(field.chars().count());
        check_len(result.len().saturating_add(missing))?;
        let blanks = " ".repeat(missing);
        let (before, after) = if left {
            ("", blanks.as_str())
        } else {
            (blanks.as_str(), "")
        };
        for piece in [before, field.as_str(), after] {
            grow(&mut result, piece)?;
        }
    }
    Ok(result)
}

fn digits(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
    let mut number: Option<usize> = None;
    while let Some(digit) = characters.peek().and_then(|c| c.to_digit(10)) {
        characters.next();
        let so_far = number.unwrap_or(0).saturating_mul(10);
        number = Some(so_far.saturating_add(digit as usize));
    }
    number
}

/// The parts of a qualified name, as `parse_ident` reads them.
fn names_of(whole: &str) -> Result<Vec<String>, SqlError> {
    let invalid = |detail: &str| {
        let error = SqlError::new(
            "22023",
            format!("string is not a valid identifier: \"{whole}\""),
        );
        match detail {
            "" => error,
            detail => error.detail(detail),
        }
    };
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let is_part = |c: char| is_start(c) || c.is_ascii_digit() || c == '$';
    let mut names = Vec::new();
    let mut rest = whole.trim_start();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut left = quoted;
            loop {
                let Some((before, after)) = left.split_once('"') else {
                    return Err(invalid("String has unclosed double quotes."));
                };
                name.push_str(before);
                left = after;
                match left.strip_prefix('"') {
                    Some(after) => {
                        name.push('"');
                        left = after;
                    }
                    None => break,
                }
            }
            if name.is_empty() {
                return Err(invalid("Quoted identifier must not be empty."));
            }
            names.push(name);
            rest = left;
        } else if rest.starts_with(is_start) {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (name, left) = rest.split_at(end);
            names.push(name.to_ascii_lowercase());
            rest = left;
        } else if rest.starts_with('.') {
            return Err(invalid("No valid identifier before \".\"."));
        } else if names.is_empty() {
            return Err(invalid(""));
        } else {
            return Err(invalid("No valid identifier after \".\"."));
        }
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => return Ok(names),
            None => return Err(invalid("")),
        }
    }
}
