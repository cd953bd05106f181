//! What tokio-postgres, Rust's driver, does: it asks the server for parameter types, sends arrays in
//! binary, pipelines, copies, cancels and proves passwords.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::time::Duration;

use common::{PATIENCE, Server, code};
use futures::{SinkExt as _, future};
use stele_flow::real::SystemRandom;
use stele_server::access::Verifier;
use tokio_postgres::NoTls;
use tokio_postgres::types::Type;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a25_types_are_inferred_and_arrays_are_taken() {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR(20), small SMALLINT, ok BOOLEAN, raw BYTEA)")
        .await
        .unwrap();
    let insert = client
        .prepare("INSERT INTO t VALUES ($1, $2, $3, $4, $5) RETURNING id, name")
        .await
        .unwrap();
    assert_eq!(
        insert.params(),
        [
            Type::INT8,
            Type::VARCHAR,
            Type::INT2,
            Type::BOOL,
            Type::BYTEA
        ]
    );
    for id in 0..10_i64 {
        let name = (id % 2 == 0).then(|| format!("n{id}"));
        let row = client
            .query_one(&insert, &[&id, &name, &(id as i16), &true, &vec![1_u8, 2]])
            .await
            .unwrap();
        assert_eq!(row.get::<_, i64>(0), id);
        assert_eq!(row.get::<_, Option<String>>(1), name);
    }
    let wanted = vec![2_i64, 4, 77];
    let rows = client
        .query(
            "SELECT id FROM t WHERE id = ANY($1) ORDER BY id",
            &[&wanted],
        )
        .await
        .unwrap();
    let found: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, [2, 4]);
    let all: Vec<i64> = client
        .query_one(
            "SELECT array_agg(id ORDER BY id) FROM t WHERE small < $1",
            &[&3_i16],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(all, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a25_statements_are_pipelined_and_copied() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client
        .batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
        .await
        .unwrap();
    let insert = client
        .prepare("INSERT INTO t VALUES ($1, $2)")
        .await
        .unwrap();
    // Polled together, they are sent before the first is answered.
    let texts: Vec<(i32, String)> = (0..200).map(|id| (id, id.to_string())).collect();
    let parameters: Vec<[&(dyn tokio_postgres::types::ToSql + Sync); 2]> = texts
        .iter()
        .map(|(id, text)| [id as _, text as _])
        .collect();
    let sent = parameters
        .iter()
        .map(|parameters| client.execute(&insert, parameters));
    let counts = future::try_join_all(sent).await.unwrap();
    assert_eq!(counts.iter().sum::<u64>(), 200);
    // One that fails leaves the others alone.
    let (again, more) = tokio::join!(
        client.execute(&insert, &[&5, &"x"]),
        client.execute(&insert, &[&500, &"x"])
    );
    assert_eq!(code(&again.unwrap_err()), "23505");
    assert_eq!(more.unwrap(), 1);
    let sink = client.copy_in("COPY t FROM STDIN").await.unwrap();
    futures::pin_mut!(sink);
    sink.send(bytes::Bytes::from_static(b"1000\tcopied\n1001\t\\N\n"))
        .await
        .unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let transaction = client.transaction().await.unwrap();
    transaction
        .execute("DELETE FROM t WHERE id < $1", &[&1000])
        .await
        .unwrap();
    let left: i64 = transaction
        .query_one("SELECT count(*) FROM t", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 2);
    transaction.rollback().await.unwrap();
    let all: i64 = client
        .query_one("SELECT count(*) FROM t", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(all, 203);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a25_a_statement_is_cancelled() {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .batch_execute(
            "CREATE TABLE d (d INTEGER PRIMARY KEY); INSERT INTO d SELECT g FROM generate_series(0, 9) AS g",
        )
        .await
        .unwrap();
    let token = client.cancel_token();
    let query = client.simple_query("SELECT count(*) FROM d a, d b, d c, d d, d e, d f, d g, d h");
    tokio::pin!(query);
    let cancelled = async {
        loop {
            tokio::select! {
                ended = &mut query => break ended,
                () = tokio::time::sleep(Duration::from_millis(10)) => {
                    token.cancel_query(NoTls).await.unwrap();
                }
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, cancelled).await.unwrap();
    assert_eq!(code(&ended.unwrap_err()), "57014");
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a25_a_password_is_proved() {
    let server = Server::start().await;
    let line = Verifier::of_password("pencil", &SystemRandom)
        .unwrap()
        .to_text();
    let keys = server.node.keys();
    keys.set_password_verifier("operator", Some(&line)).unwrap();
    let login = async |password: &str| {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(server.address.port())
            .user("operator")
            .password(password);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        client.simple_query("SELECT 1").await
    };
    login("pencil").await.unwrap();
    assert_eq!(code(&login("pencils").await.unwrap_err()), "28P01");
    // Without one the driver gives up by itself.
    assert!(server.client_as("operator").await.is_err());
    keys.set_password_verifier("operator", None).unwrap();
    server.client_as("operator").await.unwrap();
}
