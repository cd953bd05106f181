use super::*;

#[test]
fn numbers_become_each_other() {
    let int = |ty, value| coerce(ty, value).unwrap();
    assert_eq!(
        int(Type::Integer, Value::Numeric("2.5".parse().unwrap())),
        Value::Int(3)
    );
    assert_eq!(int(Type::Integer, Value::Double(2.5)), Value::Int(2));
    assert_eq!(
        int(Type::Text, Value::Bool(true)),
        Value::Text("true".into())
    );
    let error = coerce(Type::SmallInt, Value::Int(40_000)).unwrap_err();
    assert_eq!(error.to_string(), "smallint out of range");
    assert_eq!(error.sqlstate(), "22003");
}

#[test]
fn a_char_is_kept_without_blanks_at_its_end() {
    let kept = |text: &str| coerce(Type::Char(3), Value::Text(text.into()));
    assert_eq!(kept(" a ").unwrap(), Value::Text(" a".into()));
    assert_eq!(kept("abc    ").unwrap(), Value::Text("abc".into()));
    assert_eq!(kept("abcd").unwrap_err().sqlstate(), "22001");
    let blank = check(Type::Char(3), &Value::Text("a ".into()));
    assert_eq!(blank, Err(ValueError::Blanks));
}
