use super::*;

fn block(height: u64, ids: &[u8]) -> IndexedBlock {
    let location = |offset| Location {
        segment: 1,
        offset,
        len: 3,
    };
    IndexedBlock {
        meta: BlockMeta {
            height,
            hash: Hash([height as u8; 32]),
            time_us: -4,
            block: location(height * 10),
            effects: Some(location(height * 10 + 5)),
            transaction_count: ids.len() as u32,
            transactions_before: 2 * height,
        },
        transaction_ids: ids.iter().map(|id| Hash([*id; 32])).collect(),
    }
}

fn exercise(index: &dyn Index) {
    assert_eq!(index.last().unwrap(), None);
    let blocks = [block(1, &[1, 2, 1]), block(2, &[2, 3])];
    let location = blocks[0].meta.block;
    index.add(&blocks, &[(2, location)]).unwrap();
    index.add(&[block(3, &[1, 4])], &[]).unwrap();
    assert_eq!(index.last().unwrap().unwrap().height, 3);
    assert_eq!(index.block(2).unwrap(), Some(blocks[1].meta));
    assert_eq!(index.block(4).unwrap(), None);
    assert_eq!(index.height_of(&Hash([3; 32])).unwrap(), Some(3));
    let places = [(1, (1, 0)), (2, (1, 1)), (3, (2, 1)), (4, (3, 1))];
    for (id, place) in places {
        assert_eq!(index.transaction(&Hash([id; 32])).unwrap(), Some(place));
    }
    assert_eq!(index.transaction(&Hash([9; 32])).unwrap(), None);
    assert_eq!(index.certificate_from(1).unwrap(), Some((2, location)));
    assert_eq!(index.certificate_from(3).unwrap(), None);
    assert_eq!(index.certificate_last().unwrap(), Some((2, location)));
    index.clear().unwrap();
    assert_eq!(index.last().unwrap(), None);
    assert_eq!(index.transaction(&Hash([1; 32])).unwrap(), None);
}

#[test]
fn c1_memory_index_keeps_the_contract() {
    exercise(&MemoryIndex::new());
}

#[test]
fn c1_disk_index_keeps_the_contract_and_survives_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    let index = FjallIndex::open(&path).unwrap();
    exercise(&index);
    index.add(&[block(1, &[1])], &[]).unwrap();
    drop(index);
    let index = FjallIndex::open(&path).unwrap();
    assert_eq!(index.last().unwrap().unwrap().height, 1);
}

#[test]
fn c1_disk_index_goes_on_after_being_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let index = FjallIndex::open(&directory.path().join("index")).unwrap();
    index.add(&[block(1, &[1])], &[]).unwrap();
    index.fail_once();
    index.add(&[block(2, &[2])], &[]).unwrap();
    assert_eq!(index.last().unwrap().unwrap().height, 2);
    assert_eq!(index.transaction(&Hash([1; 32])).unwrap(), Some((1, 0)));
    index.fail_once();
    assert!(
        index.add(&[block(4, &[4])], &[]).is_err(),
        "a gap is noticed"
    );
    index.add(&[block(3, &[3])], &[]).unwrap();
}

#[test]
fn c1_disk_index_of_rubbish_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index");
    drop(FjallIndex::open(&path).unwrap());
    let marker = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.is_file()
                && path
                    .extension()
                    .is_none_or(|end| end != "jnl" && end != "lock")
        });
    if let Some(marker) = marker {
        std::fs::write(marker, b"rubbish").unwrap();
    }
    let index = FjallIndex::open(&path).unwrap();
    exercise(&index);
}
