use stele_core::Value;

use super::{AFTER_ALL, decode_cursor, escape_like, page, successor};

#[test]
fn successor_bounds_exactly_the_texts_with_the_prefix() {
    assert_eq!(successor("ab").as_deref(), Some("ac"));
    assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
    assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
    assert_eq!(successor("\u{10ffff}"), None);
    assert_eq!(successor(""), None);
    for prefix in ["", "a", "z\u{7f}", "é", "\u{ffff}", "a\u{10ffff}"] {
        let end = successor(prefix).unwrap_or_else(|| AFTER_ALL.to_owned());
        for tail in ["", "\u{1}", "zzz", "\u{10ffff}"] {
            let text = format!("{prefix}{tail}");
            assert!(text.as_str() >= prefix && text < end, "{text:?}");
        }
    }
}

#[test]
fn like_takes_the_text_literally() {
    assert_eq!(escape_like(r"50%_a\b"), r"50\%\_a\\b");
}

#[test]
fn a_page_says_where_the_next_one_starts() {
    let rows = |n: u8| (0..n).map(|i| vec![Value::Text(format!("k{i}")), Value::Bytes(vec![i])]);
    let whole = page(rows(3).collect(), 3, 7);
    assert_eq!((whole.entries.len(), whole.next), (3, None));
    let cut = page(rows(4).collect(), 3, 7);
    assert_eq!(cut.entries.len(), 3);
    assert_eq!(decode_cursor(&cut.next.unwrap()).unwrap(), "k3");
    let long = vec![
        Value::Text("a".to_owned()),
        Value::Bytes(vec![0; super::VALUES_BYTES_MAX + 1]),
    ];
    let one = page(vec![long.clone(), long], 3, 7);
    assert_eq!(one.entries.len(), 1);
    assert!(one.next.is_some());
    assert!(decode_cursor("!").is_err());
}
