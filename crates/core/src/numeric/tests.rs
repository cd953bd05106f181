use super::*;

fn n(text: &str) -> Numeric {
    text.parse().unwrap()
}

#[test]
fn value_decides_equality_and_bytes() {
    assert_eq!(n("1.10"), n("1.1"));
    assert_eq!(n("1.10").encode_to_vec(), n("1.1").encode_to_vec());
    assert_eq!(n("1.10").to_string(), "1.10");
    assert!(n("-0.5") < n("-0.49"));
    for text in [
        "0", "1", "-1", "127", "128", "-128", "-129", "100", "0.001", "-1.5",
    ] {
        let bytes = n(text).encode_to_vec();
        assert_eq!(Numeric::decode_all(&bytes).unwrap(), n(text), "{text}");
    }
}
