//! A small ledger around the engine, and a binder that knows a handful of statements.

use std::path::PathBuf;

use stele_core::crypto::SecretKey;
use stele_core::leaf::BlockLeaf;
use stele_core::outcome::{BlockEffects, Code};
use stele_core::schema::{Column, ColumnId, Index, Table, TableId};
use stele_core::transaction::{Payload, SignedTransaction, Statement, Transaction};
use stele_core::{AccountId, Hash, Suite, Type, Value};

use crate::bound::{Bound, BoundQuery, BoundWrite, Operation, SchemaChange};
use crate::catalogue::Catalogue;
use crate::engine::{BlockContext, Engine, EngineConfig, ExecutableTransaction, ExecutedBlock};
use crate::error::SqlError;
use crate::result::OutputColumn;

pub(super) const SUITE: Suite = Suite::Ed25519Sha256;
pub(super) const LEDGER: Hash = Hash([7; 32]);

pub(super) const CREATE: &str =
    "CREATE TABLE account (id BIGINT PRIMARY KEY, name TEXT UNIQUE, balance BIGINT NOT NULL)";
pub(super) const INSERT: &str = "INSERT INTO account VALUES ($1, $2, $3)";
pub(super) const UPSERT: &str = "INSERT INTO account VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET balance = excluded.balance";
pub(super) const ADD: &str = "UPDATE account SET balance = balance + $2 WHERE id = $1";
pub(super) const ADD_ALL: &str = "UPDATE account SET balance = balance + $1";
pub(super) const RENUMBER: &str = "UPDATE account SET id = $2 WHERE id = $1";
pub(super) const DELETE: &str = "DELETE FROM account WHERE id = $1";
pub(super) const DELETE_ALL: &str = "DELETE FROM account";
pub(super) const DROP: &str = "DROP TABLE account";
pub(super) const SELECT: &str = "SELECT id, name, balance FROM account WHERE id = $1";
pub(super) const SELECT_ALL: &str = "SELECT id, name, balance FROM account ORDER BY id";
pub(super) const PUT: &str = "INSERT INTO stele.kv VALUES ($1, $2, $3) ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value";
pub(super) const NAMESPACE: &str = "INSERT INTO stele.kv_namespaces VALUES ($1, $2, $3)";
pub(super) const SPIN: &str = "SELECT count(*) FROM account a, account b, account c";

/// Stands for the binder: knows the statements above.
pub(super) fn binder(
    sql: &str,
    catalogue: &Catalogue,
    _account: AccountId,
    _declared: &[Option<Type>],
) -> Result<Bound, SqlError> {
    if sql == CREATE {
        return Ok(Bound::Schema(SchemaChange::CreateTable {
            table: Box::new(account_table()),
        }));
    }
    let kv = match sql {
        PUT => Some((
            TableId(1),
            "INSERT INTO t1 (c1,c2,c3,_h,_x) VALUES (?1,?2,?3,?4,?5) ON CONFLICT (c1,c2) DO UPDATE SET c3=excluded.c3,_h=?4,_x=?5",
            vec![Type::Text, Type::Text, Type::Bytea],
        )),
        NAMESPACE => Some((
            TableId(2),
            "INSERT INTO t2 (c1,c2,c3,_h,_x) VALUES (?1,?2,?3,?4,?5)",
            vec![Type::Text, Type::Bytea, Type::Bool],
        )),
        _ => None,
    };
    if let Some((table, sqlite, parameters)) = kv {
        return Ok(Bound::Write(BoundWrite {
            sqlite: sqlite.to_owned(),
            parameters,
            columns: Vec::new(),
            table,
            operation: Operation::Insert,
            reads: Vec::new(),
        }));
    }
    let table = catalogue
        .table_named("public", "account")
        .ok_or_else(|| SqlError::new("42P01", "relation \"account\" does not exist"))?;
    let t = format!("t{}", table.id.0);
    let write = |sqlite: String, parameters: Vec<Type>, operation| {
        Ok(Bound::Write(BoundWrite {
            sqlite: sqlite.replace('@', &t),
            parameters,
            columns: Vec::new(),
            table: table.id,
            operation,
            reads: Vec::new(),
        }))
    };
    let row = vec![Type::BigInt, Type::Text, Type::BigInt];
    let two = vec![Type::BigInt, Type::BigInt];
    let insert = "INSERT INTO @ (c1,c2,c3,_h,_x) VALUES (?1,?2,?3,?4,?5)";
    let column = |name: &str, ty| OutputColumn {
        name: name.to_owned(),
        ty,
    };
    let query = |sqlite: &str, parameters, columns| {
        Ok(Bound::Query(BoundQuery {
            sqlite: sqlite.replace('@', &t),
            parameters,
            columns,
            reads: vec![table.id],
        }))
    };
    let columns = vec![
        column("id", Type::BigInt),
        column("name", Type::Text),
        column("balance", Type::BigInt),
    ];
    match sql {
        INSERT => write(insert.to_owned(), row, Operation::Insert),
        UPSERT => write(
            format!("{insert} ON CONFLICT (c1) DO UPDATE SET c3=excluded.c3,_h=?4,_x=?5"),
            row,
            Operation::Insert,
        ),
        ADD => write(
            "UPDATE @ SET c3=c3+?2,_h=?3,_x=?4 WHERE c1=?1".to_owned(),
            two,
            Operation::Update,
        ),
        ADD_ALL => write(
            "UPDATE @ SET c3=c3+?1,_h=?2,_x=?3".to_owned(),
            vec![Type::BigInt],
            Operation::Update,
        ),
        RENUMBER => write(
            "UPDATE @ SET c1=?2,_h=?3,_x=?4 WHERE c1=?1".to_owned(),
            two,
            Operation::Update,
        ),
        DELETE => write(
            "DELETE FROM @ WHERE c1=?1 AND (?2 IS NOT NULL OR ?3 IS NOT NULL)".to_owned(),
            vec![Type::BigInt],
            Operation::Delete,
        ),
        DELETE_ALL => write(
            "DELETE FROM @ WHERE ?1 IS NOT NULL OR ?2 IS NOT NULL".to_owned(),
            vec![],
            Operation::Delete,
        ),
        DROP => Ok(Bound::Schema(SchemaChange::DropTable {
            tables: vec![table.id],
        })),
        SELECT => query(
            "SELECT c1,c2,c3 FROM @ WHERE c1=?1",
            vec![Type::BigInt],
            columns,
        ),
        SELECT_ALL => query("SELECT c1,c2,c3 FROM @ ORDER BY c1", vec![], columns),
        SPIN => query(
            "SELECT count(*) FROM @ a, @ b, @ c",
            vec![],
            vec![column("count", Type::BigInt)],
        ),
        _ => Err(SqlError::new("42601", "syntax error")),
    }
}

fn account_table() -> Table {
    let column = |id, name: &str, ty, not_null| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty,
        not_null,
        default: None,
        missing: Value::Null,
        confidential: false,
        erasable: false,
    };
    Table {
        id: TableId(0),
        schema: "public".to_owned(),
        name: "account".to_owned(),
        owner: AccountId::LEDGER,
        columns: vec![
            column(1, "id", Type::BigInt, true),
            column(2, "name", Type::Text, false),
            column(3, "balance", Type::BigInt, true),
        ],
        primary_key: vec![ColumnId(1)],
        primary_key_name: "account_pkey".to_owned(),
        indexes: vec![Index {
            name: "account_name_key".to_owned(),
            columns: vec![ColumnId(2)],
            unique: true,
        }],
        checks: Vec::new(),
        salted: false,
        next_column: ColumnId(4),
    }
}

pub(super) struct Ledger {
    pub(super) engine: Engine,
    pub(super) key: SecretKey,
    nonce: u64,
}

impl Ledger {
    pub(super) fn in_memory() -> Self {
        Self::open(EngineConfig::new(None, LEDGER, SUITE))
    }

    pub(super) fn at(path: PathBuf) -> Self {
        Self::open(EngineConfig::new(Some(path), LEDGER, SUITE))
    }

    pub(super) fn open(config: EngineConfig) -> Self {
        Self {
            engine: Engine::open_with(config, binder).unwrap(),
            key: SecretKey::from_seed(&[1; 32]),
            nonce: 0,
        }
    }

    pub(super) fn sign(&mut self, statements: &[(&str, Vec<Value>)]) -> SignedTransaction {
        let statements = statements.iter().map(|(sql, parameters)| Statement {
            sql: (*sql).to_owned(),
            parameters: parameters.clone(),
            result: None,
        });
        self.sign_payload(Payload::Statements(statements.collect()))
    }

    pub(super) fn sign_payload(&mut self, payload: Payload) -> SignedTransaction {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        Transaction {
            ledger: LEDGER,
            account: AccountId::of_key(SUITE, &self.key.public()),
            nonce,
            time_us: 1,
            expiry_us: 2,
            seed: [0; 16],
            expected_versions: Vec::new(),
            payload,
        }
        .sign(SUITE, &self.key)
    }

    /// Executes a block and leaves it open.
    pub(super) fn execute(&mut self, transactions: &[SignedTransaction]) -> ExecutedBlock {
        let context = self.next();
        self.engine
            .execute(&context, &executable(transactions))
            .unwrap()
    }

    pub(super) fn next(&self) -> BlockContext {
        let height = self.engine.meta().height + 1;
        BlockContext {
            height,
            time_us: i64::try_from(height).unwrap(),
        }
    }

    /// Executes and commits a block; gives its effects as they are kept.
    pub(super) fn block(&mut self, transactions: &[SignedTransaction]) -> BlockEffects {
        let executed = self.execute(transactions);
        let height = self.engine.meta().height + 1;
        let block = block_hash(height);
        self.engine.commit(&height.to_be_bytes(), block).unwrap();
        effects(height, executed)
    }

    /// A block of one transaction; gives its code.
    pub(super) fn one(&mut self, statements: &[(&str, Vec<Value>)]) -> Code {
        let signed = self.sign(statements);
        self.block(&[signed]).transactions[0].outcome.code
    }

    pub(super) fn root(&self) -> Hash {
        self.engine.meta().state_root
    }
}

pub(super) fn effects(height: u64, executed: ExecutedBlock) -> BlockEffects {
    BlockEffects {
        transactions: executed.effects,
        leaf: BlockLeaf {
            height,
            block: block_hash(height),
            time_us: i64::try_from(height).unwrap(),
            state_root: executed.state_root,
            execution_version: 1,
            next_validators: Hash::ZERO,
        },
        certificate: Vec::new(),
    }
}

pub(super) fn block_hash(height: u64) -> Hash {
    let mut hash = [9; 32];
    hash[..8].copy_from_slice(&height.to_be_bytes());
    Hash(hash)
}

pub(super) fn executable(transactions: &[SignedTransaction]) -> Vec<ExecutableTransaction<'_>> {
    transactions
        .iter()
        .map(|signed| ExecutableTransaction {
            id: signed.id(SUITE),
            signed,
            refused: None,
        })
        .collect()
}

pub(super) fn int(value: i64) -> Value {
    Value::Int(value)
}

pub(super) fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}
