use super::*;

#[test]
fn forms_of_postgresql_are_read_and_written() {
    let numeric = Type::Numeric {
        precision: 12,
        scale: 2,
    };
    for (ty, given, written) in [
        (Type::Bool, " TRUE ", "t"),
        (Type::Bool, "of", "f"),
        (Type::SmallInt, "-32768", "-32768"),
        (Type::BigInt, " +9223372036854775807", "9223372036854775807"),
        (numeric, "1.005", "1.01"),
        (numeric, "-1e3", "-1000.00"),
        (Type::Double, "1e15", "1e+15"),
        (Type::Double, "123456.5", "123456.5"),
        (Type::Double, "-0", "0"),
        (Type::Varchar(3), "äöü  ", "äöü"),
        (Type::Bytea, "\\xDE adBE", "\\xdeadbe"),
        (Type::Bytea, "a\\\\\\000", "\\x615c00"),
        (Type::Date, "2024-02-29 10:00", "2024-02-29"),
        (
            Type::Timestamp,
            "2026-11-21T10:00:00.5",
            "2026-11-21 10:00:00.5",
        ),
        (
            Type::TimestampTz,
            "2026-11-21 10:00+08",
            "2026-11-21 02:00:00+00",
        ),
        (
            Type::Uuid,
            "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        (
            Type::Json,
            " {\"a\": [1, 2e5, null]} ",
            " {\"a\": [1, 2e5, null]} ",
        ),
    ] {
        let value = parse(ty, given).unwrap();
        assert_eq!(format(ty, &value), written, "{ty} {given}");
        assert_eq!(parse(ty, written).unwrap(), value, "{ty} {written}");
    }
}
