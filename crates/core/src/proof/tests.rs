//! Proofs are accepted as made and refused with any byte of them changed.

use super::*;
use crate::AccountId;
use crate::block::Header;
use crate::codec::Encode;
use crate::crypto::SecretKey;
use crate::hash::{Hash, Suite};
use crate::leaf::{BlockLeaf, Entry};
use crate::log::{LogTree, MemoryTiles, consistency_proof, inclusion_proof, leaf_hash};
use crate::note::{Checkpoint, ConsistencyProof, SignedNote, SignerKey, TlogProof};
use crate::outcome::{Code, TransactionEffects};
use crate::row::{Row, encode_row, row_hash};
use crate::schema::{Column, ColumnId, Table, TableId};
use crate::transaction::{Payload, Statement, Transaction};
use crate::tree::{MemoryStore, Prover, TableEntry, TableProof, Tree, state_root};
use crate::trust::Trust;
use crate::validators::{Validator, ValidatorSet};
use crate::value::{Type, Value};

const SUITE: Suite = Suite::Ed25519Sha256;
const ORIGIN: &str = "example.org/ledger";

struct World {
    trust: Trust,
    signer: SignerKey,
    table: Table,
    rows: Vec<Row>,
    store: MemoryStore,
    tables: Vec<TableEntry>,
    leaves: Vec<Vec<u8>>,
    evidence: TransactionEvidence,
    header: Header,
    leaf: BlockLeaf,
}

fn column(id: u16, name: &str, ty: Type) -> Column {
    Column::plain(ColumnId(id), name.to_owned(), ty)
}

fn world() -> World {
    let secret = SecretKey::from_seed(&[1; 32]);
    let trust = Trust {
        suite: SUITE,
        ledger: Hash([5; 32]),
        origin: ORIGIN.to_owned(),
        validators: ValidatorSet::new(vec![Validator {
            name: "one".to_owned(),
            key: secret.public(),
        }])
        .unwrap(),
    };
    let columns = vec![
        column(1, "id", Type::Integer),
        column(2, "item", Type::Text),
    ];
    let (owner, key) = (AccountId([7; 32]), vec![ColumnId(1)]);
    let table = Table::plain(TableId(1_000), ("public", "orders"), owner, columns, key);
    let rows: Vec<Row> = (0..40)
        .map(|n| Row::new(vec![Value::Int(n * 2), Value::Text(format!("item {n}"))]))
        .collect();
    let changes: Vec<(Vec<u8>, Option<Hash>)> = rows
        .iter()
        .map(|row| {
            let bytes = encode_row(&table, row).unwrap();
            (row.key(&table).unwrap(), Some(row_hash(SUITE, &bytes)))
        })
        .collect();
    let mut store = MemoryStore::new();
    Tree::new(SUITE)
        .update(&mut store, table.id, &changes)
        .unwrap();
    let root = Prover::new(SUITE, &store, table.id).root().unwrap();
    let tables = vec![TableEntry {
        table: table.id,
        catalogue_hash: table.hash(SUITE),
        root,
    }];
    let user = SecretKey::from_seed(&[2; 32]);
    let signed = Transaction {
        ledger: trust.ledger,
        account: AccountId::of_key(SUITE, &user.public()),
        nonce: [3; 16],
        time_us: 10,
        expiry_us: 20,
        seed: [4; 16],
        expected_versions: Vec::new(),
        payload: Payload::Statements(vec![Statement {
            sql: "INSERT INTO orders VALUES ($1, $2)".to_owned(),
            parameters: vec![Value::Int(1), Value::Text("x".to_owned())],
            result: None,
        }]),
    }
    .sign(SUITE, &user);
    let effects = TransactionEffects::new(SUITE, Code::SUCCESS, 1, Vec::new());
    let evidence = TransactionEvidence {
        height: 1,
        index: 0,
        signed,
        outcome: effects.outcome,
    };
    let entry = Entry {
        height: 1,
        index: 0,
        transaction: evidence.signed.id(SUITE),
        outcome: evidence.outcome.hash(SUITE),
    };
    let header = Header {
        ledger: trust.ledger,
        height: 1,
        parent: trust.ledger,
        time_us: 15,
        proposer: trust.validators.validators()[0].key,
        transaction_count: 1,
        transaction_root: evidence.signed.digest(SUITE),
        certificate: Vec::new(),
    };
    let leaf = BlockLeaf {
        height: 1,
        block: header.hash(SUITE),
        time_us: 15,
        state_root: state_root(SUITE, &tables).unwrap(),
        execution_version: 1,
        next_validators: trust.validators.hash(SUITE),
    };
    let leaves = vec![entry.encode_to_vec(), leaf.encode_to_vec()];
    World {
        signer: SignerKey::of_validator(ORIGIN, "one", secret).unwrap(),
        trust,
        table,
        rows,
        store,
        tables,
        leaves,
        evidence,
        header,
        leaf,
    }
}

impl World {
    fn file(&self, evidence: &Evidence, index: u64) -> String {
        let mut tiles = MemoryTiles::default();
        let mut log = LogTree::new(SUITE);
        for leaf in &self.leaves {
            let mut new = Vec::new();
            log.append(leaf_hash(SUITE, leaf), &mut new);
            tiles.extend(new);
        }
        let checkpoint = Checkpoint::new(ORIGIN, log.size(), log.root()).unwrap();
        let note = SignedNote::sign(checkpoint.to_string(), &[&self.signer]).unwrap();
        let path = inclusion_proof(SUITE, index, log.size(), &tiles).unwrap();
        TlogProof::new(Some(evidence.to_checked_bytes(SUITE)), index, path, note)
            .unwrap()
            .to_string()
    }

    fn rows(&self, claim: RowClaim) -> Evidence {
        let prover = Prover::new(SUITE, &self.store, self.table.id);
        let bytes = |row: &Row| encode_row(&self.table, row).unwrap();
        let shown = match &claim {
            RowClaim::Present { key } => {
                let row = self
                    .rows
                    .iter()
                    .find(|row| row.key(&self.table).unwrap() == *key)
                    .unwrap();
                RowPath::Present {
                    row: bytes(row),
                    proof: prover.presence(key).unwrap().unwrap().1,
                }
            }
            RowClaim::Absent { key } => RowPath::Absent {
                proof: prover.absence(key).unwrap().unwrap(),
            },
            RowClaim::Range { from, to } => {
                let range = prover.range(from, to.as_deref(), RANGE_ROWS_MAX).unwrap();
                let within = |row: &&Row| {
                    let key = row.key(&self.table).unwrap();
                    key >= *from && to.as_ref().is_none_or(|to| key < *to)
                };
                RowPath::Range {
                    rows: self.rows.iter().filter(within).map(bytes).collect(),
                    proof: range.proof,
                }
            }
        };
        Evidence::Rows(Box::new(RowEvidence {
            header: self.header.clone(),
            leaf: self.leaf,
            table: self.table.clone(),
            path: TableProof::new(SUITE, &self.tables, self.table.id)
                .unwrap()
                .unwrap(),
            claim,
            shown,
        }))
    }

    fn key(&self, id: i64) -> Vec<u8> {
        crate::key::encode_key(&[(Type::Integer, &Value::Int(id))]).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let transaction = Evidence::Transaction(Box::new(self.evidence.clone()));
        let claims = [
            RowClaim::Present { key: self.key(4) },
            RowClaim::Absent { key: self.key(5) },
            RowClaim::Range {
                from: self.key(3),
                to: Some(self.key(11)),
            },
            RowClaim::Range {
                from: Vec::new(),
                to: None,
            },
        ];
        std::iter::once(self.file(&transaction, 0))
            .chain(claims.map(|claim| self.file(&self.rows(claim), 1)))
            .collect()
    }
}

#[test]
fn a19_what_is_proven_is_what_was_done() {
    let world = world();
    let mut verifier = Verifier::new(world.trust.clone());
    let proven: Vec<Proven> = world
        .files()
        .iter()
        .map(|file| verifier.verify(file.as_bytes()).unwrap())
        .collect();
    let [
        Proven::Transaction(transaction),
        Proven::Rows(present),
        Proven::Rows(absent),
        Proven::Rows(range),
        Proven::Rows(all),
    ] = proven.as_slice()
    else {
        panic!("other kinds: {proven:?}");
    };
    assert_eq!(transaction.signed, world.evidence.signed);
    assert_eq!(present.rows, [(world.key(4), world.rows[2].clone())]);
    assert!(absent.rows.is_empty());
    let keys: Vec<Vec<u8>> = range.rows.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, [4, 6, 8, 10].map(|id| world.key(id)));
    assert_eq!(all.rows.len(), 40);
}

#[test]
fn a19_no_changed_byte_is_accepted() {
    let world = world();
    for file in world.files() {
        let good = Verifier::new(world.trust.clone()).verify(file.as_bytes());
        let good = good.unwrap();
        for at in 0..file.len() {
            let mut forged = file.clone().into_bytes();
            forged[at] ^= 1;
            let verdict = Verifier::new(world.trust.clone()).verify(&forged);
            assert!(
                verdict.is_err(),
                "byte {at} of {} changed: {good:?} became {verdict:?}",
                file.len()
            );
        }
    }
}

#[test]
fn a19_forged_evidence_shows_nothing_untrue() {
    let world = world();
    for file in world.files() {
        let proof = TlogProof::parse(file.as_bytes()).unwrap();
        let truth = Verifier::new(world.trust.clone())
            .verify(file.as_bytes())
            .unwrap();
        let extra = proof.extra().unwrap();
        let evidence = extra[..extra.len() - 32].to_vec();
        for at in 0..evidence.len() {
            for bit in 0..8 {
                let mut forged = evidence.clone();
                forged[at] ^= 1 << bit;
                // The forger knows how the check value is made.
                let check = SUITE.hash(crate::Domain::Evidence, &[&forged]);
                forged.extend_from_slice(&check.0);
                let forged = TlogProof::new(
                    Some(forged),
                    proof.index(),
                    proof.proof().to_vec(),
                    proof.checkpoint_note().clone(),
                )
                .unwrap()
                .to_string();
                let verdict = Verifier::new(world.trust.clone()).verify(forged.as_bytes());
                match (verdict, &truth) {
                    (Err(_), _) => {}
                    // Another range with the same rows in it is another true claim.
                    (Ok(Proven::Rows(shown)), Proven::Rows(truth)) => {
                        assert!(matches!(shown.claim, RowClaim::Range { .. }));
                        assert_eq!(shown.rows, truth.rows, "bit {bit} of byte {at}");
                    }
                    (Ok(shown), _) => panic!("bit {bit} of byte {at}: {shown:?}"),
                }
            }
        }
    }
}

#[test]
fn a19_a_proof_of_another_ledger_is_refused() {
    let world = world();
    let file = world.files().swap_remove(0);
    let mut other = world.trust.clone();
    other.ledger = Hash([8; 32]);
    assert!(matches!(
        Verifier::new(other).verify(file.as_bytes()),
        Err(VerifyError::Transaction(_))
    ));
    let mut other = world.trust.clone();
    other.origin = "example.org/other".to_owned();
    assert!(matches!(
        Verifier::new(other).verify(file.as_bytes()),
        Err(VerifyError::Certificate(_))
    ));
    let mut other = world.trust;
    other.validators = ValidatorSet::new(vec![Validator {
        name: "one".to_owned(),
        key: SecretKey::from_seed(&[9; 32]).public(),
    }])
    .unwrap();
    assert!(Verifier::new(other).verify(file.as_bytes()).is_err());
}

#[test]
fn evidence_has_one_encoding() {
    let world = world();
    for file in world.files() {
        let proof = TlogProof::parse(file.as_bytes()).unwrap();
        let bytes = proof.extra().unwrap();
        let evidence = Evidence::from_checked_bytes(SUITE, bytes).unwrap();
        assert_eq!(evidence.to_checked_bytes(SUITE), bytes);
    }
}

#[test]
fn a19_proofs_of_another_ledger_with_the_same_origin_and_validator_are_refused() {
    let world = world();
    let twin = Trust {
        ledger: Hash([9; 32]),
        ..world.trust.clone()
    };
    for file in world.files() {
        let error = Verifier::new(twin.clone()).verify(file.as_bytes());
        assert!(
            matches!(
                error,
                Err(VerifyError::OtherLedger(_) | VerifyError::Transaction(_))
            ),
            "{error:?}"
        );
    }
}

/// Checkpoints after each of some leaves, and the tiles of all.
fn grown(signer: &SignerKey, leaves: &[&[u8]]) -> (Vec<String>, MemoryTiles) {
    let (mut tiles, mut log) = (MemoryTiles::default(), LogTree::new(SUITE));
    let note = |log: &LogTree| {
        let checkpoint = Checkpoint::new(ORIGIN, log.size(), log.root()).unwrap();
        SignedNote::sign(checkpoint.to_string(), &[signer])
            .unwrap()
            .to_string()
    };
    let mut notes = vec![note(&log)];
    for leaf in leaves {
        let mut new = Vec::new();
        log.append(leaf_hash(SUITE, leaf), &mut new);
        tiles.extend(new);
        notes.push(note(&log));
    }
    (notes, tiles)
}

fn growth(old: u64, new: u64, note: &str, tiles: &MemoryTiles) -> String {
    let path = consistency_proof(SUITE, old, new, tiles).unwrap();
    let note = SignedNote::parse(note.as_bytes()).unwrap();
    ConsistencyProof::new(old, path, note).unwrap().to_string()
}

#[test]
fn a19_growth_is_shown_and_no_changed_byte_accepted() {
    let world = world();
    let leaves: Vec<[u8; 1]> = (0..14).map(|n| [n]).collect();
    let leaves: Vec<&[u8]> = leaves.iter().map(<[u8; 1]>::as_slice).collect();
    let (notes, tiles) = grown(&world.signer, &leaves);
    for (old, new) in [(0, 5), (1, 2), (4, 11), (7, 14), (8, 14), (14, 14)] {
        let (kept, newer) = (&notes[old], &notes[new]);
        let file = growth(old as u64, new as u64, newer, &tiles);
        let check =
            |kept: &[u8], file: &[u8]| Verifier::new(world.trust.clone()).verify_growth(kept, file);
        let proven = check(kept.as_bytes(), file.as_bytes()).unwrap();
        assert_eq!(
            (proven.old.size(), proven.new.size()),
            (old as u64, new as u64)
        );
        for at in 0..file.len() {
            let mut forged = file.clone().into_bytes();
            forged[at] ^= 1;
            let verdict = check(kept.as_bytes(), &forged);
            assert!(verdict.is_err(), "{old} to {new}, byte {at}: {verdict:?}");
        }
        for at in 0..kept.len() {
            let mut forged = kept.clone().into_bytes();
            forged[at] ^= 1;
            let verdict = check(&forged, file.as_bytes());
            assert!(
                verdict.is_err(),
                "{old} to {new}, kept byte {at}: {verdict:?}"
            );
        }
    }
}

#[test]
fn a19_a_rewritten_log_is_caught_though_its_checkpoint_is_signed() {
    let world = world();
    let (kept, _) = grown(&world.signer, &[b"a", b"b", b"c"]);
    // The validators themselves sign another past.
    let (notes, tiles) = grown(&world.signer, &[b"a", b"x", b"c", b"d", b"e"]);
    let mut verifier = Verifier::new(world.trust.clone());
    let file = growth(3, 5, &notes[5], &tiles);
    assert!(matches!(
        verifier.verify_growth(kept[3].as_bytes(), file.as_bytes()),
        Err(VerifyError::Inconsistent(_))
    ));
    let file = growth(3, 3, &notes[3], &tiles);
    assert!(matches!(
        verifier.verify_growth(kept[3].as_bytes(), file.as_bytes()),
        Err(VerifyError::Inconsistent(_))
    ));
    // What both have in common is the same.
    let file = growth(1, 5, &notes[5], &tiles);
    verifier
        .verify_growth(kept[1].as_bytes(), file.as_bytes())
        .unwrap();
    // The size asked for is the kept checkpoint's.
    assert_eq!(
        verifier.verify_growth(kept[3].as_bytes(), file.as_bytes()),
        Err(VerifyError::OtherStart {
            expected: 3,
            found: 1
        })
    );
    // A log that lost its end.
    let (short, short_tiles) = grown(&world.signer, &[b"a", b"b"]);
    let file = growth(2, 2, &short[2], &short_tiles).replacen("old 2", "old 3", 1);
    assert!(matches!(
        verifier.verify_growth(kept[3].as_bytes(), file.as_bytes()),
        Err(VerifyError::Inconsistent(_))
    ));
}
