use super::*;
use crate::Type;
use crate::account::AccountId;
use crate::schema::TableId;

fn column(id: u16, ty: Type, not_null: bool, missing: Value) -> Column {
    Column {
        not_null,
        missing,
        ..Column::plain(ColumnId(id), format!("c{id}"), ty)
    }
}

fn table() -> Table {
    let numeric = Type::Numeric {
        precision: 12,
        scale: 2,
    };
    let columns = vec![
        column(1, Type::BigInt, true, Value::Null),
        column(2, numeric, false, Value::Null),
        column(4, Type::Varchar(5), false, Value::Text("new".into())),
        column(5, Type::Double, false, Value::Null),
    ];
    let (owner, key) = (AccountId([7; 32]), vec![ColumnId(1)]);
    Table::plain(TableId(1000), ("public", "t"), owner, columns, key)
}

#[test]
fn a_missing_value_is_left_out_and_null_beside_it_is_not() {
    let table = table();
    let row = |text: Value| Row::new(vec![Value::Int(1), Value::Null, text, Value::Null]);
    let missing = encode_row(&table, &row(Value::Text("new".into()))).unwrap();
    let null = encode_row(&table, &row(Value::Null)).unwrap();
    assert_ne!(missing, null);
    assert_eq!(missing.len(), 2 + 2 + 9);
    assert_eq!(null.len(), missing.len() + 3);
    assert_eq!(
        decode_row(&table, &missing).unwrap(),
        row(Value::Text("new".into()))
    );
    assert_eq!(decode_row(&table, &null).unwrap(), row(Value::Null));
}
