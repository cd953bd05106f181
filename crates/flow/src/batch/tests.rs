use stele_core::schema::ColumnId;
use stele_core::{Hash, Type, Value};

use super::*;
use crate::change::Column;

fn table() -> Arc<Table> {
    Arc::new(Table {
        id: TableId(1_000),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        is_sequence: false,
        columns: vec![Column {
            id: ColumnId(1),
            name: "id".to_owned(),
            ty: Type::BigInt,
            missing: Value::Null,
        }],
        key: vec![ColumnId(1)],
    })
}

fn row(key: u8, before: Option<i64>, after: Option<i64>) -> Change {
    let values = |value: Option<i64>| value.map(|value| vec![Value::Int(value)]);
    let change = RowChange {
        key: vec![key],
        before: values(before),
        after: values(after),
    };
    Change::Row(table(), change)
}

fn block(height: u64, changes: Vec<Change>) -> Block {
    Block {
        position: Position {
            height,
            hash: Hash([u8::try_from(height).unwrap(); 32]),
        },
        time_us: 0,
        changes,
        len: 1,
    }
}

fn batch(blocks: Vec<Block>) -> Batch {
    let mut builder = BatchBuilder::default();
    blocks.into_iter().for_each(|block| builder.push(block));
    builder.finish()
}

#[test]
fn a_row_is_written_once_as_it_ends() {
    let batch = batch(vec![
        block(1, vec![row(1, None, Some(1)), row(2, Some(5), Some(6))]),
        block(2, vec![row(1, Some(1), Some(2)), row(2, Some(6), None)]),
    ]);
    assert_eq!(batch.position.map(|position| position.height), Some(2));
    let [Step::Rows(_, rows)] = batch.steps.as_slice() else {
        panic!("{batch:?}");
    };
    let ends: Vec<_> = rows
        .iter()
        .map(|row| (row.before.is_some(), row.after.clone()))
        .collect();
    assert_eq!(ends, [(false, Some(vec![Value::Int(2)])), (true, None)]);
}

#[test]
fn what_comes_and_goes_leaves_no_trace_and_may_come_again() {
    let gone = batch(vec![block(
        1,
        vec![row(1, None, Some(1)), row(1, Some(1), None)],
    )]);
    assert_eq!(gone.rows(), 0);
    let back = batch(vec![
        block(1, vec![row(1, Some(1), None)]),
        block(2, vec![row(1, None, Some(9))]),
    ]);
    let [Step::Rows(_, rows)] = back.steps.as_slice() else {
        panic!("{back:?}");
    };
    assert_eq!(rows[0].before, Some(vec![Value::Int(1)]));
    assert_eq!(rows[0].after, Some(vec![Value::Int(9)]));
}

#[test]
fn a_changed_shape_parts_the_rows_before_from_those_after() {
    let shape = Change::Table {
        before: Some(table()),
        after: Some(table()),
    };
    let batch = batch(vec![block(
        1,
        vec![row(1, None, Some(1)), shape, row(1, Some(1), Some(2))],
    )]);
    assert!(matches!(
        batch.steps.as_slice(),
        [Step::Rows(..), Step::Table { .. }, Step::Rows(..)]
    ));
}
