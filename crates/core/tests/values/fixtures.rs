//! The layouts and texts, frozen. Lines of a file under `tests/fixtures/values` are fields between
//! bars; the first ones are given, the last ones computed. A file that differs is written anew beside
//! the build's temporary files, and the failure says where.

use std::fmt::Write as _;
use std::path::Path;

use stele_core::key::encode_key;
use stele_core::numeric::NumericError;
use stele_core::row::{Row, decode_row, encode_row, row_hash};
use stele_core::value::text;
use stele_core::{Decode, Encode, Numeric, Suite, Type, Value};

use crate::strategies::{column_of, table_of};

fn compare(name: &str, given: usize, compute: impl Fn(&[&str]) -> Vec<String>) {
    let file = format!("{name}.txt");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/values")
        .join(&file);
    let frozen = std::fs::read_to_string(&path).unwrap();
    let mut computed = String::new();
    for line in frozen.lines() {
        if line.starts_with('#') || line.is_empty() {
            writeln!(computed, "{line}").unwrap();
            continue;
        }
        let fields: Vec<&str> = line.split(" | ").take(given).collect();
        assert_eq!(fields.len(), given, "{name}: too few fields in {line:?}");
        let results = compute(&fields);
        writeln!(computed, "{} | {}", fields.join(" | "), results.join(" | ")).unwrap();
    }
    if computed != frozen {
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&file);
        std::fs::write(&beside, computed).unwrap();
        panic!("{} differs from {}", path.display(), beside.display());
    }
}

fn type_named(name: &str) -> Type {
    let (word, arguments) = match name.split_once('(') {
        Some((word, rest)) => (word, rest.trim_end_matches(')')),
        None => (name, ""),
    };
    let numbers: Vec<u32> = arguments
        .split(',')
        .filter_map(|n| n.parse().ok())
        .collect();
    match word {
        "boolean" => Type::Bool,
        "smallint" => Type::SmallInt,
        "integer" => Type::Integer,
        "bigint" => Type::BigInt,
        "numeric" => Type::Numeric {
            precision: numbers[0] as u8,
            scale: numbers[1] as u8,
        },
        "double" => Type::Double,
        "text" => Type::Text,
        "varchar" => Type::Varchar(numbers[0]),
        "char" => Type::Char(numbers[0]),
        "bytea" => Type::Bytea,
        "date" => Type::Date,
        "timestamp" => Type::Timestamp,
        "timestamptz" => Type::TimestampTz,
        "uuid" => Type::Uuid,
        "json" => Type::Json,
        other => panic!("no type {other}"),
    }
}

/// Type and text give PostgreSQL's output text, the value's encoding and its key.
#[test]
fn values_are_written_as_frozen() {
    compare("values", 2, |fields| {
        let ty = type_named(fields[0]);
        let value = text::parse(ty, fields[1]).unwrap();
        let bytes = value.encode_to_vec();
        assert_eq!(Value::decode_all(&bytes).unwrap(), value);
        let key = encode_key(&[(ty, &value)]).map_or("none".to_owned(), hex::encode);
        vec![text::format(ty, &value), hex::encode(bytes), key]
    });
}

/// Type and text give the SQLSTATE and PostgreSQL's message.
#[test]
fn refusals_are_worded_as_frozen() {
    compare("refusals", 2, |fields| {
        let error = text::parse(type_named(fields[0]), fields[1]).unwrap_err();
        vec![error.sqlstate().to_owned(), error.to_string()]
    });
}

/// Operation, operands and scale give the result. Checked against PostgreSQL 15 when frozen, except
/// where its results have more than 38 digits.
#[test]
fn arithmetic_gives_what_is_frozen() {
    compare("arithmetic", 4, |fields| {
        let number = |text: &str| text.parse::<Numeric>().unwrap();
        let (a, b) = (number(fields[1]), number(fields[2]));
        let scale: i32 = fields[3].parse().unwrap();
        let result: Result<Numeric, NumericError> = match fields[0] {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b, scale as u8),
            "/" => a.checked_div(b, scale as u8),
            "%" => a.checked_rem(b),
            "round" => a.round(scale),
            "trunc" => Ok(a.trunc(scale)),
            "ceil" => a.ceil(),
            "floor" => a.floor(),
            "rescale" => a.rescale(scale as u8),
            "double" => Numeric::from_f64(a.to_f64(), scale as u8),
            other => panic!("no operation {other}"),
        };
        vec![result.map_or_else(|error| error.sqlstate().to_owned(), |v| v.to_string())]
    });
}

/// A salt in hexadecimal or `-` and the column texts (`NULL` for NULL) give row, row hash and key.
#[test]
fn rows_are_written_as_frozen() {
    let numeric = Type::Numeric {
        precision: 12,
        scale: 2,
    };
    compare("rows", 5, |fields| {
        let salt = (fields[0] != "-").then(|| {
            let mut salt = [0; 16];
            hex::decode_to_slice(fields[0], &mut salt).unwrap();
            salt
        });
        let columns = vec![
            column_of(1, Type::Integer, Value::Null),
            column_of(2, numeric, Value::Null),
            column_of(5, Type::Varchar(10), Value::Text("new".to_owned())),
            column_of(6, Type::TimestampTz, Value::Null),
        ];
        let table = table_of(columns, salt.is_some());
        let values = table.columns.iter().zip(&fields[1..]);
        let values = values.map(|(column, field)| match *field {
            "NULL" => Value::Null,
            field => text::parse(column.ty, field).unwrap(),
        });
        let row = Row {
            values: values.collect(),
            salt,
        };
        let bytes = encode_row(&table, &row).unwrap();
        assert_eq!(decode_row(&table, &bytes).unwrap(), row);
        let hash = row_hash(Suite::Ed25519Sha256, &bytes);
        vec![
            hex::encode(bytes),
            hash.to_hex(),
            hex::encode(row.key(&table).unwrap()),
        ]
    });
}
