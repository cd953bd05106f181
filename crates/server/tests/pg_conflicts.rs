//! What could go wrong: an update lost between a read and the write that follows from it, a conflict
//! seen where there is none, a transaction that insists on a version and is not heard.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::time::Duration;

use common::{Server, code};
use stele_core::transaction::Payload;
use stele_server::pg::PgConfig;
use tokio_postgres::{Client, SimpleQueryMessage};

async fn table(server: &Server) -> Client {
    let client = server.client().await;
    client
        .batch_execute(
            "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT, d DOUBLE PRECISION DEFAULT 0.5, at TIMESTAMPTZ DEFAULT now());
             INSERT INTO t (id, n) VALUES (1, 10), (2, 20)",
        )
        .await
        .unwrap();
    client
}

/// The one value a statement gives, as text.
async fn one(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap();
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.unwrap_or_default().to_owned()
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap();
}

async fn fails(client: &Client, sql: &str) -> String {
    code(&client.batch_execute(sql).await.unwrap_err()).to_owned()
}

/// Statements and digests of the newest transaction on the ledger.
fn submitted(server: &Server) -> Vec<(String, bool)> {
    let height = server.node.status().height;
    let block = server.node.block(height).unwrap().block;
    let Payload::Statements(statements) = &block.transactions[0].transaction.payload else {
        panic!("no statements");
    };
    let part = |s: &stele_core::transaction::Statement| (s.sql.clone(), s.result.is_some());
    statements.iter().map(part).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_what_was_read_must_still_hold_at_commit() {
    let server = Server::start().await;
    let (ours, theirs) = (table(&server).await, server.client().await);
    // The write is new, the read is old: 40001 at COMMIT at the latest.
    run(&ours, "BEGIN").await;
    assert_eq!(one(&ours, "SELECT n FROM t WHERE id = 1").await, "10");
    run(&ours, "UPDATE t SET n = 11 WHERE id = 1").await;
    run(&theirs, "UPDATE t SET n = 100 WHERE id = 1").await;
    let error = ours.batch_execute("COMMIT").await.unwrap_err();
    assert_eq!(code(&error), "40001");
    assert_eq!(
        error.as_db_error().unwrap().hint(),
        Some("run the transaction again")
    );
    assert_eq!(one(&theirs, "SELECT n FROM t WHERE id = 1").await, "100");
    // Already at the statement that comes after the change.
    run(&ours, "BEGIN").await;
    assert_eq!(one(&ours, "SELECT n FROM t WHERE id = 1").await, "100");
    run(&theirs, "UPDATE t SET n = 101 WHERE id = 1").await;
    assert_eq!(
        fails(&ours, "UPDATE t SET n = 0 WHERE id = 1").await,
        "40001"
    );
    assert_eq!(fails(&ours, "SELECT 1").await, "25P02");
    run(&ours, "ROLLBACK").await;
    // Others never wait, and what was not read does not matter.
    run(&ours, "BEGIN").await;
    assert_eq!(one(&ours, "SELECT n FROM t WHERE id = 1").await, "101");
    run(&ours, "UPDATE t SET n = n + 1 WHERE id = 1").await;
    run(&theirs, "UPDATE t SET n = 0 WHERE id = 2").await;
    run(&ours, "COMMIT").await;
    assert_eq!(one(&theirs, "SELECT n FROM t WHERE id = 1").await, "102");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_row_counts_returned_rows_and_assertions_are_compared() {
    let server = Server::start().await;
    let (ours, theirs) = (table(&server).await, server.client().await);
    for (statement, change) in [
        (
            "UPDATE t SET n = n + 1 WHERE n < 15",
            "UPDATE t SET n = 5 WHERE id = 2",
        ),
        (
            "UPDATE t SET n = n + 1 WHERE id = 1 RETURNING n",
            "UPDATE t SET n = 70 WHERE id = 1",
        ),
        (
            "DELETE FROM t WHERE id = 9; UPDATE t SET n = 1 WHERE id = 1",
            "INSERT INTO t (id, n) VALUES (9, 9)",
        ),
        (
            "SELECT stele_assert(EXISTS (SELECT 1 FROM t WHERE id = 2)); UPDATE t SET n = 1 WHERE id = 1",
            "DELETE FROM t WHERE id = 2",
        ),
    ] {
        run(&ours, "BEGIN").await;
        run(&ours, statement).await;
        run(&theirs, change).await;
        let failed = fails(&ours, "COMMIT").await;
        let wanted = if statement.contains("assert") {
            "P0004"
        } else {
            "40001"
        };
        assert_eq!(failed, wanted, "{statement}");
    }
    // A row count that can only be one is not written down.
    run(&ours, "BEGIN; INSERT INTO t (id, n) VALUES (30, 1)").await;
    assert_eq!(one(&ours, "SELECT count(*) FROM t").await, "3");
    run(&ours, "COMMIT").await;
    let seen: Vec<bool> = submitted(&server)
        .into_iter()
        .map(|(_, seen)| seen)
        .collect();
    assert_eq!(seen, [false, true]);
    // Nor is what nobody was shown before.
    run(&ours, "UPDATE t SET n = 2 WHERE id = 30").await;
    assert_eq!(
        submitted(&server),
        [("UPDATE t SET n = 2 WHERE id = 30".to_owned(), false)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_nothing_is_compared_that_has_no_single_answer() {
    let server = Server::start().await;
    let (ours, theirs) = (table(&server).await, server.client().await);
    let height = server.node.status().height;
    run(&ours, "BEGIN").await;
    assert_eq!(one(&ours, "SELECT n FROM t WHERE id = 1").await, "10");
    run(&ours, "COMMIT").await;
    assert_eq!(
        server.node.status().height,
        height,
        "reading submits nothing"
    );

    run(&ours, "BEGIN").await;
    let first = one(&ours, "SELECT now()").await;
    let drawn = one(&ours, "SELECT random()").await;
    for sql in [
        "SELECT current_user, version(), gen_random_uuid()",
        "SELECT id, now(), random() FROM t ORDER BY id",
        "SELECT n FROM t WHERE at <= now()",
        "SELECT sum(d) FROM t",
        "SELECT * FROM stele_history('t')",
        "SELECT stele_state_root()",
        "SELECT column_name FROM information_schema.columns",
    ] {
        run(&ours, sql).await;
    }
    run(&ours, "INSERT INTO t (id, n) VALUES (3, 30) ").await;
    for sql in [
        "SELECT id, at, random() FROM t ORDER BY id",
        "SELECT * FROM stele_history('t')",
        "SELECT sum(d) FROM t",
        "INSERT INTO t (id, n) VALUES (4, (random() * 1000)::bigint) RETURNING n, at",
        "SELECT n FROM t WHERE id = 4",
    ] {
        run(&ours, sql).await;
    }
    assert_ne!(one(&ours, "SELECT random()").await, drawn);
    // A block in between, and a time too old to be taken: now() is another one at COMMIT.
    run(&theirs, "CREATE TABLE other (id INT PRIMARY KEY)").await;
    tokio::time::sleep(Duration::from_millis(3_200)).await;
    assert_eq!(one(&ours, "SELECT now()").await, first);
    run(&ours, "COMMIT").await;
    assert_eq!(one(&ours, "SELECT count(*) FROM t").await, "4");
    let names: Vec<String> = submitted(&server).into_iter().map(|(sql, _)| sql).collect();
    assert!(
        names
            .iter()
            .all(|sql| !sql.contains("sum(d)") && !sql.contains("version")),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_rolled_back_reads_are_forgotten_and_too_many_end_writing() {
    let config = PgConfig {
        transaction_statements_max: 5,
        ..PgConfig::default()
    };
    let server = Server::with(config).await;
    let (ours, theirs) = (table(&server).await, server.client().await);
    run(&ours, "BEGIN; SAVEPOINT s").await;
    assert_eq!(one(&ours, "SELECT n FROM t WHERE id = 1").await, "10");
    run(&ours, "ROLLBACK TO s").await;
    run(&theirs, "UPDATE t SET n = 11 WHERE id = 1").await;
    run(&ours, "UPDATE t SET n = n + 1 WHERE id = 1; COMMIT").await;
    assert_eq!(one(&ours, "SELECT n FROM t WHERE id = 1").await, "12");

    run(&ours, "BEGIN").await;
    for _ in 0..20 {
        assert_eq!(one(&ours, "SELECT n FROM t WHERE id = 1").await, "12");
    }
    assert_eq!(fails(&ours, "UPDATE t SET n = 1").await, "54000");
    run(&ours, "ROLLBACK").await;
    run(&ours, "BEGIN READ ONLY").await;
    for _ in 0..20 {
        run(&ours, "SELECT n FROM t").await;
    }
    run(&ours, "COMMIT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_an_idle_transaction_is_ended_by_name() {
    let config = PgConfig {
        idle_transaction_timeout: Duration::from_millis(200),
        ..PgConfig::default()
    };
    let server = Server::with(config).await;
    let (ours, theirs) = (table(&server).await, server.client().await);
    run(&ours, "BEGIN").await;
    run(&ours, "UPDATE t SET n = 0").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(ours.batch_execute("COMMIT").await.is_err());
    assert_eq!(one(&theirs, "SELECT n FROM t WHERE id = 1").await, "10");
    let mut raw = server.raw().await;
    raw.query("BEGIN").await;
    let reply = raw.next().await.unwrap();
    assert_eq!(reply.field(b'C').as_deref(), Some("25P03"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a9_two_writers_race_and_exactly_one_succeeds() {
    let server = Server::start().await;
    let (ours, theirs) = (table(&server).await, server.client().await);
    for round in 0..10 {
        let version = one(&ours, "SELECT stele_table_version('t')").await;
        let strict = format!("BEGIN; SET LOCAL stele.expected_versions = 't:{version}'");
        let write = |id: i64| format!("UPDATE t SET n = {round} WHERE id = {id}");
        for (client, id) in [(&ours, 1), (&theirs, 2)] {
            run(client, &strict).await;
            run(client, &write(id)).await;
        }
        let (a, b) = tokio::join!(ours.batch_execute("COMMIT"), theirs.batch_execute("COMMIT"));
        let failures: Vec<_> = [a, b].into_iter().filter_map(Result::err).collect();
        assert_eq!(failures.len(), 1, "round {round}");
        assert_eq!(code(&failures[0]), "40001");
        assert_ne!(one(&ours, "SELECT stele_table_version('t')").await, version);
    }
    // Nothing of it stays with the session.
    run(&ours, "UPDATE t SET n = 0 WHERE id = 1").await;
    for (value, wanted) in [("t", "22023"), ("t:1", "22023"), ("nowhere:1:0", "42P01")] {
        run(
            &ours,
            &format!("BEGIN; SET LOCAL stele.expected_versions = '{value}'"),
        )
        .await;
        run(&ours, "UPDATE t SET n = 5 WHERE id = 1").await;
        assert_eq!(fails(&ours, "COMMIT").await, wanted);
        run(&ours, "ROLLBACK").await;
    }
}
