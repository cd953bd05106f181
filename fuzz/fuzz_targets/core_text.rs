//! Every text parser of the core. The first byte chooses one (see `seeds.py`), the rest is its input.
//! C2SP forms and trust files are written again as they were read; values keep their value.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use stele_core::log::TilePath;
use stele_core::note::{Checkpoint, ConsistencyProof, SignedNote, TlogProof, VerifierKey};
use stele_core::trust::Trust;
use stele_core::value::{check, format_double, json, text};
use stele_core::{AccountId, Decode, Encode, Hash, Numeric, Type, Value};

const TYPES: [Type; 17] = [
    Type::Bool,
    Type::SmallInt,
    Type::Integer,
    Type::BigInt,
    Type::Numeric { precision: 12, scale: 2 },
    Type::Numeric { precision: 38, scale: 30 },
    Type::Numeric { precision: 38, scale: 0 },
    Type::Double,
    Type::Text,
    Type::Varchar(3),
    Type::Char(3),
    Type::Bytea,
    Type::Date,
    Type::Timestamp,
    Type::TimestampTz,
    Type::Uuid,
    Type::Json,
];

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind {
        0 => {
            if let Ok(note) = SignedNote::parse(bytes) {
                assert!(note.to_string().as_bytes() == bytes);
            }
        }
        1 => {
            if let Ok(proof) = TlogProof::parse(bytes) {
                assert!(proof.to_string().as_bytes() == bytes);
            }
        }
        11 => {
            if let Ok(proof) = ConsistencyProof::parse(bytes) {
                assert!(proof.to_string().as_bytes() == bytes);
            }
        }
        _ => {
            if let Ok(text) = std::str::from_utf8(bytes) {
                of_text(*kind, text);
            }
        }
    }
});

fn of_text(kind: u8, text: &str) {
    match kind {
        2 => {
            if let Ok(checkpoint) = Checkpoint::parse(text) {
                assert_eq!(checkpoint.to_string(), text);
            }
        }
        3 => canonical::<VerifierKey>(text),
        4 => canonical::<TilePath>(text),
        5 => canonical::<Trust>(text),
        6 => account(text),
        7 => numeric(text),
        8 => double(text),
        9 => {
            if json::validate(text).is_ok() {
                assert!(!text.is_empty());
            }
        }
        10 => {
            if let Some(hash) = Hash::from_hex(text) {
                assert_eq!(hash.to_hex(), text.to_ascii_lowercase());
            }
        }
        16.. => value(TYPES[usize::from(kind - 16) % TYPES.len()], text),
        _ => {}
    }
}

fn canonical<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

/// Bech32m allows all upper case, too.
fn account(text: &str) {
    if let Ok(account) = text.parse::<AccountId>() {
        assert_eq!(account.to_string(), text.to_ascii_lowercase());
    }
}

fn numeric(text: &str) {
    if let Ok(value) = text.parse::<Numeric>() {
        let again: Numeric = value.to_string().parse().expect("what is written is read");
        assert_eq!((again, again.scale()), (value, value.scale()));
        assert_eq!(Numeric::decode_all(&value.encode_to_vec()), Ok(value));
    }
}

fn double(text: &str) {
    let Ok(value) = text.parse::<f64>() else {
        return;
    };
    let written = format_double(value);
    if value.is_finite() {
        let again: f64 = written.parse().expect("what is written is read");
        assert!(again == value, "{written}");
    }
}

/// What is read is one the type keeps; it survives writing and encoding.
fn value(ty: Type, text: &str) {
    let Ok(value) = text::parse(ty, text) else {
        return;
    };
    check(ty, &value).expect("a parsed value fits its type");
    assert_eq!(text::parse(ty, &text::format(ty, &value)).as_ref(), Ok(&value));
    assert_eq!(Value::decode_all(&value.encode_to_vec()).as_ref(), Ok(&value));
}
