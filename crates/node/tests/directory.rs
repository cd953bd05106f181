//! What could go wrong: a ledger made among the files of others, a directory half made, a file missing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{start, try_start};
use stele_flow::Runtime;
use stele_node::{Node, NodeConfig};

fn refusal(directory: &std::path::Path) -> String {
    try_start(directory).err().unwrap().to_string()
}

#[test]
fn a_missing_trust_file_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).stop();
    let file = directory.path().join("trust.txt");
    let before = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    start(directory.path()).stop();
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_changed_trust_file_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    start(directory.path()).stop();
    start(other.path()).stop();
    let file = directory.path().join("trust.txt");
    let own = std::fs::read_to_string(&file).unwrap();
    let others = std::fs::read_to_string(other.path().join("trust.txt")).unwrap();
    let validator = others.lines().last().unwrap();
    let mixed = own.replace(own.lines().last().unwrap(), validator);
    for (changed, why) in [
        (others.as_bytes(), "is of ledger"),
        (mixed.as_bytes(), "names other validators"),
        (&own.as_bytes()[1..], "does not read"),
        (b"\xff", "is not text"),
        (b"", "does not read"),
    ] {
        std::fs::write(&file, changed).unwrap();
        let error = refusal(directory.path());
        assert!(
            error.contains(why) && error.contains("trust.txt"),
            "{error}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), changed);
    }
    std::fs::remove_file(&file).unwrap();
    start(directory.path()).stop();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), own);
}

#[test]
fn nothing_is_made_for_a_name_no_ledger_may_have() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let config = NodeConfig {
        directory: directory.clone(),
        origin: "https://example.org".to_owned(),
        ..NodeConfig::default()
    };
    let error = Node::start(config, Runtime::real()).err().unwrap();
    assert!(error.to_string().contains("origin"), "{error}");
    assert!(!directory.exists());
}

#[test]
fn a_directory_of_others_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.tex"), "x").unwrap();
    let error = refusal(directory.path());
    assert!(
        error.contains("thesis.tex") && error.contains("--dir"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    // Beside a ledger anything may lie.
    std::fs::remove_file(directory.path().join("thesis.tex")).unwrap();
    start(directory.path()).stop();
    std::fs::write(directory.path().join("thesis.tex"), "x").unwrap();
    start(directory.path()).stop();
}

#[test]
fn keys_may_be_made_before_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("keys")).unwrap();
    std::fs::create_dir(directory.path().join("lost+found")).unwrap();
    start(directory.path()).stop();
}

#[test]
fn a_file_is_no_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = refusal(file.path());
    assert!(error.contains("is a file"), "{error}");
}

#[test]
fn all_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    let mut seen = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", entry.path().display());
        seen += 1;
    }
    assert!(seen > 8);
    node.stop();
}
