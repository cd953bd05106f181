use super::*;

#[test]
fn arrays_are_read_and_written_as_postgresql_does() {
    for (given, kept, shown) in [
        ("{}", "[]", "{}"),
        ("{a,b}", r#"["a","b"]"#, "{a,b}"),
        (
            r#"{ a , "b,c" , NULL, "null", "" }"#,
            r#"["a","b,c",null,"null",""]"#,
            r#"{a,"b,c",NULL,"null",""}"#,
        ),
        (
            r#"{"q\"q","s\\s"}"#,
            r#"["q\"q","s\\s"]"#,
            r#"{"q\"q","s\\s"}"#,
        ),
    ] {
        assert_eq!(parse(Element::Text, given).unwrap(), kept);
        assert_eq!(format(kept).unwrap(), shown);
    }
    assert_eq!(parse(Element::Integer, "{1, 2}").unwrap(), "[1,2]");
    assert_eq!(parse(Element::SmallInt, "1 2").unwrap(), "[1,2]");
    assert_eq!(format_vector("[1,2]").unwrap(), "1 2");
    for bad in ["a", "{a", "{\"a}", "{a}b", "{\"a\"b}"] {
        assert_eq!(
            parse(Element::Text, bad).unwrap_err().code.as_str(),
            "22P02"
        );
    }
    assert_eq!(
        parse(Element::Integer, "{x}").unwrap_err().code.as_str(),
        "22P02"
    );
}

#[test]
fn elements_are_read_as_postgresql_reads_them() {
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
