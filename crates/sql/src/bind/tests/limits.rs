//! What no text may do: panic, exhaust the stack, or reach SQLite unbound.

use proptest::prelude::*;

use super::harness::Harness;
use crate::parse::parse;

#[test]
fn long_chains_and_deep_nests_end_in_an_error() {
    let mut harness = Harness::new();
    harness.run("CREATE TABLE t (a INT PRIMARY KEY)").unwrap();
    for sql in [
        format!("SELECT 1{}", "+1".repeat(900)),
        format!("SELECT 1{}", "::int".repeat(900)),
        format!("SELECT 1 FROM t WHERE a=1{}", " OR a=2".repeat(400)),
        format!("SELECT {}1{}", "(".repeat(60), ")".repeat(60)),
        format!("SELECT {}1{}", "abs(".repeat(60), ")".repeat(60)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(600)),
        format!("SELECT {}true", "NOT ".repeat(500)),
        format!("SELECT 1 WHERE true{}", " IS TRUE".repeat(900)),
        format!("SELECT 'a'{}", "||'b'".repeat(900)),
        format!(
            "CREATE TABLE u (a INT PRIMARY KEY CHECK (a{} > 0))",
            "+1".repeat(900)
        ),
        format!("SELECT {}1{}", "(SELECT ".repeat(40), ")".repeat(40)),
        format!("SELECT CASE{} END", " WHEN true THEN 1".repeat(400)),
        format!("SELECT * FROM t{}", " CROSS JOIN t".repeat(100)),
        format!(
            "SELECT * FROM t a0{}",
            (1..70).map(|n| format!(", t a{n}")).collect::<String>()
        ),
    ] {
        if let Err(error) = harness.run(&sql) {
            let code = error.code.to_string();
            assert!(
                ["54001", "42712", "42601"].contains(&code.as_str()),
                "{error}: {}",
                &sql[..40]
            );
        }
    }
}

/// What some operators are lowered to holds an operand twice, and a view may use a view twice.
#[test]
fn what_doubles_at_each_level_ends_in_an_error_at_once() {
    let mut harness = Harness::new();
    harness
        .run("CREATE TABLE t (a INT PRIMARY KEY, n INT)")
        .unwrap();
    let nested = |levels: usize, level: &dyn Fn(String, usize) -> String| {
        let inner = "n".to_owned();
        let expression = (0..levels).fold(inner, level);
        format!("SELECT {expression} FROM t")
    };
    let levels: [&dyn Fn(String, usize) -> String; 4] = [
        &|inner, n| format!("nullif({inner}, {n})"),
        &|inner, n| format!("CASE {inner} WHEN 1 THEN 2 WHEN {n} THEN 3 ELSE 5 END"),
        &|inner, n| format!("(({inner}) BETWEEN {n} AND 7)::int"),
        &|inner, n| format!("(SELECT nullif({inner}, {n}))"),
    ];
    for level in levels {
        harness.run(&nested(10, level)).unwrap();
        let error = harness.run(&nested(45, level)).unwrap_err();
        assert_eq!(error.code.as_str(), "54001", "{error}");
    }
    let windows = |count: usize| {
        let each = (0..count).map(|n| format!("sum(a + {n}) OVER (ORDER BY a + {n})"));
        let each: Vec<String> = each.collect();
        format!("SELECT {} FROM t", each.join(", "))
    };
    harness.run(&windows(200)).unwrap();
    let error = harness.run(&windows(300)).unwrap_err();
    assert!(error.message.contains("window functions"), "{error}");
    harness.run("CREATE VIEW v0 AS SELECT a FROM t").unwrap();
    let refused = (1..40).find_map(|n| {
        let before = n - 1;
        let view = format!(
            "CREATE VIEW v{n} AS SELECT x.a FROM v{before} x WHERE EXISTS (SELECT 1 FROM v{before} y WHERE y.a > 0)"
        );
        harness.run(&view).err().map(|error| (n, error))
    });
    let (level, error) = refused.unwrap();
    assert_eq!(error.code.as_str(), "54001", "{error}");
    assert_eq!(level, 9, "{error}");
    harness.run("SELECT count(*) FROM v8").unwrap();
}

#[test]
fn an_or_of_many_terms_works() {
    let mut harness = Harness::new();
    harness.run("CREATE TABLE t (a INT PRIMARY KEY)").unwrap();
    let sql = format!("SELECT a FROM t WHERE a=1{}", " OR a=2".repeat(450));
    assert!(harness.run(&sql).unwrap().is_empty());
    let rows: Vec<String> = (0..5_000).map(|n| format!("({n})")).collect();
    harness
        .run(&format!("INSERT INTO t VALUES {}", rows.join(",")))
        .unwrap();
    let list: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let sql = format!("SELECT count(*) FROM t WHERE a IN ({})", list.join(","));
    assert_eq!(harness.value(&sql), "5000");
}

/// Statements to mutate.
const SEEDS: &[&str] = &[
    "SELECT a, count(*) FROM t WHERE b LIKE 'x%' AND c > 1.5 GROUP BY a HAVING count(*) > 1 ORDER BY 2 DESC LIMIT 3",
    "INSERT INTO t (a, b) VALUES (1, 'x'), (2, $1) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
    "UPDATE t SET c = (SELECT max(c) FROM t) + 1 WHERE a IN (1, 2) AND NOT b IS NULL",
    "CREATE TABLE u (a BIGINT PRIMARY KEY, b NUMERIC(10,2) DEFAULT 1 CHECK (b > 0), UNIQUE (b))",
    "WITH x AS (SELECT 1 AS y) SELECT CASE WHEN y = 1 THEN 'a' ELSE 'b' END FROM x LEFT JOIN t USING (a)",
    "SELECT date '2024-01-01' + interval '1 day', extract(year from now()), '{\"a\":1}'::json ->> 'a'",
    "ALTER TABLE t ADD COLUMN d TEXT; DROP INDEX i; SELECT 'it''s', $$x$$, E'\\n', -1e5",
];

/// How many cases each property is tried on; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_mutation_panics_or_fails_inside_sqlite(
        seed in 0..SEEDS.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[ -~]{0,3}"), 0..4),
    ) {
        let mut text = SEEDS[seed].to_owned();
        for (place, insert) in edits {
            let at = place.index(text.len() + 1);
            let end = (at + 1).min(text.len());
            text.replace_range(at..end, &insert);
        }
        let mut harness = Harness::new();
        harness
            .run("CREATE TABLE t (a INT PRIMARY KEY, b TEXT, c NUMERIC(10,2)); CREATE INDEX i ON t (b)")
            .unwrap();
        if let Err(error) = harness.run(&text) {
            prop_assert_ne!(error.code.as_str(), "XX000", "{}: {}", text, error);
        }
    }

    #[test]
    fn integer_arithmetic_is_checked(a: i64, b: i64, small in any::<i32>(), other in any::<i32>()) {
        let mut harness = Harness::new();
        for (op, exact) in [
            ("+", Some(i128::from(a) + i128::from(b))),
            ("-", Some(i128::from(a) - i128::from(b))),
            ("*", Some(i128::from(a) * i128::from(b))),
            ("/", i128::from(a).checked_div(i128::from(b))),
            ("%", i128::from(a).checked_rem(i128::from(b))),
        ] {
            let got = harness.value(&format!("SELECT ({a})::bigint {op} ({b})::bigint"));
            let expected = match exact {
                None => "22012".to_owned(),
                Some(value) => i64::try_from(value).map_or("22003".to_owned(), |v| v.to_string()),
            };
            prop_assert_eq!(got, expected, "{} {} {}", a, op, b);
        }
        let sum = i64::from(small) + i64::from(other);
        let expected = i32::try_from(sum).map_or("22003".to_owned(), |v| v.to_string());
        prop_assert_eq!(harness.value(&format!("SELECT ({small})::int + ({other})::int")), expected);
    }

    #[test]
    fn numeric_comparison_is_exact(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, sa in 0u32..4, sb in 0u32..4) {
        let mut harness = Harness::new();
        harness.run("CREATE TABLE t (k INT PRIMARY KEY, n NUMERIC(12,2)); CREATE INDEX i ON t (n)").unwrap();
        let decimal = |value: i64, scale: u32| {
            let unit = 10i64.pow(scale);
            format!("{}{}.{:0width$}", if value < 0 { "-" } else { "" }, value.abs() / unit, value.abs() % unit, width = scale as usize)
                .trim_end_matches('.')
                .to_owned()
        };
        let left = i128::from(a) * 10i128.pow(4 - sa.min(2));
        let right = i128::from(b) * 10i128.pow(4 - sb);
        let stored = decimal(a, sa.min(2));
        let given = decimal(b, sb);
        harness.run(&format!("INSERT INTO t VALUES (1, {stored})")).unwrap();
        for (op, expected) in [
            ("<", left < right), ("<=", left <= right), ("=", left == right),
            ("<>", left != right), (">", left > right), (">=", left >= right),
        ] {
            let column = harness.value(&format!("SELECT count(*) FROM t WHERE n {op} {given}"));
            prop_assert_eq!(column, i32::from(expected).to_string(), "{} {} {}", stored, op, given);
            let plain = harness.value(&format!("SELECT {stored} {op} {given}"));
            prop_assert_eq!(plain, if expected { "t" } else { "f" });
            let mirrored = harness.value(&format!("SELECT count(*) FROM t WHERE {given} {} n", match op {
                "<" => ">", "<=" => ">=", ">" => "<", ">=" => "<=", same => same,
            }));
            prop_assert_eq!(mirrored, i32::from(expected).to_string());
        }
    }
}
