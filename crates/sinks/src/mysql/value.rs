//! Values in MySQL and MariaDB, exact both ways.
//!
//! | type | column | in a key |
//! |---|---|---|
//! | BOOLEAN | TINYINT(1) | |
//! | SMALLINT, INTEGER, BIGINT | SMALLINT, INT, BIGINT | |
//! | NUMERIC(p,s) | DECIMAL(p,s) | |
//! | DOUBLE PRECISION | DOUBLE | |
//! | VARCHAR(n), CHAR(n) to 255 | VARCHAR(n), binary collation without padding | VARCHAR(n), n at most 766 |
//! | longer ones, TEXT, JSON | LONGTEXT | VARCHAR(766) |
//! | BYTEA | LONGBLOB | VARBINARY(766) |
//! | DATE | DATE | |
//! | TIMESTAMP, TIMESTAMPTZ | DATETIME(6), TIMESTAMPTZ in UTC | |
//! | UUID | BINARY(16) | |
//!
//! A key holds at most 3,072 bytes there. Where its texts could pass that, they are VARBINARY(766) instead.

use mysql::Value as MySqlValue;
use stele_core::datetime::{civil_of_date, date_of, format_date, timestamp_of};
use stele_core::value::{check, text};
use stele_core::{Numeric, Type, Value};

use crate::readback;
use stele_flow::{Column, Table};

/// Longest text or byte string in a key, in bytes: an encoded key is no longer.
const KEY_TEXT_MAX: u32 = 766;
/// Longest text kept in the row itself, in characters.
const SHORT_TEXT_MAX: u32 = 255;
/// Bytes of a key InnoDB takes.
const KEY_BYTES_MAX: u32 = 3_072;
/// Bytes of a character.
const CHARACTER_BYTES: u32 = 4;

/// The types of a table's columns.
pub(super) struct Types {
    collation: &'static str,
    binary_key: bool,
}

impl Types {
    /// The types a server of that collation keeps a table in.
    pub(super) fn of(table: &Table, collation: &'static str) -> Self {
        let bytes = |column: &Column| match column.ty {
            Type::Text | Type::Varchar(_) | Type::Char(_) => {
                key_characters(column.ty) * CHARACTER_BYTES
            }
            Type::Bytea => KEY_TEXT_MAX,
            Type::Numeric { .. } => 18,
            _ => 16,
        };
        Self {
            collation,
            binary_key: table.key_columns().map(bytes).sum::<u32>() > KEY_BYTES_MAX,
        }
    }

    /// Whether a text column holds bytes.
    fn is_binary(&self, table: &Table, column: &Column) -> bool {
        self.binary_key && table.key.contains(&column.id)
    }

    /// The type of a column as the server shows it.
    pub(super) fn name(&self, table: &Table, column: &Column) -> String {
        let in_key = table.key.contains(&column.id);
        match column.ty {
            Type::Bool => "tinyint(1)".to_owned(),
            Type::SmallInt => "smallint".to_owned(),
            Type::Integer => "int".to_owned(),
            Type::BigInt => "bigint".to_owned(),
            Type::Numeric { precision, scale } => format!("decimal({precision},{scale})"),
            Type::Double => "double".to_owned(),
            Type::Text | Type::Varchar(_) | Type::Char(_) if in_key => {
                match self.is_binary(table, column) {
                    true => format!("varbinary({KEY_TEXT_MAX})"),
                    false => format!("varchar({})", key_characters(column.ty)),
                }
            }
            Type::Varchar(n) | Type::Char(n) if n <= SHORT_TEXT_MAX => format!("varchar({n})"),
            Type::Text | Type::Varchar(_) | Type::Char(_) | Type::Json => "longtext".to_owned(),
            Type::Bytea if in_key => format!("varbinary({KEY_TEXT_MAX})"),
            Type::Bytea => "longblob".to_owned(),
            Type::Date => "date".to_owned(),
            Type::Timestamp | Type::TimestampTz => "datetime(6)".to_owned(),
            Type::Uuid => "binary(16)".to_owned(),
        }
    }

    /// The column's definition, without its name.
    pub(super) fn definition(&self, table: &Table, column: &Column) -> String {
        let name = self.name(table, column);
        let text = name.starts_with("varchar") || name == "longtext";
        let collation = match text {
            true => format!(" CHARACTER SET utf8mb4 COLLATE {}", self.collation),
            false => String::new(),
        };
        let null = match table.key.contains(&column.id) {
            true => " NOT NULL",
            false => " NULL",
        };
        format!("{name}{collation}{null}")
    }
}

fn key_characters(ty: Type) -> u32 {
    match ty {
        Type::Varchar(n) | Type::Char(n) => n.min(KEY_TEXT_MAX),
        _ => KEY_TEXT_MAX,
    }
}

/// A value as the server takes it in a prepared statement.
pub(super) fn to_mysql(ty: Type, value: &Value) -> MySqlValue {
    match value {
        Value::Null => MySqlValue::NULL,
        Value::Bool(v) => MySqlValue::Int(i64::from(*v)),
        Value::Int(v) => MySqlValue::Int(*v),
        Value::Double(v) => MySqlValue::Double(*v),
        Value::Text(v) | Value::Json(v) => MySqlValue::Bytes(v.as_bytes().to_vec()),
        Value::Bytes(v) => MySqlValue::Bytes(v.clone()),
        Value::Uuid(v) => MySqlValue::Bytes(v.to_vec()),
        // As texts: the driver's own dates are refused by some servers for years below 1000.
        Value::Date(v) => MySqlValue::Bytes(format_date(*v).into_bytes()),
        Value::Timestamp(v) => {
            MySqlValue::Bytes(stele_core::datetime::format_timestamp(*v).into_bytes())
        }
        Value::Numeric(_) => MySqlValue::Bytes(text::format(ty, value).into_bytes()),
    }
}

/// The value that was read, or what was.
pub(super) fn from_mysql(ty: Type, found: MySqlValue) -> Result<Value, String> {
    if found == MySqlValue::NULL {
        return Ok(Value::Null);
    }
    let wrong = |found: &MySqlValue| format!("{}, which is no {ty}", shown(found));
    let value = match (ty, &found) {
        (Type::Bool, MySqlValue::Int(0)) => Value::Bool(false),
        (Type::Bool, MySqlValue::Int(1)) => Value::Bool(true),
        (Type::SmallInt | Type::Integer | Type::BigInt, MySqlValue::Int(v)) => Value::Int(*v),
        (Type::Double, MySqlValue::Double(v)) => readback::double(*v)?,
        // Only other programs' tables have unsigned and single-precision columns.
        (Type::Double, MySqlValue::Float(v)) => Value::Double(f64::from(*v)),
        (Type::SmallInt | Type::Integer | Type::BigInt, MySqlValue::UInt(v)) => {
            Value::Int(i64::try_from(*v).map_err(|_| wrong(&found))?)
        }
        (Type::Numeric { .. }, MySqlValue::Int(v)) => {
            text::parse(ty, &v.to_string()).map_err(|_| wrong(&found))?
        }
        (Type::Numeric { .. }, MySqlValue::UInt(v)) => {
            text::parse(ty, &v.to_string()).map_err(|_| wrong(&found))?
        }
        (Type::Uuid, MySqlValue::Bytes(v)) if v.len() == 36 => {
            let shown = std::str::from_utf8(v).map_err(|_| wrong(&found))?;
            text::parse(ty, shown).map_err(|_| wrong(&found))?
        }
        (Type::Bytea, MySqlValue::Bytes(v)) => Value::Bytes(v.clone()),
        (Type::Uuid, MySqlValue::Bytes(v)) => {
            let bytes = <[u8; 16]>::try_from(v.as_slice());
            Value::Uuid(bytes.map_err(|_| wrong(&found))?)
        }
        (Type::Date, MySqlValue::Date(year, month, day, 0, 0, 0, 0)) => {
            let days = date_of(i32::from(*year), *month, *day);
            Value::Date(days.map_err(|_| wrong(&found))?)
        }
        (
            Type::Timestamp | Type::TimestampTz,
            MySqlValue::Date(year, month, day, hour, minute, second, micros),
        ) => {
            let days = date_of(i32::from(*year), *month, *day).map_err(|_| wrong(&found))?;
            let mut civil = civil_of_date(days);
            civil.hour = *hour;
            civil.minute = *minute;
            civil.second = *second;
            civil.micros = *micros;
            Value::Timestamp(timestamp_of(&civil).map_err(|_| wrong(&found))?)
        }
        (Type::Numeric { .. }, MySqlValue::Bytes(v)) => {
            let digits = std::str::from_utf8(v).map_err(|_| wrong(&found))?;
            let value = text::parse(ty, digits).map_err(|_| wrong(&found))?;
            if Numeric::parse(digits).ok().map(Value::Numeric).as_ref() != Some(&value) {
                return Err(format!(
                    "{digits}, which has more digits than the ledger's type of the column"
                ));
            }
            value
        }
        (Type::Text | Type::Varchar(_) | Type::Char(_) | Type::Json, MySqlValue::Bytes(v)) => {
            let found_text = std::str::from_utf8(v)
                .map_err(|_| wrong(&found))?
                .to_owned();
            match ty {
                Type::Json => Value::Json(found_text),
                _ => Value::Text(found_text),
            }
        }
        _ => return Err(wrong(&found)),
    };
    check(ty, &value).map_err(|error| format!("{}: {error}", shown(&found)))?;
    Ok(value)
}

/// Longest piece of a found value shown, in characters.
const SHOWN_MAX: usize = 80;

fn shown(found: &MySqlValue) -> String {
    match found {
        MySqlValue::Bytes(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            format!("{:?}", text.chars().take(SHOWN_MAX).collect::<String>())
        }
        other => other.as_sql(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_core::datetime::civil_of_timestamp;
    use stele_core::schema::{ColumnId, TableId};

    fn table(types: &[Type]) -> Table {
        let columns = (1..).zip(types).map(|(id, ty)| Column {
            id: ColumnId(id),
            name: format!("c{id}"),
            ty: *ty,
            missing: Value::Null,
        });
        let columns: Vec<Column> = columns.collect();
        Table {
            id: TableId(1_000),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            is_sequence: false,
            key: columns.iter().map(|column| column.id).collect(),
            columns,
        }
    }

    #[test]
    fn texts_of_a_long_key_are_bytes() {
        let name = |types: &[Type]| {
            let table = table(types);
            let column = table.columns.first().unwrap().clone();
            Types::of(&table, "x").name(&table, &column)
        };
        assert_eq!(name(&[Type::Varchar(40)]), "varchar(40)");
        assert_eq!(name(&[Type::Text]), "varchar(766)");
        assert_eq!(name(&[Type::Text, Type::BigInt]), "varbinary(766)");
    }

    #[test]
    fn moments_come_back_as_they_went() {
        for micros in [0, -62_135_596_800_000_000, 253_402_300_799_999_999, 1] {
            let civil = civil_of_timestamp(micros);
            let found = MySqlValue::Date(
                u16::try_from(civil.year).unwrap(),
                civil.month,
                civil.day,
                civil.hour,
                civil.minute,
                civil.second,
                civil.micros,
            );
            let read = from_mysql(Type::Timestamp, found);
            assert_eq!(read, Ok(Value::Timestamp(micros)));
        }
    }

    #[test]
    fn what_the_type_does_not_hold_is_named() {
        for (ty, found) in [
            (Type::Bool, MySqlValue::Int(2)),
            (Type::Date, MySqlValue::Date(0, 0, 0, 0, 0, 0, 0)),
            (Type::Text, MySqlValue::Bytes(vec![0xff])),
            (Type::Uuid, MySqlValue::Bytes(vec![1; 15])),
        ] {
            assert!(from_mysql(ty, found).is_err(), "{ty}");
        }
    }
}
