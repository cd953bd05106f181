//! Forged checkpoints, signatures and text forms.

use stele_core::Hash;
use stele_core::log::inclusion_proof;
use stele_core::note::{Checkpoint, KeyId, NoteSignature, SignedNote, SignerKey, TlogProof};
use stele_core::proof::Evidence;

use super::Corpus;
use crate::world::{FIRST_ENTRY, World, log_of, secret};
use crate::{ORIGIN, SUITE};

/// Checkpoints, signatures and the text form.
pub fn forge(world: &World, corpus: &mut Corpus) {
    let evidence = Evidence::Transaction(Box::new(world.transaction(0)));
    let extra = evidence.to_checked_bytes(SUITE);
    let good = world.file(&evidence);
    let (log, tiles) = world.log();
    let path = inclusion_proof(SUITE, FIRST_ENTRY, log.size(), &tiles).unwrap();
    let checkpoint = Checkpoint::new(ORIGIN, log.size(), log.root()).unwrap();
    let signers = world.signers();
    let with = |note: SignedNote| {
        TlogProof::new(Some(extra.clone()), FIRST_ENTRY, path.clone(), note)
            .unwrap()
            .to_string()
    };
    let sign = |text: String, signers: &[&SignerKey]| SignedNote::sign(text, signers).unwrap();
    let all: Vec<&SignerKey> = signers.iter().collect();
    let lines: Vec<&str> = good.lines().collect();
    let line = |at: usize, new: String| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        lines[at] = new;
        lines.join("\n") + "\n"
    };

    corpus.add(
        "header-other-version",
        "the first line names version 2",
        good.replace("tlog-proof@v1", "tlog-proof@v2"),
    );
    corpus.add(
        "no-evidence",
        "the extra line is missing",
        world.file_of(None, FIRST_ENTRY),
    );
    corpus.add(
        "extra-twice",
        "two extra lines",
        line(1, format!("{}\n{}", lines[1], lines[1])),
    );
    corpus.add(
        "extra-empty",
        "no byte of evidence",
        world.file_of(Some(Vec::new()), FIRST_ENTRY),
    );
    corpus.add(
        "index-next",
        "the index is that of the next leaf",
        line(2, format!("index {}", FIRST_ENTRY + 1)),
    );
    corpus.add(
        "index-outside",
        "the index is the size of the log",
        line(2, format!("index {}", log.size())),
    );
    corpus.add(
        "index-leading-zero",
        "a decimal number in a second form",
        line(2, format!("index 0{FIRST_ENTRY}")),
    );
    corpus.add(
        "index-plus",
        "a decimal number with a sign",
        line(2, format!("index +{FIRST_ENTRY}")),
    );
    corpus.add(
        "hash-missing",
        "the log path lacks its last hash",
        TlogProof::new(
            Some(extra.clone()),
            FIRST_ENTRY,
            path[..path.len() - 1].to_vec(),
            world.note(),
        )
        .unwrap()
        .to_string(),
    );
    let mut long = path.clone();
    long.push(Hash::ZERO);
    corpus.add(
        "hash-extra",
        "the log path has a hash too many",
        TlogProof::new(Some(extra.clone()), FIRST_ENTRY, long, world.note())
            .unwrap()
            .to_string(),
    );
    let mut swapped = path.clone();
    swapped.swap(0, 1);
    corpus.add(
        "hash-swapped",
        "two hashes of the log path change places",
        TlogProof::new(Some(extra.clone()), FIRST_ENTRY, swapped, world.note())
            .unwrap()
            .to_string(),
    );
    corpus.add(
        "hash-unpadded",
        "base 64 without its padding",
        line(3, lines[3].trim_end_matches('=').to_owned()),
    );
    let stray = lines[3].trim_end_matches('=');
    let last = char::from(stray.as_bytes()[stray.len() - 1] + 1);
    corpus.add(
        "hash-stray-bits",
        "base 64 with bits beyond the last byte",
        line(3, format!("{}{last}=", &stray[..stray.len() - 1])),
    );
    corpus.add(
        "lines-crlf",
        "lines end in carriage return and line feed",
        good.replace('\n', "\r\n"),
    );
    corpus.add(
        "newline-missing",
        "the last newline is missing",
        good.trim_end().to_owned(),
    );
    corpus.add(
        "junk-after",
        "a line after the signatures",
        format!("{good}junk\n"),
    );
    corpus.add(
        "space-before",
        "a space before the first line",
        format!(" {good}"),
    );
    corpus.add("not-utf8", "a byte that is no UTF-8 in a signer's name", {
        let mut bytes = good.clone().into_bytes();
        let at = bytes.len() - 60;
        bytes[at] = 0xff;
        bytes
    });

    corpus.add(
        "no-quorum",
        "two of four validators signed, three are needed",
        with(sign(checkpoint.to_string(), &all[..2])),
    );
    corpus.add("no-signature", "nobody signed", {
        let end = good.find("\u{2014} ").unwrap();
        good[..end].to_owned()
    });
    let one = all[0].sign(&checkpoint.to_string());
    let thrice =
        SignedNote::new(checkpoint.to_string(), vec![one.clone(), one.clone(), one]).unwrap();
    corpus.add(
        "one-signer-thrice",
        "one validator's signature stands three times",
        with(thrice),
    );
    let mut signatures: Vec<NoteSignature> = all
        .iter()
        .map(|key| key.sign(&checkpoint.to_string()))
        .collect();
    let last = signatures.pop().unwrap();
    let replace = |id: KeyId, bytes: Vec<u8>, name: &str| {
        let mut signatures = signatures.clone();
        signatures.push(NoteSignature::new(name, id, bytes).unwrap());
        with(SignedNote::new(checkpoint.to_string(), signatures).unwrap())
    };
    corpus.add(
        "signature-zero",
        "a validator's signature is all zero bytes",
        replace(last.id(), vec![0; 64], last.name()),
    );
    corpus.add(
        "signature-short",
        "a validator's signature lacks a byte",
        replace(last.id(), last.bytes()[..63].to_vec(), last.name()),
    );
    corpus.add(
        "signature-long",
        "a validator's signature has a byte too many",
        replace(last.id(), [last.bytes(), &[0]].concat(), last.name()),
    );
    corpus.add(
        "signature-other-id",
        "a signature under another key id",
        replace(KeyId([1; 4]), last.bytes().to_vec(), last.name()),
    );
    corpus.add(
        "signature-other-name",
        "a signature under another name",
        replace(last.id(), last.bytes().to_vec(), "else"),
    );
    corpus.add(
        "signature-malleable",
        "the scalar S of a signature plus the group order",
        {
            let mut bytes = last.bytes().to_vec();
            add_order(&mut bytes[32..]);
            replace(last.id(), bytes, last.name())
        },
    );
    let mut four: Vec<NoteSignature> = all
        .iter()
        .map(|key| key.sign(&checkpoint.to_string()))
        .collect();
    let carl = SignerKey::of_validator(ORIGIN, "carl", secret(3)).unwrap();
    four.push(
        NoteSignature::new(carl.verifier().name(), carl.verifier().id(), vec![7; 64]).unwrap(),
    );
    corpus.add(
        "signature-false-beside-quorum",
        "a quorum signed, and a fourth validator's signature is false",
        with(SignedNote::new(checkpoint.to_string(), four).unwrap()),
    );
    let strangers: Vec<SignerKey> = (40..43)
        .zip(["anna", "ben", "carl"])
        .map(|(seed, name)| SignerKey::of_validator(ORIGIN, name, secret(seed)).unwrap())
        .collect();
    corpus.add(
        "strangers",
        "signed by other keys under the validators' names",
        with(sign(
            checkpoint.to_string(),
            &strangers.iter().collect::<Vec<_>>(),
        )),
    );

    let other = Checkpoint::new("other.example/log", log.size(), log.root()).unwrap();
    corpus.add(
        "other-origin",
        "the validators signed this checkpoint for another log",
        with(sign(other.to_string(), &all)),
    );
    corpus.add(
        "extension-line",
        "a signed checkpoint with a fourth line",
        with(sign(format!("{checkpoint}more\n"), &all)),
    );
    corpus.add(
        "size-changed",
        "the checkpoint's size is not the one signed",
        good.replace(
            &format!("\n{}\n", log.size()),
            &format!("\n{}\n", log.size() + 1),
        ),
    );
    let (short, _) = log_of(&world.leaves[..FIRST_ENTRY as usize]);
    let early = Checkpoint::new(ORIGIN, short.size(), short.root()).unwrap();
    corpus.add(
        "earlier-checkpoint",
        "a true checkpoint from before the transaction",
        with(sign(early.to_string(), &all)),
    );
    let wrong = Checkpoint::new(ORIGIN, log.size(), Hash([1; 32])).unwrap();
    corpus.add(
        "other-root",
        "a signed checkpoint of another tree",
        with(sign(wrong.to_string(), &all)),
    );
}

/// Adds the order of the Ed25519 group to a little-endian scalar.
fn add_order(scalar: &mut [u8]) {
    let order =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0u16;
    for (byte, add) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}
