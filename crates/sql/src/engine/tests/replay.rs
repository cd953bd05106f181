//! Effects: applying them gives what executing gave, undoing them gives what was before.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stele_core::outcome::{BlockEffects, Change};
use stele_core::schema::TableId;
use stele_core::{Hash, Value};

use super::support::*;
use crate::engine::{Engine, EngineError, chunk};

/// Everything the database holds of a state, but for local counters and what is kept for proofs.
/// Columns go by name: their order in SQLite follows the history of ALTER TABLE.
pub(super) fn content(engine: &Engine) -> BTreeMap<String, Vec<String>> {
    let names: Vec<String> = engine
        .writer
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('_meta', '_catalogue_old', '_tree', '_tree_old')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let rows = |name: &str| {
        let mut statement = engine
            .writer
            .prepare(&format!("SELECT * FROM {name}"))
            .unwrap();
        let mut columns: Vec<(String, usize)> = statement
            .column_names()
            .map(str::to_owned)
            .zip(0..)
            .collect();
        columns.sort();
        let mut rows: Vec<String> = statement
            .query_map([], |row| {
                let values = columns
                    .iter()
                    .map(|(name, at)| (name, row.get::<_, rusqlite::types::Value>(*at).unwrap()));
                Ok(format!("{:?}", values.collect::<Vec<_>>()))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        rows.sort();
        rows
    };
    let mut content: BTreeMap<String, Vec<String>> = names
        .into_iter()
        .map(|name| (name.clone(), rows(&name)))
        .collect();
    content.insert("_tree".to_owned(), nodes(engine));
    content
}

/// State tree nodes: how they are cut into chunks depends on the way they were written.
fn nodes(engine: &Engine) -> Vec<String> {
    let sql = "SELECT DISTINCT id, level FROM _tree ORDER BY id, level";
    let mut statement = engine.writer.prepare(sql).unwrap();
    let levels: Vec<(u32, u8)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut nodes = Vec::new();
    for (table, level) in levels {
        chunk::visit(&engine.writer, (TableId(table), level), &[], None, |node| {
            nodes.push(format!("{table} {level} {node:?}"));
            true
        })
        .unwrap();
    }
    nodes
}

/// Without the history: dropping a column drops it there for good.
pub(super) fn without_history(
    mut content: BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, Vec<String>> {
    content.retain(|name, _| !name.starts_with('h'));
    content
}

pub(super) fn apply(ledger: &mut Ledger, effects: &BlockEffects) {
    let root = replay(ledger, effects).unwrap();
    assert_eq!(root, effects.leaf.state_root);
    let height = effects.leaf.height;
    ledger
        .engine
        .commit(&height.to_be_bytes(), block_hash(height))
        .unwrap();
}

fn replay(ledger: &mut Ledger, effects: &BlockEffects) -> Result<Hash, EngineError> {
    let ids = vec![Hash::ZERO; effects.transactions.len()];
    ledger.engine.apply_effects(&ledger.next(), effects, &ids)
}

pub(super) fn unapply(ledger: &mut Ledger, effects: &BlockEffects) -> Hash {
    let root = ledger.engine.unapply_effects(effects).unwrap();
    let height = effects.leaf.height - 1;
    ledger
        .engine
        .commit(&height.to_be_bytes(), block_hash(height))
        .unwrap();
    root
}

#[derive(Clone, Debug)]
enum Step {
    Insert(i64, i64, i64),
    Upsert(i64, i64),
    Add(i64, i64),
    AddAll(i64),
    Renumber(i64, i64),
    Delete(i64),
    DeleteAll,
    Put(u8, u8),
    Fail,
    Create,
    Drop,
    Alter(usize),
}

/// Definitions that come and go beside the rows.
const ALTERS: [&str; 10] = [
    "ALTER TABLE account ADD COLUMN note TEXT DEFAULT 'none'",
    "ALTER TABLE account DROP COLUMN note",
    "UPDATE account SET note = name",
    "ALTER TABLE account ALTER COLUMN note SET NOT NULL",
    "CREATE INDEX by_balance ON account (balance)",
    "DROP INDEX by_balance",
    "UPDATE account SET name = 'x' || id",
    "ALTER TABLE account ALTER COLUMN name SET NOT NULL",
    "ALTER TABLE account DROP COLUMN name",
    "ALTER TABLE account ADD CONSTRAINT few CHECK (balance < 20)",
];

impl Step {
    fn statement(&self) -> (&'static str, Vec<Value>) {
        match *self {
            Self::Insert(id, name, balance) => (
                INSERT,
                vec![int(id), text(format!("n{name}")), int(balance)],
            ),
            Self::Upsert(id, balance) => (UPSERT, vec![int(id), Value::Null, int(balance)]),
            Self::Add(id, by) => (ADD, vec![int(id), int(by)]),
            Self::AddAll(by) => (ADD_ALL, vec![int(by)]),
            Self::Renumber(from, to) => (RENUMBER, vec![int(from), int(to)]),
            Self::Delete(id) => (DELETE, vec![int(id)]),
            Self::DeleteAll => (DELETE_ALL, vec![]),
            Self::Put(key, value) => (
                PUT,
                vec![
                    text("space"),
                    text(format!("k{key}")),
                    Value::Bytes(vec![value]),
                ],
            ),
            Self::Fail => ("SELEKT", vec![]),
            Self::Create => (CREATE, vec![]),
            Self::Drop => (DROP, vec![]),
            Self::Alter(which) => (ALTERS[which], vec![]),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..40i64, 0..40i64, 0..9i64).prop_map(|(a, b, c)| Step::Insert(a, b, c)),
        4 => (0..40i64, 0..9i64).prop_map(|(a, b)| Step::Upsert(a, b)),
        4 => (0..40i64, 0..3i64).prop_map(|(a, b)| Step::Add(a, b)),
        1 => (0..3i64).prop_map(Step::AddAll),
        2 => (0..40i64, 0..40i64).prop_map(|(a, b)| Step::Renumber(a, b)),
        4 => (0..40i64).prop_map(Step::Delete),
        1 => Just(Step::DeleteAll),
        3 => (0..9u8, 0..9u8).prop_map(|(a, b)| Step::Put(a, b)),
        2 => Just(Step::Fail),
        1 => Just(Step::Create),
        1 => Just(Step::Drop),
        5 => (0..ALTERS.len()).prop_map(Step::Alter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn c11_effects_replay_and_undo_exactly(
        blocks in prop::collection::vec(prop::collection::vec(prop::collection::vec(step(), 1..4), 1..6), 1..8)
    ) {
        let mut executed = Ledger::in_memory();
        let mut applied = Ledger::in_memory();
        let mut kept = Vec::new();
        let mut all = Vec::new();
        let drops_column = blocks.iter().flatten().flatten().any(|step| matches!(step, Step::Alter(1 | 8)));
        executed.one(&[(CREATE, vec![])]);
        let create = {
            let mut again = Ledger::in_memory();
            let signed = again.sign(&[(CREATE, vec![])]);
            again.block(&[signed])
        };
        apply(&mut applied, &create);
        all.push(create);
        for block in &blocks {
            let before = (executed.root(), content(&executed.engine));
            let signed: Vec<_> = block
                .iter()
                .map(|steps| {
                    let statements: Vec<_> = steps.iter().map(Step::statement).collect();
                    executed.sign(&statements)
                })
                .collect();
            let effects = executed.block(&signed);
            apply(&mut applied, &effects);
            prop_assert_eq!(content(&executed.engine), content(&applied.engine));
            all.push(effects.clone());
            kept.push((before, effects));
        }
        prop_assert_eq!(audit_history(&executed, &all).differences, []);
        while let Some(((root, rows), effects)) = kept.pop() {
            prop_assert_eq!(unapply(&mut applied, &effects), root);
            if drops_column {
                prop_assert_eq!(without_history(content(&applied.engine)), without_history(rows));
            } else {
                prop_assert_eq!(content(&applied.engine), rows);
            }
        }
        prop_assert_eq!(applied.engine.meta().height, 1);
    }
}

#[test]
fn c11_two_transactions_on_one_key_undo_to_the_right_value() {
    let mut ledger = Ledger::in_memory();
    ledger.one(&[(CREATE, vec![])]);
    ledger.one(&[(INSERT, vec![int(1), text("a"), int(10)])]);
    let (root, before) = (ledger.root(), content(&ledger.engine));
    let block = [
        ledger.sign(&[(ADD, vec![int(1), int(1)])]),
        ledger.sign(&[(ADD, vec![int(1), int(2)]), (ADD, vec![int(1), int(3)])]),
    ];
    let effects = ledger.block(&block);
    assert_eq!(unapply(&mut ledger, &effects), root);
    assert_eq!(content(&ledger.engine), before);
    // The same block again gives the same again.
    assert_eq!(ledger.block(&block), effects);
}

#[test]
fn a_changed_effect_is_refused_by_name() {
    let mut executed = Ledger::in_memory();
    let create = executed.sign(&[(CREATE, vec![])]);
    let create = executed.block(&[create]);
    let insert = executed.sign(&[(INSERT, vec![int(1), text("a"), int(10)])]);
    let insert = executed.block(&[insert]);
    let add = executed.sign(&[(ADD, vec![int(1), int(1)])]);
    let add = executed.block(&[add]);

    let mut applied = Ledger::in_memory();
    apply(&mut applied, &create);
    let mut forged = insert.clone();
    let Change::Row(row) = &mut forged.transactions[0].changes[0] else {
        panic!()
    };
    *row.after.as_mut().unwrap().last_mut().unwrap() ^= 1;
    let error = replay(&mut applied, &forged).unwrap_err();
    assert!(
        matches!(error, EngineError::RootMismatch { height: 2, .. }),
        "{error}"
    );
    apply(&mut applied, &insert);
    let mut forged = add.clone();
    let Change::Row(row) = &mut forged.transactions[0].changes[0] else {
        panic!()
    };
    *row.before.as_mut().unwrap().last_mut().unwrap() ^= 1;
    let error = replay(&mut applied, &forged).unwrap_err();
    let EngineError::Mismatch { table, key, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (table.as_str(), key.as_str()),
        ("public.account", "8000000000000001")
    );
    apply(&mut applied, &add);
    assert_eq!(applied.root(), executed.root());
}
