//! Block look-ups over HTTP against a model: what was written is found by height, hash, transaction
//! and range, raw and decoded.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod http_support;

use http_support::Api;
use serde_json::{Value as Json, json};
use stele_core::block::Block;
use stele_core::{Decode, Encode, Hash};

/// Writes `count` blocks of one transaction each and gives their receipts.
async fn chain(api: &Api, count: u64) -> Vec<Json> {
    let mut receipts = vec![api.done("CREATE TABLE t (a INT PRIMARY KEY, b TEXT)").await];
    for a in 1..count {
        receipts.push(
            api.done(&format!("INSERT INTO t VALUES ({a}, 'row')"))
                .await,
        );
    }
    receipts
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_a_block_is_found_by_height_hash_and_transaction() {
    let api = Api::start();
    let receipts = chain(&api, 5).await;
    let mut parent = api.get("/v1/chain").await.json()["ledger"].clone();
    for (receipt, height) in receipts.iter().zip(1u64..) {
        assert_eq!(receipt["height"], height);
        let decoded = api.get(&format!("/v1/blocks/{height}")).await.json();
        assert_eq!(decoded["header"]["parent"], parent);
        assert_eq!(decoded["transactions"][0]["id"], receipt["id"]);
        assert_eq!(decoded["effects"][0]["code"], "00000");
        assert_eq!(decoded["leaf"]["block"], decoded["hash"]);
        parent = decoded["hash"].clone();

        let raw = api.raw(&format!("/v1/blocks/{height}")).await.bytes;
        let block = Block::decode_all(&raw).unwrap();
        assert_eq!(block.encode_to_vec(), raw);
        let hash = block.hash(api.node.suite());
        assert_eq!(decoded["hash"], hash.to_hex());
        assert_eq!(decoded["len"], raw.len());

        let hex = hash.to_hex();
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let standard = STANDARD
            .encode(hash.0)
            .replace('/', "%2F")
            .replace('+', "%2B");
        for name in [
            hex.to_uppercase(),
            hex,
            URL_SAFE_NO_PAD.encode(hash.0),
            standard,
        ] {
            let found = api.get(&format!("/v1/blocks/by-hash/{name}")).await;
            assert_eq!(found.json()["height"], height, "{name}");
        }
        let id = receipt["id"].as_str().unwrap();
        let found = api.raw(&format!("/v1/blocks/by-transaction/{id}")).await;
        assert_eq!(found.bytes, raw);

        let place = api
            .get(&format!("/v1/blocks/{height}/location"))
            .await
            .json();
        assert!(place["len"].as_u64().unwrap() as usize >= raw.len());
        assert!(
            place["offset"].as_u64().unwrap() + place["len"].as_u64().unwrap()
                <= place["segment_len"].as_u64().unwrap()
        );
    }
    let info = api.get("/v1/chain").await.json();
    let last = api.get("/v1/blocks/5").await.json();
    assert_eq!(info["height"], 5);
    assert_eq!(info["transactions"], 5);
    assert_eq!(info["block"], last["hash"]);
    assert_eq!(info["parent"], last["header"]["parent"]);
    assert_eq!(info["state_root"], last["leaf"]["state_root"]);
    assert!(info["segment_len"].as_u64().unwrap() > 0);
    let root = api.raw("/v1/state").await.bytes;
    assert_eq!(info["state_root"], Hash(root.try_into().unwrap()).to_hex());
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_ranges_agree_with_single_look_ups() {
    let api = Api::start();
    chain(&api, 12).await;
    let heights = |page: &Json| -> Vec<u64> {
        let blocks = page["blocks"].as_array().unwrap();
        blocks
            .iter()
            .map(|block| block["height"].as_u64().unwrap())
            .collect()
    };
    for (query, expected) in [
        ("", 1..=12),
        ("?from=1&limit=0", 1..=12),
        ("?from=3&limit=4", 3..=6),
        ("?from=10&limit=100", 10..=12),
        ("?from=12", 12..=12),
        ("?limit=1", 1..=1),
    ] {
        let page = api.get(&format!("/v1/blocks{query}")).await.json();
        assert_eq!(heights(&page), expected.collect::<Vec<_>>(), "{query}");
    }
    for from in ["0", "-1", "-9223372036854775808"] {
        let refused = api.get(&format!("/v1/blocks?from={from}")).await;
        refused.fails(400, "invalid_height");
    }
    let mut raw = api.raw("/v1/blocks?from=2&limit=3").await.bytes;
    for height in 2..=4 {
        let len = u32::from_be_bytes(raw[..4].try_into().unwrap()) as usize;
        let rest = raw.split_off(4 + len);
        let single = api.raw(&format!("/v1/blocks/{height}")).await.bytes;
        assert_eq!(raw[4..], single);
        raw = rest;
    }
    assert!(raw.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_what_is_not_there_is_a_typed_error() {
    let api = Api::start();
    api.get("/v1/blocks/1").await.fails(404, "unknown_block");
    chain(&api, 2).await;
    let nothing = "0".repeat(64);
    api.get("/v1/blocks/0").await.fails(404, "unknown_block");
    api.get("/v1/blocks/3").await.fails(404, "unknown_block");
    api.get("/v1/blocks/3/location")
        .await
        .fails(404, "unknown_block");
    api.get(&format!("/v1/blocks/by-hash/{nothing}"))
        .await
        .fails(404, "unknown_block");
    api.get(&format!("/v1/blocks/by-transaction/{nothing}"))
        .await
        .fails(404, "unknown_transaction");
    api.get("/v1/blocks/by-hash/xyz")
        .await
        .fails(400, "invalid");
    api.get("/v1/blocks?limit=-1").await.fails(400, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_the_log_is_served_at_its_c2sp_paths() {
    let api = Api::start();
    chain(&api, 2).await;
    let checkpoint = api.get("/checkpoint").await.text();
    let lines: Vec<&str> = checkpoint.lines().collect();
    let info = api.get("/v1/chain").await.json();
    assert_eq!(json!(lines[0]), info["origin"]);
    assert_eq!(lines[1], info["log_size"].to_string());
    let size: usize = lines[1].parse().unwrap();
    let tile = api.get(&format!("/tile/0/000.p/{size}")).await;
    assert_eq!(tile.bytes.len(), 32 * size);
    assert!(!tile.header("cache-control").unwrap().contains("immutable"));
    let entries = api.get(&format!("/tile/entries/000.p/{size}")).await;
    let bundle = stele_core::log::decode_bundle(&entries.bytes).unwrap();
    assert_eq!(bundle.len(), size);
    api.get(&format!("/tile/0/000.p/{}", size + 1))
        .await
        .fails(404, "not_found");
    api.get("/tile/0/0").await.fails(404, "unknown_tile");
}
