//! Opaque records over HTTP: any bytes in, the same bytes out, at every moment of a record's life.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod http_support;

use axum::body::Body;
use axum::http::StatusCode;
use http_support::Api;
use serde_json::Value as Json;

async fn append(api: &Api, bytes: Vec<u8>) -> Json {
    let answer = api.post("/v1/records?wait=applied", bytes).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_a_record_is_readable_while_pending_and_by_place_after() {
    // The lone record waits a second for company.
    let api = Api::with(Default::default(), |config| {
        config.block.interval_us = 1_000_000;
    });
    let accepted = api.post("/v1/records", "order 1").await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.text());
    let id = accepted.json()["id"].as_str().unwrap().to_owned();

    let pending = api.get(&format!("/v1/records/{id}")).await;
    assert_eq!(pending.bytes, b"order 1");
    assert_eq!(pending.header("stele-pending").as_deref(), Some("true"));
    assert_eq!(pending.header("stele-height"), None);
    let found = api.get(&format!("/v1/transactions/{id}")).await.json();
    assert_eq!(found["pending"], true);

    let place = append(&api, b"order 2".to_vec()).await;
    let placed = api.get(&format!("/v1/records/{id}")).await;
    assert_eq!(placed.bytes, b"order 1");
    assert_eq!(placed.header("stele-pending").as_deref(), Some("false"));
    let height = placed.header("stele-height").unwrap();
    let index = placed.header("stele-index").unwrap();
    let by_place = api.get(&format!("/v1/records/{height}/{index}")).await;
    assert_eq!(by_place.bytes, b"order 1");
    assert_eq!(by_place.header("stele-record"), Some(id));

    let path = format!("/v1/records/{}/{}", place["height"], place["index"]);
    assert_eq!(api.get(&path).await.bytes, b"order 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_unknown_block_index_and_identity_are_different_errors() {
    let api = Api::start();
    let place = append(&api, b"x".to_vec()).await;
    let height = place["height"].as_u64().unwrap();
    api.get("/v1/records/0/0").await.fails(404, "unknown_block");
    api.get(&format!("/v1/records/{}/0", height + 1))
        .await
        .fails(404, "unknown_block");
    api.get(&format!("/v1/records/{height}/99"))
        .await
        .fails(404, "unknown_index");
    api.get(&format!("/v1/records/{}", "0".repeat(64)))
        .await
        .fails(404, "unknown_record");
    api.get("/v1/records/-1/0").await.fails(400, "invalid");
    api.get("/v1/records/abc").await.fails(400, "invalid");
    api.done("CREATE TABLE t (a INT PRIMARY KEY)").await;
    let status = api.get("/v1/status").await.json();
    api.get(&format!("/v1/records/{}/0", status["height"]))
        .await
        .fails(404, "unknown_index");
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_any_bytes_come_back_as_they_were() {
    let api = Api::start();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let long: Vec<u8> = (0..16 * 1024 * 1024u32)
        .map(|i| ((i * 31) >> 3) as u8)
        .collect();
    let corpus = [
        Vec::new(),
        b"\n".to_vec(),
        b"\0".to_vec(),
        b"line\nline\r\n\0".to_vec(),
        b"not utf-8: \xff\xfe".to_vec(),
        all_bytes,
        vec![0; 512 * 1024],
        vec![7; 512 * 1024 + 1],
        long,
    ];
    for bytes in corpus {
        let len = bytes.len();
        let place = append(&api, bytes.clone()).await;
        let id = place["id"].as_str().unwrap();
        let by_id = api.get(&format!("/v1/records/{id}")).await;
        assert!(by_id.bytes == bytes, "record of {len} bytes by identity");
        let path = format!("/v1/records/{}/{}", place["height"], place["index"]);
        assert!(
            api.get(&path).await.bytes == bytes,
            "record of {len} bytes by place"
        );
        assert_eq!(
            by_id.header("x-content-type-options").as_deref(),
            Some("nosniff")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_too_long_a_record_is_refused_before_it_is_read() {
    let api = Api::start();
    let announced = [("content-length", "67108865")];
    let refused = api
        .call(
            axum::http::Method::POST,
            "/v1/records",
            &announced,
            Body::empty(),
        )
        .await;
    refused.fails(413, "too_long");
}
