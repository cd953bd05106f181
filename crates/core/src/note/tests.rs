use proptest::prelude::*;

use super::*;
use crate::codec::{Decode, Encode};
use crate::crypto::{PublicKey, SecretKey};
use crate::hash::{Hash, Suite};
use crate::log::{LogTree, MemoryTiles, PROOF_LEN_MAX, inclusion_proof, leaf_hash};
use crate::validators::{Validator, ValidatorSet};

const ORIGIN: &str = "example.com/ledger";

/// Examples of c2sp.org/signed-note, tlog-checkpoint and tlog-cosignature.
const SPEC_VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const SPEC_NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
const SPEC_NOTE_WITH_EMPTY_LINES: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
const SPEC_COSIGNED: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn signer(number: u8) -> SignerKey {
    SignerKey::of_validator(ORIGIN, &format!("v{number}"), secret(number)).unwrap()
}

fn set_of(count: u8) -> ValidatorSet {
    let validator = |number| Validator {
        name: format!("v{number}"),
        key: secret(number).public(),
    };
    ValidatorSet::new((1..=count).map(validator).collect()).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(ORIGIN, 7, Hash([9; 32])).unwrap()
}

fn note_by(signers: &[u8]) -> SignedNote {
    let signatures = signers
        .iter()
        .map(|number| signer(*number).sign(&checkpoint().to_string()));
    SignedNote::new(checkpoint().to_string(), signatures.collect()).unwrap()
}

#[test]
fn examples_of_the_specification() {
    let key: VerifierKey = SPEC_VKEY.parse().unwrap();
    assert_eq!(key.name(), "example.com/foo");
    assert_eq!(key.to_string(), SPEC_VKEY);
    let note = SignedNote::parse(SPEC_NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.verify(&[key]).unwrap().len(), 1);
    for text in [SPEC_NOTE, SPEC_NOTE_WITH_EMPTY_LINES, SPEC_COSIGNED] {
        assert_eq!(
            SignedNote::parse(text.as_bytes()).unwrap().to_string(),
            text
        );
    }
    let cosigned = SignedNote::parse(SPEC_COSIGNED.as_bytes()).unwrap();
    assert_eq!(cosigned.signatures().len(), 2);
    let checkpoint = Checkpoint::parse(cosigned.text()).unwrap();
    assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.size(), 20_852_163);
    assert_eq!(checkpoint.to_string(), cosigned.text());
}

/// Story: somebody changes one byte of a note anywhere. It must not verify as anything else.
#[test]
fn any_changed_byte_of_a_note_is_refused() {
    let key: VerifierKey = SPEC_VKEY.parse().unwrap();
    for place in 0..SPEC_NOTE.len() {
        for bit in 0..8 {
            let mut bytes = SPEC_NOTE.as_bytes().to_vec();
            bytes[place] ^= 1 << bit;
            let verified =
                SignedNote::parse(&bytes).and_then(|note| note.verify(std::slice::from_ref(&key)));
            assert!(verified.is_err(), "byte {place}, bit {bit}");
        }
    }
}

#[test]
fn malformed_notes_are_refused() {
    let line = SPEC_NOTE.split_once("\n\n").unwrap().1;
    for refused in [
        String::new(),
        "\n\n".into(),
        "text\n".into(),
        "text\n\n".into(),
        format!("text\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("te\txt\n\n{line}"),
        format!("te\rxt\n\n{line}"),
        format!("text\n\n{line}\n"),
        format!("text\n\n{}", line.replace('—', "-")),
        format!("text\n\n{}", line.replace("/foo ", "/foo  ")),
        format!("text\n\n{}", line.replace("/foo ", "/f+o ")),
        format!("text\n\n{}", line.replace("/foo ", "/f\u{a0}o ")),
        format!("text\n\n{}", line.replace("example.com/foo", "")),
        format!("text\n\n{}", line.replace('=', "")),
        format!("text\n\n{}", line.replace("aQM=", "aQN=")),
        "text\n\n— a \n".into(),
        "text\n\n— a AAAA\n".into(),
        "text\n\n— a AAAAAA==\n".into(),
        format!("text\n\n{}", line.repeat(NOTE_SIGNATURES_MAX + 1)),
        format!("{}\n\n{line}", "t".repeat(NOTE_LEN_MAX)),
    ] {
        assert!(
            SignedNote::parse(refused.as_bytes()).is_err(),
            "{refused:.100}"
        );
    }
    assert!(SignedNote::parse(b"te\xffxt\n\n").is_err());
    assert!(SignedNote::parse(format!("text\n\n{}", line.repeat(16)).as_bytes()).is_ok());
}

#[test]
fn malformed_checkpoints_are_refused() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    assert!(Checkpoint::parse(&format!("o\n0\n{root}\n")).is_ok());
    assert!(Checkpoint::parse(&format!("{}\n1\n{root}\n", "o".repeat(255))).is_ok());
    for refused in [
        String::new(),
        "\n".into(),
        "o\n1\n".into(),
        format!("o\n1\n{root}"),
        format!("\n1\n{root}\n"),
        format!("o\n01\n{root}\n"),
        format!("o\n+1\n{root}\n"),
        format!("o\n-1\n{root}\n"),
        format!("o\n\n{root}\n"),
        format!("o\n9223372036854775808\n{root}\n"),
        format!("o\n1\n{root}\nextension\n"),
        format!("o\n1\n{root}\n\n"),
        format!("o\r\n1\n{root}\n"),
        "o\n1\nAAAA\n".into(),
        format!("o\n1\n{}\n", root.replace("2I=", "2J=")),
        format!("{}\n1\n{root}\n", "o".repeat(256)),
    ] {
        assert!(Checkpoint::parse(&refused).is_err(), "{refused:.100}");
    }
    assert!(Checkpoint::new("a\nb", 1, Hash::ZERO).is_err());
}

#[test]
fn malformed_verifier_keys_are_refused() {
    for refused in [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0=",
        "example.com/foo+530d903a+",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/ foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ] {
        assert!(refused.parse::<VerifierKey>().is_err(), "{refused}");
    }
}

#[test]
fn a_quorum_certifies() {
    for (validators, quorum) in [(1, 1), (2, 2), (3, 3), (4, 3), (7, 5)] {
        let set = set_of(validators);
        let signers: Vec<u8> = (1..=validators).collect();
        for count in 1..=usize::from(validators) {
            let result = verify_certificate(ORIGIN, &set, &note_by(&signers[..count]));
            if count >= quorum {
                assert_eq!(result, Ok(checkpoint()));
            } else {
                let validators = usize::from(validators);
                assert_eq!(
                    result,
                    Err(CertificateError::NoQuorum {
                        found: count,
                        quorum,
                        validators
                    })
                );
            }
        }
    }
}

#[test]
fn a_validator_counts_once() {
    let result = verify_certificate(ORIGIN, &set_of(4), &note_by(&[1, 2, 2, 2]));
    assert!(matches!(
        result,
        Err(CertificateError::NoQuorum { found: 2, .. })
    ));
    let note = note_by(&[1]);
    let again = signer(1).sign(note.text());
    assert_eq!(note.clone().with(again).unwrap(), note);
}

#[test]
fn strangers_are_ignored_and_count_for_nothing() {
    let set = set_of(4);
    let text = checkpoint().to_string();
    let witness = NoteSignature::new("witness.example", KeyId([1; 4]), vec![4; 72]).unwrap();
    let stranger = signer(9).sign(&text);
    // The right name with another key has another id: unknown, so ignored.
    let impostor = SignerKey::of_validator(ORIGIN, "v3", secret(9))
        .unwrap()
        .sign(&text);
    let elsewhere = SignerKey::of_validator("example.com/other", "v3", secret(3))
        .unwrap()
        .sign(&text);
    let note = [witness, stranger, impostor, elsewhere]
        .into_iter()
        .fold(note_by(&[1, 2]), |note, signature| {
            note.with(signature).unwrap()
        });
    assert!(matches!(
        verify_certificate(ORIGIN, &set, &note),
        Err(CertificateError::NoQuorum { found: 2, .. })
    ));
    let note = note.with(signer(4).sign(&text)).unwrap();
    assert_eq!(verify_certificate(ORIGIN, &set, &note), Ok(checkpoint()));
    let parsed = SignedNote::parse(note.to_string().as_bytes()).unwrap();
    let certificate = Certificate::verify(ORIGIN, &set, parsed).unwrap();
    assert_eq!(certificate.checkpoint(), &checkpoint());
    assert_eq!(certificate.note(), &note);
}

/// A false signature in the name of a validator refuses the note, even beside a quorum.
#[test]
fn a_forged_signature_refuses_the_note() {
    let set = set_of(4);
    let id = signer(4).verifier().id();
    let name = signer(4).verifier().name().to_owned();
    let other_text = signer(4).sign("something else\n").bytes().to_vec();
    for bytes in [vec![0; 64], vec![1], other_text] {
        let forged = NoteSignature::new(&name, id, bytes).unwrap();
        let note = note_by(&[1, 2, 3]).with(forged.clone()).unwrap();
        let result = verify_certificate(ORIGIN, &set, &note);
        assert!(matches!(
            result,
            Err(CertificateError::Note(NoteError::BadSignature { .. }))
        ));
        // Also behind a true one by the same key.
        let mut signatures = note_by(&[1, 2, 3, 4]).signatures().to_vec();
        signatures.push(forged);
        let note = SignedNote::new(note.text(), signatures).unwrap();
        assert!(verify_certificate(ORIGIN, &set, &note).is_err());
    }
}

#[test]
fn a_certificate_holds_for_its_own_log_set_and_text_only() {
    let note = note_by(&[1, 2, 3]);
    assert!(matches!(
        verify_certificate("example.com/other", &set_of(4), &note),
        Err(CertificateError::OtherOrigin { .. })
    ));
    assert!(matches!(
        verify_certificate(ORIGIN, &set_of(7), &note),
        Err(CertificateError::NoQuorum {
            found: 3,
            quorum: 5,
            validators: 7
        })
    ));
    let other = checkpoint().to_string().replace("\n7\n", "\n8\n");
    let moved = SignedNote::new(other, note.signatures().to_vec()).unwrap();
    assert!(verify_certificate(ORIGIN, &set_of(4), &moved).is_err());
    let no_checkpoint = SignedNote::sign("hello\n", &[&signer(1)]).unwrap();
    assert!(verify_certificate(ORIGIN, &set_of(1), &no_checkpoint).is_err());
}

#[test]
fn a_proof_file_proves_its_leaf() {
    let suite = Suite::default();
    let (mut tree, mut tiles) = (LogTree::new(suite), MemoryTiles::default());
    let mut new_hashes = Vec::new();
    for number in 0..300_u16 {
        tree.append(leaf_hash(suite, &number.to_be_bytes()), &mut new_hashes);
    }
    tiles.extend(new_hashes);
    let checkpoint = Checkpoint::new(ORIGIN, tree.size(), tree.root()).unwrap();
    let note = SignedNote::sign(checkpoint.to_string(), &[&signer(1)]).unwrap();
    let hashes = inclusion_proof(suite, 258, 300, &tiles).unwrap();
    let proof = TlogProof::new(Some(b"extra".to_vec()), 258, hashes, note).unwrap();

    let read = TlogProof::parse(proof.to_string().as_bytes()).unwrap();
    assert_eq!(read, proof);
    let certified = verify_certificate(ORIGIN, &set_of(1), read.checkpoint_note()).unwrap();
    let leaf = leaf_hash(suite, &258_u16.to_be_bytes());
    assert_eq!(read.verify_leaf(suite, &leaf, &certified), Ok(()));
    let other = leaf_hash(suite, &259_u16.to_be_bytes());
    assert!(read.verify_leaf(suite, &other, &certified).is_err());

    // Only the extra data is outside of what is signed.
    let bytes = proof.to_string().into_bytes();
    let free = "c2sp.org/tlog-proof@v1\nextra ".len()..bytes.len();
    for place in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[place] ^= 1;
        let accepted = TlogProof::parse(&bent).is_ok_and(|proof| {
            verify_certificate(ORIGIN, &set_of(1), proof.checkpoint_note())
                .is_ok_and(|checkpoint| proof.verify_leaf(suite, &leaf, &checkpoint).is_ok())
        });
        assert!(
            !accepted || (free.contains(&place) && place < free.start + 8),
            "byte {place}"
        );
    }
}

#[test]
fn malformed_proofs_are_refused() {
    let hash = to_base64(&[7; 32]);
    let header = "c2sp.org/tlog-proof@v1";
    let full = format!("{header}\nextra AAAA\nindex 5\n{hash}\n\n{SPEC_COSIGNED}");
    assert_eq!(TlogProof::parse(full.as_bytes()).unwrap().to_string(), full);
    for accepted in [
        format!("{header}\nindex 0\n\n{SPEC_COSIGNED}"),
        format!("{header}\nextra \nindex 0\n\n{SPEC_COSIGNED}"),
        format!(
            "{header}\nindex 0\n{}\n{SPEC_COSIGNED}",
            format!("{hash}\n").repeat(PROOF_LEN_MAX)
        ),
    ] {
        assert_eq!(
            TlogProof::parse(accepted.as_bytes()).unwrap().to_string(),
            accepted
        );
    }
    for refused in [
        String::new(),
        format!("{header}\n"),
        full.replace("@v1", "@v2"),
        full.replace("index 5", "index 05"),
        full.replace("index 5", "index -5"),
        full.replace("index 5", "Index 5"),
        full.replace("index 5\n", ""),
        full.replace("AAAA", "AAA"),
        full.replace("AAAA", "AA AA"),
        full.replace("extra AAAA", "extra"),
        full.replace("extra AAAA", "extra AAAA\nextra AAAA"),
        full.replace(&hash, "AAAA"),
        full.replace('\n', "\r\n"),
        format!("{header}\nindex 5\n{hash}\n{SPEC_COSIGNED}"),
        format!("{header}\nindex 5\n{hash}\n\n"),
        format!(
            "{header}\nindex 0\n{}\n{SPEC_COSIGNED}",
            format!("{hash}\n").repeat(PROOF_LEN_MAX + 1)
        ),
        format!("{full}\n"),
    ] {
        assert!(
            TlogProof::parse(refused.as_bytes()).is_err(),
            "{refused:.100}"
        );
    }
}

#[test]
fn extra_data_may_be_32_mib_and_no_more() {
    let note = note_by(&[1]);
    let proof = TlogProof::new(Some(vec![1; EXTRA_LEN_MAX]), 0, vec![], note.clone()).unwrap();
    let text = proof.to_string();
    assert!(TlogProof::parse(text.as_bytes()).unwrap() == proof);
    assert!(TlogProof::new(Some(vec![1; EXTRA_LEN_MAX + 1]), 0, vec![], note).is_err());
    let longer = text
        .replace("\nindex", "AAAA\nindex")
        .replacen("=AAAA", "AAAA", 1);
    assert!(TlogProof::parse(longer.as_bytes()).is_err());
}

fn any_name() -> impl Strategy<Value = String> {
    "[!-*,-~è—]{1,40}"
}

fn any_signature() -> impl Strategy<Value = NoteSignature> {
    (
        any_name(),
        any::<[u8; 4]>(),
        prop::collection::vec(any::<u8>(), 1..80),
    )
        .prop_map(|(name, id, bytes)| NoteSignature::new(name, KeyId(id), bytes).unwrap())
}

fn any_note() -> impl Strategy<Value = SignedNote> {
    (
        "([ -~è—]{0,20}\n){1,6}",
        prop::collection::vec(any_signature(), 1..6),
    )
        .prop_map(|(text, signatures)| SignedNote::new(text, signatures).unwrap())
}

proptest! {
    #[test]
    fn notes_read_back(note in any_note()) {
        let text = note.to_string();
        prop_assert_eq!(&SignedNote::parse(text.as_bytes()).unwrap(), &note);
        prop_assert_eq!(SignedNote::decode_all(&note.encode_to_vec()).unwrap(), note);
    }

    #[test]
    fn checkpoints_read_back(origin in "[ -~è+]{1,60}", size in 0..i64::MAX as u64, root: [u8; 32]) {
        let checkpoint = Checkpoint::new(origin, size, Hash(root)).unwrap();
        prop_assert_eq!(Checkpoint::parse(&checkpoint.to_string()).unwrap(), checkpoint);
    }

    #[test]
    fn verifier_keys_read_back(name in any_name(), key: [u8; 32]) {
        let key = VerifierKey::new(name, PublicKey(key)).unwrap();
        prop_assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key);
    }

    #[test]
    fn proofs_read_back(
        extra in prop::option::of(prop::collection::vec(any::<u8>(), 0..60)),
        index: u64,
        proof in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..10),
        note in any_note(),
    ) {
        let proof = TlogProof::new(extra, index, proof, note).unwrap();
        prop_assert_eq!(TlogProof::parse(proof.to_string().as_bytes()).unwrap(), proof);
    }

    /// Whatever comes, no parser panics, and what one accepts it writes back unchanged.
    #[test]
    fn parsers_are_total_and_canonical(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in "([ -~—è]{0,12}\n{0,2}){0,12}",
        edits in prop::collection::vec((0_usize..600, any::<u8>()), 0..3),
    ) {
        let full = format!("c2sp.org/tlog-proof@v1\nextra AAAA\nindex 5\n\n{SPEC_COSIGNED}");
        for sample in [full.as_str(), SPEC_NOTE, SPEC_COSIGNED, SPEC_VKEY] {
            let mut edited = sample.as_bytes().to_vec();
            for (place, byte) in &edits {
                if let Some(old) = edited.get_mut(*place) {
                    *old = *byte;
                }
            }
            check_parsers(&edited);
        }
        check_parsers(&bytes);
        check_parsers(text.as_bytes());
    }
}

fn check_parsers(bytes: &[u8]) {
    if let Ok(note) = SignedNote::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
    }
    if let Ok(proof) = TlogProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(checkpoint) = Checkpoint::parse(text) {
            assert_eq!(checkpoint.to_string(), text);
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.to_string(), text);
        }
    }
}
