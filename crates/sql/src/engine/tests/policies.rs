//! What could go wrong: a row that a policy hides shows all the same, as a value, as a count or by an
//! error that only such a row can raise. So each question is asked of two ledgers, one with hidden rows
//! and one without: **the answers must be equal**, to the words of their errors.

use std::sync::Arc;

use stele_core::crypto::SecretKey;
use stele_core::transaction::Statement;
use stele_core::{AccountId, Hash};

use super::support::*;
use crate::engine::{PreviewRequest, ReadOptions};
use crate::function::{Past, PastBlock};

struct Blocks(AccountId);

impl Past for Blocks {
    fn height_at(&self, time_us: i64, tip: u64) -> Result<u64, String> {
        Ok(tip.min(u64::try_from(time_us).unwrap_or(0)))
    }

    fn block(&self, height: u64) -> Result<Option<PastBlock>, String> {
        let transactions = vec![(block_hash(height), self.0); 4];
        let time_us = i64::try_from(height).unwrap();
        Ok(Some(PastBlock {
            time_us,
            transactions,
        }))
    }
}

fn bob() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

fn run(ledger: &mut Ledger, sql: &str) {
    let statements: Vec<_> = sql.split(';').map(|one| (one, vec![])).collect();
    let code = ledger.one(&statements);
    assert!(code.is_success(), "{sql}: {code}");
}

/// A policy that SQLite tests first of itself, and one it would test last: with a correlated sub-select.
const POLICIES: [&str; 2] = [
    "author = current_user",
    "EXISTS (SELECT 1 FROM known k WHERE k.name = current_user AND k.name = note.author)",
];

/// Bob sees his notes; the owner has others, in one of the two ledgers.
fn ledger(with_hidden_rows: bool, policy: &str) -> Ledger {
    let mut ledger = Ledger::in_memory();
    let anna = SecretKey::from_seed(&[1; 32]);
    let asks = AccountId::of_key(SUITE, &bob().public());
    ledger.engine.readers().set_past(Arc::new(Blocks(asks)));
    let tables = "CREATE SCHEMA Team;
         CREATE TABLE team.note (id INT PRIMARY KEY, author VARCHAR(80), n INT, body TEXT, day DATE);
         CREATE INDEX note_n ON team.note (n);
         CREATE TABLE note (id INT PRIMARY KEY, body TEXT);
         CREATE TABLE child (id INT PRIMARY KEY, note INT);
         CREATE TABLE idle (id INT PRIMARY KEY);
         ALTER TABLE team.note ENABLE ROW LEVEL SECURITY;
         CREATE TABLE known (name VARCHAR(80) PRIMARY KEY);
         GRANT SELECT ON known TO PUBLIC;
         CREATE POLICY own ON team.note USING (POLICY);
         CREATE VIEW pair AS SELECT a.id, b.body FROM note a JOIN note b ON a.id = b.id;
         GRANT USAGE ON SCHEMA team TO PUBLIC;
         GRANT ALL ON team.note TO PUBLIC;
         GRANT ALL ON note TO PUBLIC;
         GRANT ALL ON child TO PUBLIC;
         GRANT ALL ON pair TO PUBLIC;
         INSERT INTO note VALUES (1, 'open');
         INSERT INTO child VALUES (1, 1), (2, 2), (3, 4);
         INSERT INTO known VALUES ('BOB')";
    let tables = tables.replace("(POLICY)", &format!("({policy})"));
    run(&mut ledger, &tables.replace("BOB", &asks.to_string()));
    ledger.key = bob();
    run(
        &mut ledger,
        "INSERT INTO team.note VALUES (1, current_user, 1, 'mine 1', '2026-01-01'), (5, current_user, 5, 'mine 5', NULL)",
    );
    ledger.key = anna;
    let hidden = [
        "INSERT INTO team.note VALUES (2, 'eve', 0, 'secret 2', '2026-02-02'), (3, 'eve', 3, '77', NULL), (4, NULL, 2147483647, 'secret 4', NULL)",
        "UPDATE team.note SET n = 3, body = body || ' secret' WHERE author = 'eve' OR author IS NULL",
        "DELETE FROM team.note WHERE id = 2",
    ];
    for sql in hidden {
        let sql = if with_hidden_rows {
            sql
        } else {
            "DELETE FROM idle"
        };
        run(&mut ledger, sql);
    }
    run(
        &mut ledger,
        "UPDATE team.note SET n = n + 10 WHERE id IN (1, 5)",
    );
    ledger.key = bob();
    ledger
}

/// Questions a curious client asks.
const READS: &[&str] = &[
    "SELECT * FROM team.note",
    "SELECT * FROM team.note WHERE id = 3 OR 1=1",
    "SELECT * FROM team.note WHERE id = 3 OR author IS NULL OR '' = ''",
    "select * from TEAM.Note where ID in (1,2,3,4,5)",
    "SELECT * FROM \"team\".\"note\" AS \"Note\" WHERE \"Note\".\"id\" > 0",
    "SELECT id FROM note UNION ALL SELECT id FROM team.note",
    "SELECT id FROM team.note EXCEPT SELECT id FROM note",
    "SELECT (SELECT max(body) FROM team.note), (SELECT count(*) FROM team.note WHERE n = 3)",
    "SELECT c.id, (SELECT body FROM team.note t WHERE t.id = c.note + 2) FROM child c ORDER BY 1",
    "SELECT c.id FROM child c WHERE EXISTS (SELECT 1 FROM team.note t WHERE t.id = c.note)",
    "SELECT c.id FROM child c WHERE c.note NOT IN (SELECT id FROM team.note)",
    "SELECT c.id, t.body FROM child c LEFT JOIN team.note t ON t.id = c.note ORDER BY 1",
    "SELECT c.id, t.body FROM child c LEFT JOIN team.note t ON t.id = c.note WHERE t.n > 2 ORDER BY 1",
    "SELECT c.id, t.body FROM team.note t RIGHT JOIN child c ON t.id = c.note + 1 WHERE t.id IS NULL ORDER BY 1",
    "SELECT c.id, t.id FROM team.note t FULL JOIN child c ON t.id = c.note ORDER BY 1, 2",
    "WITH x AS (SELECT * FROM team.note) SELECT count(*), sum(n), min(body) FROM x",
    "WITH RECURSIVE x(id) AS (SELECT 1 UNION ALL SELECT t.id FROM x JOIN team.note t ON t.id = x.id + 1) SELECT * FROM x",
    "WITH note AS (SELECT 1 AS id) SELECT note.id, t.body FROM note JOIN team.note t ON t.id >= note.id",
    "SELECT count(*), count(author), sum(n), avg(n), min(n), max(n) FROM team.note",
    "SELECT n, count(*) FROM team.note GROUP BY ROLLUP (n) ORDER BY 1",
    "SELECT id, rank() OVER (ORDER BY n), lag(body) OVER (ORDER BY id) FROM team.note ORDER BY id",
    "SELECT DISTINCT ON (author) body FROM team.note ORDER BY author, id DESC",
    "SELECT * FROM team.note WHERE 10 / (n - 3) > 0",
    "SELECT id FROM team.note WHERE id = 3 AND 1 / (n - 3) = 0",
    "SELECT id FROM team.note WHERE n + 2147483647 > 0",
    "SELECT id FROM team.note WHERE n = 3 AND CAST(body AS INTEGER) = 77",
    "SELECT CAST(body AS DATE) FROM team.note",
    "SELECT id FROM team.note WHERE stele_assert(body <> '77', body)",
    "SELECT id FROM team.note WHERE CASE WHEN body LIKE 'secret%' THEN 1 / (id - id) ELSE 1 END = 1",
    "SELECT id FROM team.note ORDER BY 1 / (n - 3)",
    "SELECT max(1 / (n - 3)) FROM team.note",
    "SELECT id FROM team.note GROUP BY id HAVING max(1 / (n - 3)) >= 0 ORDER BY 1",
    "SELECT c.id FROM child c JOIN team.note t ON 1 / (t.n - 3) >= 0 ORDER BY 1",
    "SELECT c.id FROM child c LEFT JOIN team.note t ON 1 / (t.n - 3) >= 0 AND t.id = c.note ORDER BY 1",
    "SELECT x.id FROM (SELECT * FROM team.note) x WHERE 1 / (x.n - 3) >= 0 ORDER BY 1",
    "SELECT x.id FROM (SELECT id, n FROM team.note UNION ALL SELECT id, n FROM team.note) x WHERE 1 / (x.n - 3) >= 0 ORDER BY 1",
    "SELECT (SELECT 1 / (t.n - 3) FROM team.note t WHERE t.id = c.note + 2) FROM child c",
    "SELECT id FROM team.note WHERE regexp_replace(body, '(', '') = ''",
    "SELECT id FROM team.note LIMIT (SELECT count(*) FROM team.note)",
    "SELECT * FROM pair JOIN team.note USING (id)",
    "SELECT * FROM team.note FOR SYSTEM_TIME AS OF 3 ORDER BY id",
    "SELECT * FROM team.note FOR SYSTEM_TIME AS OF 4 WHERE 1 / (n - 3) >= 0 ORDER BY id",
    "SELECT * FROM stele_history('team.note') ORDER BY id, _from_height",
    "SELECT count(*) FROM stele_history('team.note') WHERE body LIKE '%secret%' OR 1 / (n - 3) < 5",
    "SELECT _height, _operation, id, old_body, new_body FROM stele_changes('team.note') ORDER BY 1, 3",
    "SELECT count(*) FROM stele_changes('team.note') WHERE 1 / (old_n - 3) < 5 OR CAST(new_body AS INT) = 1",
    "SELECT * FROM stele_diff('team.note', 2, 6) ORDER BY id",
    "SELECT * FROM stele_diff('team.note', 2, 6) WHERE 1 / (new_n - 3) < 5 ORDER BY id",
];

/// And what one may try by writing. The answer is what the last statement gives.
const WRITES: &[&[&str]] = &[
    &["UPDATE team.note SET body = 'x' RETURNING *"],
    &["UPDATE team.note SET body = 'x' WHERE id = 3 OR 1=1"],
    &["UPDATE team.note SET n = 1 / (n - 3) RETURNING id"],
    &["UPDATE team.note SET body = 'x' WHERE 1 / (n - 3) >= 0"],
    &["UPDATE team.note SET body = 'x' WHERE n = 3 AND CAST(body AS DATE) IS NULL"],
    &[
        "UPDATE team.note SET body = o.body FROM team.note o WHERE o.id <> team.note.id AND 1 / (note.n - 3) >= 0",
    ],
    &["UPDATE team.note SET body = (SELECT max(o.body) FROM team.note o WHERE 1 / (o.n - 3) >= 0)"],
    &["UPDATE child SET note = t.id FROM team.note t WHERE t.n = child.id"],
    &[
        "UPDATE child SET note = (SELECT count(*) FROM team.note)",
        "SELECT * FROM child ORDER BY id",
    ],
    &["DELETE FROM team.note RETURNING *"],
    &["DELETE FROM team.note WHERE 1 / (n - 3) >= 0"],
    &["DELETE FROM team.note WHERE id = 3"],
    &["DELETE FROM team.note USING child c WHERE c.note < 1 / (team.note.n - 3)"],
    &[
        "DELETE FROM child USING team.note t WHERE t.id = child.note",
        "SELECT * FROM child ORDER BY id",
    ],
    &[
        "INSERT INTO child SELECT id + 100, n FROM team.note",
        "SELECT * FROM child ORDER BY id",
    ],
    &[
        "INSERT INTO child SELECT 100, count(*) FROM team.note",
        "SELECT * FROM child ORDER BY id",
    ],
    &["WITH x AS (SELECT id FROM team.note) INSERT INTO child SELECT id + 100, 0 FROM x"],
    &["INSERT INTO team.note SELECT id + 100, author, n, body, day FROM team.note RETURNING *"],
    &[
        "INSERT INTO team.note VALUES (1, current_user, 0, 'new', NULL) ON CONFLICT (id) DO UPDATE SET body = note.body || excluded.body RETURNING *",
    ],
    &["INSERT INTO team.note VALUES (9, 'eve', 0, 'x', NULL)"],
    &[
        "INSERT INTO team.note VALUES (9, current_user, 0, 'x', NULL)",
        "UPDATE team.note SET author = 'eve' WHERE id = 9",
    ],
    &["TRUNCATE team.note"],
];

#[test]
fn a8_a_hidden_row_leaves_no_trace_in_what_is_read() {
    POLICIES.iter().for_each(|policy| nothing_is_read(policy));
}

fn nothing_is_read(policy: &str) {
    let (with, without) = (ledger(true, policy), ledger(false, policy));
    let ask = |ledger: &Ledger, sql: &str| {
        let readers = ledger.engine.readers();
        let done = readers.query_at(
            ledger.account(),
            sql,
            &[],
            5,
            [0; 16],
            ReadOptions::default(),
        );
        done.map_err(|error| error.to_string())
    };
    // The questions can tell: they do for the owner, who sees all rows.
    let mut told = 0;
    let owner = AccountId::of_key(SUITE, &SecretKey::from_seed(&[1; 32]).public());
    for sql in READS {
        let ask = |ledger: &Ledger| {
            let done = ledger.engine.readers().query_at(
                owner,
                sql,
                &[],
                5,
                [0; 16],
                ReadOptions::default(),
            );
            format!("{:?}", done.map_err(|error| error.to_string()))
        };
        told += usize::from(ask(&with) != ask(&without));
    }
    assert!(told >= 40, "{told} of {}", READS.len());
    for sql in READS {
        let (got, wanted) = (ask(&with, sql), ask(&without, sql));
        let told = format!("{got:?}");
        assert!(!told.contains("secret"), "{sql}: {told}");
        assert!(!told.contains("XX000"), "{sql}: {told}");
        assert_eq!(told, format!("{wanted:?}"), "{sql}");
    }
}

#[test]
fn a8_a_hidden_row_leaves_no_trace_in_what_is_written() {
    POLICIES
        .iter()
        .for_each(|policy| nothing_is_written(policy));
}

fn nothing_is_written(policy: &str) {
    let (mut with, mut without) = (ledger(true, policy), ledger(false, policy));
    let try_it = |ledger: &mut Ledger, id: u64, sql: &[&str]| {
        let statements: Vec<Statement> = sql
            .iter()
            .map(|sql| Statement {
                sql: (*sql).to_owned(),
                parameters: vec![],
                result: None,
            })
            .collect();
        let request = PreviewRequest {
            id,
            account: ledger.account(),
            statements: &statements,
            from: 0,
            extra: None,
            now_us: 5,
            seed: [0; 16],
            cancel: None,
        };
        let done = ledger.engine.preview(&request).unwrap();
        format!("{:?} {:?}", done.results, done.failure)
    };
    for (id, sql) in (1..).zip(WRITES) {
        let (got, wanted) = (try_it(&mut with, id, sql), try_it(&mut without, id, sql));
        assert!(!got.contains("secret"), "{sql:?}: {got}");
        assert!(!got.contains("XX000"), "{sql:?}: {got}");
        assert_eq!(got, wanted, "{sql:?}");
    }
}

#[test]
fn a8_an_index_serves_a_table_of_which_rows_are_hidden() {
    let ledger = ledger(true, POLICIES[0]);
    let readers = ledger.engine.readers();
    for (sql, index) in [
        ("SELECT body FROM team.note WHERE id = 3", "(id=?)"),
        (
            "SELECT body FROM team.note WHERE n >= 2 AND body <> 'x'",
            "(n>?)",
        ),
        (
            "SELECT body FROM team.note t WHERE t.id = $1 AND 1 / t.n = 0",
            "(id=?)",
        ),
    ] {
        let plan = readers
            .explain(ledger.account(), sql, ReadOptions::default())
            .unwrap()
            .join("\n");
        assert!(
            plan.contains("SEARCH") && plan.contains(index),
            "{sql}: {plan}"
        );
    }
}

/// Two engines give one root, whatever the policies say.
#[test]
fn a8_engines_agree() {
    let statements = [
        "INSERT INTO team.note VALUES (50, current_user, 1, 'x', NULL)",
        "INSERT INTO team.note VALUES (51, 'eve', 1, 'x', NULL)",
        "UPDATE team.note SET n = 1 / (n - 3)",
        "INSERT INTO team.note VALUES (3, current_user, 1, 'x', NULL) ON CONFLICT (id) DO UPDATE SET n = 9",
        "DELETE FROM team.note WHERE n < 4",
    ];
    let mut roots: Vec<Hash> = Vec::new();
    for _ in 0..2 {
        let mut ledger = ledger(true, POLICIES[1]);
        for sql in statements {
            ledger.one(&[(sql, vec![])]);
        }
        roots.push(ledger.root());
    }
    assert_eq!(roots[0], roots[1]);
}
