use super::*;

fn sample() -> Cursor {
    Cursor {
        source_id: "ledger:main".to_owned(),
        height: 7,
        block_hash: Hash([9; 32]),
        step: 3,
        owner_epoch: 2,
    }
}

#[test]
fn encoding_round_trips_and_has_a_fixed_layout() {
    let bytes = sample().encode_to_vec();
    assert_eq!(bytes.len(), 1 + 4 + 11 + 8 + 32 + 4 + 8);
    assert_eq!(Cursor::decode_all(&bytes), Ok(sample()));
}

#[test]
fn every_cut_and_another_version_is_refused() {
    let bytes = sample().encode_to_vec();
    for len in 0..bytes.len() {
        assert!(Cursor::decode_all(&bytes[..len]).is_err());
    }
    let mut other = bytes;
    other[0] = 2;
    assert!(Cursor::decode_all(&other).is_err());
}
