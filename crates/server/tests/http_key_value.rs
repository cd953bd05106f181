//! The key-value state over HTTP against a `BTreeMap`, its look-ups and its transactions.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod http_support;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_support::{Answer, Api};
use stele_server::http::HttpConfig;

fn path(key: &str) -> String {
    let encoded: String = key
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("/v1/kv/model/{encoded}")
}

async fn put(api: &Api, key: &str, value: &[u8], headers: &[(&str, &str)]) -> Answer {
    let answer = api
        .call(Method::PUT, &path(key), headers, value.to_vec())
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer
}

async fn get(api: &Api, key: &str, headers: &[(&str, &str)]) -> Option<Vec<u8>> {
    let answer = api
        .call(Method::GET, &path(key), headers, Body::empty())
        .await;
    if answer.status == StatusCode::NOT_FOUND {
        assert_eq!(answer.code(), "absent");
        return None;
    }
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    Some(answer.bytes)
}

async fn begin(api: &Api) -> String {
    let answer = api.post("/v1/previews", Body::empty()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()["name"].as_str().unwrap().to_owned()
}

async fn commit(api: &Api, name: &str) -> Answer {
    api.post(&format!("/v1/previews/{name}/commit"), Body::empty())
        .await
}

async fn free(api: &Api, name: &str) -> Answer {
    let path = format!("/v1/previews/{name}");
    api.call(Method::DELETE, &path, &[], Body::empty()).await
}

async fn keys(api: &Api, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = api
            .get(&format!("/v1/kv/model?limit=3{query}{cursor}"))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let page = answer.json();
        for entry in page["entries"].as_array().unwrap() {
            found.push(entry["key"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_get_put_delete_follow_a_map() {
    let api = Api::start();
    let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let names = [
        "a",
        "a/b",
        "ä",
        "%",
        "_",
        "\\",
        "a b?&=#",
        "\u{10ffff}",
        "..",
    ];
    for step in 0..60u32 {
        let key = names[(step * 7 % 9) as usize];
        if step % 5 == 4 {
            let answer = api
                .call(Method::DELETE, &path(key), &[], Body::empty())
                .await;
            let gone = u64::from(model.remove(key).is_some());
            assert_eq!(answer.json()["rows_affected"], gone);
        } else {
            let value = vec![step as u8; (step % 3) as usize];
            put(&api, key, &value, &[]).await;
            model.insert(key.to_owned(), value);
        }
        for name in names {
            assert_eq!(
                get(&api, name, &[]).await,
                model.get(name).cloned(),
                "{name:?}"
            );
        }
    }
    assert_eq!(
        keys(&api, "").await,
        model.keys().cloned().collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_absent_differs_from_empty() {
    let api = Api::start();
    assert_eq!(get(&api, "k", &[]).await, None);
    put(&api, "k", b"", &[]).await;
    assert_eq!(get(&api, "k", &[]).await, Some(Vec::new()));
    let entry = api.get("/v1/kv/model?values=true").await.json();
    assert_eq!(entry["entries"][0]["value"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_a_transaction_sees_its_writes_and_nobody_else_does() {
    let api = Api::start();
    put(&api, "k", b"old", &[]).await;
    put(&api, "gone", b"x", &[]).await;
    let token = begin(&api).await;
    let inside = [("stele-preview", token.as_str())];
    assert_eq!(get(&api, "k", &inside).await.unwrap(), b"old");
    put(&api, "k", b"new", &inside).await;
    api.call(Method::DELETE, &path("gone"), &inside, Body::empty())
        .await;
    assert_eq!(get(&api, "k", &inside).await.unwrap(), b"new");
    assert_eq!(get(&api, "gone", &inside).await, None);
    assert_eq!(get(&api, "k", &[]).await.unwrap(), b"old");
    assert_eq!(get(&api, "gone", &[]).await.unwrap(), b"x");
    let other = begin(&api).await;
    let beside = [("stele-preview", other.as_str())];
    assert_eq!(get(&api, "k", &beside).await.unwrap(), b"old");

    let open = api.get(&format!("/v1/previews/{token}")).await.json();
    assert_eq!(
        (&open["in_transaction"], &open["writes"]),
        (&true.into(), &2.into())
    );
    let nested = api
        .call(Method::POST, "/v1/previews", &inside, Body::empty())
        .await;
    nested.fails(409, "25001");

    assert_eq!(commit(&api, &token).await.json()["rows_affected"], 2);
    assert_eq!(get(&api, "k", &[]).await.unwrap(), b"new");
    assert_eq!(get(&api, "gone", &[]).await, None);
    commit(&api, &token).await.fails(409, "ended");
    // What the other one read is no longer so: it cannot write as if it were.
    put(&api, "elsewhere", b"1", &beside).await;
    commit(&api, &other).await.fails(409, "40001");
    assert_eq!(get(&api, "elsewhere", &[]).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_rollback_leaves_nothing() {
    let api = Api::start();
    let token = begin(&api).await;
    let inside = [("stele-preview", token.as_str())];
    put(&api, "k", b"v", &inside).await;
    let undone = free(&api, &token).await.json();
    assert_eq!(
        (&undone["in_transaction"], &undone["writes"]),
        (&false.into(), &1.into())
    );
    assert_eq!(get(&api, "k", &[]).await, None);
    let late = api
        .call(Method::GET, &path("k"), &inside, Body::empty())
        .await;
    late.fails(409, "ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_an_idle_transaction_is_undone() {
    let config = HttpConfig {
        preview_idle: Duration::from_millis(100),
        ..HttpConfig::default()
    };
    let api = Api::with(config, |_| ());
    let token = begin(&api).await;
    let inside = [("stele-preview", token.as_str())];
    put(&api, "k", b"v", &inside).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    commit(&api, &token).await.fails(410, "expired");
    assert_eq!(get(&api, "k", &[]).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_an_append_only_namespace_keeps_what_it_has() {
    let api = Api::start();
    let answer = api
        .call(Method::PUT, "/v1/kv/model", &[], r#"{"append_only":true}"#)
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    put(&api, "k", b"v", &[]).await;
    let refused = api
        .call(Method::DELETE, &path("k"), &[], Body::empty())
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    let refused = api.call(Method::PUT, &path("k"), &[], "w").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    assert_eq!(get(&api, "k", &[]).await.unwrap(), b"v");
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_keys_are_found_by_prefix_suffix_and_substring() {
    let api = Api::start();
    let names = [
        "order/1",
        "order/10",
        "order/2",
        "orders",
        "profile/1",
        "a%b",
        "a_b",
        "axb",
        "é",
        "\u{10ffff}",
    ];
    for name in names {
        put(&api, name, name.as_bytes(), &[]).await;
    }
    // A key of another namespace is never in the answer.
    let other = api
        .call(Method::PUT, "/v1/kv/other/order%2F3", &[], "x")
        .await;
    assert_eq!(other.status, StatusCode::OK, "{}", other.text());
    let sorted = |keep: &dyn Fn(&str) -> bool| -> Vec<String> {
        let mut kept: Vec<String> = names
            .iter()
            .filter(|n| keep(n))
            .map(|n| (*n).to_owned())
            .collect();
        kept.sort();
        kept
    };
    for part in [
        "order",
        "order/",
        "order/1",
        "a",
        "a%",
        "a_",
        "%",
        "\u{10ffff}",
        "none",
        "1",
        "r",
    ] {
        let text: String = part.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(
            keys(&api, &format!("&prefix={text}")).await,
            sorted(&|n| n.starts_with(part)),
            "prefix {part}"
        );
        assert_eq!(
            keys(&api, &format!("&suffix={text}")).await,
            sorted(&|n| n.ends_with(part)),
            "suffix {part}"
        );
        assert_eq!(
            keys(&api, &format!("&contains={text}")).await,
            sorted(&|n| n.contains(part)),
            "substring {part}"
        );
    }
    assert_eq!(keys(&api, "").await, sorted(&|_| true));
    let page = api
        .get("/v1/kv/model?prefix=order%2F&values=true")
        .await
        .json();
    assert_eq!(page["entries"][0]["value"], STANDARD.encode("order/1"));
    assert!(page["next"].is_null());
    api.get("/v1/kv/model?prefix=a&suffix=b")
        .await
        .fails(400, "invalid");
    api.get("/v1/kv/model?limit=0").await.fails(400, "invalid");
    api.get("/v1/kv/model?cursor=%21")
        .await
        .fails(400, "invalid");
}
