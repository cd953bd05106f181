//! What holds for every value.

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;
use stele_core::key::{decode_key, encode_key};
use stele_core::row::{decode_row, encode_row};
use stele_core::value::{check, coerce, text};
use stele_core::{Decode, Encode, Numeric, Type, Value};

use crate::strategies::{key_pairs, numerics, tables_with_rows, types, values};

/// The order SQL gives two values of one type.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Numeric(a), Value::Numeric(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        _ => panic!("{a:?} and {b:?} have no order"),
    }
}

/// Changes, drops and inserts bytes, so that damaged encodings stay near valid ones.
fn damage(mut bytes: Vec<u8>, places: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (place, kind, byte) in places {
        if bytes.is_empty() {
            bytes.push(*byte);
            continue;
        }
        let at = place.index(bytes.len());
        match kind {
            0 => bytes[at] = *byte,
            1 => bytes[at] = bytes[at].wrapping_add(1),
            2 => bytes.insert(at, *byte),
            3 => bytes.truncate(at),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(1), any::<u8>()];
    vec((any::<prop::sample::Index>(), 0..5u8, byte), 1..4)
}

/// One level of nesting more than JSON may have.
fn deep_json(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn keys_compare_as_their_values(pairs in key_pairs()) {
        let left: Vec<_> = pairs.iter().map(|(ty, a, _)| (*ty, a)).collect();
        let right: Vec<_> = pairs.iter().map(|(ty, _, b)| (*ty, b)).collect();
        let wanted = pairs.iter().map(|(_, a, b)| order(a, b)).find(|o| o.is_ne());
        let (left_key, right_key) = (encode_key(&left).unwrap(), encode_key(&right).unwrap());
        prop_assert_eq!(left_key.cmp(&right_key), wanted.unwrap_or(Ordering::Equal));
        // No first column's encoding is the beginning of another's.
        let (a, b) = (encode_key(&left[..1]).unwrap(), encode_key(&right[..1]).unwrap());
        prop_assert!(left_key.starts_with(&a));
        prop_assert!(a == b || !(a.starts_with(&b) || b.starts_with(&a)));
    }

    #[test]
    fn keys_read_back_and_nothing_else_reads(pairs in key_pairs(), damages in damages()) {
        let types: Vec<Type> = pairs.iter().map(|(ty, ..)| *ty).collect();
        let columns: Vec<_> = pairs.iter().map(|(ty, a, _)| (*ty, a)).collect();
        let key = encode_key(&columns).unwrap();
        let back = decode_key(&types, &key).unwrap();
        prop_assert!(back.iter().eq(columns.iter().map(|(_, value)| *value)));
        let damaged = damage(key, &damages);
        if let Ok(read) = decode_key(&types, &damaged) {
            let columns: Vec<_> = types.iter().copied().zip(&read).collect();
            prop_assert_eq!(encode_key(&columns).unwrap(), damaged);
        }
    }

    #[test]
    fn rows_read_back_and_nothing_else_reads((table, row) in tables_with_rows(), damages in damages()) {
        let bytes = encode_row(&table, &row).unwrap();
        prop_assert_eq!(&decode_row(&table, &bytes).unwrap(), &row);
        let damaged = damage(bytes, &damages);
        if let Ok(read) = decode_row(&table, &damaged) {
            prop_assert_eq!(encode_row(&table, &read).unwrap(), damaged);
        }
    }

    #[test]
    fn values_read_back_and_nothing_else_reads(
        value in types().prop_flat_map(values), damages in damages()
    ) {
        let bytes = value.encode_to_vec();
        prop_assert_eq!(&Value::decode_all(&bytes).unwrap(), &value);
        let damaged = damage(bytes, &damages);
        if let Ok(read) = Value::decode_all(&damaged) {
            prop_assert_eq!(read.encode_to_vec(), damaged);
        }
    }

    #[test]
    fn random_bytes_read_only_as_what_writes_them(
        bytes in vec(prop_oneof![0..4u8, any::<u8>()], 0..24), kinds in vec(types(), 1..3)
    ) {
        if let Ok(read) = Numeric::decode_all(&bytes) {
            prop_assert_eq!(&read.encode_to_vec(), &bytes);
        }
        if let Ok(read) = Value::decode_all(&bytes) {
            prop_assert_eq!(&read.encode_to_vec(), &bytes);
        }
        if let Ok(read) = decode_key(&kinds, &bytes) {
            let columns: Vec<_> = kinds.iter().copied().zip(&read).collect();
            prop_assert_eq!(&encode_key(&columns).unwrap(), &bytes);
        }
    }

    #[test]
    fn written_text_reads_back(
        (ty, value) in types().prop_flat_map(|ty| (Just(ty), values(ty)))
    ) {
        prop_assert_eq!(check(ty, &value), Ok(()));
        let written = text::format(ty, &value);
        prop_assert_eq!(&text::parse(ty, &written).unwrap(), &value);
        prop_assert_eq!(&coerce(ty, Value::Text(written)).unwrap(), &value);
        prop_assert_eq!(&coerce(ty, value.clone()).unwrap(), &value);
        prop_assert_eq!(coerce(ty, Value::Null), Ok(Value::Null));
    }

    #[test]
    fn any_text_reads_as_a_value_that_fits_or_is_refused(
        ty in types(), given in "[-+0-9.eE:TZ \\\\x{}\\[\\],\"a-fA-F\\PC]{0,24}"
    ) {
        if let Ok(value) = text::parse(ty, &given) {
            prop_assert_eq!(check(ty, &value), Ok(()));
            prop_assert_eq!(text::parse(ty, &text::format(ty, &value)).unwrap(), value);
        }
    }

    #[test]
    fn any_value_becomes_any_type_or_is_refused(
        value in types().prop_flat_map(values), ty in types()
    ) {
        if let Ok(converted) = coerce(ty, value) {
            prop_assert_eq!(check(ty, &converted), Ok(()));
        }
    }

    #[test]
    fn stored_decimals_sort_at_equal_scale(
        scale in 0..=30u8, (a, b) in (0..=30u8).prop_flat_map(|s| (numerics(38, s), numerics(38, s)))
    ) {
        if let (Ok(a_bytes), Ok(b_bytes)) = (a.to_sortable_16(scale), b.to_sortable_16(scale)) {
            prop_assert_eq!(a_bytes.cmp(&b_bytes), a.cmp(&b));
            prop_assert_eq!(Numeric::from_sortable_16(a_bytes, scale), Ok(a));
        }
    }
}

#[test]
fn json_nests_as_deep_as_the_bound_and_no_deeper() {
    assert!(text::parse(Type::Json, &deep_json(512)).is_ok());
    let error = text::parse(Type::Json, &deep_json(513)).unwrap_err();
    assert_eq!(error.sqlstate(), "54000");
    assert!(text::parse(Type::Json, &"[".repeat(100_000)).is_err());
}

#[test]
fn a_key_ends_at_its_bound() {
    let fits = Value::Text("x".repeat(766));
    let beyond = Value::Text("x".repeat(767));
    assert_eq!(encode_key(&[(Type::Text, &fits)]).unwrap().len(), 767);
    let error = encode_key(&[(Type::Text, &beyond)]).unwrap_err();
    assert_eq!(error.sqlstate(), "54000");
}
