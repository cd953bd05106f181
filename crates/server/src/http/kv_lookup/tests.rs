use stele_core::Value;

use stele_core::crypto::SecretKey;
use stele_core::{AccountId, Hash, Suite};
use stele_sql::engine::{Engine, EngineConfig};

use super::{
    AFTER_ALL, LookupParams, MATCH, RANGE, decode_cursor, escape_like, page, plan, successor,
};

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

/// A prefix, a cursor or neither: each is a range of the key, searched in key order, without a scan or a sort.
#[test]
fn c6_a_prefix_is_searched_in_the_key_and_never_scanned() {
    let suite = Suite::Ed25519Sha256;
    let engine = Engine::open(EngineConfig::new(None, Hash([1; 32]), suite)).unwrap();
    let account = AccountId::of_key(suite, &SecretKey::from_seed(&[1; 32]).public());
    let steps = |sql: &str| {
        let readers = engine.readers();
        readers
            .explain(account, sql, stele_sql::engine::ReadOptions::default())
            .unwrap()
    };
    let prefix = |prefix: Option<&str>| LookupParams {
        prefix: prefix.map(str::to_owned),
        suffix: None,
        contains: None,
        values: false,
        limit: None,
        cursor: None,
        min_height: None,
        as_key: None,
    };
    for asked in [None, Some(""), Some("order/"), Some("order/\u{10ffff}")] {
        let (query, lower, bound) = plan(&prefix(asked)).unwrap();
        assert_eq!(query.keys, RANGE.keys, "{asked:?}");
        assert!(lower < bound, "{asked:?}");
    }
    let searched = |sql: &str, by: &str| {
        let steps = steps(sql);
        let [only] = steps.as_slice() else {
            panic!("{sql}: {steps:?}")
        };
        assert!(only.starts_with("SEARCH "), "{sql}: {only}");
        assert!(
            only.ends_with(&format!(" USING PRIMARY KEY ({by})")),
            "{sql}: {only}"
        );
    };
    for sql in [RANGE.keys, RANGE.values] {
        searched(sql, "namespace=? AND key>? AND key<?");
    }
    // A suffix reads the keys of the namespace: from the cursor on, no others.
    for sql in [MATCH.keys, MATCH.values] {
        searched(sql, "namespace=? AND key>?");
    }
    // The test can tell a scan.
    let scan = steps("SELECT key FROM stele.kv WHERE value = $1 ORDER BY value");
    assert!(scan.iter().any(|step| step.starts_with("SCAN")), "{scan:?}");
}
