use std::sync::Arc;

use stele_consensus::bft::messages;
use stele_core::validators::Validator;

use super::*;

const ORIGIN: &str = "test.example/ledger";
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number + 1; 32])
}

fn four() -> Vec<Checkpoints> {
    let validators = NAMES.iter().zip(0..).map(|(name, number)| Validator {
        name: (*name).to_owned(),
        key: secret(number).public(),
    });
    let set = ValidatorSet::new(validators.collect()).unwrap();
    let of = |(name, number): (&&str, u8)| {
        let signer = SignerKey::of_validator(ORIGIN, name, secret(number)).unwrap();
        Checkpoints::new(signer, ORIGIN, &set).unwrap()
    };
    NAMES.iter().zip(0..).map(of).collect()
}

fn note(one: &Checkpoints, size: u64, root: u8) -> Vec<u8> {
    let checkpoint = Checkpoint::new(ORIGIN, size, Hash([root; 32])).unwrap();
    let note = SignedNote::sign(checkpoint.to_string(), &[&one.signer]).unwrap();
    note.to_string().into_bytes()
}

#[test]
fn a_quorum_that_agrees_makes_the_certificate() {
    let all = four();
    let (messenger, _outbox) = messages();
    assert_eq!(all[0].take(&note(&all[1], 2, 7)), Taken::Kept);
    assert_eq!(all[0].take(&note(&all[2], 2, 7)), Taken::Kept);
    let certificate = all[0].gather(1, (2, Hash([7; 32])), &messenger).unwrap();
    assert_eq!(certificate.signatures().len(), 3);
    assert_eq!(all[0].take(&note(&all[3], 2, 7)), Taken::Late(2));
    // A certificate helps one that lags as all its signatures do.
    assert_eq!(all[3].take(certificate.to_string().as_bytes()), Taken::Kept);
    assert!(all[3].gather(1, (2, Hash([7; 32])), &messenger).is_ok());
}

#[test]
fn two_of_four_make_none_and_one_counts_once() {
    let all = Arc::new(four());
    let (messenger, _outbox) = messages();
    for _ in 0..3 {
        assert_eq!(all[0].take(&note(&all[1], 2, 7)), Taken::Kept);
    }
    let waits = {
        let all = all.clone();
        std::thread::spawn(move || all[0].gather(1, (2, Hash([7; 32])), &messenger))
    };
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waits.is_finished());
    all[0].stop();
    let ended = waits.join().unwrap().map_err(|error| error.cause);
    assert!(matches!(ended, Err(DeliverError::Later(_))));
}

#[test]
fn one_whose_result_differs_from_an_honest_ones_halts() {
    let all = four();
    let (messenger, _outbox) = messages();
    assert_eq!(all[0].take(&note(&all[1], 2, 8)), Taken::Kept);
    assert_eq!(all[0].take(&note(&all[2], 2, 8)), Taken::Kept);
    let halted = all[0].gather(1, (2, Hash([7; 32])), &messenger);
    assert!(
        matches!(halted, Err(error) if error.is_suspect && error.cause.to_string().contains("another result after block 1"))
    );
}

#[test]
fn forged_foreign_and_far_notes_are_refused() {
    let all = four();
    let good = note(&all[1], 2, 7);
    let mut forged = good.clone();
    let place = forged.len() - 10;
    forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
    assert!(matches!(all[0].take(&forged), Taken::Refused(_)));
    assert!(matches!(all[0].take(b"no note"), Taken::Refused(_)));
    // Of somebody who is no validator: nothing to count.
    let stranger = SignerKey::of_validator(ORIGIN, "x", secret(9)).unwrap();
    let text = Checkpoint::new(ORIGIN, 2, Hash([7; 32]))
        .unwrap()
        .to_string();
    let foreign = SignedNote::sign(text, &[&stranger]).unwrap().to_string();
    assert!(matches!(all[0].take(foreign.as_bytes()), Taken::Refused(_)));
    assert_eq!(all[0].take(&good), Taken::Kept);
}

#[test]
fn what_a_message_says_of_a_note_is_not_believed() {
    let all = four();
    let (messenger, _outbox) = messages();
    // A genuine certificate of another block does not stand in the way of this one.
    for one in &all[1..] {
        assert_eq!(all[0].take(&note(one, 2, 7)), Taken::Kept);
    }
    for one in &all[1..3] {
        assert_eq!(all[0].take(&note(one, 4, 8)), Taken::Kept);
    }
    let certificate = all[0].gather(2, (4, Hash([8; 32])), &messenger).unwrap();
    assert_eq!(certificate.signatures().len(), 3);
}

#[test]
fn one_that_was_mended_counts_again_and_what_it_signed_is_kept() {
    let all = four();
    let (messenger, _outbox) = messages();
    assert_eq!(all[0].take(&note(&all[1], 2, 9)), Taken::Kept);
    assert_eq!(all[0].take(&note(&all[2], 2, 7)), Taken::Kept);
    let Taken::Contradicts(two) = all[0].take(&note(&all[1], 2, 7)) else {
        panic!("both are kept");
    };
    assert_eq!((two.validator.as_str(), two.size), ("b", 2));
    assert_ne!(two.signed[0], two.signed[1]);
    assert!(all[0].gather(1, (2, Hash([7; 32])), &messenger).is_ok());
    // A wrong one that comes late contradicts the certificate.
    assert!(matches!(
        all[0].take(&note(&all[3], 2, 9)),
        Taken::Contradicts(_)
    ));
}

#[test]
fn a_block_that_could_not_be_kept_is_certified_once_more() {
    let all = four();
    let (messenger, _outbox) = messages();
    for one in &all[1..3] {
        assert_eq!(all[0].take(&note(one, 2, 7)), Taken::Kept);
    }
    let first = all[0].gather(1, (2, Hash([7; 32])), &messenger).unwrap();
    let again = all[0].gather(1, (2, Hash([7; 32])), &messenger).unwrap();
    assert_eq!(first.to_string(), again.to_string());
}

#[test]
fn signatures_of_one_are_bounded() {
    let all = four();
    for size in 1..200 {
        assert_eq!(all[0].take(&note(&all[1], size, 7)), Taken::Kept);
    }
    let gathered = all[0].gathered.lock();
    assert_eq!(gathered.signed.get(&1).unwrap().len(), SIZES_KEPT);
    assert_eq!(gathered.newest.get(&1).unwrap().0, 199);
}
