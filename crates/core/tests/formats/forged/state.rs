//! States a quorum has signed although no honest validator builds them.

use stele_core::codec::Encode;
use stele_core::proof::{Evidence, RowClaim, RowEvidence, RowPath};
use stele_core::row::row_hash;
use stele_core::schema::{ColumnId, Table};
use stele_core::tree::{MemoryStore, Prover, TableEntry, TableProof, Tree, state_root};
use stele_core::value::{Type, Value};

use super::{Corpus, id};
use crate::SUITE;
use crate::world::World;

pub fn forge(world: &World, corpus: &mut Corpus) {
    let whole = |table: &Table, key: Vec<u8>, row: &str| {
        let row = hex::decode(row.replace(' ', "")).unwrap();
        let mut other = crate::world::world();
        let mut store = MemoryStore::new();
        let changes = [(key.clone(), Some(row_hash(SUITE, &row)))];
        Tree::new(SUITE)
            .update(&mut store, table.id, &changes)
            .unwrap();
        let prover = Prover::new(SUITE, &store, table.id);
        let tables = [TableEntry {
            table: table.id,
            catalogue_hash: table.hash(SUITE),
            root: prover.root().unwrap(),
        }];
        other.leaf.state_root = state_root(SUITE, &tables).unwrap();
        let at = other.leaf_index() as usize;
        other.leaves[at] = other.leaf.encode_to_vec();
        let evidence = RowEvidence {
            header: other.header.clone(),
            leaf: other.leaf,
            table: table.clone(),
            path: TableProof::new(SUITE, &tables, table.id).unwrap().unwrap(),
            shown: RowPath::Present {
                row,
                proof: prover.presence(&key).unwrap().unwrap().1,
            },
            claim: RowClaim::Present { key },
        };
        other.file(&Evidence::Rows(Box::new(evidence)))
    };
    let orders = &world.tables[0].table;
    const ID: &str = "0100 0001 02 0000000000000007";
    let item = |value: &str| format!("{ID} 0002 {value}");
    corpus.add(
        "state-other-key",
        "the tree holds a row under a key its values do not make",
        whole(orders, id(8), ID),
    );
    corpus.add(
        "state-null-written",
        "a row writes a NULL that is left out",
        whole(orders, id(7), &item("00")),
    );
    corpus.add(
        "state-salt",
        "a salted row in a table without salt",
        whole(
            orders,
            id(7),
            &ID.replacen("0100", "0101 00112233445566778899aabbccddeeff", 1),
        ),
    );
    corpus.add(
        "state-unknown-column",
        "a row names a column the table does not have",
        whole(orders, id(7), &format!("{ID} 0003 0101")),
    );
    corpus.add(
        "state-column-order",
        "a row's columns are out of order",
        whole(
            orders,
            id(7),
            "0100 0002 05 00000001 61 0001 02 0000000000000007",
        ),
    );
    corpus.add(
        "state-column-twice",
        "a row names a column twice",
        whole(orders, id(7), &format!("{ID} 0001 02 0000000000000007")),
    );
    corpus.add(
        "state-type",
        "a text column holds an integer",
        whole(orders, id(7), &item("02 0000000000000001")),
    );
    corpus.add(
        "state-text-nul",
        "a text holds NUL",
        whole(orders, id(7), &item("05 00000001 00")),
    );
    corpus.add(
        "state-text-utf8",
        "a text is not UTF-8",
        whole(orders, id(7), &item("05 00000001 ff")),
    );
    corpus.add(
        "state-not-null",
        "a key column is NULL",
        whole(orders, id(7), "0100"),
    );
    corpus.add(
        "state-row-version",
        "a row of version 2",
        whole(orders, id(7), &ID.replacen("01", "02", 1)),
    );
    corpus.add("state-integer-range", "an INTEGER beyond 32 bits", {
        let key = stele_core::key::encode_key(&[(Type::BigInt, &Value::Int(1 << 40))]).unwrap();
        whole(orders, key, "0100 0001 02 0000010000000000")
    });
    let typed = |ty: Type| {
        let mut table = orders.clone();
        table.columns[1].ty = ty;
        table
    };
    let numeric = Type::Numeric {
        precision: 5,
        scale: 2,
    };
    corpus.add(
        "state-numeric-form",
        "a NUMERIC with a trailing zero",
        whole(&typed(numeric), id(7), &item("03 02 01 0a")),
    );
    corpus.add(
        "state-numeric-long",
        "a NUMERIC with a needless byte",
        whole(&typed(numeric), id(7), &item("03 01 02 0001")),
    );
    corpus.add(
        "state-numeric-scale",
        "a NUMERIC with more places than its column",
        whole(&typed(numeric), id(7), &item("03 03 01 01")),
    );
    corpus.add(
        "state-numeric-precision",
        "a NUMERIC with more digits than its column",
        whole(&typed(numeric), id(7), &item("03 00 02 03e8")),
    );
    corpus.add(
        "state-double-nan",
        "a DOUBLE that is NaN",
        whole(&typed(Type::Double), id(7), &item("04 7ff8000000000000")),
    );
    corpus.add(
        "state-double-minus-zero",
        "a DOUBLE that is -0",
        whole(&typed(Type::Double), id(7), &item("04 8000000000000000")),
    );
    corpus.add(
        "state-varchar",
        "a VARCHAR longer than its column",
        whole(&typed(Type::Varchar(2)), id(7), &item("05 00000003 616263")),
    );
    corpus.add(
        "state-char",
        "a CHAR with a blank at its end",
        whole(&typed(Type::Char(3)), id(7), &item("05 00000002 6120")),
    );
    corpus.add(
        "state-date",
        "a DATE of the year 10000",
        whole(&typed(Type::Date), id(7), &item("07 002cc0a1")),
    );
    corpus.add(
        "state-timestamp",
        "a TIMESTAMP of the year 0",
        whole(&typed(Type::Timestamp), id(7), &item("08 ff23400100d43fff")),
    );
    corpus.add(
        "state-boolean",
        "a BOOLEAN of 2",
        whole(&typed(Type::Bool), id(7), &item("01 02")),
    );
    corpus.add(
        "state-json",
        "a JSON that is none",
        whole(&typed(Type::Json), id(7), &item("0a 00000002 7b5d")),
    );
    let mut table = orders.clone();
    table.primary_key = vec![ColumnId(9)];
    corpus.add(
        "state-key-column",
        "the primary key names a column the table does not have",
        whole(&table, id(7), ID),
    );
}
