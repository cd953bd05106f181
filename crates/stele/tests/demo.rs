//! `stele demo`: the whole story runs, finds all damage and names it.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_demo_finds_and_names_all_damage() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(["demo", "--dir", "played"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}\n{error}");
    for expected in [
        "\"order_no\": \"1001\", \"price\": 100",
        "holds no row of this key",
        "NOT OK",
        "00000001.seg",
        "orders",
        "That is all.",
    ] {
        assert!(told.contains(expected), "{expected:?} in\n{told}");
    }
    assert!(directory.path().join("played/data/genesis").is_file());
    let again = Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(["demo", "--dir", "played"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"));
}
