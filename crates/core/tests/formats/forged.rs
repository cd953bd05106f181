//! Forged proof files: each would show something untrue, or is in a form no prover writes. All are refused.

mod evidence;
mod path;
mod rows;
mod state;
mod text;

use std::fmt::Write as _;

use stele_core::proof::Verifier;
use stele_core::value::{Type, Value};

use super::world::world;
use super::{folder, freeze, writes};

/// A forged file with its name and what is wrong with it.
struct Forged {
    name: String,
    reason: String,
    file: Vec<u8>,
}

#[derive(Default)]
pub struct Corpus(Vec<Forged>);

impl Corpus {
    fn add(&mut self, name: &str, reason: &str, file: impl Into<Vec<u8>>) {
        self.0.push(Forged {
            name: name.to_owned(),
            reason: reason.to_owned(),
            file: file.into(),
        });
    }
}

fn id(value: i64) -> Vec<u8> {
    stele_core::key::encode_key(&[(Type::Integer, &Value::Int(value))]).unwrap()
}

fn corpus() -> Vec<Forged> {
    let world = world();
    let mut corpus = Corpus::default();
    text::forge(&world, &mut corpus);
    evidence::forge(&world, &mut corpus);
    rows::forge(&world, &mut corpus);
    state::forge(&world, &mut corpus);
    corpus.0
}

#[test]
fn a19_forged_proof_files_are_refused() {
    let corpus = corpus();
    let mut reasons = String::new();
    let trust = world().trust;
    for Forged { name, reason, file } in &corpus {
        writeln!(reasons, "{name}: {reason}").unwrap();
        freeze(&format!("proof/forged/{name}.tlog-proof"), file);
        let refusal = Verifier::new(trust.clone()).verify(file);
        assert!(refusal.is_err(), "{name} was accepted: {reason}");
        if writes() {
            eprintln!("{name}: {}", refusal.unwrap_err());
        }
    }
    freeze("proof/forged/reasons.txt", reasons.as_bytes());
    let files = std::fs::read_dir(folder("proof/forged")).unwrap().count();
    assert_eq!(files, corpus.len() + 1, "a file that nothing makes");
}
