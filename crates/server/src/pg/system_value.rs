//! Values of the system catalogue's types and arrays on the wire.

use bytes::{Buf, BufMut, BytesMut};
use stele_core::value::text;
use stele_core::{Type, Value};
use stele_sql::array_text;
use stele_sql::{Element, SqlError, SystemType};

use super::codec::{self, Format, Parameter, value_error, with_length};

/// Most elements of an array a client sends in binary.
const ELEMENTS_MAX: i32 = 1_000_000;

/// Writes a value with its length before it, as a data row has it.
pub(crate) fn put(system: SystemType, value: &Value, format: Format, out: &mut BytesMut) {
    match (value, format) {
        (Value::Null, _) => out.put_i32(-1),
        (Value::Int(number), Format::Binary) => {
            with_length(out, |out| out.put_u32(*number as u32));
        }
        (Value::Text(kept), _) => with_length(out, |out| put_text(system, kept, format, out)),
        (other, _) => codec::put(system.stored(), other, format, out),
    }
}

fn put_text(system: SystemType, kept: &str, format: Format, out: &mut BytesMut) {
    let shown = match (system, format, system.element()) {
        (_, Format::Binary, Some(element)) => return put_array(system, element, kept, out),
        (SystemType::Int2Vector | SystemType::OidVector, ..) => array_text::format_vector(kept),
        (_, _, Some(_)) => array_text::format(kept),
        _ => Ok(kept.to_owned()),
    };
    // The engine made the text: what it cannot read is shown as it is.
    out.put_slice(shown.as_deref().unwrap_or(kept).as_bytes());
}

/// One dimension, whether there are NULLs, element type, length, first subscript, elements.
fn put_array(system: SystemType, element: Element, kept: &str, out: &mut BytesMut) {
    let elements = array_text::elements(kept).unwrap_or_default();
    out.put_i32(i32::from(!elements.is_empty()));
    out.put_i32(i32::from(elements.iter().any(Option::is_none)));
    out.put_u32(element.oid());
    if elements.is_empty() {
        return;
    }
    out.put_i32(i32::try_from(elements.len()).unwrap_or(i32::MAX));
    out.put_i32(match system {
        SystemType::Int2Vector | SystemType::OidVector => 0,
        _ => 1,
    });
    for item in elements {
        let value = item.map(|item| text::parse(element.ty(), &item));
        match value {
            Some(Ok(Value::Int(number))) if element == Element::Oid => {
                with_length(out, |out| out.put_u32(number as u32));
            }
            Some(Ok(value)) => codec::put(element.ty(), &value, Format::Binary, out),
            _ => out.put_i32(-1),
        }
    }
}

/// Reads an array a client sends; it is kept as text.
///
/// # Errors
/// 22P02 and 22P03 for what is no array of that type, 0A000 for several dimensions.
pub(crate) fn read_array(
    element: Element,
    number: usize,
    format: Format,
    mut bytes: &[u8],
) -> Result<Value, SqlError> {
    if format == Format::Text {
        let kept = array_text::parse(element, codec::utf8(bytes)?)?;
        return Ok(Value::Text(kept));
    }
    let malformed = || {
        SqlError::new(
            "22P03",
            format!("incorrect binary data format in bind parameter {number}"),
        )
    };
    let dimensions = bytes.try_get_i32().map_err(|_| malformed())?;
    let _nulls = bytes.try_get_i32().map_err(|_| malformed())?;
    let oid = bytes.try_get_u32().map_err(|_| malformed())?;
    let count = match dimensions {
        0 => 0,
        1 => {
            let count = bytes.try_get_i32().map_err(|_| malformed())?;
            let _first = bytes.try_get_i32().map_err(|_| malformed())?;
            count
        }
        _ => {
            return Err(SqlError::unsupported(
                "an array of several dimensions",
                "Give one array, or JSON.",
            ));
        }
    };
    if !(0..=ELEMENTS_MAX).contains(&count) {
        return Err(malformed());
    }
    let of = Element::of_oid(oid).unwrap_or(element);
    let parameter = Parameter {
        oid: of.oid(),
        ty: Some(of.ty()),
    };
    let mut texts: Vec<Option<String>> = Vec::new();
    for _ in 0..count {
        let len = bytes.try_get_i32().map_err(|_| malformed())?;
        let Ok(len) = usize::try_from(len) else {
            texts.push(None);
            continue;
        };
        let (item, rest) = bytes.split_at_checked(len).ok_or_else(malformed)?;
        bytes = rest;
        let value = codec::read(parameter, number, Format::Binary, item)?;
        texts.push(Some(text::format(of.ty(), &value)));
    }
    let kept = array_text::from_elements(of, texts.iter().map(Option::as_deref))?;
    stele_core::value::check(Type::Text, &Value::Text(kept.clone())).map_err(value_error)?;
    Ok(Value::Text(kept))
}
