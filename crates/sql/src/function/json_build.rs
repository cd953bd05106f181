//! JSON from values, in the form PostgreSQL writes it.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::arguments::{lenient, strict};
use super::json::{element, member, push_quoted, unquoted};
use super::text::text;
use crate::array_text::array_elements;
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // A value of any type, given as its text, as a JSON string; NULL is null.
    lenient(connection, "st_json_string", 1, |arguments| {
        if arguments.is_null(0) {
            return text("null".to_owned());
        }
        let mut json = String::new();
        push_quoted(&mut json, arguments.text(0)?);
        text(json)
    })?;
    // A key of an object.
    lenient(connection, "st_json_key", 1, |arguments| {
        if arguments.is_null(0) {
            return Err(SqlError::new("22023", "field name must not be null"));
        }
        let mut json = String::new();
        push_quoted(&mut json, arguments.text(0)?);
        text(json)
    })?;
    // (json, the text of an array of names and places, whether as text)
    strict(connection, "st_json_path", 3, |arguments| {
        let mut json = arguments.text(0)?.trim();
        for step in array_elements(arguments.text(1)?)? {
            let Some(step) = step else {
                return Ok(Value::Null);
            };
            let found = if json.starts_with('[') {
                step.trim()
                    .parse()
                    .ok()
                    .and_then(|place| element(json, place))
            } else {
                member(json, &step)?
            };
            match found {
                Some(found) => json = found,
                None => return Ok(Value::Null),
            }
        }
        match (arguments.int(2)?, json) {
            (0, found) => text(found.to_owned()),
            (_, "null") => Ok(Value::Null),
            (_, found) if found.starts_with('"') => text(unquoted(found)?),
            (_, found) => text(found.to_owned()),
        }
    })?;
    // Names and places as the text of an array.
    strict(connection, "st_path_step", 1, |arguments| {
        let step = arguments.text(0)?;
        let escaped = step.replace('\\', "\\\\").replace('"', "\\\"");
        text(format!("\"{escaped}\""))
    })
}
