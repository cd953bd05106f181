use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use stele_core::{Decode, Encode, Hash};
use stele_flow::sim::MemoryFiles;
use stele_flow::{Files, OpenMode};

use super::*;

fn header() -> Header {
    Header {
        number: 3,
        ledger: Hash([5; 32]),
        first_height: 17,
    }
}

#[test]
fn header_layout_is_fixed_and_every_flip_is_found() {
    let bytes = header().to_bytes();
    assert_eq!(bytes.len(), HEADER_LEN);
    assert_eq!(&bytes[..12], b"STELESEG\x00\x01\x00\x00");
    assert_eq!(Header::from_bytes(&bytes), Ok(header()));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::from_bytes(&flipped).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(Header::from_bytes(&bytes[..len]).is_err());
    }
}

#[test]
fn header_of_another_version_is_named() {
    let mut bytes = header().to_bytes();
    bytes[9] = 2;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        Header::from_bytes(&bytes),
        Err(HeaderError::OtherVersion(2))
    );
}

#[test]
fn record_layout_is_fixed_and_every_flip_is_found() {
    let mut bytes = Vec::new();
    Frame::put(&mut bytes, Kind::Block, 258, b"payload");
    assert_eq!(bytes.len(), RECORD_FRAME_LEN + 7);
    assert_eq!(
        &bytes[..13],
        b"\x00\x00\x00\x07\x02\x00\x00\x00\x00\x00\x00\x01\x02"
    );
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Frame::parse(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn footer_round_trips() {
    let footer = Footer {
        first_height: 1,
        last_height: 9,
        record_count: 18,
        root: Hash([1; 32]),
    };
    let bytes = footer.encode_to_vec();
    assert_eq!(bytes.len() + RECORD_FRAME_LEN, FOOTER_RECORD_LEN);
    assert_eq!(Footer::decode_all(&bytes), Ok(footer));
}

#[test]
fn file_names_are_read_back_and_others_are_not() {
    assert_eq!(file_name(1), "00000001.seg");
    assert_eq!(file_number("00000001.seg"), Some(1));
    assert_eq!(file_number(&file_name(123_456_789)), Some(123_456_789));
    for other in ["1.seg", "00000001.sex", "lock", "+0000001.seg"] {
        assert_eq!(file_number(other), None, "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn c1_scanner_gives_back_what_was_framed(lens in prop::collection::vec(0usize..3_000_000, 0..6), cut in any::<prop::sample::Index>()) {
        let files = MemoryFiles::new(1);
        let file = files.open(Path::new("a"), OpenMode::Create).unwrap();
        let mut bytes = vec![0; HEADER_LEN];
        let mut ends = vec![HEADER_LEN];
        for (height, len) in lens.iter().enumerate() {
            Frame::put(&mut bytes, Kind::Effects, height as u64, &vec![height as u8; *len]);
            ends.push(bytes.len());
        }
        file.write_at(0, &bytes).unwrap();
        let end = HEADER_LEN + cut.index(bytes.len() - HEADER_LEN + 1);
        let mut scanner = Scanner::new(Arc::clone(&file), HEADER_LEN as u64, end as u64);
        let mut read = 0;
        let clean = loop {
            match scanner.next_record().unwrap() {
                Ok(Some((offset, frame))) => {
                    prop_assert_eq!(offset as usize, ends[read]);
                    prop_assert_eq!(frame.payload.len(), lens[read]);
                    prop_assert!(frame.payload.iter().all(|byte| *byte == read as u8));
                    read += 1;
                }
                Ok(None) => break true,
                Err(bad) => {
                    prop_assert!(bad.is_incomplete);
                    prop_assert_eq!(bad.offset as usize, ends[read]);
                    break false;
                }
            }
        };
        prop_assert_eq!(clean, ends.contains(&end));
        prop_assert_eq!(read, ends.iter().filter(|at| **at <= end).count() - 1);
    }
}
