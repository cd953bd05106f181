//! Arrays as JSON texts.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::arguments::{Arguments, VARIADIC, lenient, strict};
use super::text::{joined, text};
use crate::array_text;
use crate::error::SqlError;
use crate::system_type::Element;

/// Most rows a function in a select list makes of one row.
const SERIES_MAX: i64 = 1_000_000;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // (number of the element's type, element as text…)
    lenient(connection, "st_array_of", VARIADIC, |arguments| {
        let element = element(arguments, 0)?;
        let mut texts = Vec::with_capacity(arguments.len());
        for place in 1..arguments.len() {
            texts.push(match arguments.is_null(place) {
                true => None,
                false => Some(arguments.text(place)?),
            });
        }
        text(array_text::from_elements(element, texts)?)
    })?;
    // (text, number of the element's type)
    strict(connection, "st_array_parse", 2, |arguments| {
        text(array_text::parse(
            element(arguments, 1)?,
            arguments.text(0)?,
        )?)
    })?;
    // (what a client gave for a parameter, number of the element's type): `{1,2}`, or the JSON text
    // the wire protocol's values are turned into
    strict(connection, "st_array_parameter", 2, |arguments| {
        let given = arguments.text(0)?;
        if given.trim_start().starts_with('[') {
            array_text::elements(given)?;
            return text(given.to_owned());
        }
        text(array_text::parse(element(arguments, 1)?, given)?)
    })?;
    // (array, number of the element's new type)
    strict(connection, "st_array_cast", 2, |arguments| {
        let elements = array_text::elements(arguments.text(0)?)?;
        let texts = elements.iter().map(Option::as_deref);
        text(array_text::from_elements(element(arguments, 1)?, texts)?)
    })?;
    strict(connection, "st_array_text", 1, |arguments| {
        text(array_text::format(arguments.text(0)?)?)
    })?;
    strict(connection, "st_vector_text", 1, |arguments| {
        text(array_text::format_vector(arguments.text(0)?)?)
    })?;
    strict(connection, "st_array_count", 1, |arguments| {
        Ok(Value::Integer(count(arguments)?))
    })?;
    // (array, place from 1): numbers as numbers, all else as text
    strict(connection, "st_array_get", 2, |arguments| {
        let place = usize::try_from(arguments.int(1)?.saturating_sub(1)).unwrap_or(usize::MAX);
        let elements = array_text::elements(arguments.text(0)?)?;
        Ok(match elements.into_iter().nth(place).flatten() {
            Some(element) => Value::Text(element),
            None => Value::Null,
        })
    })?;
    strict(connection, "st_array_truth", 1, |arguments| {
        Ok(match arguments.raw(0) {
            ValueRef::Integer(truth) => Value::Integer(truth),
            _ => Value::Integer(i64::from(arguments.text(0)?.starts_with('t'))),
        })
    })?;
    // (array, separator [, word for NULL])
    lenient(connection, "st_array_join", VARIADIC, |arguments| {
        if arguments.is_null(0) || arguments.is_null(1) {
            return Ok(Value::Null);
        }
        let null = match arguments.len() > 2 && !arguments.is_null(2) {
            true => Some(arguments.text(2)?),
            false => None,
        };
        let elements = array_text::elements(arguments.text(0)?)?;
        let shown: Vec<&str> = elements
            .iter()
            .filter_map(|element| element.as_deref().or(null))
            .collect();
        text(joined(&shown, arguments.text(1)?)?)
    })?;
    lenient(connection, "st_array_concat", 2, |arguments| {
        match (arguments.is_null(0), arguments.is_null(1)) {
            (true, true) => Ok(Value::Null),
            (true, false) => text(arguments.text(1)?.to_owned()),
            (false, true) => text(arguments.text(0)?.to_owned()),
            (false, false) => {
                let (left, right) = (arguments.text(0)?, arguments.text(1)?);
                let (left, right) = (
                    left.strip_suffix(']').unwrap_or(left),
                    right.strip_prefix('[').unwrap_or(right),
                );
                let comma = if left.len() > 1 && right.len() > 1 {
                    ","
                } else {
                    ""
                };
                text(format!("{left}{comma}{right}"))
            }
        }
    })?;
    // (array…): the array of rows that hold an element of each, null where one has no more
    lenient(connection, "st_array_zip", VARIADIC, |arguments| {
        let mut arrays = Vec::with_capacity(arguments.len());
        for place in 0..arguments.len() {
            arrays.push(match arguments.is_null(place) {
                true => Vec::new(),
                false => array_text::raw_elements(arguments.text(place)?)?,
            });
        }
        let most = arrays.iter().map(Vec::len).max().unwrap_or_default();
        let rows: Vec<serde_json::Value> = (0..most)
            .map(|row| {
                let items = arrays.iter().map(|array| array.get(row).cloned());
                items.map(Option::unwrap_or_default).collect()
            })
            .collect();
        text(serde_json::Value::Array(rows).to_string())
    })?;
    // (text, separator[, what stands for NULL])
    lenient(connection, "st_array_split", VARIADIC, |arguments| {
        if arguments.is_null(0) {
            return Ok(Value::Null);
        }
        let whole = arguments.text(0)?;
        let separator = match arguments.is_null(1) {
            true => None,
            false => Some(arguments.text(1)?),
        };
        let null = match arguments.len() > 2 && !arguments.is_null(2) {
            true => Some(arguments.text(2)?),
            false => None,
        };
        let pieces: Vec<&str> = match (whole, separator) {
            ("", _) => Vec::new(),
            (whole, None) => whole.split("").filter(|piece| !piece.is_empty()).collect(),
            (whole, Some("")) => vec![whole],
            (whole, Some(separator)) => whole.split(separator).collect(),
        };
        let pieces = pieces.into_iter().map(|piece| match null {
            Some(null) if null == piece => None,
            _ => Some(piece),
        });
        text(array_text::from_elements(Element::Text, pieces)?)
    })?;
    strict(connection, "st_array_remove", 2, |arguments| {
        let unwanted = arguments.text(1)?;
        let kept = array_text::raw_elements(arguments.text(0)?)?;
        let texts = array_text::elements(arguments.text(0)?)?;
        let kept = kept.into_iter().zip(texts);
        let kept = kept.filter(|(_, one)| one.as_deref() != Some(unwanted));
        let kept: serde_json::Value = kept.map(|(raw, _)| raw).collect();
        text(kept.to_string())
    })?;
    strict(connection, "st_array_position", 2, |arguments| {
        let wanted = arguments.text(1)?;
        let elements = array_text::elements(arguments.text(0)?)?;
        let found = elements
            .iter()
            .position(|one| one.as_deref() == Some(wanted));
        Ok(found.map_or(Value::Null, |place| Value::Integer(place as i64 + 1)))
    })?;
    // (from, to, step): how many values generate_series gives
    strict(connection, "st_series_count", 3, |arguments| {
        let (from, to) = (i128::from(arguments.int(0)?), i128::from(arguments.int(1)?));
        let step = i128::from(arguments.int(2)?);
        let count = if step == 0 { 0 } else { (to - from) / step + 1 };
        let ends = (step > 0 && from > to) || (step < 0 && from < to);
        let count = if ends { 0 } else { count };
        Ok(Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
    })?;
    // (from, step, place from 1): a place that st_series_count counts, so it is in range
    strict(connection, "st_series_at", 3, |arguments| {
        let places = i128::from(arguments.int(2)?) - 1;
        let value = i128::from(arguments.int(0)?) + places * i128::from(arguments.int(1)?);
        Ok(i64::try_from(value).map_or(Value::Null, Value::Integer))
    })?;
    // `[1,2,…]` up to the largest argument
    lenient(connection, "st_count_to", VARIADIC, |arguments| {
        let mut most = 0;
        for place in 0..arguments.len() {
            if !arguments.is_null(place) {
                most = most.max(arguments.int(place)?);
            }
        }
        if most > SERIES_MAX {
            return Err(SqlError::new(
                "54000",
                "too many rows from a function in the select list",
            ));
        }
        let numbers: Vec<String> = (1..=most).map(|number| number.to_string()).collect();
        text(format!("[{}]", numbers.join(",")))
    })
}

fn count(arguments: &Arguments<'_>) -> Result<i64, SqlError> {
    Ok(array_text::elements(arguments.text(0)?)?.len() as i64)
}

/// The element type whose number an argument is.
fn element(arguments: &Arguments<'_>, index: usize) -> Result<Element, SqlError> {
    let oid = u32::try_from(arguments.int(index)?).unwrap_or_default();
    Element::of_oid(oid).ok_or_else(|| SqlError::new("XX000", format!("type {oid} is in no array")))
}
