//! Arrays as PostgreSQL writes them (`{a,"b c",NULL}`) and as they are kept: a JSON text.

use std::fmt::Write as _;

use crate::error::SqlError;
use crate::system_type::Element;
use stele_core::Type;

/// Elements of an array as it is kept; `None` for NULL, numbers and truths as their text.
///
/// # Errors
/// XX000 when the text is no such array.
pub fn elements(json: &str) -> Result<Vec<Option<String>>, SqlError> {
    Ok(raw_elements(json)?
        .into_iter()
        .map(|value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Bool(truth) => Some(if truth { "t" } else { "f" }.to_owned()),
            other => Some(other.to_string()),
        })
        .collect())
}

/// Elements of an array as it is kept.
///
/// # Errors
/// XX000 when the text is no such array.
pub(crate) fn raw_elements(json: &str) -> Result<Vec<serde_json::Value>, SqlError> {
    serde_json::from_str(json)
        .map_err(|error| SqlError::new("XX000", format!("not an array: {error}")))
}

/// An array as it is kept, from the texts of its elements.
///
/// # Errors
/// 22P02 when a text is not of the element's type.
pub fn from_elements<'t>(
    element: Element,
    texts: impl IntoIterator<Item = Option<&'t str>>,
) -> Result<String, SqlError> {
    let mut json = String::from("[");
    for text in texts {
        if json.len() > 1 {
            json.push(',');
        }
        let Some(text) = text else {
            json.push_str("null");
            continue;
        };
        let ty = element.ty();
        let value = stele_core::value::text::parse(ty, text)?;
        let shown = stele_core::value::text::format(ty, &value);
        match ty {
            Type::SmallInt | Type::Integer | Type::BigInt => json.push_str(&shown),
            Type::Bool => json.push_str(if shown == "t" || shown == "true" {
                "true"
            } else {
                "false"
            }),
            _ => json.push_str(&serde_json::Value::String(shown).to_string()),
        }
    }
    json.push(']');
    Ok(json)
}

/// Reads PostgreSQL's text form of an array of one dimension, or a vector (`1 2`).
///
/// # Errors
/// 22P02 when it cannot be read.
pub fn parse(element: Element, text: &str) -> Result<String, SqlError> {
    if matches!(element, Element::SmallInt | Element::Oid) && !text.trim().starts_with('{') {
        return from_elements(element, text.split_whitespace().map(Some));
    }
    let elements = array_elements(text)?;
    from_elements(element, elements.iter().map(Option::as_deref))
}

fn malformed(text: &str) -> SqlError {
    SqlError::new("22P02", format!("malformed array literal: \"{text}\""))
        .hint("Write the elements of one dimension in braces: {1,2,3}.")
}

/// The elements of a one-dimensional array as PostgreSQL writes it; `None` is NULL.
pub(crate) fn array_elements(text: &str) -> Result<Vec<Option<String>>, SqlError> {
    let inner = text
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(|| malformed(text))?;
    let mut elements = Vec::new();
    let mut characters = inner.chars().peekable();
    skip_blanks(&mut characters);
    if characters.peek().is_none() {
        return Ok(elements);
    }
    loop {
        skip_blanks(&mut characters);
        if characters.peek() == Some(&'"') {
            elements.push(Some(
                quoted(&mut characters).ok_or_else(|| malformed(text))?,
            ));
            skip_blanks(&mut characters);
        } else {
            elements.push(bare(&mut characters).ok_or_else(|| malformed(text))?);
        }
        match characters.next() {
            None => return Ok(elements),
            Some(',') => {}
            Some(_) => return Err(malformed(text)),
        }
    }
}

type Characters<'t> = std::iter::Peekable<std::str::Chars<'t>>;

fn skip_blanks(characters: &mut Characters<'_>) {
    while characters.next_if(|c| c.is_ascii_whitespace()).is_some() {}
}

/// An element in double quotes, in which a backslash takes the next character as it is.
fn quoted(characters: &mut Characters<'_>) -> Option<String> {
    characters.next();
    let mut element = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(element),
            '\\' => element.push(characters.next()?),
            other => element.push(other),
        }
    }
}

/// An element without quotes, up to the next comma; the word NULL is none. The outer `None` says
/// that it is malformed.
fn bare(characters: &mut Characters<'_>) -> Option<Option<String>> {
    let mut element = String::new();
    while let Some(character) = characters.next_if(|c| *c != ',') {
        match character {
            '{' | '}' | '"' => return None,
            '\\' => element.push(characters.next()?),
            other => element.push(other),
        }
    }
    let element = element.trim_end_matches(|c: char| c.is_ascii_whitespace());
    if element.is_empty() {
        return None;
    }
    Some((!element.eq_ignore_ascii_case("null")).then(|| element.to_owned()))
}

/// Writes an array as it is kept in PostgreSQL's text form.
///
/// # Errors
/// XX000 when the text is no array.
pub fn format(json: &str) -> Result<String, SqlError> {
    let mut text = String::from("{");
    for (place, element) in elements(json)?.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        match element {
            None => text.push_str("NULL"),
            Some(element) if is_bare(&element) => text.push_str(&element),
            Some(element) => {
                text.push('"');
                for character in element.chars() {
                    if matches!(character, '"' | '\\') {
                        text.push('\\');
                    }
                    let _ = text.write_char(character);
                }
                text.push('"');
            }
        }
    }
    text.push('}');
    Ok(text)
}

/// Writes a vector (`1 2`).
///
/// # Errors
/// XX000 when the text is no array.
pub fn format_vector(json: &str) -> Result<String, SqlError> {
    let elements: Vec<String> = elements(json)?.into_iter().flatten().collect();
    Ok(elements.join(" "))
}

fn is_bare(element: &str) -> bool {
    !element.is_empty()
        && !element.eq_ignore_ascii_case("null")
        && !element
            .chars()
            .any(|c| c.is_whitespace() || matches!(c, '{' | '}' | ',' | '"' | '\\'))
}

#[cfg(test)]
mod tests;
