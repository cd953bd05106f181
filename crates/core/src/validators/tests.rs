use proptest::prelude::*;

use super::*;

fn validator(name: &str, key: u8) -> Validator {
    Validator {
        name: name.into(),
        key: PublicKey([key; 32]),
    }
}

fn set_of(count: u8) -> ValidatorSet {
    ValidatorSet::new((0..count).map(|n| validator(&format!("v{n}"), n)).collect()).unwrap()
}

#[test]
fn quorums_leave_room_for_a_third_of_faulty_validators() {
    let quorums: Vec<usize> = (1..=13).map(|n| set_of(n).quorum()).collect();
    assert_eq!(quorums, [1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9]);
    for n in 1..=100_u8 {
        let (n, quorum) = (usize::from(n), set_of(n).quorum());
        let faulty = (n - 1) / 3;
        assert!(
            2 * quorum - n > faulty,
            "two quorums of {n} share an honest validator"
        );
        assert!(n - faulty >= quorum, "the honest of {n} make a quorum");
    }
}

#[test]
fn a_set_is_sorted_and_found_by_name() {
    let set = ValidatorSet::new(vec![validator("b", 1), validator("a", 2)]).unwrap();
    assert_eq!(set.validators(), [validator("a", 2), validator("b", 1)]);
    assert_eq!(set.get("b"), Some(&validator("b", 1)));
    assert_eq!(set.get("c"), None);
    let same = ValidatorSet::new(vec![validator("a", 2), validator("b", 1)]).unwrap();
    assert_eq!(set.hash(Suite::default()), same.hash(Suite::default()));
}

#[test]
fn bad_sets_are_refused() {
    assert_eq!(ValidatorSet::new(vec![]), Err(ValidatorSetError::Empty));
    let many = (0..101).map(|n| validator(&format!("v{n}"), n)).collect();
    assert_eq!(
        ValidatorSet::new(many),
        Err(ValidatorSetError::TooMany { found: 101 })
    );
    for name in ["", "A", "a b", "a+b", "a/b", "é", &"a".repeat(64)] {
        assert!(matches!(
            ValidatorSet::new(vec![validator(name, 1)]),
            Err(ValidatorSetError::Name { .. })
        ));
    }
    assert_eq!(
        ValidatorSet::new(vec![validator("a", 1), validator("a", 2)]),
        Err(ValidatorSetError::SameName { name: "a".into() })
    );
    assert_eq!(
        ValidatorSet::new(vec![validator("a", 1), validator("b", 1)]),
        Err(ValidatorSetError::SameKey { name: "b".into() })
    );
}

#[test]
fn only_the_canonical_encoding_decodes() {
    let set = set_of(4);
    assert_eq!(ValidatorSet::decode_all(&set.encode_to_vec()), Ok(set));
    for list in [
        vec![],
        vec![validator("b", 1), validator("a", 2)],
        vec![validator("a", 1), validator("a", 2)],
        vec![validator("a", 1), validator("b", 1)],
        vec![validator("A", 1)],
    ] {
        let mut bytes = vec![VALIDATOR_SET_VERSION];
        put_list(&mut bytes, &list);
        assert!(ValidatorSet::decode_all(&bytes).is_err());
    }
    assert!(ValidatorSet::decode_all(&[2, 0, 0, 0, 0]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_give_a_set_or_an_error(
        flips in prop::collection::vec((0_usize..200, any::<u8>()), 0..4), cut in 0_usize..200,
    ) {
        let mut bytes = set_of(4).encode_to_vec();
        for (place, byte) in flips {
            if let Some(old) = bytes.get_mut(place) {
                *old = byte;
            }
        }
        bytes.truncate(cut);
        if let Ok(set) = ValidatorSet::decode_all(&bytes) {
            prop_assert_eq!(set.encode_to_vec(), bytes);
        }
    }
}
