//! A small ledger made up for the fixtures: four validators, three accounts, four tables.

use stele_core::block::Header;
use stele_core::crypto::SecretKey;
use stele_core::genesis::{Genesis, Limits};
use stele_core::leaf::{BlockLeaf, Entry};
use stele_core::log::{LogTree, MemoryTiles, inclusion_proof, leaf_hash};
use stele_core::note::{Checkpoint, SignedNote, SignerKey, TlogProof};
use stele_core::outcome::{Code, Outcome, TransactionEffects};
use stele_core::proof::{
    Evidence, RANGE_ROWS_MAX, RowClaim, RowEvidence, RowPath, TransactionEvidence,
};
use stele_core::row::{Row, encode_row, row_hash};
use stele_core::schema::{Check, Column, ColumnId, Index, Table, TableId};
use stele_core::transaction::{
    ExpectedVersion, Manifest, Payload, SignedTransaction, Statement, Transaction,
};
use stele_core::tree::{MemoryStore, Prover, TableEntry, TableProof, Tree, state_root};
use stele_core::trust::Trust;
use stele_core::validators::{Validator, ValidatorSet};
use stele_core::value::{Type, Value, text};
use stele_core::{AccountId, Domain, Encode, Hash};

use super::{ORIGIN, SUITE};

/// 2026-11-21 10:00:00 UTC.
pub const TIME_US: i64 = 1_795_255_200_000_000;
/// Validators that sign the checkpoint: a quorum of four, and not one more.
const SIGNERS: [&str; 3] = ["anna", "ben", "dora"];
/// Where the proven transactions stand in the log.
pub const FIRST_ENTRY: u64 = 9;

/// The ledger.
pub struct World {
    pub genesis: Genesis,
    pub trust: Trust,
    pub tables: Vec<TableRows>,
    pub entries: Vec<TableEntry>,
    pub store: MemoryStore,
    pub transactions: Vec<(&'static str, SignedTransaction, TransactionEffects)>,
    pub header: Header,
    pub leaf: BlockLeaf,
    pub leaves: Vec<Vec<u8>>,
}

/// A table and what it holds.
pub struct TableRows {
    pub table: Table,
    pub rows: Vec<Row>,
}

pub fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn validators() -> ValidatorSet {
    let names = ["anna", "ben", "carl", "dora"];
    let validators = names.iter().zip(1u8..).map(|(name, number)| Validator {
        name: (*name).to_owned(),
        key: secret(number).public(),
    });
    ValidatorSet::new(validators.collect()).unwrap()
}

pub fn genesis() -> Genesis {
    Genesis {
        suite: SUITE,
        origin: ORIGIN.to_owned(),
        created_us: TIME_US,
        nonce: *b"fixture genesis!",
        validators: validators(),
        operator: secret(10).public(),
        execution_version: 1,
        limits: Limits::default(),
    }
}

fn column(id: u16, name: &str, ty: Type) -> Column {
    Column::plain(ColumnId(id), name.to_owned(), ty)
}

fn table(id: u32, name: &str, columns: Vec<Column>, key: &[u16]) -> Table {
    let owner = AccountId::of_key(SUITE, &secret(10).public());
    let key = key.iter().map(|id| ColumnId(*id)).collect();
    Table::plain(TableId(id), ("public", name), owner, columns, key)
}

fn row(table: &Table, texts: &[&str]) -> Row {
    let values = table.columns.iter().zip(texts).map(|(column, given)| {
        if *given == "NULL" {
            Value::Null
        } else {
            text::parse(column.ty, given)
                .unwrap()
                .at_scale_of(column.ty)
        }
    });
    Row {
        values: values.collect(),
        salt: table.salted.then_some(*b"sixteen byte sal"),
    }
}

/// Every type, a composite key out of column order, missing values, constraints.
fn all_types() -> TableRows {
    let numeric = Type::Numeric {
        precision: 12,
        scale: 2,
    };
    let mut columns = vec![
        column(1, "flag", Type::Bool),
        column(2, "small", Type::SmallInt),
        column(3, "whole", Type::Integer),
        column(4, "big", Type::BigInt),
        column(5, "price", numeric),
        column(6, "ratio", Type::Double),
        column(7, "note", Type::Text),
        column(9, "code", Type::Varchar(10)),
        column(10, "blob", Type::Bytea),
        column(11, "day", Type::Date),
        column(12, "at", Type::Timestamp),
        column(13, "seen", Type::TimestampTz),
        column(14, "mark", Type::Uuid),
        column(15, "doc", Type::Json),
    ];
    columns[7].default = Some("'new'".to_owned());
    columns[7].missing = Value::Text("new".to_owned());
    let mut table = table(
        1_001,
        "everything",
        columns,
        &[5, 7, 10, 11, 12, 13, 14, 1, 2],
    );
    let columns = [ColumnId(4), ColumnId(3)];
    table.indexes.push(Index::plain(
        "everything_big".to_owned(),
        &columns,
        true,
        true,
    ));
    table.checks.push(Check {
        name: "everything_price_check".to_owned(),
        expression: "price >= 0".to_owned(),
    });
    let given: [[&str; 14]; 5] = [
        [
            "t",
            "-1",
            "2147483647",
            "-9223372036854775808",
            "1234.50",
            "0.1",
            "中文 ü 'x'",
            "new",
            "\\x00ff00",
            "2024-02-29",
            "2024-02-29 23:59:59.999999",
            "0001-01-01 00:00:00+00",
            "00112233-4455-6677-8899-aabbccddeeff",
            "{\"a\": [1, 2.50, null]}",
        ],
        [
            "f",
            "32767",
            "NULL",
            "1",
            "0",
            "NULL",
            "",
            "NULL",
            "\\x",
            "0001-01-01",
            "1970-01-01 00:00:00",
            "9999-12-31 23:59:59.999999+00",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "NULL",
        ],
        [
            "f",
            "0",
            "0",
            "2",
            "-0.01",
            "-1.5e300",
            "a",
            "old",
            "\\x00",
            "9999-12-31",
            "1969-12-31 23:59:59.5",
            "2026-11-21 10:00:00.25+00",
            "00000000-0000-0000-0000-000000000000",
            "\"text\"",
        ],
        [
            "t",
            "7",
            "-2147483648",
            "9223372036854775807",
            "-9999999999.99",
            "100000000000000",
            "a b",
            "new",
            "\\xff",
            "1970-01-01",
            "2000-01-01 00:00:00",
            "1999-12-31 00:00:00+00",
            "00000000-0000-4000-8000-000000000001",
            "0",
        ],
        [
            "t",
            "8",
            "5",
            "3",
            "9999999999.99",
            "5e-324",
            "z",
            "x",
            "\\xffffffff",
            "2026-11-21",
            "2026-11-21 10:00:00",
            "2026-11-21 10:00:00+00",
            "123e4567-e89b-12d3-a456-426614174000",
            "[]",
        ],
    ];
    let rows = given.iter().map(|texts| row(&table, texts)).collect();
    TableRows { table, rows }
}

fn tables() -> Vec<TableRows> {
    let orders = table(
        1_000,
        "orders",
        vec![
            column(1, "id", Type::Integer),
            column(2, "item", Type::Text),
        ],
        &[1],
    );
    // Enough rows for a tree of several levels.
    let rows = (0..3_000).map(|n| row(&orders, &[&(2 * n).to_string(), &format!("item {n}")]));
    let rows = rows.collect();
    let orders = TableRows {
        table: orders,
        rows,
    };
    let mut salted = table(
        1_002,
        "salaries",
        vec![
            column(1, "name", Type::Varchar(20)),
            column(2, "pay", Type::BigInt),
        ],
        &[1],
    );
    salted.salted = true;
    let rows = vec![
        row(&salted, &["anna", "5100"]),
        row(&salted, &["ben", "4900"]),
    ];
    let salted = TableRows {
        table: salted,
        rows,
    };
    let empty = table(1_003, "empty", vec![column(1, "id", Type::BigInt)], &[1]);
    let empty = TableRows {
        table: empty,
        rows: Vec::new(),
    };
    vec![orders, all_types(), salted, empty]
}

/// A value of every kind.
pub fn values() -> Vec<Value> {
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(-42),
        Value::Numeric("12.50".parse().unwrap()),
        Value::Double(-0.25),
        Value::Text("it's 中文".to_owned()),
        Value::Bytes(vec![0, 1, 255]),
        Value::Date(20_000),
        Value::Timestamp(TIME_US),
        Value::Uuid([0x11; 16]),
        Value::Json("{\"k\": 1.0}".to_owned()),
    ]
}

fn transaction(number: u8, payload: Payload) -> Transaction {
    Transaction {
        ledger: genesis().ledger_id(),
        account: AccountId::of_key(SUITE, &secret(20).public()),
        nonce: [number; 16],
        time_us: TIME_US + 1_000_000,
        expiry_us: TIME_US + 61_000_000,
        seed: [number ^ 0xff; 16],
        expected_versions: Vec::new(),
        payload,
    }
}

/// A transaction of each kind, with made-up effects.
fn transactions() -> Vec<(&'static str, SignedTransaction, TransactionEffects)> {
    let statements = Payload::Statements(vec![
        Statement {
            sql: "INSERT INTO orders VALUES ($1, $2)".to_owned(),
            parameters: vec![Value::Int(1), Value::Text("x".to_owned())],
            result: None,
        },
        Statement {
            sql: "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11".to_owned(),
            parameters: values(),
            result: Some(SUITE.hash(Domain::Result, &[b"seen"])),
        },
    ]);
    let mut strict = transaction(2, Payload::Statements(Vec::new()));
    strict.expected_versions.push(ExpectedVersion {
        table: TableId(1_000),
        height: 3,
        index: 1,
    });
    let record = b"an opaque record".to_vec();
    let whole = [record.clone(), record.clone()].concat();
    let manifest = Payload::Manifest(Manifest {
        len: whole.len() as u64,
        digest: SUITE.hash(Domain::Record, &[&whole]),
        chunks: vec![Hash([0xc1; 32]), Hash([0xc2; 32])],
    });
    let commitment = Payload::Commitment {
        commitment: SUITE.hash(Domain::Record, &[b"salt and bytes"]),
        len: 10,
    };
    let made = vec![
        ("statements", transaction(1, statements), "00000", 2),
        ("strict", strict, "40001", 0),
        (
            "record",
            transaction(3, Payload::Record(record.clone())),
            "00000",
            0,
        ),
        ("chunk", transaction(4, Payload::Chunk(record)), "00000", 0),
        ("manifest", transaction(5, manifest), "00000", 0),
        ("commitment", transaction(6, commitment), "0A000", 0),
        (
            "governance",
            transaction(7, Payload::Governance(vec![1, 2])),
            "0A000",
            0,
        ),
    ];
    made.into_iter()
        .map(|(name, body, code, rows)| {
            let effects =
                TransactionEffects::new(SUITE, Code::new(code).unwrap(), rows, Vec::new());
            (name, body.sign(SUITE, &secret(20)), effects)
        })
        .collect()
}

pub fn world() -> World {
    let genesis = genesis();
    let tables = tables();
    let mut store = MemoryStore::new();
    let mut entries = Vec::new();
    for TableRows { table, rows } in &tables {
        let changes: Vec<(Vec<u8>, Option<Hash>)> = rows
            .iter()
            .map(|row| {
                let bytes = encode_row(table, row).unwrap();
                (row.key(table).unwrap(), Some(row_hash(SUITE, &bytes)))
            })
            .collect();
        let mut changes = changes;
        changes.sort();
        Tree::new(SUITE)
            .update(&mut store, table.id, &changes)
            .unwrap();
        entries.push(TableEntry {
            table: table.id,
            catalogue_hash: table.hash(SUITE),
            root: Prover::new(SUITE, &store, table.id).root().unwrap(),
        });
    }
    let transactions = transactions();
    let header = Header {
        ledger: genesis.ledger_id(),
        height: 4,
        parent: Hash([6; 32]),
        time_us: TIME_US + 1_500_000,
        proposer: genesis.validators.validators()[0].key,
        transaction_count: 0,
        transaction_root: Hash([7; 32]),
        certificate: b"newest certificate".to_vec(),
    };
    let leaf = BlockLeaf {
        height: header.height,
        block: header.hash(SUITE),
        time_us: header.time_us,
        state_root: state_root(SUITE, &entries).unwrap(),
        execution_version: 1,
        next_validators: genesis.validators.hash(SUITE),
    };
    let mut leaves: Vec<Vec<u8>> = (0..FIRST_ENTRY)
        .map(|n| format!("leaf {n} of earlier blocks").into_bytes())
        .collect();
    for ((_, signed, effects), index) in transactions.iter().zip(0u32..) {
        let entry = Entry {
            height: leaf.height,
            index,
            transaction: signed.id(SUITE),
            outcome: effects.outcome.hash(SUITE),
        };
        leaves.push(entry.encode_to_vec());
    }
    leaves.push(leaf.encode_to_vec());
    leaves.extend((0..5).map(|n| format!("leaf {n} of later blocks").into_bytes()));
    World {
        trust: Trust::of_genesis(&genesis),
        genesis,
        tables,
        entries,
        store,
        transactions,
        header,
        leaf,
        leaves,
    }
}

impl World {
    /// Index in the log of the block leaf.
    pub fn leaf_index(&self) -> u64 {
        FIRST_ENTRY + self.transactions.len() as u64
    }

    pub fn signers(&self) -> Vec<SignerKey> {
        let all = self.trust.validators.validators();
        let numbered = all.iter().zip(1u8..);
        numbered
            .filter(|(validator, _)| SIGNERS.contains(&validator.name.as_str()))
            .map(|(validator, number)| {
                SignerKey::of_validator(ORIGIN, &validator.name, secret(number)).unwrap()
            })
            .collect()
    }

    pub fn log(&self) -> (LogTree, MemoryTiles) {
        log_of(&self.leaves)
    }

    pub fn note(&self) -> SignedNote {
        let (log, _) = self.log();
        let checkpoint = Checkpoint::new(ORIGIN, log.size(), log.root()).unwrap();
        let signers = self.signers();
        SignedNote::sign(checkpoint.to_string(), &signers.iter().collect::<Vec<_>>()).unwrap()
    }

    /// The proof file of a leaf with these extra bytes.
    pub fn file_of(&self, extra: Option<Vec<u8>>, index: u64) -> String {
        let (log, tiles) = self.log();
        let path = inclusion_proof(SUITE, index, log.size(), &tiles).unwrap();
        TlogProof::new(extra, index, path, self.note())
            .unwrap()
            .to_string()
    }

    pub fn file(&self, evidence: &Evidence) -> String {
        let index = match evidence {
            Evidence::Transaction(evidence) => FIRST_ENTRY + u64::from(evidence.index),
            Evidence::Rows(_) => self.leaf_index(),
        };
        self.file_of(Some(evidence.to_checked_bytes(SUITE)), index)
    }

    pub fn transaction(&self, index: usize) -> TransactionEvidence {
        let (_, signed, effects) = &self.transactions[index];
        TransactionEvidence {
            height: self.leaf.height,
            index: index as u32,
            signed: signed.clone(),
            outcome: Outcome { ..effects.outcome },
        }
    }

    pub fn key(&self, table: usize, row: usize) -> Vec<u8> {
        let TableRows { table, rows } = &self.tables[table];
        rows[row].key(table).unwrap()
    }

    pub fn rows(&self, table: usize, claim: RowClaim) -> RowEvidence {
        let TableRows { table, rows } = &self.tables[table];
        let prover = Prover::new(SUITE, &self.store, table.id);
        let bytes = |row: &Row| encode_row(table, row).unwrap();
        let mut by_key: Vec<(Vec<u8>, &Row)> = rows
            .iter()
            .map(|row| (row.key(table).unwrap(), row))
            .collect();
        by_key.sort_by(|a, b| a.0.cmp(&b.0));
        let shown = match &claim {
            RowClaim::Present { key } => RowPath::Present {
                row: bytes(by_key.iter().find(|(own, _)| own == key).unwrap().1),
                proof: prover.presence(key).unwrap().unwrap().1,
            },
            RowClaim::Absent { key } => RowPath::Absent {
                proof: prover.absence(key).unwrap().unwrap(),
            },
            RowClaim::Range { from, to } => {
                let range = prover.range(from, to.as_deref(), RANGE_ROWS_MAX).unwrap();
                let inside =
                    |key: &[u8]| key >= &from[..] && to.as_ref().is_none_or(|to| key < &to[..]);
                let rows = by_key.iter().filter(|(key, _)| inside(key));
                RowPath::Range {
                    rows: rows.map(|(_, row)| bytes(row)).collect(),
                    proof: range.proof,
                }
            }
        };
        RowEvidence {
            header: self.header.clone(),
            leaf: self.leaf,
            table: table.clone(),
            path: TableProof::new(SUITE, &self.entries, table.id)
                .unwrap()
                .unwrap(),
            claim,
            shown,
        }
    }
}

pub fn log_of(leaves: &[Vec<u8>]) -> (LogTree, MemoryTiles) {
    let mut tiles = MemoryTiles::default();
    let mut log = LogTree::new(SUITE);
    for leaf in leaves {
        let mut new = Vec::new();
        log.append(leaf_hash(SUITE, leaf), &mut new);
        tiles.extend(new);
    }
    (log, tiles)
}
