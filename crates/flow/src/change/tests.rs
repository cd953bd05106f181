use super::*;

fn sample() -> Table {
    let column = |id, name: &str, ty, missing| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty,
        missing,
    };
    Table {
        id: TableId(1_000),
        schema: "public".to_owned(),
        name: "orders".to_owned(),
        is_sequence: false,
        columns: vec![
            column(1, "id", Type::BigInt, Value::Null),
            column(3, "state", Type::Varchar(8), Value::Text("new".to_owned())),
        ],
        key: vec![ColumnId(1)],
    }
}

#[test]
fn a_shape_round_trips_and_every_cut_is_refused() {
    let bytes = sample().encode_to_vec();
    assert_eq!(Table::decode_all(&bytes), Ok(sample()));
    for len in 0..bytes.len() {
        assert!(Table::decode_all(&bytes[..len]).is_err());
    }
}

#[test]
fn a_key_of_columns_that_are_not_there_is_refused() {
    for key in [vec![], vec![ColumnId(2)]] {
        let table = Table { key, ..sample() };
        assert!(Table::decode_all(&table.encode_to_vec()).is_err());
    }
}

#[test]
fn keys_are_shown_with_their_columns() {
    let table = sample();
    let row = [Value::Int(7), Value::Null];
    assert_eq!(table.key_text(&table.key_of(&row)), "id = 7");
}
