//! The bytes of transactions, blocks, effects, genesis, trust files and proof files may never change:
//! what one version of Stele has signed, every later one must read, and so must other programs.
//!
//! Each file of `fixtures/ledger` and `fixtures/proof` is made again and compared.
//! `STELE_WRITE_FIXTURES=1` writes them instead: for a new fixture, never to make a failing one pass.
//! `docs/formats.md` describes these bytes; `verifier/python` reads the same files.

// A test fails by panicking; clippy's test exemption does not reach helpers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by panicking; modules share what they make"
)]

mod definitions;
mod forged;
mod ledger;
mod proof;
mod shown;
mod world;

use std::path::PathBuf;

use stele_core::Suite;

const SUITE: Suite = Suite::Ed25519Sha256;
const ORIGIN: &str = "stele.example/fixtures";

/// A folder of fixtures.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Whether fixtures are written instead of compared.
fn writes() -> bool {
    std::env::var_os("STELE_WRITE_FIXTURES").is_some()
}

/// Compares a fixture with what is made today.
fn freeze(name: &str, made: &[u8]) {
    let path = folder(name);
    if writes() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read(&path).unwrap();
    assert!(kept == made, "{name} is not what this version makes");
}
