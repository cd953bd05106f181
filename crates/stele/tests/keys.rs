//! `stele keys` on the real program.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn stele(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stele"))
        .args(args)
        .current_dir(directory)
        .env_remove("STELE_NODE_DIRECTORY")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_key_is_made_listed_and_exported() {
    let directory = tempfile::tempdir().unwrap();
    let made = stele(directory.path(), &["keys", "new", "alice"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&made.stdout).contains("st1"));
    let listed = text(&stele(directory.path(), &["keys", "list"]).stdout);
    assert!(listed.contains("alice"), "{listed}");
    let public = text(&stele(directory.path(), &["keys", "export-public", "alice"]).stdout);
    assert_eq!(public.trim().len(), 64);
    let json = text(&stele(directory.path(), &["keys", "list", "--json"]).stdout);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["keys"][0]["public_key"], public.trim());
    let secret = std::fs::read_to_string(directory.path().join("stele-data/keys/alice.key"));
    let secret = secret.unwrap();
    for output in [text(&made.stdout), listed, json.to_string()] {
        assert!(!output.contains(secret.trim()), "a secret was printed");
    }
}

#[test]
fn a_key_can_be_imported_once() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("k"), format!("{}\n", "07".repeat(32))).unwrap();
    let arguments = ["keys", "import", "bob", "k", "--dir", "d"];
    assert!(stele(directory.path(), &arguments).status.success());
    let again = stele(directory.path(), &arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"));
    std::fs::write(directory.path().join("k"), "hello").unwrap();
    let bad = stele(directory.path(), &["keys", "import", "eve", "k"]);
    assert!(text(&bad.stderr).contains("64 hexadecimal characters"));
}

#[test]
fn a_missing_key_store_is_named_and_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let listed = stele(directory.path(), &["keys", "list", "--dir", "nowhere"]);
    assert_eq!(listed.status.code(), Some(1));
    let message = text(&listed.stderr);
    assert!(
        message.contains("nowhere/keys") && message.contains("--dir"),
        "{message}"
    );
    assert!(!directory.path().join("nowhere").exists());
}

#[test]
fn a_misspelt_setting_stops_every_command() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("stele.toml"),
        "[node]\ndirektory = \"x\"\n",
    )
    .unwrap();
    let listed = stele(directory.path(), &["keys", "list"]);
    assert_eq!(listed.status.code(), Some(1));
    assert_eq!(
        text(&listed.stderr),
        "error: stele.toml, line 2: [node] has no setting \"direktory\"; did you mean \"directory\"?\n"
    );
}
