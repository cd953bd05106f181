//! Proof files, and what they show.

use stele_core::key::encode_key;
use stele_core::proof::{Evidence, RowClaim, Verifier};
use stele_core::value::{Type, Value};

use super::freeze;
use super::shown::shown;
use super::world::{World, world};

fn id(value: i64) -> Vec<u8> {
    encode_key(&[(Type::Integer, &Value::Int(value))]).unwrap()
}

fn name(value: &str) -> Vec<u8> {
    encode_key(&[(Type::Text, &Value::Text(value.to_owned()))]).unwrap()
}

fn range(from: Vec<u8>, to: Option<Vec<u8>>) -> RowClaim {
    RowClaim::Range { from, to }
}

/// Every good proof file by name.
pub fn good(world: &World) -> Vec<(String, String)> {
    let transactions = world
        .transactions
        .iter()
        .enumerate()
        .map(|(at, (name, ..))| {
            let evidence = Evidence::Transaction(Box::new(world.transaction(at)));
            (format!("transaction-{name}"), world.file(&evidence))
        });
    let present = |key| RowClaim::Present { key };
    let absent = |key| RowClaim::Absent { key };
    let claims = [
        ("present-first", 0, present(id(0))),
        ("present-middle", 0, present(id(2_468))),
        ("present-last", 0, present(id(5_998))),
        ("present-all-types", 1, present(world.key(1, 0))),
        ("present-nulls", 1, present(world.key(1, 1))),
        ("present-missing-null", 1, present(world.key(1, 2))),
        ("present-salted", 2, present(name("ben"))),
        ("absent-middle", 0, absent(id(2_469))),
        ("absent-before-all", 0, absent(id(-1))),
        ("absent-after-all", 0, absent(id(6_000))),
        ("absent-salted", 2, absent(name("carl"))),
        ("absent-empty-table", 3, absent(id(1))),
        ("range-middle", 0, range(id(1_000), Some(id(1_101)))),
        ("range-one-row", 0, range(id(1_999), Some(id(2_001)))),
        ("range-no-row", 0, range(id(1_001), Some(id(1_002)))),
        ("range-from-start", 0, range(Vec::new(), Some(id(40)))),
        ("range-to-end", 0, range(id(5_950), None)),
        ("range-all-types", 1, range(Vec::new(), None)),
        ("range-salted", 2, range(Vec::new(), None)),
        ("range-empty-table", 3, range(Vec::new(), None)),
    ];
    let rows = claims.into_iter().map(|(name, table, claim)| {
        let evidence = Evidence::Rows(Box::new(world.rows(table, claim)));
        (name.to_owned(), world.file(&evidence))
    });
    transactions.chain(rows).collect()
}

#[test]
fn a19_proof_files_are_frozen_with_what_they_show() {
    let world = world();
    for (name, file) in good(&world) {
        freeze(&format!("proof/good/{name}.tlog-proof"), file.as_bytes());
        let proven = Verifier::new(world.trust.clone())
            .verify(file.as_bytes())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let json = format!("{:#}\n", shown(&proven, &world.trust));
        freeze(&format!("proof/good/{name}.json"), json.as_bytes());
    }
}

#[test]
fn a19_a_proof_file_with_any_byte_changed_is_refused() {
    let world = world();
    let mut verifier = Verifier::new(world.trust.clone());
    for (name, file) in good(&world) {
        let mut file = file.into_bytes();
        for at in 0..file.len() {
            for flip in [0x01, 0x80] {
                file[at] ^= flip;
                assert!(
                    verifier.verify(&file).is_err(),
                    "{name}: byte {at} ^ {flip}"
                );
                file[at] ^= flip;
            }
        }
        verifier.verify(&file).unwrap();
    }
}
