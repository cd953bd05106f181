//! Rows that are not in the state, and claims the state does not bear out.

use stele_core::Hash;
use stele_core::block::Header;
use stele_core::codec::{Decode, Encode};
use stele_core::proof::{Evidence, RowClaim, RowEvidence, RowPath};
use stele_core::tree::{PresenceProof, RangeProof, TableProof};

use super::path::{Shown, absence_of, presence, range, range_of};
use super::{Corpus, id};
use crate::SUITE;
use crate::world::World;

/// Changes what a range proof claims and shows.
type RangeEdit<'e> = &'e dyn Fn(&mut RowClaim, &mut Vec<Vec<u8>>, &mut RangeProof);

pub fn forge(world: &World, corpus: &mut Corpus) {
    presences(world, corpus);
    absences(world, corpus);
    ranges(world, corpus);
}

/// Rows that are not in the state, and claims the state does not bear out.
fn presences(world: &World, corpus: &mut Corpus) {
    let file = |evidence: RowEvidence| world.file(&Evidence::Rows(Box::new(evidence)));
    let present = || world.rows(0, RowClaim::Present { key: id(2_468) });

    let mut other = present();
    other.header.ledger = Hash([1; 32]);
    corpus.add(
        "header-other-ledger",
        "the header names another ledger than its hash in the leaf",
        file(other),
    );
    for (name, what, change) in [
        (
            "header-height",
            "the header has another height than the leaf that holds its hash",
            (|header| header.height += 1) as fn(&mut Header),
        ),
        (
            "header-time",
            "the header has another time than the leaf that holds its hash",
            |header| header.time_us += 1,
        ),
        (
            "same-validator-other-ledger",
            "all is right, under the same origin and validators, but of another ledger",
            |header| header.ledger = Hash([1; 32]),
        ),
    ] {
        let mut other = crate::world::world();
        change(&mut other.header);
        other.leaf.block = other.header.hash(SUITE);
        let at = other.leaf_index() as usize;
        other.leaves[at] = other.leaf.encode_to_vec();
        let evidence = other.rows(0, RowClaim::Present { key: id(2_468) });
        corpus.add(name, what, other.file(&Evidence::Rows(Box::new(evidence))));
    }
    let mut other = present();
    other.leaf.time_us += 1;
    corpus.add(
        "leaf-time",
        "the block leaf has another time than the log's",
        file(other),
    );
    let mut other = present();
    other.leaf.state_root = Hash([1; 32]);
    corpus.add(
        "leaf-state-root",
        "the block leaf has another state root than the log's",
        file(other),
    );
    let mut other = present();
    other.table.columns[1].name = "remark".to_owned();
    corpus.add(
        "table-column-renamed",
        "a column of the table is named otherwise",
        file(other),
    );
    let mut other = present();
    other.table.id = stele_core::schema::TableId(1_001);
    corpus.add(
        "table-other-id",
        "the table has another id than its path",
        file(other),
    );
    let mut other = present();
    other.path = world.rows(3, RowClaim::Absent { key: id(1) }).path;
    corpus.add(
        "table-other-path",
        "the path is that of another table",
        file(other),
    );
    let mut other = world.rows(3, RowClaim::Absent { key: id(2_468) });
    other.table = world.tables[0].table.clone();
    corpus.add(
        "table-empty-for-full",
        "the absence is shown in an empty table and claimed of a full one",
        file(other),
    );
    let path = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut other = present();
        let mut bytes = other.path.encode_to_vec();
        edit(&mut bytes);
        other.path = TableProof::decode_all(&bytes).unwrap();
        file(other)
    };
    corpus.add(
        "table-count",
        "the path of the table is for another number of tables",
        path(&|bytes| bytes[4] += 1),
    );
    corpus.add(
        "table-index",
        "the path of the table is for another place",
        path(&|bytes| bytes[8] += 1),
    );
    corpus.add(
        "table-root",
        "the table has another root",
        path(&|bytes| bytes[50] ^= 1),
    );

    let row = |edit: &dyn Fn(&mut RowClaim, &mut Vec<u8>, &mut PresenceProof)| {
        let mut other = present();
        if let RowPath::Present { row, proof } = &mut other.shown {
            edit(&mut other.claim, row, proof);
        }
        file(other)
    };
    corpus.add(
        "row-value",
        "another value in the row",
        row(&|_, row, _| *row.last_mut().unwrap() ^= 1),
    );
    corpus.add(
        "row-other-key",
        "the row is claimed under its neighbour's key",
        row(&|claim, _, _| *claim = RowClaim::Present { key: id(2_470) }),
    );
    corpus.add(
        "row-empty-key",
        "a row of the empty key",
        row(&|claim, _, _| *claim = RowClaim::Present { key: Vec::new() }),
    );
    corpus.add(
        "row-before",
        "the row stands at another place of its group",
        row(&|_, _, proof| {
            *proof = presence(proof, |levels| {
                levels[0].before += 1;
                levels[0].after -= 1;
                if levels[0].name.is_empty() {
                    levels[0].name = vec![1];
                }
            })
        }),
    );
    corpus.add(
        "row-level-missing",
        "the path lacks its last level",
        row(&|_, _, proof| {
            *proof = presence(proof, |levels| {
                levels.pop();
            })
        }),
    );
    corpus.add(
        "row-level-extra",
        "the path has a level too many",
        row(&|_, _, proof| {
            *proof = presence(proof, |levels| {
                let last = levels.last().unwrap().clone();
                levels.push(last);
            })
        }),
    );
    corpus.add(
        "row-hash-missing",
        "the path lacks a hash",
        row(&|_, _, proof| {
            *proof = presence(proof, |levels| {
                levels[0].hashes.pop();
            })
        }),
    );
    corpus.add(
        "row-hash-extra",
        "the path has a hash too many",
        row(&|_, _, proof| *proof = presence(proof, |levels| levels[0].hashes.push(Hash::ZERO))),
    );
    corpus.add(
        "row-group-too-large",
        "a group of more entries than groups may have",
        row(&|_, _, proof| *proof = presence(proof, |levels| levels[0].after = 8_192)),
    );
    corpus.add(
        "row-group-name",
        "a group has another first key",
        row(&|_, _, proof| {
            *proof = presence(proof, |levels| {
                if let Some(level) = levels.iter_mut().find(|level| level.before > 0) {
                    level.name = id(1);
                }
            })
        }),
    );
}

fn absences(world: &World, corpus: &mut Corpus) {
    let file = |evidence: RowEvidence| world.file(&Evidence::Rows(Box::new(evidence)));
    let absent = || world.rows(0, RowClaim::Absent { key: id(2_469) });
    let ranged = || {
        world.rows(
            0,
            RowClaim::Range {
                from: id(1_000),
                to: Some(id(1_101)),
            },
        )
    };
    let mut other = absent();
    other.claim = RowClaim::Absent { key: id(2_470) };
    corpus.add(
        "absent-is-there",
        "the row said to be absent is a neighbour shown",
        file(other),
    );
    let mut other = absent();
    other.claim = RowClaim::Absent { key: id(2_473) };
    corpus.add(
        "absent-elsewhere",
        "the gap shown is another than the key's",
        file(other),
    );
    let mut other = absent();
    other.claim = RowClaim::Absent { key: Vec::new() };
    corpus.add(
        "absent-empty-key",
        "the absence of the empty key",
        file(other),
    );
    // A gap made wide: neighbours that are not neighbours.
    let mut other = absent();
    let far = ranged();
    if let (RowPath::Absent { proof }, RowPath::Range { proof: far, .. }) =
        (&mut other.shown, &far.shown)
    {
        *proof = absence_of(&range(far, |parts| parts.1.clear()));
    }
    other.claim = RowClaim::Absent { key: id(1_050) };
    corpus.add(
        "absent-wide-gap",
        "the rows between the two neighbours are left out",
        file(other),
    );
    let mut other = absent();
    if let RowPath::Absent { proof } = &mut other.shown {
        let bytes = proof.encode_to_vec();
        *proof = absence_of(&range(&range_of(&bytes), |parts| parts.2 = None));
    }
    corpus.add(
        "absent-no-after",
        "the neighbour after the gap is left out",
        file(other),
    );
    let mut other = world.rows(0, RowClaim::Absent { key: id(-1) });
    if let RowPath::Absent { proof } = &mut other.shown {
        let bytes = proof.encode_to_vec();
        let sentinel = Shown {
            key: Vec::new(),
            hash: Hash::ZERO,
        };
        *proof = absence_of(&range(&range_of(&bytes), |parts| parts.0 = Some(sentinel)));
    }
    corpus.add(
        "absent-sentinel",
        "the tree's first entry is shown as a row",
        file(other),
    );
}

fn ranges(world: &World, corpus: &mut Corpus) {
    let file = |evidence: RowEvidence| world.file(&Evidence::Rows(Box::new(evidence)));
    let ranged = || {
        world.rows(
            0,
            RowClaim::Range {
                from: id(1_000),
                to: Some(id(1_101)),
            },
        )
    };
    let part = |edit: RangeEdit| {
        let mut other = ranged();
        if let RowPath::Range { rows, proof } = &mut other.shown {
            edit(&mut other.claim, rows, proof);
        }
        file(other)
    };
    corpus.add(
        "range-row-omitted",
        "a row is left out everywhere",
        part(&|_, rows, proof| {
            rows.remove(7);
            *proof = range(proof, |parts| {
                parts.1.remove(7);
            });
        }),
    );
    corpus.add(
        "range-row-not-shown",
        "the path has a row that is not shown",
        part(&|_, rows, _| {
            rows.pop();
        }),
    );
    corpus.add(
        "range-row-too-many",
        "a row is shown that the path has not",
        part(&|_, rows, _| {
            let row = rows[0].clone();
            rows.push(row);
        }),
    );
    corpus.add(
        "range-rows-swapped",
        "two rows change places",
        part(&|_, rows, proof| {
            rows.swap(1, 2);
            *proof = range(proof, |parts| parts.1.swap(1, 2));
        }),
    );
    corpus.add(
        "range-row-value",
        "another value in one row",
        part(&|_, rows, _| *rows[3].last_mut().unwrap() ^= 1),
    );
    corpus.add(
        "range-wider-end",
        "the claim ends later than the rows shown",
        part(&|claim, _, _| {
            *claim = RowClaim::Range {
                from: id(1_000),
                to: Some(id(1_200)),
            }
        }),
    );
    corpus.add(
        "range-open-end",
        "the claim reaches the table's end, the rows do not",
        part(&|claim, _, _| {
            *claim = RowClaim::Range {
                from: id(1_000),
                to: None,
            }
        }),
    );
    corpus.add(
        "range-wider-start",
        "the claim starts earlier than the rows shown",
        part(&|claim, _, _| {
            *claim = RowClaim::Range {
                from: id(900),
                to: Some(id(1_101)),
            }
        }),
    );
    corpus.add(
        "range-narrower",
        "rows outside the claim are shown",
        part(&|claim, _, _| {
            *claim = RowClaim::Range {
                from: id(1_010),
                to: Some(id(1_101)),
            }
        }),
    );
    corpus.add(
        "range-reversed",
        "the claim ends before it starts",
        part(&|claim, _, _| {
            *claim = RowClaim::Range {
                from: id(1_101),
                to: Some(id(1_000)),
            }
        }),
    );
    corpus.add(
        "range-no-before",
        "the row before the range is left out",
        part(&|_, _, proof| *proof = range(proof, |parts| parts.0 = None)),
    );
    corpus.add(
        "range-end-hidden",
        "the rows after the last one shown are hidden",
        part(&|claim, _, proof| {
            *claim = RowClaim::Range {
                from: id(1_000),
                to: None,
            };
            *proof = range(proof, |parts| parts.2 = None);
        }),
    );
}
