//! The bytes of the log, notes, certificates and proof files may never change: what one version of
//! Stele has signed, every later one must verify, and so must verifiers in other languages.
//!
//! Each file of `fixtures/log` is made again and compared. `STELE_WRITE_FIXTURES=1` writes them instead:
//! for a new fixture, never to make a failing one pass.

// A test fails by panicking; clippy's test exemption does not reach this file's helpers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::path::PathBuf;

use stele_core::crypto::SecretKey;
use stele_core::log::{
    LogTree, MemoryTiles, TileContent, TilePath, TileReader, consistency_proof, encode_bundle,
    inclusion_proof, leaf_hash, root_at, verify_consistency, verify_inclusion,
};
use stele_core::note::{
    Checkpoint, KeyId, NoteSignature, SignedNote, SignerKey, TlogProof, VerifierKey,
    verify_certificate,
};
use stele_core::validators::{Validator, ValidatorSet};
use stele_core::{Decode, Encode, Hash, Suite};

const SUITE: Suite = Suite::Ed25519Sha256;
const ORIGIN: &str = "stele.example/fixtures";
const SIZE: u64 = 70_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log")
}

/// Compares a fixture with what is made today.
fn freeze(name: &str, made: &str) {
    let path = folder().join(name);
    if std::env::var_os("STELE_WRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == made, "{name} is not what this version makes");
}

/// Reads the lines of a fixture that are no comments, split at spaces.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
        .collect()
}

fn entry(index: u64) -> String {
    format!("entry {index}")
}

fn leaf(index: u64) -> Hash {
    leaf_hash(SUITE, entry(index).as_bytes())
}

fn tiles() -> &'static MemoryTiles {
    static TILES: std::sync::OnceLock<MemoryTiles> = std::sync::OnceLock::new();
    TILES.get_or_init(|| {
        let mut tree = LogTree::new(SUITE);
        let mut new_hashes = Vec::new();
        for index in 0..SIZE {
            tree.append(leaf(index), &mut new_hashes);
        }
        let mut tiles = MemoryTiles::default();
        tiles.extend(new_hashes);
        tiles
    })
}

fn root(size: u64) -> Hash {
    root_at(SUITE, size, tiles()).unwrap()
}

fn hex_of(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| format!(" {hash}")).collect()
}

fn hashes_of(fields: &[&str]) -> Vec<Hash> {
    fields
        .iter()
        .map(|hex| Hash::from_hex(hex).unwrap())
        .collect()
}

#[test]
fn roots() {
    let mut text = String::from("# Leaf i is the text 'entry i'.\n# size root\n");
    let sizes = (0..=34).chain([63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513]);
    for size in sizes.chain([600, 65_535, 65_536, 65_537, 65_792, SIZE]) {
        writeln!(text, "{size} {}", root(size)).unwrap();
    }
    freeze("roots.txt", &text);
}

#[test]
fn tile_bytes() {
    let mut text = format!("# Tiles of the log of {SIZE} leaves.\n# path bytes\n");
    for path in ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"] {
        let tile: TilePath = path.parse().unwrap();
        let TileContent::Hashes { level } = tile.content() else {
            panic!("only hash tiles are listed");
        };
        let places = tile.places_in(SIZE).unwrap();
        let count = usize::from(tile.width());
        let hashes = tiles().hashes(level, places.start, count).unwrap();
        let bytes: String = hashes.iter().map(Hash::to_hex).collect();
        writeln!(text, "{path} {bytes}").unwrap();
    }
    let entries: Vec<String> = (0..256).map(entry).collect();
    let bundle = encode_bundle(&entries).unwrap();
    writeln!(text, "tile/entries/000 {}", hex::encode(bundle)).unwrap();
    freeze("tiles.txt", &text);
}

#[test]
fn inclusion_proofs() {
    let mut text = String::from("# index size leaf root proof…\n");
    for size in [
        1_u64, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 600, 65_536, 65_537, SIZE,
    ] {
        let mut indexes = vec![0, 1, size / 3, size / 2, size - 1];
        indexes.retain(|index| *index < size);
        indexes.sort_unstable();
        indexes.dedup();
        for index in indexes {
            let proof = inclusion_proof(SUITE, index, size, tiles()).unwrap();
            let (leaf, root) = (leaf(index), root(size));
            writeln!(text, "{index} {size} {leaf} {root}{}", hex_of(&proof)).unwrap();
        }
    }
    freeze("inclusion.txt", &text);
    for row in rows(&text) {
        assert!(check_inclusion(&row), "{row:?}");
    }
}

#[test]
fn consistency_proofs() {
    let mut text = String::from("# old-size new-size old-root new-root proof…\n");
    for new in [1_u64, 2, 3, 4, 6, 7, 8, 9, 255, 256, 257, 600, 65_537, SIZE] {
        let mut olds = vec![0, 1, 2, 4, new / 3, new / 2, new - 1, new];
        olds.retain(|old| *old <= new);
        olds.sort_unstable();
        olds.dedup();
        for old in olds {
            let proof = consistency_proof(SUITE, old, new, tiles()).unwrap();
            let (old_root, new_root) = (root(old), root(new));
            writeln!(text, "{old} {new} {old_root} {new_root}{}", hex_of(&proof)).unwrap();
        }
    }
    freeze("consistency.txt", &text);
    for row in rows(&text) {
        assert!(check_consistency(&row), "{row:?}");
    }
}

/// Lines in the form of `inclusion.txt` that every verifier must refuse.
#[test]
fn forged_inclusion_proofs() {
    let mut text = String::from("# index size leaf root proof… : all to be refused\n");
    for (index, size) in [
        (0, 1),
        (0, 2),
        (2, 3),
        (5, 7),
        (100, 257),
        (257, 600),
        (65_536, SIZE),
    ] {
        let proof = inclusion_proof(SUITE, index, size, tiles()).unwrap();
        for (leaf, proof) in forge(leaf(index), &proof) {
            writeln!(
                text,
                "{index} {size} {leaf} {}{}",
                root(size),
                hex_of(&proof)
            )
            .unwrap();
        }
        let (leaf, root) = (leaf(index), root(size));
        for (other, size) in [
            (size, size),
            (index + 1, size),
            (index, 0),
            (index, u64::MAX),
        ] {
            writeln!(text, "{other} {size} {leaf} {root}{}", hex_of(&proof)).unwrap();
        }
    }
    freeze("forged-inclusion.txt", &text);
    for row in rows(&text) {
        assert!(!check_inclusion(&row), "{row:?}");
    }
}

/// Lines in the form of `consistency.txt` that every verifier must refuse.
#[test]
fn forged_consistency_proofs() {
    let mut text =
        String::from("# old-size new-size old-root new-root proof… : all to be refused\n");
    for (old, new) in [(1, 2), (2, 3), (3, 7), (4, 8), (255, 600), (65_536, SIZE)] {
        let proof = consistency_proof(SUITE, old, new, tiles()).unwrap();
        for (old_root, proof) in forge(root(old), &proof) {
            writeln!(
                text,
                "{old} {new} {old_root} {}{}",
                root(new),
                hex_of(&proof)
            )
            .unwrap();
        }
        let (old_root, new_root, proof) = (root(old), root(new), hex_of(&proof));
        writeln!(text, "{new} {old} {new_root} {old_root}{proof}").unwrap();
        writeln!(text, "{old} {new} {new_root} {old_root}{proof}").unwrap();
        writeln!(text, "0 {new} {old_root} {new_root}{proof}").unwrap();
        writeln!(text, "{old} {old} {old_root} {new_root}").unwrap();
    }
    freeze("forged-consistency.txt", &text);
    for row in rows(&text) {
        assert!(!check_consistency(&row), "{row:?}");
    }
}

/// First hash and proof with a bit flipped, hashes added, hashes left out.
fn forge(first: Hash, proof: &[Hash]) -> Vec<(Hash, Vec<Hash>)> {
    let mut bent_first = first;
    bent_first.0[31] ^= 1;
    let mut forged = vec![
        (bent_first, proof.to_vec()),
        (first, [proof, &[Hash::ZERO]].concat()),
        (first, [&[Hash::ZERO], proof].concat()),
        (first, [proof, &[Hash::ZERO; 65]].concat()),
    ];
    for place in 0..proof.len() {
        let mut bent = proof.to_vec();
        bent[place].0[place % 32] ^= 0x80 >> (place % 8);
        forged.push((first, bent));
        let mut shorter = proof.to_vec();
        shorter.remove(place);
        forged.push((first, shorter));
    }
    forged
}

fn check_inclusion(row: &[&str]) -> bool {
    let (index, size) = (row[0].parse().unwrap(), row[1].parse().unwrap());
    let hashes = hashes_of(&row[2..]);
    verify_inclusion(SUITE, &hashes[0], index, size, &hashes[2..], &hashes[1]).is_ok()
}

fn check_consistency(row: &[&str]) -> bool {
    let (old, new) = (row[0].parse().unwrap(), row[1].parse().unwrap());
    let hashes = hashes_of(&row[2..]);
    verify_consistency(SUITE, old, new, &hashes[2..], &hashes[0], &hashes[1]).is_ok()
}

fn validator_secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn signer(number: u8) -> SignerKey {
    let name = format!("validator-{number}");
    SignerKey::of_validator(ORIGIN, &name, validator_secret(number)).unwrap()
}

fn set() -> ValidatorSet {
    let validator = |number| Validator {
        name: format!("validator-{number}"),
        key: validator_secret(number).public(),
    };
    ValidatorSet::new((1..=4).map(validator).collect()).unwrap()
}

/// The checkpoint of the log, signed by three of four validators and seen by a witness nobody knows.
fn certificate() -> SignedNote {
    let checkpoint = Checkpoint::new(ORIGIN, SIZE, root(SIZE)).unwrap();
    let witness = NoteSignature::new("witness.example/w1", KeyId([1, 2, 3, 4]), vec![5; 72]);
    SignedNote::sign(
        checkpoint.to_string(),
        &[&signer(1), &signer(3), &signer(4)],
    )
    .and_then(|note| note.with(witness?))
    .unwrap()
}

#[test]
fn validator_set_and_keys() {
    let mut text = format!("set {}\n", hex::encode(set().encode_to_vec()));
    writeln!(text, "hash {}", set().hash(SUITE)).unwrap();
    for validator in set().validators() {
        let key = VerifierKey::of_validator(ORIGIN, validator).unwrap();
        writeln!(text, "{key}").unwrap();
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    freeze("validators.txt", &text);
    let bytes = hex::decode(rows(&text)[0][1]).unwrap();
    assert_eq!(ValidatorSet::decode_all(&bytes), Ok(set()));
}

#[test]
fn certificate_note() {
    let text = certificate().to_string();
    freeze("certificate.note", &text);
    let read = SignedNote::parse(text.as_bytes()).unwrap();
    let checkpoint = verify_certificate(ORIGIN, &set(), &read).unwrap();
    assert_eq!((checkpoint.size(), checkpoint.root()), (SIZE, root(SIZE)));
}

#[test]
fn proof_file() {
    let index = 65_793;
    let hashes = inclusion_proof(SUITE, index, SIZE, tiles()).unwrap();
    let extra = entry(index).into_bytes();
    let proof = TlogProof::new(Some(extra), index, hashes, certificate()).unwrap();
    let text = proof.to_string();
    freeze("entry.tlog-proof", &text);
    let read = TlogProof::parse(text.as_bytes()).unwrap();
    let checkpoint = verify_certificate(ORIGIN, &set(), read.checkpoint_note()).unwrap();
    let leaf = leaf_hash(SUITE, read.extra().unwrap());
    assert_eq!(read.verify_leaf(SUITE, &leaf, &checkpoint), Ok(()));
}
