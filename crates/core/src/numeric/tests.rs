use std::collections::HashSet;

use super::wide::U256;
use super::*;
use proptest::prelude::*;

fn n(text: &str) -> Numeric {
    text.parse().unwrap()
}

#[test]
fn value_decides_equality_hash_and_bytes() {
    assert_eq!(n("1.10"), n("1.1"));
    assert_eq!(n("1.10").encode_to_vec(), n("1.1").encode_to_vec());
    assert_eq!(n("1.10").to_string(), "1.10");
    assert!(n("-0.5") < n("-0.49"));
    assert_eq!(HashSet::from([n("2"), n("2.0"), n("2.00")]).len(), 1);
    let largest = n("99999999999999999999999999999999999999");
    assert!(largest > n("0.000000000000000000000000000001"));
    assert!(-largest < n("-99999999.999999999999999999999999999999"));
}

#[test]
fn forms_of_text_are_read() {
    for (given, shown) in [
        (" 1 ", "1"),
        ("-1.50", "-1.50"),
        ("+.5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1.5E-3", "0.0015"),
        ("-0", "0"),
        ("000.10", "0.10"),
        ("0e999999999999999999999", "0"),
        // 39 digits as written, 1 in truth.
        (
            "1.00000000000000000000000000000000000000",
            "1.000000000000000000000000000000",
        ),
        (
            "12345678901234567890.1000000000000000000000000",
            "12345678901234567890.100000000000000000",
        ),
    ] {
        assert_eq!(n(given).to_string(), shown, "{given}");
    }
    for text in [
        "", ".", "1.2.3", "1e", "e1", "1 2", "--1", "1_000", "0x1", "١",
    ] {
        assert_eq!(Numeric::parse(text), Err(NumericError::Invalid), "{text}");
    }
    for text in ["NaN", "inf", "-Infinity"] {
        assert_eq!(Numeric::parse(text), Err(NumericError::NotFinite), "{text}");
    }
    for text in [
        "1e38",
        "1e-31",
        "1e999999999999999999999",
        "1234567890123456789.01234567890123456789",
    ] {
        assert_eq!(Numeric::parse(text), Err(NumericError::Overflow), "{text}");
    }
}

#[test]
fn a_text_is_rounded_once() {
    let halfway_less = "0.4999999999999999999999999999999999";
    assert_eq!(Numeric::parse_rounded(halfway_less, 0), Ok(Numeric::ZERO));
    assert_eq!(Numeric::parse_rounded("0.5", 0), Ok(Numeric::ONE));
    assert_eq!(Numeric::parse_rounded("1e-400", 30), Ok(Numeric::ZERO));
}

#[test]
fn a_declared_size_is_kept_or_refused() {
    assert!(n("999.99").fits(5, 2) && n("999.990").fits(5, 2));
    assert!(!n("1000").fits(5, 2) && !n("0.001").fits(5, 2));
    assert_eq!(n("999.994").fit(5, 2), Ok(n("999.99")));
    let error = n("999.995").fit(5, 2).unwrap_err();
    assert_eq!((error.sqlstate(), n("0").fit(1, 1)), ("22003", Ok(n("0"))));
}

#[test]
fn integers_and_doubles_are_the_nearest() {
    assert_eq!(n("2.5").to_i64(), Ok(3));
    assert_eq!(n("-2.5").to_i64(), Ok(-3));
    assert_eq!(n("9223372036854775807.4").to_i64(), Ok(i64::MAX));
    assert_eq!(
        n("9223372036854775807.5").to_i64(),
        Err(NumericError::IntegerOverflow)
    );
    assert_eq!(n("0.1").to_f64(), 0.1);
    assert_eq!(Numeric::from_f64(0.1, 30).unwrap().to_string(), "0.1");
    assert_eq!(Numeric::from_f64(1e300, 0), Err(NumericError::Overflow));
    assert_eq!(Numeric::from_f64(f64::NAN, 0), Err(NumericError::NotFinite));
    assert_eq!(Numeric::from_f64(-1e-300, 30), Ok(Numeric::ZERO));
}

#[test]
fn encodings_that_are_not_the_shortest_are_refused() {
    for bytes in [
        &[0, 1, 0][..],
        &[1, 0],
        &[0, 2, 0, 5],
        &[0, 2, 0xff, 0x80],
        &[1, 1, 10],
        &[31, 1, 1],
        &[0, 17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[
            0, 16, 0x4b, 0x3b, 0x4c, 0xa8, 0x5a, 0x86, 0xc4, 0x7a, 9, 0x8a, 0x22, 0x40, 0, 0, 0, 0,
        ],
        &[0, 1],
        &[0],
    ] {
        assert!(Numeric::decode_all(bytes).is_err(), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn a_wide_product_divides_back(a: u128, b in 1..1u128 << 127, rest: u128) {
        let rest = rest % b;
        let sum = U256::product(a, b).checked_add(U256::from(rest)).unwrap();
        prop_assert_eq!(sum.div_rem(b), (U256::from(a), rest));
        prop_assert_eq!(sum.checked_sub(U256::from(rest)), Some(U256::product(b, a)));
        prop_assert_eq!(U256::product(a, b).checked_sub(sum).is_some(), rest == 0);
    }
}
