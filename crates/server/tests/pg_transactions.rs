//! What could go wrong: a transaction seen before it is committed, half of one committed, a
//! failed statement forgotten, a result given to the wrong statement.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use common::{Server, bind, code, execute, kinds, parse, sync};
use tokio_postgres::{Client, SimpleQueryMessage};

async fn table(server: &Server) -> Client {
    let client = server.client().await;
    client
        .batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT)")
        .await
        .unwrap();
    client
}

async fn ids(client: &Client) -> Vec<i64> {
    let rows = client
        .query("SELECT id FROM t ORDER BY id", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_write_is_committed_when_it_is_answered() {
    let server = Server::start().await;
    let client = table(&server).await;
    let inserted = client
        .execute("INSERT INTO t VALUES ($1, $2)", &[&1i64, &"one"])
        .await
        .unwrap();
    assert_eq!(inserted, 1);
    let other = server.client().await;
    let row = other
        .query_one("SELECT name FROM t WHERE id = $1", &[&1i64])
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "one");
    let row = client
        .query_one(
            "UPDATE t SET name = $2 WHERE id = $1 RETURNING id, name",
            &[&1i64, &"uno"],
        )
        .await
        .unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, String>(1)),
        (1, "uno".to_owned())
    );
    let error = client
        .execute("INSERT INTO t VALUES (1, 'again')", &[])
        .await
        .unwrap_err();
    assert_eq!(code(&error), "23505");
    assert!(error.as_db_error().unwrap().constraint().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_seen_by_itself_only() {
    let server = Server::start().await;
    let mut client = table(&server).await;
    let other = server.client().await;
    let transaction = client.transaction().await.unwrap();
    transaction
        .execute("INSERT INTO t VALUES ($1, $2)", &[&1i64, &"one"])
        .await
        .unwrap();
    let seen = transaction
        .query("SELECT id, name FROM t", &[])
        .await
        .unwrap();
    assert_eq!(seen.len(), 1);
    assert!(ids(&other).await.is_empty());
    transaction
        .execute("INSERT INTO t VALUES ($1, $2)", &[&2i64, &"two"])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(ids(&other).await, [1, 2]);
    assert_eq!(
        server
            .node
            .block(server.node.status().height)
            .unwrap()
            .block
            .transactions
            .len(),
        1
    );

    let transaction = client.transaction().await.unwrap();
    transaction.execute("DELETE FROM t", &[]).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(ids(&other).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_transaction_takes_only_rollback() {
    let server = Server::start().await;
    let client = table(&server).await;
    client.batch_execute("BEGIN").await.unwrap();
    client
        .batch_execute("INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    let error = client
        .batch_execute("INSERT INTO t VALUES (1, 'b')")
        .await
        .unwrap_err();
    assert_eq!(code(&error), "23505");
    let error = client.batch_execute("SELECT 1").await.unwrap_err();
    assert_eq!(code(&error), "25P02");
    let error = client.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(code(&error), "25P02");
    let mut raw = server.raw().await;
    raw.query("BEGIN").await;
    let replies = raw.query("SELECT no_such_column FROM t").await;
    assert_eq!(replies.last().unwrap().body, b"E");
    let replies = raw.query("COMMIT").await;
    assert_eq!(replies[0].text(), "ROLLBACK");
    assert_eq!(replies.last().unwrap().body, b"I");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert!(ids(&client).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn savepoints() {
    let server = Server::start().await;
    let mut client = table(&server).await;
    let mut outer = client.transaction().await.unwrap();
    outer
        .execute("INSERT INTO t VALUES (1, 'a')", &[])
        .await
        .unwrap();
    let inner = outer.transaction().await.unwrap();
    inner
        .execute("INSERT INTO t VALUES (2, 'b')", &[])
        .await
        .unwrap();
    assert!(
        inner
            .execute("INSERT INTO t VALUES (2, 'b')", &[])
            .await
            .is_err()
    );
    inner.rollback().await.unwrap();
    let inner = outer.transaction().await.unwrap();
    inner
        .execute("INSERT INTO t VALUES (3, 'c')", &[])
        .await
        .unwrap();
    inner.commit().await.unwrap();
    outer.commit().await.unwrap();
    assert_eq!(ids(&client).await, [1, 3]);
    let error = client.batch_execute("SAVEPOINT s").await.unwrap_err();
    assert_eq!(code(&error), "25P01");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_several_statements_is_one_transaction() {
    let server = Server::start().await;
    let client = table(&server).await;
    let error = client
        .batch_execute("INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (1, 'b')")
        .await
        .unwrap_err();
    assert_eq!(code(&error), "23505");
    assert!(ids(&client).await.is_empty());
    let messages = client
        .simple_query("INSERT INTO t VALUES (1, 'a'); SELECT name FROM t; UPDATE t SET name = 'c'")
        .await
        .unwrap();
    let rows = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect::<Vec<_>>();
    assert_eq!(rows, ["a"]);
    assert_eq!(ids(&client).await, [1]);
    // A place in the message, not in the statement.
    let error = client.batch_execute("SELECT 1; SELEC 2").await.unwrap_err();
    let position = error.as_db_error().unwrap().position().cloned();
    assert_eq!(
        position,
        Some(tokio_postgres::error::ErrorPosition::Original(11))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn begin_and_commit_in_one_message() {
    let server = Server::start().await;
    let client = table(&server).await;
    let mut raw = server.raw().await;
    let replies = raw
        .query("BEGIN; INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b'); COMMIT")
        .await;
    assert_eq!(kinds(&replies), "CCCCZ");
    assert_eq!(replies[1].text(), "INSERT 0 1");
    assert_eq!(ids(&client).await, [1, 2]);
    let replies = raw
        .query("BEGIN; INSERT INTO t VALUES (3, 'a'); INSERT INTO t VALUES (1, 'b'); COMMIT")
        .await;
    assert_eq!(kinds(&replies), "CCEZ");
    assert_eq!(replies.last().unwrap().body, b"E");
    raw.query("ROLLBACK").await;
    assert_eq!(ids(&client).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_between_two_syncs_are_one_transaction() {
    let server = Server::start().await;
    let client = table(&server).await;
    let mut raw = server.raw().await;
    let insert = "INSERT INTO t VALUES ($1, $2)";
    let mut batch = parse(insert);
    for id in ["1", "2", "3"] {
        batch.extend([bind(&[id, "x"]), execute()].concat());
    }
    batch.extend(sync());
    raw.send_bytes(&batch).await;
    assert_eq!(kinds(&raw.until_ready().await), "12C2C2CZ");
    assert_eq!(ids(&client).await, [1, 2, 3]);

    // The second of three fails: the first has a result, the third none, nothing has an effect.
    let mut batch = parse(insert);
    for id in ["4", "1", "5"] {
        batch.extend([bind(&[id, "x"]), execute()].concat());
    }
    batch.extend(sync());
    raw.send_bytes(&batch).await;
    let replies = raw.until_ready().await;
    assert_eq!(kinds(&replies), "12C2EZ");
    assert_eq!(replies[4].field(b'C').unwrap(), "23505");
    assert_eq!(replies.last().unwrap().body, b"I");
    assert_eq!(ids(&client).await, [1, 2, 3]);

    // A read in the batch sees the write before it.
    let batch = [
        parse(insert),
        bind(&["6", "six"]),
        execute(),
        parse("SELECT name FROM t WHERE id = 6"),
        bind(&[]),
        execute(),
        sync(),
    ];
    raw.send_bytes(&batch.concat()).await;
    let replies = raw.until_ready().await;
    assert_eq!(kinds(&replies), "12C12DCZ");
    assert_eq!(ids(&client).await, [1, 2, 3, 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_made_in_a_transaction_can_be_used_in_it() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let transaction = client.transaction().await.unwrap();
    transaction
        .batch_execute("CREATE TABLE made (id BIGINT PRIMARY KEY, name TEXT)")
        .await
        .unwrap();
    transaction
        .batch_execute("INSERT INTO made VALUES (1, 'a')")
        .await
        .unwrap();
    let messages = transaction
        .simple_query("SELECT name FROM made")
        .await
        .unwrap();
    assert!(
        messages.iter().any(
            |message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("a"))
        )
    );
    transaction.commit().await.unwrap();
    let rows = client.query("SELECT id FROM made", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_gives_rows_in_pieces() {
    let server = Server::start().await;
    let mut client = table(&server).await;
    client
        .batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')")
        .await
        .unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction
        .bind("SELECT id FROM t ORDER BY id", &[])
        .await
        .unwrap();
    let mut sizes = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 2).await.unwrap();
        if rows.is_empty() {
            break;
        }
        sizes.push(rows.len());
    }
    assert_eq!(sizes, [2, 2, 1]);
    let portal = transaction
        .bind("UPDATE t SET name = 'z' RETURNING id", &[])
        .await
        .unwrap();
    assert_eq!(transaction.query_portal(&portal, 2).await.unwrap().len(), 2);
    assert_eq!(transaction.query_portal(&portal, 0).await.unwrap().len(), 3);
    transaction.commit().await.unwrap();
    let row = client
        .query_one("SELECT count(*) FROM t WHERE name = 'z'", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_transaction_refuses_writes() {
    let server = Server::start().await;
    let client = table(&server).await;
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    let error = client
        .batch_execute("INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap_err();
    assert_eq!(code(&error), "25006");
    client.batch_execute("ROLLBACK").await.unwrap();
    client
        .batch_execute("INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    assert_eq!(ids(&client).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_of_transaction_control() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    assert_eq!(kinds(&raw.query("COMMIT").await), "NCZ");
    assert_eq!(kinds(&raw.query("ROLLBACK").await), "NCZ");
    assert_eq!(kinds(&raw.query("BEGIN").await), "CZ");
    let replies = raw.query("BEGIN").await;
    assert_eq!(kinds(&replies), "NCZ");
    assert_eq!(replies[0].field(b'C').unwrap(), "25001");
    assert_eq!(replies[2].body, b"T");
    assert_eq!(kinds(&raw.query("").await), "IZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_gives_rows_in_pieces() {
    let server = Server::start().await;
    let client = table(&server).await;
    client
        .batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        .await
        .unwrap();
    let mut raw = server.raw().await;
    let declare = "DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id";
    assert_eq!(raw.query(declare).await[0].field(b'C').unwrap(), "25P01");
    raw.query("BEGIN").await;
    assert_eq!(kinds(&raw.query(declare).await), "CZ");
    assert_eq!(kinds(&raw.query("FETCH 2 FROM c").await), "TDDCZ");
    let replies = raw.query("FETCH ALL FROM c").await;
    assert_eq!(kinds(&replies), "TDCZ");
    assert_eq!(replies[2].text(), "FETCH 1");
    assert_eq!(kinds(&raw.query("CLOSE c").await), "CZ");
    assert_eq!(raw.query("FETCH c").await[0].field(b'C').unwrap(), "34000");
    raw.query("ROLLBACK").await;
    // As a driver does it: declared with a parameter, held, described as a portal.
    let batch = [
        parse("DECLARE h CURSOR WITH HOLD FOR SELECT id, name FROM t WHERE id > $1"),
        bind(&["1"]),
        execute(),
        sync(),
    ];
    raw.send_bytes(&batch.concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "12CZ");
    raw.send(b'D', b"Ph\0").await;
    let batch = [
        parse("FETCH FORWARD 5 FROM h"),
        bind(&[]),
        execute(),
        sync(),
    ];
    raw.send_bytes(&batch.concat()).await;
    assert_eq!(kinds(&raw.until_ready().await), "T12DDCZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_arrive_together_are_answered_as_one_by_one() {
    let insert = |id: &str| [bind(&[id]), execute(), sync()].concat();
    for failing in [None, Some(0), Some(2), Some(4)] {
        let mut answers = Vec::new();
        for together in [false, true] {
            let server = Server::start().await;
            table(&server)
                .await
                .batch_execute("INSERT INTO t VALUES (0, 'there')")
                .await
                .unwrap();
            let mut raw = server.raw().await;
            raw.query("BEGIN").await;
            let prepare = [parse("INSERT INTO t VALUES ($1, 'x')"), sync()].concat();
            raw.send_bytes(&prepare).await;
            raw.until_ready().await;
            let mut batches: Vec<Vec<u8>> = (0..5)
                .map(|place| {
                    insert(if failing == Some(place) {
                        "0"
                    } else {
                        ["1", "2", "3", "4", "5"][place]
                    })
                })
                .collect();
            // A read, and a batch of two, end what waits.
            batches.insert(
                3,
                [
                    parse("SELECT count(*) FROM t"),
                    bind(&[]),
                    execute(),
                    sync(),
                ]
                .concat(),
            );
            batches.insert(
                4,
                [parse("INSERT INTO t VALUES ($1, 'x')"), sync()].concat(),
            );
            let mut replies = Vec::new();
            if together {
                raw.send_bytes(&batches.concat()).await;
                for _ in &batches {
                    replies.push(raw.until_ready().await);
                }
            } else {
                for batch in &batches {
                    raw.send_bytes(batch).await;
                    replies.push(raw.until_ready().await);
                }
            }
            let ended = raw.query("COMMIT").await;
            let count = raw.query("SELECT count(*) FROM t").await;
            answers.push((replies, ended, count));
        }
        assert_eq!(answers[0], answers[1], "failing {failing:?}");
    }
}
