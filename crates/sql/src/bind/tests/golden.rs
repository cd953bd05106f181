//! Expressions and scripts with what they give, in `tests/golden`.
//!
//! `expressions.txt` has lines `expression => value or SQLSTATE`; PostgreSQL 15 gave them, but for
//! those marked with a comment that says how and why Stele differs. `*.slt` files are scripts: a
//! statement, then `----` and its rows or `! SQLSTATE words of the message`, then an empty line.
//! With `STELE_GOLDEN=write` the test writes what it got.

use std::path::PathBuf;

use super::harness::Harness;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn writes() -> bool {
    std::env::var_os("STELE_GOLDEN").is_some_and(|value| value == "write")
}

#[test]
fn expressions_give_what_postgresql_gives() {
    let path = directory().join("expressions.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut harness = Harness::new();
    let mut wrong = Vec::new();
    let mut written = String::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            written.push_str(&format!("{line}\n"));
            continue;
        }
        let (expression, expected) = line.split_once(" => ").unwrap_or((line, ""));
        let got = harness
            .value(&format!("SELECT {expression}"))
            .replace('\n', "\\n");
        if got != expected {
            wrong.push(format!("{expression} => {got}, not {expected}"));
        }
        written.push_str(&format!("{expression} => {got}\n"));
    }
    if writes() {
        std::fs::write(path, written).unwrap();
    } else {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// One statement of a script and what it should give.
struct Step {
    sql: String,
    expected: String,
}

fn steps(text: &str) -> Vec<Step> {
    text.split("\n\n")
        .filter_map(|block| {
            let lines = block.lines().filter(|line| !line.starts_with('#'));
            let block: Vec<&str> = lines.collect();
            let block = block.join("\n");
            let (sql, expected) = match block.split_once("\n----") {
                Some((sql, expected)) => (sql, expected.trim_start_matches('\n')),
                None => (block.as_str(), ""),
            };
            (!sql.trim().is_empty()).then(|| Step {
                sql: sql.trim().to_owned(),
                expected: expected.trim_end().to_owned(),
            })
        })
        .collect()
}

#[test]
fn scripts_give_what_they_should() {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    paths.sort();
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut harness = Harness::new();
        let mut written = String::new();
        for step in steps(&text) {
            let got = match harness.run(&step.sql) {
                Ok(rows) => {
                    let rows: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
                    rows.join("\n")
                }
                Err(error) => format!("! {} {}", error.code, error.message),
            };
            if got != step.expected {
                wrong.push(format!(
                    "{}: {}\ngave\n{got}\nnot\n{}",
                    path.display(),
                    step.sql,
                    step.expected
                ));
            }
            written.push_str(&step.sql);
            if !got.is_empty() {
                written.push_str(&format!("\n----\n{got}"));
            }
            written.push_str("\n\n");
        }
        if writes() {
            std::fs::write(path, written).unwrap();
        }
    }
    assert!(writes() || wrong.is_empty(), "{}", wrong.join("\n"));
}
