use serde_json::value::RawValue;
use stele_core::{Numeric, Type, Value};

use super::{Cell, iso_time, parameter};

fn written(ty: Type, value: Value) -> String {
    serde_json::to_string(&Cell(ty, value)).unwrap()
}

#[test]
fn each_type_is_written_without_loss() {
    let numeric = Type::Numeric {
        precision: 38,
        scale: 2,
    };
    let cases = [
        (Type::Text, Value::Null, "null"),
        (Type::Bool, Value::Bool(true), "true"),
        (Type::SmallInt, Value::Int(-32_768), "-32768"),
        (Type::Integer, Value::Int(2_147_483_647), "2147483647"),
        (
            Type::BigInt,
            Value::Int(i64::MIN),
            r#""-9223372036854775808""#,
        ),
        (
            numeric,
            Value::Numeric("12345678901234567890.1".parse().unwrap()),
            r#""12345678901234567890.10""#,
        ),
        (Type::Double, Value::Double(0.1), "0.1"),
        (
            Type::Text,
            Value::Text("a\"\n\u{1F600}".to_owned()),
            "\"a\\\"\\n\u{1F600}\"",
        ),
        (Type::Bytea, Value::Bytes(vec![0, 0xff]), r#""\\x00ff""#),
        (Type::Date, Value::Date(0), r#""1970-01-01""#),
        (
            Type::Timestamp,
            Value::Timestamp(1_500_000),
            r#""1970-01-01T00:00:01.5""#,
        ),
        (
            Type::TimestampTz,
            Value::Timestamp(0),
            r#""1970-01-01T00:00:00Z""#,
        ),
        (
            Type::Uuid,
            Value::Uuid([0x11; 16]),
            r#""11111111-1111-1111-1111-111111111111""#,
        ),
        (
            Type::Json,
            Value::Json(r#"{"b":1.00,"a":12345678901234567890}"#.to_owned()),
            r#"{"b":1.00,"a":12345678901234567890}"#,
        ),
    ];
    for (ty, value, expected) in cases {
        assert_eq!(written(ty, value), expected);
    }
}

#[test]
fn parameters_keep_every_digit() {
    let read = |json: &str| parameter(1, &RawValue::from_string(json.to_owned()).unwrap());
    assert_eq!(read("null").unwrap(), Value::Null);
    assert_eq!(read("false").unwrap(), Value::Bool(false));
    assert_eq!(read("-9223372036854775808").unwrap(), Value::Int(i64::MIN));
    for literal in [
        "9223372036854775808",
        "1.10",
        "1e3",
        r#"[1, 2]"#,
        r#"{"b":1,"a":2}"#,
    ] {
        assert_eq!(read(literal).unwrap(), Value::Text(literal.to_owned()));
    }
    assert_eq!(read(r#""a\u00e9""#).unwrap(), Value::Text("aé".to_owned()));
    assert!(read(r#""a\u0000""#).is_err());
}

#[test]
fn times_are_iso() {
    assert_eq!(iso_time(0), "1970-01-01T00:00:00Z");
    assert_eq!(iso_time(1), "1970-01-01T00:00:00.000001Z");
    let _ = Numeric::new(1, 0);
}
