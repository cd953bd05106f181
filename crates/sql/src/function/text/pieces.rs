//! Cutting, padding and replacing.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;
use rusqlite::types::Value;

use super::{check_len, text, wanted_len};
use crate::error::SqlError;
use crate::function::arguments::{Arguments, strict};

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    strict(connection, "st_substr", 2, |arguments| {
        let (skipped, _) = window(arguments.int(1)?, None)?;
        text(arguments.text(0)?.chars().skip(skipped).collect())
    })?;
    strict(connection, "st_substr", 3, |arguments| {
        let (skipped, taken) = window(arguments.int(1)?, Some(arguments.int(2)?))?;
        text(
            arguments
                .text(0)?
                .chars()
                .skip(skipped)
                .take(taken)
                .collect(),
        )
    })?;
    strict(connection, "st_substr_bytes", 2, |arguments| {
        let (skipped, _) = window(arguments.int(1)?, None)?;
        let bytes = arguments.blob(0)?.iter().skip(skipped);
        Ok(Value::Blob(bytes.copied().collect()))
    })?;
    strict(connection, "st_substr_bytes", 3, |arguments| {
        let (skipped, taken) = window(arguments.int(1)?, Some(arguments.int(2)?))?;
        let bytes = arguments.blob(0)?.iter().skip(skipped).take(taken);
        Ok(Value::Blob(bytes.copied().collect()))
    })?;
    strict(connection, "st_left", 2, |arguments| {
        let given = arguments.text(0)?;
        let kept = end_count(given, arguments.int(1)?);
        text(given.chars().take(kept).collect())
    })?;
    strict(connection, "st_right", 2, |arguments| {
        let given = arguments.text(0)?;
        let kept = end_count(given, arguments.int(1)?);
        let skipped = given.chars().count() - kept;
        text(given.chars().skip(skipped).collect())
    })?;
    trim(connection, "st_trim", true, true)?;
    trim(connection, "st_trim_left", true, false)?;
    trim(connection, "st_trim_right", false, true)?;
    pad(connection, "st_pad_left", true)?;
    pad(connection, "st_pad_right", false)?;
    strict(connection, "st_repeat", 2, |arguments| {
        let given = arguments.text(0)?;
        let count = usize::try_from(arguments.int(1)?.max(0)).unwrap_or(usize::MAX);
        check_len(given.len().saturating_mul(count))?;
        text(given.repeat(if given.is_empty() { 0 } else { count }))
    })?;
    strict(connection, "st_replace", 3, replace)?;
    strict(connection, "st_translate", 3, |arguments| {
        let mut to = arguments.text(2)?.chars();
        let mut becomes: HashMap<char, Option<char>> = HashMap::new();
        for character in arguments.text(1)?.chars() {
            let to = to.next();
            // The first of several that are the same counts.
            becomes.entry(character).or_insert(to);
        }
        let mapped = arguments.text(0)?.chars().filter_map(|character| {
            let found = becomes.get(&character).copied();
            found.unwrap_or(Some(character))
        });
        text(mapped.collect())
    })?;
    strict(connection, "st_position", 2, |arguments| {
        let (given, wanted) = (arguments.text(0)?, arguments.text(1)?);
        let before = given.find(wanted).and_then(|place| given.get(..place));
        Ok(Value::Integer(
            before.map_or(0, |before| before.chars().count() as i64 + 1),
        ))
    })?;
    strict(connection, "st_starts_with", 2, |arguments| {
        let starts = arguments.text(0)?.starts_with(arguments.text(1)?);
        Ok(Value::Integer(i64::from(starts)))
    })?;
    strict(connection, "st_split_part", 3, split_part)
}

/// What `substring(x from start for length)` skips and takes.
fn window(start: i64, length: Option<i64>) -> Result<(usize, usize), SqlError> {
    let skipped = usize::try_from(start.saturating_sub(1).max(0)).unwrap_or(usize::MAX);
    let Some(length) = length else {
        return Ok((skipped, usize::MAX));
    };
    if length < 0 {
        return Err(SqlError::new(
            "22011",
            "negative substring length not allowed",
        ));
    }
    let end = start.saturating_add(length).max(1);
    let taken = end.saturating_sub(start.max(1)).max(0);
    Ok((skipped, usize::try_from(taken).unwrap_or(usize::MAX)))
}

/// How many characters `left` and `right` keep; negative means all but so many.
fn end_count(given: &str, wanted: i64) -> usize {
    let count = given.chars().count();
    match usize::try_from(wanted) {
        Ok(wanted) => wanted.min(count),
        Err(_) => {
            let dropped = usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX);
            count.saturating_sub(dropped)
        }
    }
}

fn trim(connection: &Connection, name: &str, start: bool, end: bool) -> rusqlite::Result<()> {
    strict(connection, name, 2, move |arguments| {
        let set: HashSet<char> = arguments.text(1)?.chars().collect();
        let in_set = |character: char| set.contains(&character);
        let mut given = arguments.text(0)?;
        if start {
            given = given.trim_start_matches(in_set);
        }
        if end {
            given = given.trim_end_matches(in_set);
        }
        text(given.to_owned())
    })
}

fn pad(connection: &Connection, name: &str, start: bool) -> rusqlite::Result<()> {
    strict(connection, name, 3, move |arguments| {
        let wanted = wanted_len(arguments, 1)?;
        let given: Vec<char> = arguments.text(0)?.chars().collect();
        let fill = arguments.text(2)?;
        let missing = if fill.is_empty() {
            0
        } else {
            wanted.saturating_sub(given.len())
        };
        let kept = given.iter().take(wanted);
        let padding = fill.chars().cycle().take(missing);
        text(if start {
            padding.chain(kept.copied()).collect()
        } else {
            kept.copied().chain(padding).collect()
        })
    })
}

fn replace(arguments: &Arguments<'_>) -> Result<Value, SqlError> {
    let (given, from, to) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    if from.is_empty() {
        return text(given.to_owned());
    }
    let found = given.matches(from).count();
    check_len(
        given
            .len()
            .saturating_sub(from.len().saturating_mul(found))
            .saturating_add(to.len().saturating_mul(found)),
    )?;
    text(given.replace(from, to))
}

fn split_part(arguments: &Arguments<'_>) -> Result<Value, SqlError> {
    let (given, separator, wanted) = (arguments.text(0)?, arguments.text(1)?, arguments.int(2)?);
    if wanted == 0 {
        return Err(SqlError::new("22023", "field position must not be zero"));
    }
    let count = match separator {
        "" => 1,
        _ => given.split(separator).count(),
    };
    let index = if wanted > 0 {
        usize::try_from(wanted - 1).ok()
    } else {
        usize::try_from(wanted.unsigned_abs())
            .ok()
            .and_then(|back| count.checked_sub(back))
    };
    let part = index.and_then(|index| match separator {
        "" => Some(given).filter(|_| index == 0),
        _ => given.split(separator).nth(index),
    });
    text(part.unwrap_or_default().to_owned())
}
