use super::*;

#[test]
fn decimals_sort_as_bytes() {
    let ty = Type::Numeric {
        precision: 38,
        scale: 30,
    };
    let texts = [
        "-12345678",
        "-100",
        "-99.99",
        "-10",
        "-9.1",
        "-9",
        "-1",
        "-0.1",
        "-0.01",
        "0",
        "0.001",
        "0.01",
        "0.1",
        "0.11",
        "1",
        "1.01",
        "1.1",
        "9",
        "10",
        "99",
        "100",
        "101",
        "1000",
    ];
    let keys: Vec<Vec<u8>> = texts
        .iter()
        .map(|text| encode_key(&[(ty, &Value::Numeric(text.parse().unwrap()))]).unwrap())
        .collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "{keys:x?}");
    for (text, key) in texts.iter().zip(&keys) {
        let value = Value::Numeric(text.parse().unwrap());
        assert_eq!(decode_key(&[ty], key).unwrap(), [value]);
    }
}
