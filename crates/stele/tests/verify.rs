//! `stele verify` on the frozen proof files of the core: what is good is accepted, what is forged is not.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/fixtures/proof")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "tlog-proof")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn verify(arguments: &[&str], files: &[PathBuf]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_stele"))
        .arg("verify")
        .args(arguments)
        .args(files)
        .current_dir(directory.path())
        .output()
        .unwrap()
}

fn trust() -> String {
    fixtures().join("trust.txt").display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn good_proofs_are_accepted_and_told() {
    let files = files("good");
    let output = verify(&["--trust", &trust()], &files);
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}");
    let accepted = told.lines().filter(|line| line.starts_with("OK ")).count();
    assert_eq!(accepted, files.len(), "{told}");
    for word in ["shows", "signed by", "as of", "block "] {
        assert!(told.contains(word), "{word:?} in {told}");
    }
}

#[test]
fn good_proofs_are_told_to_programs() {
    let files = files("good");
    let output = verify(&["--json", "--trust", &trust()], &files);
    assert!(output.status.success());
    let told = text(&output.stdout);
    assert_eq!(told.lines().count(), files.len());
    for line in told.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["ok"], true);
        assert!(object["shows"]["kind"].is_string());
    }
}

#[test]
fn no_forged_proof_is_accepted() {
    for file in files("forged") {
        let output = verify(&["--trust", &trust()], std::slice::from_ref(&file));
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{}: {told}", file.display());
        assert!(told.contains("NOT OK"), "{told}");
        assert!(!told.lines().any(|line| line.starts_with("OK ")), "{told}");
    }
}

#[test]
fn one_forged_proof_among_good_ones_is_enough() {
    let mut mixed = files("good");
    mixed.extend(files("forged").into_iter().take(1));
    let output = verify(&["--trust", &trust()], &mixed);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_missing_trust_file_is_asked_for() {
    let output = verify(&[], &files("good"));
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("--trust FILE"), "{message}");
    let output = verify(&["--trust", env!("CARGO_MANIFEST_DIR")], &files("good"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_directory_without_a_ledger_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let output = verify(&["--data", &path], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is not a data directory"));
}
