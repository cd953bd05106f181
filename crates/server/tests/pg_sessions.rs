//! What could go wrong: strangers let in, bounds not kept, a session that hangs or is forgotten.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::time::Duration;

use common::{PATIENCE, Server, code, kinds};
use stele_server::pg::{PgConfig, ServeError, serve};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_user_is_told_how_to_become_one() {
    let server = Server::start().await;
    let error = server.client_as("nobody").await.err().unwrap();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "28000");
    assert_eq!(error.severity(), "FATAL");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("operator") && hint.contains("stele keys new nobody"),
        "{hint}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_loopback_is_served() {
    let server = Server::start().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let never = std::future::pending::<()>();
    let refused = serve(listener, server.node.clone(), PgConfig::default(), never).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, ServeError::NotLoopback { .. }));
    assert!(error.to_string().contains("TLS"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded() {
    let server = Server::with(PgConfig {
        connections_max: 2,
        ..PgConfig::default()
    })
    .await;
    let first = server.client().await;
    let _second = server.client().await;
    let error = server.client_as("operator").await.err().unwrap();
    assert_eq!(code(&error), "53300");
    drop(first);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while server.client_as("operator").await.is_err() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_transaction_is_ended() {
    let server = Server::with(PgConfig {
        idle_transaction_timeout: Duration::from_millis(200),
        ..PgConfig::default()
    })
    .await;
    let mut raw = server.raw().await;
    raw.query("BEGIN").await;
    let reply = raw.next().await.unwrap();
    assert_eq!(
        (reply.kind, reply.field(b'C').unwrap().as_str()),
        (b'E', "25P03")
    );
    assert_eq!(raw.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_start_is_dropped() {
    let server = Server::with(PgConfig {
        startup_timeout: Duration::from_millis(100),
        ..PgConfig::default()
    })
    .await;
    let mut raw = server.socket().await;
    assert_eq!(raw.next().await.unwrap().kind, b'E');
    assert_eq!(raw.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_says_good_bye() {
    let mut server = Server::start().await;
    let mut raw = server.raw().await;
    server.stop().await;
    let reply = raw.next().await.unwrap();
    assert_eq!(reply.field(b'C').unwrap(), "57P01");
    assert_eq!(raw.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_shown_and_set() {
    let server = Server::start().await;
    let client = server.client().await;
    let show = async |name: &str| {
        let row = client
            .query_one(&format!("SHOW {name}"), &[])
            .await
            .unwrap();
        row.get::<_, String>(0)
    };
    assert!(show("server_version").await.starts_with("15.0 (Stele "));
    assert_eq!(show("TimeZone").await, "UTC");
    client
        .batch_execute("SET statement_timeout = '5s'")
        .await
        .unwrap();
    assert_eq!(show("statement_timeout").await, "5s");
    client
        .batch_execute("BEGIN; SET LOCAL statement_timeout = 7; SET work_mem = '8MB'")
        .await
        .unwrap();
    assert_eq!(show("statement_timeout").await, "7");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(show("statement_timeout").await, "5s");
    assert_eq!(show("work_mem").await, "8MB");
    client
        .batch_execute("BEGIN; SET work_mem = '9MB'; ROLLBACK")
        .await
        .unwrap();
    assert_eq!(show("work_mem").await, "8MB");
    client.batch_execute("DISCARD ALL").await.unwrap();
    let error = client
        .batch_execute("SET TimeZone = 'Asia/Shanghai'")
        .await
        .unwrap_err();
    assert_eq!(code(&error), "22023");
    assert!(!client.query("SHOW ALL", &[]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prepared_statements_have_names() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.send(b'P', b"s\0SELECT 1\0\0\0").await;
    raw.send(b'P', b"s\0SELECT 2\0\0\0").await;
    raw.send(b'S', b"").await;
    let replies = raw.until_ready().await;
    assert_eq!(kinds(&replies), "1EZ");
    assert_eq!(replies[1].field(b'C').unwrap(), "42P05");
    assert_eq!(kinds(&raw.query("DEALLOCATE s").await), "CZ");
    let replies = raw.query("DEALLOCATE s").await;
    assert_eq!(replies[0].field(b'C').unwrap(), "26000");
    raw.send(b'B', b"\0s\0\0\0\0\0\0\0").await;
    raw.send(b'S', b"").await;
    let replies = raw.until_ready().await;
    assert_eq!(replies[0].field(b'C').unwrap(), "26000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_do_is_a_notice() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let create = "CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY)";
    assert_eq!(kinds(&raw.query(create).await), "CZ");
    let height = server.node.status().height;
    let replies = raw.query(create).await;
    assert_eq!(kinds(&replies), "NCZ");
    assert_eq!(replies[0].field(b'S').unwrap(), "NOTICE");
    assert_eq!(replies[1].text(), "CREATE TABLE");
    assert_eq!(server.node.status().height, height);
}
