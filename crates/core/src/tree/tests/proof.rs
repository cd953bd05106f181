//! Proofs of every present and absent key and of ranges; altered proofs prove nothing.

use super::{Draw, SUITE, TABLE, key, row_hash, stored};
use crate::codec::{Decode, Encode};
use crate::hash::Hash;
use crate::schema::TableId;
use crate::tree::{
    AbsenceProof, MemoryStore, PresenceProof, ProofError, Prover, RangeProof, Tree,
    empty_table_root, rank,
};

const SIZES: [u64; 8] = [0, 1, 2, 3, 31, 100, 1_000, 20_000];

fn decoded<T: Encode + Decode + PartialEq + std::fmt::Debug>(proof: T) -> T {
    let again = T::decode_all(&proof.encode_to_vec()).unwrap();
    assert_eq!(again, proof);
    again
}

#[test]
fn every_key_is_proven_present_or_absent() {
    for size in SIZES {
        // Even numbers are there, odd ones are not.
        let (store, root) = stored((0..size).map(|n| n * 2));
        let prover = Prover::new(SUITE, &store, TABLE);
        assert_eq!(prover.root().unwrap(), root);
        let step = (size / 500 + 1) as usize;
        for number in (0..size * 2 + 2).step_by(step) {
            let key = key(number);
            let (present, absent) = (
                prover.presence(&key).unwrap(),
                prover.absence(&key).unwrap(),
            );
            if number % 2 == 0 && number < size * 2 {
                let (hash, proof) = present.unwrap();
                assert_eq!(hash, row_hash(number));
                decoded(proof)
                    .verify(SUITE, TABLE, &key, &hash, &root)
                    .unwrap();
                assert!(absent.is_none());
            } else {
                assert!(present.is_none());
                decoded(absent.unwrap())
                    .verify(SUITE, TABLE, &key, &root)
                    .unwrap();
            }
        }
    }
}

#[test]
fn ranges_are_complete() {
    let mut draw = Draw(7);
    for size in SIZES {
        let (store, root) = stored((0..size).map(|n| n * 2));
        let prover = Prover::new(SUITE, &store, TABLE);
        for round in 0..60 {
            let low = draw.below(size * 2 + 2);
            let high = low + draw.below([3, 50, 900][round % 3]);
            let from = if round % 7 == 0 { Vec::new() } else { key(low) };
            let to = (round % 5 != 0).then(|| key(high));
            let proven = prover.range(&from, to.as_deref(), usize::MAX).unwrap();
            assert!(proven.next.is_none());
            let proof = decoded(proven.proof);
            let rows = proof
                .verify(SUITE, TABLE, &from, to.as_deref(), &root)
                .unwrap();
            let expected: Vec<_> = (0..size)
                .map(|n| n * 2)
                .filter(|n| key(*n) >= from && to.as_ref().is_none_or(|to| key(*n) < *to))
                .map(|n| (key(n), row_hash(n)))
                .collect();
            let shown: Vec<_> = rows
                .iter()
                .map(|row| (row.key.clone(), row.row_hash))
                .collect();
            assert_eq!(shown, expected);
        }
    }
}

#[test]
fn a_long_range_comes_in_parts() {
    let (store, root) = stored(0..1_000);
    let prover = Prover::new(SUITE, &store, TABLE);
    let (mut from, mut seen) = (key(10), 0);
    loop {
        let part = prover.range(&from, Some(&key(950)), 77).unwrap();
        let to = part.next.clone().unwrap_or(key(950));
        seen += part
            .proof
            .verify(SUITE, TABLE, &from, Some(&to), &root)
            .unwrap()
            .len();
        match part.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(seen, 940);
}

#[test]
fn proofs_do_not_answer_other_questions() {
    let (store, root) = stored((0..3_000).map(|n| n * 2));
    let prover = Prover::new(SUITE, &store, TABLE);
    let (hash, presence) = prover.presence(&key(500)).unwrap().unwrap();
    assert!(
        presence
            .verify(SUITE, TABLE, &key(502), &hash, &root)
            .is_err()
    );
    assert!(
        presence
            .verify(SUITE, TABLE, &key(500), &row_hash(1), &root)
            .is_err()
    );
    assert!(
        presence
            .verify(SUITE, TableId(1_001), &key(500), &hash, &root)
            .is_err()
    );
    assert!(
        presence
            .verify(SUITE, TABLE, &[], &Hash::ZERO, &root)
            .is_err()
    );
    assert!(matches!(
        presence.verify(SUITE, TABLE, &key(500), &hash, &row_hash(0)),
        Err(ProofError::OtherRoot { .. })
    ));
    let absence = prover.absence(&key(501)).unwrap().unwrap();
    for other in [499, 500, 502, 503] {
        assert!(absence.verify(SUITE, TABLE, &key(other), &root).is_err());
    }
    let range = prover
        .range(&key(100), Some(&key(200)), 1_000)
        .unwrap()
        .proof;
    for (from, to) in [(98, 200), (100, 203), (102, 200), (100, 198)] {
        let claim = range.verify(SUITE, TABLE, &key(from), Some(&key(to)), &root);
        assert!(claim.is_err(), "{from}..{to}");
    }
    assert!(
        range
            .verify(SUITE, TABLE, &[], Some(&key(200)), &root)
            .is_err()
    );
    assert!(range.verify(SUITE, TABLE, &key(100), None, &root).is_err());
    // The same rows around it, said of no more than lies between the neighbours.
    range
        .verify(SUITE, TABLE, &key(99), Some(&key(199)), &root)
        .unwrap();
}

#[test]
fn the_sentinel_is_no_row() {
    let store = MemoryStore::new();
    let root = empty_table_root(SUITE, TABLE);
    let prover = Prover::new(SUITE, &store, TABLE);
    assert!(prover.presence(&[]).unwrap().is_none());
    assert!(prover.absence(&[]).unwrap().is_none());
    let all = prover.range(&[], None, 10).unwrap().proof;
    assert!(
        all.verify(SUITE, TABLE, &[], None, &root)
            .unwrap()
            .is_empty()
    );
}

/// Proofs and what they were made for.
#[derive(Default)]
struct Corpus {
    root: Hash,
    presence: Vec<(u64, PresenceProof)>,
    absence: Vec<(u64, AbsenceProof)>,
    ranges: Vec<(u64, u64, RangeProof)>,
}

/// Proofs over a table with several levels, chosen to end and begin at group boundaries too.
fn corpus() -> Corpus {
    let (store, root) = stored((0..3_000).map(|n| n * 2));
    let prover = Prover::new(SUITE, &store, TABLE);
    let boundary = (1..3_000)
        .map(|n| n * 2)
        .find(|n| rank(SUITE, TABLE, &key(*n)) >= 2)
        .unwrap();
    let mut numbers = vec![0, boundary - 2, boundary, boundary + 2, 3_000, 5_998];
    let presence = numbers
        .iter()
        .map(|n| (*n, prover.presence(&key(*n)).unwrap().unwrap().1))
        .collect();
    numbers.push(6_000);
    let absence = numbers
        .iter()
        .map(|n| (n + 1, prover.absence(&key(n + 1)).unwrap().unwrap()))
        .collect();
    let ranges = [
        (0, 3),
        (boundary - 3, boundary),
        (boundary, boundary + 9),
        (boundary - 4, boundary + 1),
        (100, 260),
        (5_990, 6_100),
    ];
    let ranges = ranges.map(|(from, to)| {
        (
            from,
            to,
            prover
                .range(&key(from), Some(&key(to)), 10_000)
                .unwrap()
                .proof,
        )
    });
    Corpus {
        root,
        presence,
        absence,
        ranges: ranges.to_vec(),
    }
}

/// Every altered form of an encoding: each byte changed in three ways, cut short, made longer.
fn altered(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let changed = (0..bytes.len()).flat_map(|at| {
        [0x01, 0x80, 0xff].map(|mask| {
            let mut copy = bytes.to_vec();
            copy[at] ^= mask;
            copy
        })
    });
    let cut = (0..bytes.len()).map(|len| bytes[..len].to_vec());
    let longer = std::iter::once([bytes, &[0]].concat());
    changed.chain(cut).chain(longer)
}

#[test]
fn altered_proofs_prove_nothing() {
    let Corpus {
        root,
        presence,
        absence,
        ranges,
    } = corpus();
    let mut tried = 0;
    for (number, proof) in presence {
        for bytes in altered(&proof.encode_to_vec()) {
            tried += 1;
            if let Ok(proof) = PresenceProof::decode_all(&bytes) {
                let claim = proof.verify(SUITE, TABLE, &key(number), &row_hash(number), &root);
                assert!(claim.is_err(), "presence of {number}");
            }
        }
    }
    for (number, proof) in absence {
        for bytes in altered(&proof.encode_to_vec()) {
            tried += 1;
            if let Ok(proof) = AbsenceProof::decode_all(&bytes) {
                let claim = proof.verify(SUITE, TABLE, &key(number), &root);
                assert!(claim.is_err(), "absence of {number}");
            }
        }
    }
    for (from, to, proof) in ranges {
        for bytes in altered(&proof.encode_to_vec()) {
            tried += 1;
            if let Ok(proof) = RangeProof::decode_all(&bytes) {
                let claim = proof.verify(SUITE, TABLE, &key(from), Some(&key(to)), &root);
                assert!(claim.is_err(), "range {from}..{to}");
            }
        }
    }
    assert!(tried > 20_000, "only {tried} forms tried");
}

#[test]
fn rows_cannot_be_hidden_or_added() {
    let (store, root) = stored((0..3_000).map(|n| n * 2));
    let prover = Prover::new(SUITE, &store, TABLE);
    let honest = prover
        .range(&key(1_000), Some(&key(1_300)), 10_000)
        .unwrap()
        .proof;
    for at in 0..honest.rows.len() {
        let mut hidden = honest.clone();
        hidden.rows.remove(at);
        assert!(
            hidden
                .verify(SUITE, TABLE, &key(1_000), Some(&key(1_300)), &root)
                .is_err()
        );
        // Hiding a row and claiming it to lie around the stretch.
        for level in 0..hidden.path.levels.len() {
            for side in 0..2 {
                let mut claimed = hidden.clone();
                let path = &mut claimed.path.levels[level];
                if side == 0 {
                    path.before += 1
                } else {
                    path.after += 1
                }
                let claim = claimed.verify(SUITE, TABLE, &key(1_000), Some(&key(1_300)), &root);
                assert!(claim.is_err());
            }
        }
        let mut doubled = honest.clone();
        doubled.rows.insert(at, doubled.rows[at].clone());
        assert!(
            doubled
                .verify(SUITE, TABLE, &key(1_000), Some(&key(1_300)), &root)
                .is_err()
        );
    }
    // The end of the table cannot be claimed where it is not, be it the end of a group or not.
    let ends = (1..3_000)
        .filter(|n| rank(SUITE, TABLE, &key(n * 2)) > 0)
        .map(|n| n * 2 - 2);
    for last in ends.chain([2_000]) {
        let (row_hash, proof) = prover.presence(&key(last)).unwrap().unwrap();
        let claimed = RangeProof {
            before: Some(crate::tree::ProvenRow {
                key: key(last),
                row_hash,
            }),
            rows: Vec::new(),
            after: None,
            path: proof.path,
        };
        assert_eq!(
            claimed.verify(SUITE, TABLE, &key(last + 1), None, &root),
            Err(ProofError::OtherClaim("rows may follow the last one shown")),
        );
    }
    let mut cut = prover
        .range(&key(2_000), Some(&key(2_001)), 10)
        .unwrap()
        .proof;
    cut.after = None;
    for level in &mut cut.path.levels {
        level.after = 0;
    }
    assert!(cut.verify(SUITE, TABLE, &key(2_000), None, &root).is_err());
}

#[test]
fn proofs_of_older_heights_come_from_a_view_of_old_nodes() {
    use crate::tree::{Node, NodeChange, NodeStore, NodeStoreMut};
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    /// Current nodes and the first hash replaced at each height, as a ledger's store keeps them.
    #[derive(Default)]
    struct Kept {
        now: MemoryStore,
        height: u64,
        replaced: BTreeMap<(u8, Vec<u8>, u64), Option<Hash>>,
    }
    struct AsOf<'k>(&'k Kept, u64);

    impl NodeStore for Kept {
        type Error = Infallible;
        fn get(&self, table: TableId, level: u8, key: &[u8]) -> Result<Option<Hash>, Infallible> {
            self.now.get(table, level, key)
        }
        fn range(
            &self,
            table: TableId,
            level: u8,
            from: &[u8],
            to: Option<&[u8]>,
            limit: usize,
        ) -> Result<Vec<Node>, Infallible> {
            self.now.range(table, level, from, to, limit)
        }
    }
    impl NodeStoreMut for Kept {
        fn write(&mut self, changes: &[NodeChange<'_>]) -> Result<(), Infallible> {
            for change in changes {
                let held = self.now.get(change.table, change.level, change.key)?;
                assert_eq!(held, change.old);
                assert_ne!(change.old, change.new);
                let at = (change.level, change.key.to_vec(), self.height);
                self.replaced.entry(at).or_insert(change.old);
                self.now.write(&[*change])?;
            }
            Ok(())
        }
    }
    impl NodeStore for AsOf<'_> {
        type Error = Infallible;
        fn get(&self, table: TableId, level: u8, key: &[u8]) -> Result<Option<Hash>, Infallible> {
            let (from, to) = (
                (level, key.to_vec(), self.1 + 1),
                (level, key.to_vec(), u64::MAX),
            );
            match self.0.replaced.range(from..=to).next() {
                Some((_, old)) => Ok(*old),
                None => self.0.now.get(table, level, key),
            }
        }
        fn range(
            &self,
            table: TableId,
            level: u8,
            from: &[u8],
            to: Option<&[u8]>,
            limit: usize,
        ) -> Result<Vec<Node>, Infallible> {
            let mut keys: Vec<_> = self
                .0
                .now
                .range(table, level, from, to, usize::MAX)?
                .into_iter()
                .map(|node| node.0.to_vec())
                .collect();
            let old = self.0.replaced.keys().filter(|(of, key, _)| {
                *of == level && key.as_slice() >= from && to.is_none_or(|to| key.as_slice() < to)
            });
            keys.extend(old.map(|(_, key, _)| key.clone()));
            keys.sort();
            keys.dedup();
            let nodes = keys.into_iter().filter_map(|key| {
                self.get(table, level, &key)
                    .unwrap()
                    .map(|hash| (key.as_slice().into(), hash))
            });
            Ok(nodes.take(limit).collect())
        }
    }

    let (mut tree, mut kept, mut draw, mut roots) =
        (Tree::new(SUITE), Kept::default(), Draw(3), Vec::new());
    for height in 0..30 {
        kept.height = height;
        for _ in 0..2 {
            let mut batch: Vec<_> = (0..40)
                .map(|_| {
                    (
                        key(draw.below(400)),
                        (draw.below(3) > 0).then(|| row_hash(draw.below(9))),
                    )
                })
                .collect();
            batch.sort();
            batch.dedup_by(|a, b| a.0 == b.0);
            tree.update(&mut kept, TABLE, &batch).unwrap();
        }
        roots.push(tree.root(&kept, TABLE).unwrap());
    }
    for (height, root) in (0..).zip(&roots) {
        let view = AsOf(&kept, height);
        let prover = Prover::new(SUITE, &view, TABLE);
        let all = prover.range(&[], None, 1_000).unwrap().proof;
        all.verify(SUITE, TABLE, &[], None, root).unwrap();
    }
}
