//! Random types, values of them, tables and rows.

use proptest::collection::vec;
use proptest::prelude::*;
use stele_core::account::AccountId;
use stele_core::datetime::{DATE_MAX, DATE_MIN, TIMESTAMP_MAX, TIMESTAMP_MIN};
use stele_core::row::Row;
use stele_core::schema::{Column, ColumnId, Table, TableId};
use stele_core::{Numeric, Type, Value};

pub(crate) fn types() -> impl Strategy<Value = Type> {
    prop_oneof![key_types(), Just(Type::Double), Just(Type::Json)]
}

pub(crate) fn key_types() -> impl Strategy<Value = Type> {
    let numeric = (1..=38u8).prop_flat_map(|precision| {
        (0..=precision.min(30)).prop_map(move |scale| Type::Numeric { precision, scale })
    });
    prop_oneof![
        Just(Type::Bool),
        Just(Type::SmallInt),
        Just(Type::Integer),
        Just(Type::BigInt),
        numeric.clone(),
        numeric,
        Just(Type::Text),
        (0..8u32).prop_map(Type::Varchar),
        (1..8u32).prop_map(Type::Char),
        Just(Type::Bytea),
        Just(Type::Date),
        Just(Type::Timestamp),
        Just(Type::TimestampTz),
        Just(Type::Uuid),
    ]
}

/// Any value but NULL that a column of the type can hold.
pub(crate) fn values(ty: Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::SmallInt => any::<i16>().prop_map(|v| Value::Int(v.into())).boxed(),
        Type::Integer => any::<i32>().prop_map(|v| Value::Int(v.into())).boxed(),
        Type::BigInt => prop_oneof![any::<i64>(), -3..3i64]
            .prop_map(Value::Int)
            .boxed(),
        Type::Numeric { precision, scale } => {
            numerics(precision, scale).prop_map(Value::Numeric).boxed()
        }
        Type::Double => prop_oneof![any::<f64>(), (-1000..1000i32).prop_map(f64::from)]
            .prop_filter("finite", |v| v.is_finite())
            .prop_map(|v| Value::Double(if v == 0.0 { 0.0 } else { v }))
            .boxed(),
        Type::Text => texts(20).prop_map(Value::Text).boxed(),
        Type::Varchar(max) => texts(max as usize).prop_map(Value::Text).boxed(),
        Type::Char(max) => texts(max as usize)
            .prop_map(|text| Value::Text(text.trim_end_matches(' ').to_owned()))
            .boxed(),
        Type::Bytea => vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 0..12)
            .prop_map(Value::Bytes)
            .boxed(),
        Type::Date => (DATE_MIN..=DATE_MAX).prop_map(Value::Date).boxed(),
        Type::Timestamp | Type::TimestampTz => (TIMESTAMP_MIN..=TIMESTAMP_MAX)
            .prop_map(Value::Timestamp)
            .boxed(),
        Type::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        Type::Json => prop_oneof![
            Just(" {\"a\": [1, -2.5e3, \"\\u00e9\"]} "),
            Just("null"),
            Just("[[], {}]")
        ]
        .prop_map(|v| Value::Json(v.to_owned()))
        .boxed(),
    }
}

/// Few characters, so that equal beginnings are common; no NUL.
fn texts(max: usize) -> impl Strategy<Value = String> {
    let some = prop_oneof![
        Just('a'),
        Just('b'),
        Just('\u{1}'),
        Just('ÿ'),
        any::<char>().prop_filter("not NUL", |c| *c != '\0')
    ];
    vec(some, 0..=max).prop_map(|chars| chars.into_iter().collect())
}

/// Decimals of any length up to `precision` at `scale`, often round.
pub(crate) fn numerics(precision: u8, scale: u8) -> impl Strategy<Value = Numeric> {
    (
        any::<u128>(),
        0..=u32::from(precision),
        0..=6u32,
        any::<bool>(),
    )
        .prop_map(move |(random, digits, zeros, negative)| {
            let round = 10u128.pow(zeros.min(digits));
            let magnitude = (random % 10u128.pow(digits)) / round * round;
            let magnitude = i128::try_from(magnitude).expect("below 10^38");
            Numeric::new(if negative { -magnitude } else { magnitude }, scale)
                .expect("at most 38 digits")
        })
}

/// Two keys of the same types that agree in some columns.
pub(crate) fn key_pairs() -> impl Strategy<Value = Vec<(Type, Value, Value)>> {
    let column = key_types().prop_flat_map(|ty| {
        let pair = prop_oneof![
            values(ty).prop_map(|v| (v.clone(), v)),
            (values(ty), values(ty))
        ];
        pair.prop_map(move |(a, b)| (ty, a, b))
    });
    vec(column, 1..4)
}

/// A table with a BIGINT key and some columns, and a row of it.
pub(crate) fn tables_with_rows() -> impl Strategy<Value = (Table, Row)> {
    let column = types().prop_flat_map(|ty| {
        let missing = prop_oneof![Just(Value::Null), values(ty)];
        let value = prop_oneof![Just(Value::Null), values(ty)];
        (Just(ty), missing, value, 1..5u16, any::<bool>()).prop_map(
            |(ty, missing, value, step, take_missing)| {
                let value = if take_missing { missing.clone() } else { value };
                (ty, missing, value, step)
            },
        )
    });
    let salt = prop::option::of(any::<[u8; 16]>());
    (vec(column, 0..6), any::<i64>(), salt).prop_map(|(columns, key, salt)| {
        let mut values = vec![Value::Int(key)];
        let mut made = vec![Column {
            not_null: true,
            ..column_of(1, Type::BigInt, Value::Null)
        }];
        let mut id = 1;
        for (ty, missing, value, step) in columns {
            id += step;
            made.push(column_of(id, ty, missing));
            values.push(value);
        }
        let table = table_of(made, salt.is_some());
        (table, Row { values, salt })
    })
}

pub(crate) fn column_of(id: u16, ty: Type, missing: Value) -> Column {
    Column {
        missing,
        ..Column::plain(ColumnId(id), format!("c{id}"), ty)
    }
}

/// A table whose first column is its key.
pub(crate) fn table_of(columns: Vec<Column>, salted: bool) -> Table {
    let (owner, key) = (AccountId([7; 32]), vec![columns[0].id]);
    let nullable = columns.clone();
    Table {
        columns: nullable,
        salted,
        ..Table::plain(TableId(1000), ("public", "t"), owner, columns, key)
    }
}
