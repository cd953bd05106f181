use stele_core::Numeric;

use super::super::wire_type::WireType;
use super::*;

fn samples() -> Vec<(Type, Value, &'static str, &'static str)> {
    let numeric = |text: &str| Value::Numeric(Numeric::parse(text).unwrap());
    vec![
        (Type::Bool, Value::Bool(true), "t", "01"),
        (Type::Bool, Value::Bool(false), "f", "00"),
        (Type::SmallInt, Value::Int(-2), "-2", "fffe"),
        (Type::Integer, Value::Int(65_536), "65536", "00010000"),
        (
            Type::BigInt,
            Value::Int(i64::MIN),
            "-9223372036854775808",
            "8000000000000000",
        ),
        (
            Type::Numeric {
                precision: 10,
                scale: 2,
            },
            numeric("12.50"),
            "12.50",
            "00020000000000020 00c1388",
        ),
        (Type::Double, Value::Double(1.5), "1.5", "3ff8000000000000"),
        (Type::Text, Value::Text("é".into()), "é", "c3a9"),
        (Type::Varchar(3), Value::Text("abc".into()), "abc", "616263"),
        (Type::Bytea, Value::Bytes(vec![0, 255]), "\\x00ff", "00ff"),
        (Type::Date, Value::Date(10_957), "2000-01-01", "00000000"),
        (Type::Date, Value::Date(10_956), "1999-12-31", "ffffffff"),
        (
            Type::Timestamp,
            Value::Timestamp(EPOCH_US + 1_500_000),
            "2000-01-01 00:00:01.5",
            "000000000016e360",
        ),
        (
            Type::TimestampTz,
            Value::Timestamp(EPOCH_US),
            "2000-01-01 00:00:00+00",
            "0000000000000000",
        ),
        (
            Type::Uuid,
            Value::Uuid([0x11; 16]),
            "11111111-1111-1111-1111-111111111111",
            "11111111111111111111111111111111",
        ),
        (
            Type::Json,
            Value::Json("{\"a\": 1}".into()),
            "{\"a\": 1}",
            "7b2261223a20317d",
        ),
    ]
}

fn put_one(ty: Type, value: &Value, format: Format) -> Vec<u8> {
    let mut out = BytesMut::new();
    put(ty, value, format, &mut out);
    let (len, body) = out.split_at(4);
    assert_eq!(
        u32::from_be_bytes(len.try_into().unwrap()) as usize,
        body.len()
    );
    body.to_vec()
}

fn parameter(ty: Type) -> Parameter {
    Parameter {
        oid: WireType::of(ty).oid,
        ty: Some(ty),
    }
}

#[test]
fn every_type_has_postgresqls_text_and_binary_form() {
    for (ty, value, text, binary) in samples() {
        let binary = hex::decode(binary.replace(' ', "")).unwrap();
        assert_eq!(put_one(ty, &value, Format::Text), text.as_bytes(), "{ty:?}");
        assert_eq!(put_one(ty, &value, Format::Binary), binary, "{ty:?}");
        assert_eq!(
            read(parameter(ty), 1, Format::Text, text.as_bytes()).unwrap(),
            value
        );
        assert_eq!(
            read(parameter(ty), 1, Format::Binary, &binary).unwrap(),
            value
        );
    }
}

#[test]
fn null_has_no_body() {
    let mut out = BytesMut::new();
    put(Type::Text, &Value::Null, Format::Binary, &mut out);
    assert_eq!(out.as_ref(), [255, 255, 255, 255]);
}

#[test]
fn binary_values_of_a_wrong_length_are_refused() {
    for (ty, _, _, binary) in samples() {
        let mut bytes = hex::decode(binary.replace(' ', "")).unwrap();
        bytes.push(7);
        let result = read(parameter(ty), 3, Format::Binary, &bytes);
        match ty {
            Type::Text | Type::Varchar(_) | Type::Bytea => assert!(result.is_ok()),
            Type::Json => assert_eq!(result.unwrap_err().code.as_str(), "22P02"),
            _ => {
                let error = result.unwrap_err();
                assert_eq!(error.code.as_str(), "22P03", "{ty:?}");
                assert!(error.message.ends_with("parameter 3"));
            }
        }
    }
}

#[test]
fn wider_declared_types_are_read_by_their_own_layout() {
    let read_as = |oid, ty, bytes: &[u8]| read(Parameter { oid, ty }, 1, Format::Binary, bytes);
    assert_eq!(
        read_as(wire::FLOAT4, Some(Type::Double), &1.5f32.to_be_bytes()).unwrap(),
        Value::Double(1.5)
    );
    assert_eq!(
        read_as(wire::JSONB, Some(Type::Json), b"\x01[1]").unwrap(),
        Value::Json("[1]".into())
    );
    assert_eq!(
        read_as(wire::INT4, Some(Type::SmallInt), &70_000i32.to_be_bytes())
            .unwrap_err()
            .code
            .as_str(),
        "22003"
    );
    assert_eq!(
        read_as(wire::UNKNOWN, None, b"2020-01-01").unwrap(),
        Value::Text("2020-01-01".into())
    );
}

#[test]
fn what_the_ledger_does_not_keep_is_refused() {
    let code = |ty, bytes: &[u8]| {
        read(parameter(ty), 1, Format::Binary, bytes)
            .unwrap_err()
            .code
            .as_str()
            .to_owned()
    };
    assert_eq!(code(Type::Double, &f64::NAN.to_be_bytes()), "22003");
    assert_eq!(code(Type::Timestamp, &i64::MAX.to_be_bytes()), "22008");
    assert_eq!(code(Type::Timestamp, &i64::MIN.to_be_bytes()), "22008");
    assert_eq!(code(Type::Date, &i32::MAX.to_be_bytes()), "22008");
    assert_eq!(code(Type::Text, b"a\0b"), "22021");
    assert_eq!(code(Type::Text, b"\xff"), "22021");
    assert_eq!(
        code(wire::PLAIN_NUMERIC, &[0, 0, 0, 0, 0xC0, 0, 0, 0]),
        "22003"
    );
    assert_eq!(
        read(
            parameter(Type::Double),
            1,
            Format::Binary,
            &(-0.0f64).to_be_bytes()
        )
        .unwrap(),
        Value::Double(0.0)
    );
}

#[test]
fn a_decimal_of_unknown_scale_keeps_every_digit() {
    let exact = Numeric::parse("-0.000000000001").unwrap();
    let unknown = Parameter {
        oid: wire::NUMERIC,
        ty: None,
    };
    let binary = hex::decode("0001fffd4000000c0001").unwrap();
    assert_eq!(
        read(unknown, 1, Format::Binary, &binary).unwrap(),
        Value::Numeric(exact)
    );
    assert_eq!(
        read(unknown, 1, Format::Text, b"-0.000000000001").unwrap(),
        Value::Text("-0.000000000001".into())
    );
}

#[test]
fn a_long_text_may_be_compared_with_a_short_column() {
    assert_eq!(
        read(parameter(Type::Varchar(2)), 1, Format::Text, b"abc").unwrap(),
        Value::Text("abc".into())
    );
}

#[test]
fn format_codes() {
    assert_eq!(
        Formats::new(&[], 3, "parameter").unwrap().of(2),
        Format::Text
    );
    assert_eq!(
        Formats::new(&[1], 3, "parameter").unwrap().of(2),
        Format::Binary
    );
    assert_eq!(
        Formats::new(&[0, 1], 2, "parameter").unwrap().of(1),
        Format::Binary
    );
    assert_eq!(
        Formats::new(&[0, 1], 3, "parameter")
            .unwrap_err()
            .code
            .as_str(),
        "08P01"
    );
    assert_eq!(
        Formats::new(&[2], 1, "result").unwrap_err().code.as_str(),
        "22023"
    );
}
