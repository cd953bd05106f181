//! SQL, transactions, proofs and the API's own manners over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod http_support;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_support::Api;
use serde_json::json;
use stele_core::Encode;
use stele_core::transaction::{Payload, Statement, Transaction};
use stele_node::Node;
use stele_server::http::{HttpConfig, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn signed(node: &Node, sql: &str, nonce: u8) -> stele_core::transaction::SignedTransaction {
    let key = node.keys().find("operator").unwrap();
    let time_us = node.now_us();
    let transaction = Transaction {
        ledger: node.ledger(),
        account: key.account,
        nonce: [nonce; 16],
        time_us,
        expiry_us: time_us + 60_000_000,
        seed: [0; 16],
        expected_versions: Vec::new(),
        payload: Payload::Statements(vec![Statement {
            sql: sql.to_owned(),
            parameters: Vec::new(),
            result: None,
        }]),
    };
    transaction.sign(node.suite(), key.secret())
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a_failed_statement_is_a_receipt_with_its_sqlstate() {
    let api = Api::start();
    api.done("CREATE TABLE t (a INT PRIMARY KEY)").await;
    api.done("INSERT INTO t VALUES (1)").await;
    let before = api.get("/v1/chain").await.json();
    let failed = api.sql(json!({ "sql": "INSERT INTO t VALUES (1)" })).await;
    failed.fails(409, "23505");
    let receipt = failed.json();
    let id = receipt["id"].as_str().unwrap();
    let found = api.get(&format!("/v1/transactions/{id}")).await.json();
    assert_eq!(found["effects"]["code"], "23505");
    assert_eq!(found["height"], receipt["height"]);
    assert_eq!(found["effects"]["changes"], json!([]));
    let after = api.get("/v1/chain").await.json();
    assert_eq!(before["state_root"], after["state_root"]);
    api.sql(json!({ "sql": "SELECT * FROM nowhere" }))
        .await
        .fails(422, "42P01");
    api.sql(json!({ "sql": "SELEC" })).await.fails(422, "42601");
    api.sql(json!({ "sql": "" })).await.fails(422, "42601");
    api.sql(json!({ "sql": "BEGIN" })).await.fails(422, "0A000");
    api.sql(json!({ "sql": "SELECT 1", "key": "nobody" }))
        .await
        .fails(404, "not_found");
    api.sql(json!({ "sql": "SELECT 1", "unknown": 1 }))
        .await
        .fails(400, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_statements_of_one_request_are_all_or_nothing() {
    let api = Api::start();
    api.done("CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t VALUES (1)")
        .await;
    api.sql(json!({ "sql": "INSERT INTO t VALUES (2); INSERT INTO t VALUES (1)" }))
        .await
        .fails(409, "23505");
    let rows = api.done("SELECT count(*) FROM t").await;
    assert_eq!(rows["rows"], json!([["1"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_a_client_waits_for_what_it_needs() {
    let api = Api::start();
    api.done("CREATE TABLE t (a INT PRIMARY KEY)").await;
    let accepted = api
        .post(
            "/v1/sql?wait=accepted",
            json!({ "sql": "INSERT INTO t VALUES (1)" }).to_string(),
        )
        .await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.text());
    for (wait, value) in [("committed", 2), ("applied", 3)] {
        let sql = format!("INSERT INTO t VALUES ({value})");
        let done = api
            .post(
                &format!("/v1/sql?wait={wait}"),
                json!({ "sql": sql }).to_string(),
            )
            .await;
        let height = done.header("stele-height").unwrap();
        let read = api
            .post(
                &format!("/v1/sql?min_height={height}"),
                json!({ "sql": "SELECT a FROM t WHERE a = $1", "parameters": [value] }).to_string(),
            )
            .await;
        assert_eq!(read.json()["rows"], json!([[value]]), "{}", read.text());
        assert!(read.json()["height"].as_u64().unwrap() >= height.parse::<u64>().unwrap());
    }
    let hurried = Api::with(
        HttpConfig {
            wait_max: Duration::from_millis(50),
            ..HttpConfig::default()
        },
        |_| (),
    );
    hurried
        .post(
            "/v1/sql?min_height=9",
            json!({ "sql": "SELECT 1" }).to_string(),
        )
        .await
        .fails(504, "height_not_reached");
    api.post(
        "/v1/sql?wait=never",
        json!({ "sql": "SELECT 1" }).to_string(),
    )
    .await
    .fails(400, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_signed_transactions_are_taken_raw_and_in_json_once() {
    let api = Api::start();
    let first = signed(&api.node, "CREATE TABLE t (a INT PRIMARY KEY)", 1);
    let octets = [("content-type", "application/octet-stream")];
    let done = api
        .call(
            Method::POST,
            "/v1/transactions",
            &octets,
            first.encode_to_vec(),
        )
        .await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(done.json()["id"], first.id(api.node.suite()).to_hex());
    let again = api
        .call(
            Method::POST,
            "/v1/transactions",
            &octets,
            first.encode_to_vec(),
        )
        .await;
    again.fails(409, "ST001");

    let second = signed(&api.node, "INSERT INTO t VALUES (1)", 2);
    let body = json!({ "transaction": STANDARD.encode(second.encode_to_vec()) });
    let done = api.post("/v1/transactions", body.to_string()).await;
    assert_eq!(done.json()["rows_affected"], 1, "{}", done.text());

    let mut forged = signed(&api.node, "INSERT INTO t VALUES (2)", 3);
    forged.signature.0[0] ^= 1;
    api.call(
        Method::POST,
        "/v1/transactions",
        &octets,
        forged.encode_to_vec(),
    )
    .await
    .fails(403, "bad_signature");
    let mut foreign = signed(&api.node, "INSERT INTO t VALUES (2)", 4);
    foreign.transaction.ledger.0[0] ^= 1;
    api.call(
        Method::POST,
        "/v1/transactions",
        &octets,
        foreign.encode_to_vec(),
    )
    .await
    .fails(422, "wrong_ledger");
    api.call(Method::POST, "/v1/transactions", &octets, "nonsense")
        .await
        .fails(400, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_proof_files_come_for_transactions_rows_and_ranges() {
    let api = Api::start();
    api.done("CREATE TABLE t (a INT, b VARCHAR(20), PRIMARY KEY (a, b))")
        .await;
    let receipt = api.done("INSERT INTO t VALUES (1, 'x'), (2, 'y/z')").await;
    let id = receipt["id"].as_str().unwrap();
    for path in [
        format!("/v1/transactions/{id}/proof"),
        "/v1/tables/public/t/proof?key=2&key=y%2Fz".to_owned(),
        "/v1/tables/public/t/proof?key=3&key=absent".to_owned(),
        "/v1/tables/public/t/range-proof".to_owned(),
        "/v1/tables/public/t/range-proof?from=1&from=a&to=2&to=z".to_owned(),
    ] {
        let proof = api.get(&path).await;
        assert_eq!(proof.status, StatusCode::OK, "{path}: {}", proof.text());
        assert!(
            proof
                .header("content-type")
                .unwrap()
                .starts_with("text/plain")
        );
        let checkpoint_origin = api.node.genesis().origin.clone();
        assert!(proof.text().contains(&checkpoint_origin), "{path}");
    }
    api.get("/v1/tables/public/t/proof")
        .await
        .fails(400, "invalid");
    api.get("/v1/tables/public/t/proof?kei=1")
        .await
        .fails(400, "invalid");
    let missing = api.get("/v1/tables/public/nowhere/proof?key=1").await;
    assert!(missing.status.is_client_error(), "{}", missing.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_a_self_check_runs_beside_and_reports() {
    let api = Api::start();
    api.done("CREATE TABLE t (a INT PRIMARY KEY)").await;
    let started = api.post("/v1/audit", Body::empty()).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.text());
    let path = format!("/v1/audit/{}", started.json()["job"]);
    let mut view = api.get(&path).await.json();
    for _ in 0..500 {
        if view["state"] != "running" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        view = api.get(&path).await.json();
    }
    assert_eq!(view["state"], "done", "{view}");
    assert_eq!(view["report"]["findings"], json!([]));
    api.get("/v1/audit/99").await.fails(404, "unknown_audit");
    api.post("/v1/audit", r#"{"from":5,"to":2}"#)
        .await
        .fails(400, "invalid_height");
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_every_operation_is_described() {
    let api = Api::start();
    let description = api.get("/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() >= 28, "{}", paths.len());
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{place} has no summary");
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                responses.keys().any(|status| status.starts_with('2')),
                "{place}"
            );
            assert!(responses.contains_key("503"), "{place} names no failure");
        }
    }
    let page = api.get("/").await;
    assert!(page.text().contains("Stele"));
    assert!(page.header("content-security-policy").is_some());
    api.get("/nowhere").await.fails(404, "no_route");
    api.call(Method::PATCH, "/v1/sql", &[], Body::empty())
        .await
        .fails(405, "no_method");
    api.call(
        Method::POST,
        "/v1/sql",
        &[("origin", "http://evil.example")],
        "{}",
    )
    .await
    .fails(403, "foreign_origin");
    let long = vec![b' '; 2 * 1024 * 1024 + 1];
    api.post("/v1/sql", long).await.fails(413, "too_long");
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_requests_at_once_are_bounded_and_health_still_answers() {
    let config = HttpConfig {
        requests_max: 0,
        ..HttpConfig::default()
    };
    let api = Api::with(config, |_| ());
    let refused = api.get("/v1/status").await;
    refused.fails(503, "busy");
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(api.get("/v1/health").await.json()["healthy"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_the_real_listener_serves_loopback_only() {
    let api = Api::start();
    let config = HttpConfig::default();
    let open = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(
        open,
        api.node.clone(),
        config.clone(),
        std::future::pending(),
    )
    .await;
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("127.0.0.1"), "{message}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, api.node.clone(), config, async {
        let _ = stopped.await;
    }));
    for (host, status) in [
        ("localhost", "200 OK"),
        ("rebound.example", "400 Bad Request"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET /v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
