use super::*;

fn bytes(text: &str, scale: u8) -> Vec<u16> {
    let mut out = BytesMut::new();
    put(Numeric::parse(text).unwrap(), scale, &mut out);
    out.as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u16::from_be_bytes(*pair))
        .collect()
}

fn back(words: &[u16]) -> Result<String, NumericFault> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    to_text(&bytes)
}

/// As `numeric_send` of PostgreSQL 15 gives them.
#[test]
fn known_vectors() {
    assert_eq!(bytes("0", 0), [0, 0, 0, 0]);
    assert_eq!(bytes("0", 2), [0, 0, 0, 2]);
    assert_eq!(bytes("1", 0), [1, 0, 0, 0, 1]);
    assert_eq!(bytes("10000", 0), [1, 1, 0, 0, 1]);
    assert_eq!(bytes("-12345.678", 3), [3, 1, 0x4000, 3, 1, 2345, 6780]);
    assert_eq!(bytes("0.0001", 4), [1, 0xFFFF, 0, 4, 1]);
    assert_eq!(bytes("0.00001", 5), [1, 0xFFFE, 0, 5, 1000]);
    assert_eq!(bytes("12.50", 2), [2, 0, 0, 2, 12, 5000]);
    assert_eq!(bytes("100.00", 2), [1, 0, 0, 2, 100]);
    assert_eq!(
        bytes("99999999999999999999999999999999999999", 0),
        [
            10, 9, 0, 0, 99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999
        ]
    );
}

#[test]
fn round_trips() {
    for text in [
        "0",
        "1",
        "-1",
        "0.5",
        "123456789.987654321",
        "0.000000000000000000000000000001",
        "99999999999999999999999999999999999999",
        "-10000000000",
        "10000.0001",
        "1.10",
        "99999999.999999999999999999999999999999",
    ] {
        let value = Numeric::parse(text).unwrap();
        let mut out = BytesMut::new();
        put(value, value.scale(), &mut out);
        assert_eq!(
            Numeric::parse(&to_text(&out).unwrap()).unwrap(),
            value,
            "{text}"
        );
    }
}

#[test]
fn what_is_no_number_is_refused() {
    assert_eq!(to_text(&[]), Err(NumericFault::Malformed));
    assert_eq!(back(&[1, 0, 0, 0]), Err(NumericFault::Malformed));
    assert_eq!(back(&[1, 0, 0, 0, 10_000]), Err(NumericFault::Malformed));
    assert_eq!(back(&[1, 0, 0x1234, 0, 1]), Err(NumericFault::Malformed));
    assert_eq!(back(&[0, 0, 0xC000, 0]), Err(NumericFault::NotFinite));
    assert_eq!(back(&[1, 0x7FFF, 0, 0, 1]), Err(NumericFault::TooLarge));
    assert_eq!(
        back(&[1, 0x8000, 0, 0, 1]).unwrap().trim_end_matches('0'),
        "0."
    );
    assert_eq!(back(&[2, 2, 0, 0, 1, 2]).unwrap(), "000100020000");
}
