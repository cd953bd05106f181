//! Named previews: isolated, cheap, listed, freed; and what late use of one gets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod http_support;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use http_support::{Answer, Api};
use serde_json::json;
use stele_server::http::HttpConfig;

const PREVIEWS: usize = 1_000;

async fn begin(api: &Api, name: &str) -> Answer {
    api.post(&format!("/v1/previews?name={name}"), Body::empty())
        .await
}

async fn run(api: &Api, name: &str, sql: &str) -> Answer {
    let body = json!({ "sql": sql }).to_string();
    api.post(&format!("/v1/previews/{name}/sql"), body).await
}

async fn rows(api: &Api, name: &str, sql: &str) -> serde_json::Value {
    let answer = run(api, name, sql).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["results"][0]["rows"].clone()
}

async fn commit(api: &Api, name: &str, query: &str) -> Answer {
    api.post(&format!("/v1/previews/{name}/commit{query}"), Body::empty())
        .await
}

async fn free(api: &Api, name: &str) -> Answer {
    let path = format!("/v1/previews/{name}");
    api.call(Method::DELETE, &path, &[], Body::empty()).await
}

async fn filled(config: HttpConfig) -> Api {
    let api = Api::with(config, |_| ());
    api.done("CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 10)")
        .await;
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_previews_are_isolated_listed_and_freed() {
    let api = filled(HttpConfig::default()).await;
    assert_eq!(begin(&api, "a").await.status, StatusCode::CREATED);
    assert_eq!(begin(&api, "b").await.status, StatusCode::CREATED);
    begin(&api, "a").await.fails(409, "name_taken");
    begin(&api, "a%20b").await.fails(400, "invalid");
    let both = "UPDATE t SET n = n + 1 WHERE id = 1 RETURNING n; INSERT INTO t VALUES (2, 2)";
    assert_eq!(run(&api, "a", both).await.status, StatusCode::OK);
    assert_eq!(
        rows(&api, "a", "SELECT id, n FROM t ORDER BY id").await,
        json!([[1, 11], [2, 2]])
    );
    assert_eq!(
        rows(&api, "b", "SELECT id, n FROM t").await,
        json!([[1, 10]])
    );
    // What fails leaves the preview as it was.
    run(&api, "a", "INSERT INTO t VALUES (1, 1)")
        .await
        .fails(409, "23505");
    run(&api, "a", "SELECT nothing").await.fails(422, "42703");
    assert_eq!(
        rows(&api, "a", "SELECT count(*) FROM t").await,
        json!([["2"]])
    );
    let list = api.get("/v1/previews").await.json();
    let names: Vec<&str> = list["previews"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(list["previews"][0]["writes"], 2);
    assert_eq!(free(&api, "b").await.json()["in_transaction"], false);
    run(&api, "b", "SELECT 1").await.fails(409, "ended");
    assert_eq!(commit(&api, "a", "").await.json()["rows_affected"], 2);
    let answer = api.sql(json!({"sql": "SELECT sum(n) FROM t"})).await.json();
    assert_eq!(answer["rows"], json!([["13"]]));
    commit(&api, "none", "").await.fails(404, "unknown_preview");
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_use_after_expiry_names_the_preview() {
    let config = HttpConfig {
        preview_idle: Duration::from_millis(300),
        ..HttpConfig::default()
    };
    let api = filled(config).await;
    begin(&api, "left").await;
    begin(&api, "used").await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(
            run(&api, "used", "SELECT n FROM t").await.status,
            StatusCode::OK
        );
    }
    for late in [
        run(&api, "left", "SELECT 1").await,
        commit(&api, "left", "").await,
        free(&api, "left").await,
        api.get("/v1/previews/left").await,
    ] {
        late.fails(410, "expired");
        assert!(late.text().contains("left"), "{}", late.text());
    }
    assert_eq!(begin(&api, "left").await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_a_thousand_at_once_and_no_more() {
    let api = filled(HttpConfig::default()).await;
    for number in 0..PREVIEWS {
        let name = format!("p{number}");
        assert_eq!(begin(&api, &name).await.status, StatusCode::CREATED);
        let insert = format!("INSERT INTO t VALUES (2, {number})");
        assert_eq!(run(&api, &name, &insert).await.status, StatusCode::OK);
    }
    begin(&api, "more").await.fails(503, "busy");
    for number in (0..PREVIEWS).step_by(7) {
        let name = format!("p{number}");
        assert_eq!(
            rows(&api, &name, "SELECT n FROM t WHERE id = 2").await,
            json!([[number]])
        );
        if number % 2 == 0 {
            assert_eq!(free(&api, &name).await.status, StatusCode::OK);
        }
    }
    assert_eq!(begin(&api, "more").await.status, StatusCode::CREATED);
    // One of them wins; for all others the row is there already.
    assert_eq!(commit(&api, "p1", "").await.status, StatusCode::OK);
    commit(&api, "p3", "").await.fails(409, "23505");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c7_eviction_races_with_use_and_nothing_acknowledged_is_lost() {
    let config = HttpConfig {
        preview_idle: Duration::from_millis(2),
        ..HttpConfig::default()
    };
    let api = std::sync::Arc::new(filled(config).await);
    let tasks = (0..8).map(|task| {
        let api = api.clone();
        tokio::spawn(async move {
            let mut committed = 0;
            for round in 0..40 {
                let name = format!("race-{task}-{round}");
                assert_eq!(begin(&api, &name).await.status, StatusCode::CREATED);
                let id = 1_000 + task * 100 + round;
                let insert = run(&api, &name, &format!("INSERT INTO t VALUES ({id}, 1)")).await;
                let ended = commit(&api, &name, "").await;
                match (insert.status, ended.status) {
                    (StatusCode::OK, StatusCode::OK) => committed += 1,
                    (_, StatusCode::GONE) => {}
                    other => panic!("{other:?}: {} {}", insert.text(), ended.text()),
                }
            }
            committed
        })
    });
    let mut committed = 0;
    for task in tasks.collect::<Vec<_>>() {
        committed += task.await.unwrap();
    }
    let count = api
        .sql(json!({"sql": "SELECT count(*) FROM t WHERE id >= 1000"}))
        .await;
    assert_eq!(count.json()["rows"], json!([[committed.to_string()]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_the_root_inside_a_preview_as_bytes_and_hex() {
    let api = filled(HttpConfig::default()).await;
    begin(&api, "p").await;
    let inside = [("stele-preview", "p")];
    let root = || async {
        api.call(Method::GET, "/v1/state", &inside, Body::empty())
            .await
            .json()["root"]
            .clone()
    };
    let before = api.get("/v1/state").await.json()["root"].clone();
    assert_eq!(root().await, before);
    run(&api, "p", "UPDATE t SET n = 5").await;
    let foretold = root().await;
    assert_ne!(foretold, before);
    assert_eq!(
        rows(&api, "p", "SELECT encode(stele_state_root(), 'hex')").await,
        json!([[foretold]])
    );
    let raw = [inside[0], ("accept", "application/octet-stream")];
    let bytes = api
        .call(Method::GET, "/v1/state", &raw, Body::empty())
        .await
        .bytes;
    assert_eq!(hex::encode(bytes), foretold.as_str().unwrap());
    assert_eq!(api.get("/v1/state").await.json()["root"], before);
    assert_eq!(commit(&api, "p", "").await.status, StatusCode::OK);
    assert_eq!(api.get("/v1/state").await.json()["root"], foretold);
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_strict_mode_over_http() {
    let api = filled(HttpConfig::default()).await;
    let version = |answer: Answer| format!("t:{}", answer.json()["rows"][0][0].as_str().unwrap());
    let ask = json!({"sql": "SELECT stele_table_version('t')"});
    let held = version(api.sql(ask.clone()).await);
    let write = json!({"sql": "UPDATE t SET n = n + 1", "expected_versions": held});
    begin(&api, "late").await;
    run(&api, "late", "INSERT INTO t VALUES (7, 7)").await;
    assert_eq!(api.sql(write.clone()).await.status, StatusCode::OK);
    api.sql(write).await.fails(409, "40001");
    commit(&api, "late", &format!("?expected_versions={held}"))
        .await
        .fails(409, "40001");
    let bad = json!({"sql": "UPDATE t SET n = 0", "expected_versions": "t"});
    api.sql(bad).await.fails(422, "22023");
}
