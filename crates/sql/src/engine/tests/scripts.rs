//! Scripts of statements and what they give, each a transaction and a block of its own, by several users.
//! After each script its effects are applied to an empty state and undone again, and both are compared
//! at every height; so a script shows history and replay of what it does, too.
//!
//! A step is one or more statements, then `----` and what the last one gives; steps are parted by an
//! empty line. `-- bob` in the first line says who sends it; `{bob}` stands for bob's account.

use std::path::PathBuf;

use stele_core::AccountId;
use stele_core::crypto::SecretKey;
use stele_core::outcome::BlockEffects;
use stele_core::value::text;

use super::replay::{apply, content, unapply, without_history};
use super::support::*;
use crate::parse::parse;
use crate::result::StatementResult;

const USERS: [&str; 4] = ["anna", "bob", "carol", "dave"];

fn key(user: &str) -> SecretKey {
    let place = USERS.iter().position(|name| *name == user).unwrap();
    SecretKey::from_seed(&[u8::try_from(place).unwrap() + 1; 32])
}

fn account(user: &str) -> String {
    AccountId::of_key(SUITE, &key(user).public()).to_string()
}

fn run(ledger: &mut Ledger, step: &str) -> (String, BlockEffects) {
    let (user, sql) = match step
        .strip_prefix("-- ")
        .and_then(|step| step.split_once('\n'))
    {
        Some((user, sql)) if USERS.contains(&user) => (user, sql),
        _ => ("anna", step),
    };
    let mut sql = sql.to_owned();
    for user in USERS {
        sql = sql.replace(&format!("{{{user}}}"), &format!("\"{}\"", account(user)));
    }
    ledger.key = key(user);
    let statements = match parse(&sql) {
        Ok(parsed) => parsed.iter().map(|one| one.text().to_owned()).collect(),
        Err(_) => vec![sql],
    };
    let statements: Vec<_> = statements
        .iter()
        .map(|one| (one.as_str(), vec![]))
        .collect();
    let signed = ledger.sign(&statements);
    let executed = ledger.execute(&[signed]);
    let got = match executed.results.first().unwrap() {
        Ok(results) => results.last().map_or_else(String::new, shown),
        Err(error) => {
            let mut got = format!("! {} {}", error.code, error.message);
            if let Some(detail) = &error.detail {
                got.push_str(&format!("\n! {detail}"));
            }
            got
        }
    };
    let height = ledger.engine.meta().height + 1;
    let block = block_hash(height);
    ledger.engine.commit(&height.to_be_bytes(), block).unwrap();
    let mut got = got;
    for user in USERS {
        got = got.replace(&account(user), &format!("{{{user}}}"));
    }
    (got, effects(height, executed))
}

fn shown(result: &StatementResult) -> String {
    if result.columns.is_empty() {
        return result.tag.clone();
    }
    let rows = result.rows.iter().map(|row| {
        let values = row.iter().zip(&result.columns).map(|(value, column)| {
            if value.is_null() {
                "NULL".to_owned()
            } else {
                text::format(column.ty, value)
            }
        });
        values.collect::<Vec<_>>().join("|")
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/engine")
}

#[test]
fn scripts_give_what_they_should_and_are_replayed_and_undone() {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    paths.sort();
    let writes = std::env::var_os("STELE_WRITE_FIXTURES").is_some();
    let mut wrong = Vec::new();
    for path in paths {
        let mut ledger = Ledger::in_memory();
        let mut roots = vec![ledger.root()];
        let mut blocks = Vec::new();
        let mut written = String::new();
        for block in std::fs::read_to_string(&path).unwrap().split("\n\n") {
            let (sql, expected) = block.split_once("\n----").unwrap_or((block, ""));
            let (sql, expected) = (sql.trim(), expected.trim());
            if sql.is_empty() {
                continue;
            }
            let (got, effects) = run(&mut ledger, sql);
            if got != expected {
                wrong.push(format!(
                    "{}: {sql}\ngave\n{got}\nnot\n{expected}",
                    path.display()
                ));
            }
            written.push_str(&format!("{sql}\n----\n{got}\n\n"));
            blocks.push(effects);
            roots.push(ledger.root());
        }
        if writes {
            std::fs::write(&path, written).unwrap();
        }
        replayed(&mut ledger, &blocks, &roots, &path.display().to_string());
    }
    assert!(writes || wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Applies the blocks to an empty state, undoes them, and compares.
fn replayed(ledger: &mut Ledger, blocks: &[BlockEffects], roots: &[stele_core::Hash], path: &str) {
    let mut other = Ledger::in_memory();
    let mut contents = vec![content(&other.engine)];
    for effects in blocks {
        apply(&mut other, effects);
        contents.push(content(&other.engine));
    }
    assert_eq!(content(&other.engine), content(&ledger.engine), "{path}");
    for (height, effects) in blocks.iter().enumerate().rev() {
        assert_eq!(
            unapply(&mut other, effects),
            roots[height],
            "{path} {height}"
        );
        let left = without_history(content(&other.engine));
        assert_eq!(
            left,
            without_history(contents[height].clone()),
            "{path} {height}"
        );
    }
}
