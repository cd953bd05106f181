use stele_core::schema::{ColumnId, TableId};

use super::harness::Harness;
use crate::bound::Bound;
use crate::reach::weight;

const TABLES: &str =
    "CREATE TABLE doc (id INT PRIMARY KEY, title VARCHAR(100), body TEXT, note VARCHAR(2000));
    CREATE TABLE word (id INT PRIMARY KEY, name TEXT, raw BYTEA);
    CREATE TABLE result (id INT PRIMARY KEY, n BIGINT, t TEXT);";

/// Whether the statement repeats, and which long columns it reads then.
fn reach(harness: &Harness, sql: &str) -> (bool, Vec<String>) {
    let bound = harness
        .bound(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let reach = match &bound {
        Bound::Query(query) => &query.reach,
        Bound::Write(write) => &write.reach,
        _ => panic!("{sql} is neither query nor write"),
    };
    let name = |(table, column): &(TableId, ColumnId)| {
        let table = harness.catalogue.table(*table).unwrap();
        format!("{}.{}", table.name, table.column(*column).unwrap().name)
    };
    (reach.repeats, reach.columns.iter().map(name).collect())
}

#[test]
fn what_repeats_and_what_it_reads() {
    let mut harness = Harness::new();
    harness.run(TABLES).unwrap();
    for once in [
        "INSERT INTO doc VALUES (1, 'a', 'b', 'c')",
        "INSERT INTO doc VALUES (1, 'SELECT', 'FROM t1 JOIN t2', 'c')",
        "INSERT INTO result SELECT id, length(body), body FROM doc WHERE body > 'a'",
        "INSERT INTO result SELECT s.i, s.n, s.b FROM (SELECT id AS i, 1 AS n, body AS b FROM doc) AS s",
        "UPDATE doc SET body = body || 'x' WHERE title = 'a' OR note = 'FROM b'",
        "DELETE FROM doc WHERE body LIKE '%x%'",
        "SELECT body FROM doc ORDER BY body",
        "INSERT INTO doc VALUES (1, 'a', 'b', 'c') ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING body",
    ] {
        assert_eq!(reach(&harness, once), (false, vec![]), "{once}");
    }
    for (sql, columns) in [
        (
            "INSERT INTO result SELECT d.id, 1, w.name FROM doc d JOIN word w ON w.id = d.id",
            vec!["word.name"],
        ),
        (
            "INSERT INTO result SELECT 1, count(*) FROM doc a, doc b WHERE a.body <> b.note",
            vec!["doc.body", "doc.note"],
        ),
        (
            "INSERT INTO result SELECT id, (SELECT count(*) FROM word w WHERE w.raw IS NULL) FROM doc",
            vec!["word.raw"],
        ),
        (
            "UPDATE result SET n = 1 WHERE EXISTS (SELECT 1 FROM word w WHERE w.id = result.id)",
            vec!["result.t"],
        ),
        (
            "UPDATE result SET n = w.id FROM word w WHERE w.id = result.id",
            vec!["result.t"],
        ),
        (
            "DELETE FROM result USING word w WHERE w.name = 'x' AND w.id = result.id",
            vec!["word.name", "result.t"],
        ),
        (
            "INSERT INTO result SELECT s.x, 1, s.b FROM (SELECT id AS x, body AS b FROM doc) AS s, generate_series(1, 3)",
            vec!["doc.body"],
        ),
        (
            "INSERT INTO result SELECT id, row_number() OVER (ORDER BY body) FROM doc",
            vec!["doc.body"],
        ),
        (
            "INSERT INTO result WITH RECURSIVE r(v, n) AS (SELECT 'a', 1 UNION ALL SELECT v, n + 1 FROM r WHERE n < 5) SELECT 1, count(*) FROM r",
            vec![],
        ),
        (
            "INSERT INTO result SELECT d.id FROM doc d JOIN (VALUES (1), (2)) AS v(i) ON v.i = d.id",
            vec![],
        ),
        (
            "WITH w AS (SELECT name AS x FROM word) INSERT INTO result SELECT 1, count(*) FROM w AS a, w AS b WHERE a.x <> b.x",
            vec!["word.name"],
        ),
        (
            "INSERT INTO result SELECT * FROM result JOIN (SELECT id FROM word) AS w USING (id)",
            vec!["result.t"],
        ),
    ] {
        let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
        assert_eq!(reach(&harness, sql), (true, columns), "{sql}");
    }
}

#[test]
fn long_literals_count_where_rows_are() {
    let mut harness = Harness::new();
    harness.run(TABLES).unwrap();
    let long = "x".repeat(10_000);
    let of = |sql: &str| match harness.bound(sql).unwrap() {
        Bound::Write(write) => write.reach,
        _ => panic!("no write"),
    };
    let update = of(&format!("UPDATE doc SET body = '{long}it''s' WHERE id = 1"));
    assert!(update.weighs(0));
    assert!((10_000..10_010).contains(&update.literal_len), "{update:?}");
    assert_eq!(weight(update.literal_len), 3);
    let plain = of("UPDATE doc SET body = $1 WHERE id = 1");
    assert!(!plain.weighs(4_096) && plain.weighs(4_097));
    let insert = of(&format!("INSERT INTO doc VALUES (1, 'a', '{long}', '')"));
    assert!(!insert.weighs(1_000_000));
    assert_eq!(weight(0), 1);
}
