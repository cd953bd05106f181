//! Bounds and faults: what a transaction may cost, and what is the node's own trouble.

use stele_core::Value;
use stele_core::outcome::Code;
use stele_core::{AccountId, Hash};

use super::support::*;
use crate::engine::{EngineConfig, EngineError, result_digest};
use crate::physical;

fn bounded(change: impl FnOnce(&mut EngineConfig)) -> Ledger {
    let mut config = EngineConfig::new(None, LEDGER, SUITE);
    change(&mut config);
    let mut ledger = Ledger::open(config);
    ledger.one(&[(CREATE, vec![])]);
    let rows: Vec<_> = (0..30)
        .map(|id| (INSERT, vec![int(id), Value::Null, int(0)]))
        .collect();
    ledger.one(&rows);
    ledger
}

#[test]
fn the_step_bound_does_not_depend_on_what_ran_before() {
    // The exact cost, found by bisection on fresh engines, is the exact cost on a used one.
    let succeeds = |bound: u64, warm: usize| {
        let mut ledger = bounded(|config| config.limits.vm_steps_max = bound);
        for _ in 0..warm {
            ledger.one(&[(SELECT, vec![int(1)])]);
            ledger.one(&[(SPIN, vec![])]);
            ledger.one(&[("SELEKT", vec![])]);
        }
        let code = ledger.one(&[(SPIN, vec![])]);
        assert!(code == Code::SUCCESS || code.as_str() == "54000", "{code}");
        code.is_success()
    };
    let (mut low, mut high) = (1_000u64, 10_000_000u64);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if succeeds(middle, 0) {
            high = middle
        } else {
            low = middle
        }
    }
    for warm in [1, 3, 7] {
        assert!(succeeds(high, warm));
        assert!(!succeeds(low, warm));
    }
}

#[test]
fn row_and_result_bounds_are_outcomes() {
    let mut ledger = bounded(|config| {
        config.limits.rows_changed_max = 40;
        config.limits.result_rows_max = 40;
    });
    assert_eq!(ledger.one(&[(ADD_ALL, vec![int(1)])]), Code::SUCCESS);
    assert_eq!(
        ledger
            .one(&[(ADD_ALL, vec![int(1)]), (ADD_ALL, vec![int(1)])])
            .as_str(),
        "54000"
    );
    assert_eq!(ledger.one(&[(SELECT_ALL, vec![])]), Code::SUCCESS);
    assert_eq!(
        ledger
            .one(&[(SELECT_ALL, vec![]), (SELECT_ALL, vec![])])
            .as_str(),
        "54000"
    );
    assert_eq!(ledger.one(&[(SELECT, vec![int(1)])]), Code::SUCCESS);
}

#[test]
fn a_full_disk_is_no_outcome_and_the_block_gives_the_same_later() {
    let directory = tempfile::tempdir().unwrap();
    let mut full = Ledger::at(directory.path().join("full.db"));
    let mut roomy = Ledger::at(directory.path().join("roomy.db"));
    for ledger in [&mut full, &mut roomy] {
        ledger.one(&[(CREATE, vec![])]);
        ledger.one(&[(INSERT, vec![int(-1), text("x"), int(0)])]);
    }
    let limit = |ledger: &Ledger, pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        ledger
            .engine
            .writer
            .query_row(&sql, [], |_| Ok(()))
            .unwrap();
    };
    let block: Vec<_> = (0..40)
        .map(|at| {
            let statements: Vec<_> = (0..50)
                .map(|n| {
                    (
                        INSERT,
                        vec![int(at * 50 + n), text(format!("{at} {n}")), int(0)],
                    )
                })
                .collect();
            full.sign(&statements)
        })
        .collect();
    let before = full.engine.meta().clone();
    limit(&full, 40);
    for _ in 0..3 {
        let context = full.next();
        let error = full
            .engine
            .execute(&context, &executable(&block))
            .unwrap_err();
        assert!(
            matches!(&error, EngineError::NoSpace { path } if path.ends_with("full.db")),
            "{error}"
        );
        assert!(error.is_transient());
        assert_eq!(*full.engine.meta(), before);
        assert!(audit(&full).differences.is_empty());
    }
    limit(&full, 1_000_000);
    assert_eq!(full.block(&block), roomy.block(&block));
    assert_eq!(full.root(), roomy.root());
}

#[test]
fn a_state_of_another_ledger_or_program_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    drop(Ledger::at(path.clone()));
    let open = || {
        let mut config = EngineConfig::new(Some(path.clone()), LEDGER, SUITE);
        config.ledger = Hash([8; 32]);
        crate::engine::Engine::open(config).err().unwrap()
    };
    let error = open();
    assert!(matches!(error, EngineError::WrongLedger { .. }), "{error}");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute("UPDATE _meta SET format = 99", [])
        .unwrap();
    drop(connection);
    let error = open();
    assert!(
        error.to_string().contains("state.db has format 99"),
        "{error}"
    );
    std::fs::write(
        &path,
        "not a database, but long enough to be looked at as one",
    )
    .unwrap();
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(directory.path().join(format!("state.db{ending}")));
    }
    assert!(matches!(open(), EngineError::Corrupt { .. }));
}

#[test]
fn a_result_that_is_not_what_the_client_saw_fails() {
    let mut ledger = bounded(|_| {});
    let (readers, account) = (ledger.engine.readers(), ledger.account());
    let (seen, _) = readers.query(account, SELECT, &[int(1)]).unwrap();
    let transaction = |ledger: &mut Ledger, digest| {
        ledger.sign_payload(stele_core::transaction::Payload::Statements(vec![
            stele_core::transaction::Statement {
                sql: SELECT.to_owned(),
                parameters: vec![int(1)],
                result: Some(digest),
            },
        ]))
    };
    let good = transaction(&mut ledger, result_digest(SUITE, &seen));
    let bad = transaction(&mut ledger, Hash::ZERO);
    let effects = ledger.block(&[good, bad]);
    assert_eq!(effects.transactions[0].outcome.code, Code::SUCCESS);
    assert_eq!(effects.transactions[1].outcome.code.as_str(), "40001");
}

#[test]
fn namespaces_belong_to_their_first_writer() {
    let mut ledger = bounded(|_| {});
    let put = |space: &str, key: &str, value: u8| {
        (PUT, vec![text(space), text(key), Value::Bytes(vec![value])])
    };
    let me = AccountId::of_key(SUITE, &ledger.key.public());
    let other = stele_core::crypto::SecretKey::from_seed(&[2; 32]);
    assert_eq!(ledger.one(&[put("mine", "a", 1)]), Code::SUCCESS);
    assert_eq!(ledger.one(&[put("mine", "a", 2)]), Code::SUCCESS);
    let log = (
        NAMESPACE,
        vec![text("log"), Value::Bytes(me.0.to_vec()), Value::Bool(true)],
    );
    assert_eq!(ledger.one(&[log, put("log", "a", 1)]), Code::SUCCESS);
    assert_eq!(ledger.one(&[put("log", "b", 1)]), Code::SUCCESS);
    assert_eq!(ledger.one(&[put("log", "a", 2)]).as_str(), "42501");
    let mine = std::mem::replace(&mut ledger.key, other);
    assert_eq!(ledger.one(&[put("mine", "z", 2)]).as_str(), "42501");
    let stolen = (
        NAMESPACE,
        vec![text("s"), Value::Bytes(me.0.to_vec()), Value::Bool(false)],
    );
    assert_eq!(ledger.one(&[stolen]).as_str(), "42501");
    assert_eq!(ledger.one(&[put("theirs", "z", 2)]), Code::SUCCESS);
    // A key that is not the account's.
    let mut signed = ledger.sign(&[put("theirs", "z", 3)]);
    signed.key = mine.public();
    assert_eq!(
        ledger.block(&[signed]).transactions[0]
            .outcome
            .code
            .as_str(),
        "28000"
    );
}

#[test]
fn a_statement_takes_as_many_parameters_as_it_may_hold() {
    use stele_core::transaction::PARAMETERS_MAX;
    let mut ledger = bounded(|_| {});
    let count = PARAMETERS_MAX / 3;
    let tuples: Vec<String> = (0..count)
        .map(|row| format!("(${},${},${})", row * 3 + 1, row * 3 + 2, row * 3 + 3))
        .collect();
    let insert = format!("INSERT INTO account VALUES {}", tuples.join(","));
    let values: Vec<Value> = (0..count)
        .flat_map(|row| [int(1_000 + row as i64), Value::Null, int(0)])
        .collect();
    assert_eq!(count * 3, PARAMETERS_MAX);
    assert_eq!(ledger.one(&[(&insert, values)]), Code::SUCCESS);
    let places: Vec<String> = (1..=PARAMETERS_MAX).map(|at| format!("${at}")).collect();
    let select = format!(
        "SELECT count(*) FROM account WHERE id IN ({})",
        places.join(",")
    );
    let values = (0..PARAMETERS_MAX).map(|id| int(id as i64)).collect();
    assert_eq!(ledger.one(&[(&select, values)]), Code::SUCCESS);
}

#[test]
fn no_internal_error_is_an_outcome() {
    let mut ledger = bounded(|_| {});
    // Over a fixed bound of SQLite's that the binder has no word of.
    let sums = vec!["id"; 2_100].join(",");
    let code = ledger.one(&[(&format!("SELECT {sums} FROM account"), vec![])]);
    assert_ne!(code, Code::SUCCESS);
    assert_ne!(code.as_str(), "XX000");
}

#[test]
fn reserved_payloads_are_refused() {
    use stele_core::transaction::Payload;
    let mut ledger = bounded(|_| {});
    let commitment = Payload::Commitment {
        commitment: Hash([7; 32]),
        len: 1,
    };
    for payload in [commitment, Payload::Governance(vec![1])] {
        let signed = ledger.sign_payload(payload);
        let block = ledger.block(&[signed]);
        let code = block.transactions[0].outcome.code;
        assert_eq!(code.as_str(), "0A000");
    }
}

/// Statements that would hold gigabytes: in sorts, groups, intermediate tables, or one wide row.
const HOARDERS: [&str; 12] = [
    "INSERT INTO account SELECT 9000 + count(*)::int, 'x', 0 FROM (SELECT repeat(x::text, 100000) AS k, count(*) AS n FROM generate_series(1, 200000) AS x GROUP BY 1) AS s",
    "INSERT INTO account SELECT 9000, v, 0 FROM (SELECT name || x::text AS v FROM account, generate_series(1, 100000) AS x WHERE id = 777 ORDER BY 1 LIMIT 1) AS s",
    "INSERT INTO account SELECT 9000, max(length(v))::text, 0 FROM (SELECT DISTINCT name AS v, x FROM account, generate_series(1, 100000) AS x WHERE id = 777) AS s",
    "INSERT INTO account SELECT 9000, max(length(v))::text, 0 FROM (SELECT name AS v, x FROM account, generate_series(1, 100000) AS x WHERE id = 777 ORDER BY x DESC, v LIMIT 99999) AS s",
    "INSERT INTO account SELECT 9000, max(n)::text, 0 FROM (SELECT name, count(*) OVER (PARTITION BY id ORDER BY x) AS n FROM account, generate_series(1, 100000) AS x WHERE id = 777) AS s",
    "UPDATE account SET name = (SELECT string_agg(repeat(x::text, 100000), '') FROM generate_series(1, 5000) AS x)",
    "INSERT INTO account SELECT 9000, NULL, length(array_to_string(string_to_array(repeat('a,', 1000000), ','), name)) FROM account WHERE id = 777",
    "INSERT INTO account SELECT 9000, NULL, sum(length(name)) FROM account, generate_series(1, 3000) AS x WHERE id = 777",
    "INSERT INTO account SELECT 9000, NULL, array_length(array(SELECT name FROM account, generate_series(1, 1000) WHERE id = 777), 1)",
    "INSERT INTO account SELECT 9000, NULL, length(format(repeat('%1$s', 900), name)) FROM account WHERE id = 777",
    "INSERT INTO account SELECT 9000, NULL, length(regexp_replace(name, 'v', repeat('\\&', 900), 'g')) FROM account WHERE id = 777",
    "INSERT INTO account SELECT 9000, NULL, count(*) FROM (SELECT string_agg(name, '') AS a, string_agg(name, 'x') AS b FROM account, generate_series(1, 1000) AS x WHERE id = 777) AS s",
];

#[test]
fn what_a_statement_holds_is_bounded_alike_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let mut one = Ledger::at(directory.path().join("one.db"));
    let mut other = Ledger::at(directory.path().join("other.db"));
    // The second has been used before, and its caches are warm.
    for (ledger, warm) in [(&mut one, 0), (&mut other, 3)] {
        ledger.one(&[(CREATE, vec![])]);
        ledger.one(&[(INSERT, vec![int(777), text("v".repeat(8_000_000)), int(0)])]);
        for _ in 0..warm {
            ledger.one(&[(SELECT_ALL, vec![])]);
        }
    }
    // A function of many arguments holds as many copies of a long value.
    let many = vec!["name"; 900].join(",");
    let call = format!("UPDATE account SET balance = length(greatest({many})) WHERE id = 777");
    let hoarders = HOARDERS.into_iter().chain([call.as_str()]);
    for sql in hoarders {
        for ledger in [&mut one, &mut other] {
            // Those beside it in the block are executed.
            let before = ledger.sign(&[(INSERT, vec![int(1), Value::Null, int(0)])]);
            let hoarder = ledger.sign(&[(sql, vec![])]);
            let after = ledger.sign(&[("DELETE FROM account WHERE id = 1", vec![])]);
            let block = ledger.block(&[before, hoarder, after]);
            let codes = block.transactions.iter().map(|one| one.outcome.code);
            let codes: Vec<String> = codes.map(|code| code.as_str().to_owned()).collect();
            assert_eq!(codes, ["00000", "54000", "00000"], "{sql}");
        }
        assert_eq!(one.root(), other.root(), "{sql}");
    }
    // A read is stopped, too.
    let account = one.account();
    let sql = "SELECT k, count(*) FROM (SELECT repeat(x::text, 100000) AS k FROM generate_series(1, 200000) AS x) AS s GROUP BY 1";
    let refused = one.engine.readers().query(account, sql, &[]);
    assert!(
        matches!(&refused, Err(EngineError::Sql(error)) if error.code.as_str() == "54000"),
        "{refused:?}"
    );
    // What fits is sorted in part on disk, and comes out whole.
    let sql = "SELECT count(*), max(v) FROM (SELECT lpad((x * 7919 % 100000)::text, 500) AS v FROM generate_series(1, 100000) AS x ORDER BY 1 LIMIT 99999) AS s";
    let (sorted, _) = one.engine.readers().query(account, sql, &[]).unwrap();
    assert_eq!(sorted.rows[0][0], int(99_999));
}

#[test]
fn steps_among_long_values_weigh_more() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let mut config = EngineConfig::new(Some(directory.path().join(name)), LEDGER, SUITE);
        config.limits.vm_steps_max = 1_000_000;
        Ledger::open(config)
    };
    let (mut one, mut other) = (open("one.db"), open("other.db"));
    for ledger in [&mut one, &mut other] {
        ledger.one(&[(CREATE, vec![])]);
        let rows: Vec<_> = (0..200)
            .map(|id| (INSERT, vec![int(id), text(format!("short{id}")), int(0)]))
            .collect();
        assert_eq!(ledger.one(&rows), Code::SUCCESS);
    }
    let join = "UPDATE account SET balance = (SELECT count(*) FROM account a, account b WHERE a.name < b.name) WHERE id = 1";
    let numbers = "SELECT count(*) FROM account a, account b WHERE a.balance < b.balance";
    let recursion = |len: usize| {
        format!(
            "UPDATE account SET balance = (WITH RECURSIVE r(x, n) AS (SELECT repeat('a', {len}), 1 UNION ALL SELECT x, n + 1 FROM r WHERE n < 10000) SELECT count(*) FROM r) WHERE id = 1"
        )
    };
    let gathered = "UPDATE account SET balance = (SELECT count(*) FROM (SELECT string_agg('123456789', '' ORDER BY id) AS v FROM account) AS s, generate_series(1, 20000) AS x WHERE s.v <> 'a' OR x = 0) WHERE id = 1";
    let literal = format!(
        "UPDATE account SET balance = (SELECT count(*) FROM generate_series(1, 20000) AS x WHERE x = 0 OR '{0}a' <> '{0}b' ) WHERE id = 1",
        "y".repeat(100_000)
    );
    let mut code = |sql: &str| {
        let codes = [&mut one, &mut other].map(|ledger| ledger.one(&[(sql, vec![])]));
        assert_eq!(codes[0], codes[1], "{sql}");
        assert_eq!(one.root(), other.root(), "{sql}");
        codes[0].as_str().to_owned()
    };
    for sql in [join, numbers, &recursion(10), gathered] {
        assert_eq!(code(sql), "00000", "{sql}");
    }
    assert_eq!(code(&recursion(100_000)), "54000");
    assert_eq!(code(&literal), "54000");
    // One long value in a column makes the joins dear that read the column, as long as it is there.
    let long = "UPDATE account SET name = repeat('b', 200000) WHERE id = 7";
    assert_eq!(code(long), "00000");
    assert_eq!(code(join), "54000");
    assert_eq!(code(numbers), "00000");
    let scan = "UPDATE account SET balance = 1 WHERE name < 'c'";
    assert_eq!(code(scan), "00000");
    assert_eq!(code("DELETE FROM account WHERE id = 7"), "00000");
    assert_eq!(code(join), "00000");
    // Also of values its functions gather from short ones.
    let many = gathered.replace("'123456789'", "repeat('123456789', 2)");
    assert_eq!(code(&many), "00000");
    let many = many.replace(
        "FROM account) AS s",
        "FROM account, generate_series(1, 100)) AS s",
    );
    assert_eq!(code(&many), "54000");
    // What is asked for that is read from an index, and sorts nothing.
    let table = (one.engine.catalogue.with_rows())
        .find(|table| table.name == "account")
        .unwrap();
    let (table, column) = (table.id, table.columns[1].id);
    let sql = physical::longest_sql(table, column);
    let plan = format!("EXPLAIN QUERY PLAN {sql}");
    let mut plan = one.engine.writer.prepare(&plan).unwrap();
    let plan: Vec<String> = (plan.query_map([], |row| row.get(3)).unwrap())
        .collect::<Result<_, _>>()
        .unwrap();
    let index = physical::long_index_name(table, column);
    assert_eq!(plan.len(), 1, "{plan:?}");
    assert!(plan[0].contains(&index), "{plan:?}");
}

#[test]
fn what_functions_do_is_bounded() {
    let mut ledger = bounded(|_| {});
    let mut code = |call: &str, rows: u32| {
        let sql = format!(
            "UPDATE account SET balance = (SELECT count(*) FROM generate_series(1, {rows}) AS g WHERE {call}) WHERE id = 1"
        );
        ledger.one(&[(&sql, vec![])]).as_str().to_owned()
    };
    // Each match of the first looks at the whole rest of the text.
    let long = "regexp_count(repeat('A', 1000000 + g::int), '.*[^A-Z]|[A-Z]') = 3";
    assert_eq!(code(long, 1), "54000");
    for (call, rows) in [
        (
            "regexp_count(repeat('A', 1000 + g::int), '.*[^A-Z]|[A-Z]') = 3",
            10,
        ),
        (
            "regexp_replace(repeat('a b', 100000), '[a-z]', '', 'g') = g::text",
            10,
        ),
        ("('aaa' || g) ~ '^a{3}[0-9]+$'", 20_000),
        (
            "length(ltrim(repeat('a', 500000) || g, repeat('b', 500000) || 'a')) = 1",
            1,
        ),
        (
            "length(translate(repeat('a', 500000) || g, repeat('b', 500000) || 'a', 'x')) = 1",
            1,
        ),
        ("split_part(repeat('a,', 500000), ',', g::int) = 'b'", 10),
        (
            "to_char(TIMESTAMP '2026-01-01' + g * INTERVAL '1 second', 'HH24:MI') = 'x'",
            20_000,
        ),
    ] {
        assert_eq!(code(call, rows), "00000", "{call}");
    }
    let many = "'aaaaaaaaaaaaa' ~ ('(a|b|c|d|e|f){500}' || g)";
    assert_eq!(code(many, 100), "00000");
    assert_eq!(code(many, 50_000), "54000");
    // In definitions, too: this pattern is counted before it is found too large to compile (2201B).
    let named = "UPDATE account SET name = 'a' WHERE id = 1";
    assert_eq!(ledger.one(&[(named, vec![])]), Code::SUCCESS);
    let pattern = "((a{1000}){1000}){100}";
    for definition in [
        format!("CREATE INDEX i ON account ((regexp_count(name, '{pattern}')))"),
        format!("ALTER TABLE account ADD CONSTRAINT c CHECK (regexp_count(name, '{pattern}') < 9)"),
    ] {
        let code = ledger.one(&[(&definition, vec![])]);
        assert_eq!(code.as_str(), "54000", "{definition}");
    }
}
