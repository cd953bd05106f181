//! The text of an array, `{1,2,"a b",NULL}`: what drivers send for a list.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::arguments::lenient;
use super::json::push_quoted;
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // The elements as a JSON array of texts. Of NULL it is one NULL: nothing equals it.
    lenient(connection, "st_array_json", 1, |arguments| {
        if arguments.is_null(0) {
            return Ok(Value::Text("[null]".to_owned()));
        }
        let mut json = String::from("[");
        for (number, element) in array_elements(arguments.text(0)?)?.iter().enumerate() {
            if number > 0 {
                json.push(',');
            }
            match element {
                Some(element) => push_quoted(&mut json, element),
                None => json.push_str("null"),
            }
        }
        json.push(']');
        Ok(Value::Text(json))
    })
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

#[cfg(test)]
mod tests {
    use super::array_elements;

    #[test]
    fn arrays_are_read_as_postgresql_reads_them() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(array_elements("{}").unwrap(), Vec::<Option<String>>::new());
        assert_eq!(
            array_elements(r#" { 1, NULL ,"NULL", "a,\"b\\", x y } "#).unwrap(),
            [some("1"), None, some("NULL"), some(r#"a,"b\"#), some("x y")]
        );
        for wrong in [
            "",
            "1,2",
            "{1",
            "{1,}",
            "{,1}",
            "{{1},{2}}",
            r#"{"a"#,
            r#"{"a"b}"#,
        ] {
            assert_eq!(array_elements(wrong).unwrap_err().code.as_str(), "22P02");
        }
    }
}
