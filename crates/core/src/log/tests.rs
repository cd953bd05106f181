use proptest::prelude::*;

use super::*;
use crate::hash::HASH_LEN;

const SUITE: Suite = Suite::Ed25519Sha256;

fn leaf(number: u64) -> Hash {
    leaf_hash(SUITE, format!("leaf {number}").as_bytes())
}

fn build(size: u64) -> (LogTree, MemoryTiles) {
    let mut tree = LogTree::new(SUITE);
    let mut tiles = MemoryTiles::default();
    grow(&mut tree, &mut tiles, size);
    (tree, tiles)
}

fn grow(tree: &mut LogTree, tiles: &mut MemoryTiles, size: u64) {
    let mut new_hashes = Vec::new();
    while tree.size() < size {
        tree.append(leaf(tree.size()), &mut new_hashes);
    }
    tiles.extend(new_hashes);
}

/// RFC 6962, section 2.1, word for word.
mod model {
    use super::*;

    pub(super) fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => SUITE.plain_hash(&[]),
            [only] => *only,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(SUITE, &root(left), &root(right))
            }
        }
    }

    pub(super) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) = if index < k {
            (path(index, left), root(right))
        } else {
            (path(index - k, right), root(left))
        };
        path.push(sibling);
        path
    }

    pub(super) fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole {
                Vec::new()
            } else {
                vec![root(leaves)]
            };
        }
        let k = split(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut proof, sibling) = if old <= k {
            (subproof(old, left, whole), root(right))
        } else {
            (subproof(old - k, right, false), root(left))
        };
        proof.push(sibling);
        proof
    }

    fn split(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }
}

/// The leaves and roots every RFC 6962 implementation is tested with.
#[test]
fn known_roots_of_certificate_transparency() {
    let leaves = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = LogTree::new(SUITE);
    assert_eq!(tree.root().to_hex(), roots[0]);
    for (number, leaf) in leaves.iter().enumerate() {
        let leaf = leaf_hash(SUITE, &hex::decode(leaf).unwrap());
        tree.append(leaf, &mut Vec::new());
        assert_eq!(tree.root().to_hex(), roots[number + 1]);
    }
}

#[test]
fn every_tree_to_600_leaves_agrees_with_the_model() {
    let mut tree = LogTree::new(SUITE);
    let mut tiles = MemoryTiles::default();
    let leaves: Vec<Hash> = (0..600).map(leaf).collect();
    for size in 0..=600_u64 {
        grow(&mut tree, &mut tiles, size);
        let here = &leaves[..size as usize];
        let root = model::root(here);
        assert_eq!(tree.root(), root);
        assert_eq!(root_at(SUITE, size, &tiles).unwrap(), root);
        assert_eq!(LogTree::load(SUITE, size, &tiles).unwrap(), tree);
        // Every index of the small trees, a spread of the larger.
        let step = if size <= 70 { 1 } else { 13 };
        for index in (0..size).step_by(step) {
            let proof = inclusion_proof(SUITE, index, size, &tiles).unwrap();
            assert_eq!(proof, model::path(index as usize, here));
            verify_inclusion(SUITE, &leaf(index), index, size, &proof, &root).unwrap();
        }
        for old in (0..=size).step_by(step) {
            let proof = consistency_proof(SUITE, old, size, &tiles).unwrap();
            if old > 0 {
                assert_eq!(proof, model::subproof(old as usize, here, true));
            }
            let old_root = root_at(SUITE, old, &tiles).unwrap();
            verify_consistency(SUITE, old, size, &proof, &old_root, &root).unwrap();
        }
    }
}

/// Level-1 and level-2 hashes are those of full tiles, and proofs cross them.
#[test]
fn a_tree_of_70000_leaves_has_the_tiles_of_the_specification() {
    let (tree, tiles) = build(70_000);
    assert_eq!(tiles.level(0).len(), 273 * 256 + 112);
    assert_eq!(tiles.level(1).len(), 256 + 17);
    assert_eq!(tiles.level(2).len(), 1);
    assert!(tiles.level(3).is_empty());
    assert_eq!(
        tiles.level(1)[272],
        model::root(&tiles.level(0)[272 * 256..273 * 256])
    );
    assert_eq!(tiles.level(2)[0], model::root(&tiles.level(1)[..256]));
    assert_eq!(tree.root(), model::root(tiles.level(0)));
    assert_eq!(LogTree::load(SUITE, 70_000, &tiles).unwrap(), tree);
}

/// An older size is proven from the files of a longer log as it was then.
#[test]
fn older_sizes_are_proven_from_longer_files() {
    let (_, long) = build(70_000);
    for size in [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 69_999] {
        let (tree, short) = build(size);
        assert_eq!(root_at(SUITE, size, &long).unwrap(), tree.root());
        assert_eq!(LogTree::load(SUITE, size, &long).unwrap(), tree);
        let index = size / 2;
        assert_eq!(
            inclusion_proof(SUITE, index, size, &long).unwrap(),
            inclusion_proof(SUITE, index, size, &short).unwrap()
        );
    }
}

/// Counts reads: a proof takes at most two tiles a level.
#[test]
fn proofs_read_few_tiles() {
    struct Counting(MemoryTiles, std::cell::Cell<usize>);
    impl TileReader for Counting {
        type Error = std::convert::Infallible;
        fn hashes(&self, level: u8, start: u64, count: usize) -> Result<Vec<Hash>, Self::Error> {
            assert!((1..=256).contains(&count) && start % 256 + count as u64 <= 256);
            self.1.set(self.1.get() + 1);
            self.0.hashes(level, start, count)
        }
    }
    let (_, tiles) = build(70_000);
    let counting = Counting(tiles, Default::default());
    for index in [0, 255, 256, 65_535, 65_536, 69_999] {
        counting.1.set(0);
        inclusion_proof(SUITE, index, 70_000, &counting).unwrap();
        assert!(counting.1.get() <= 6, "{} reads", counting.1.get());
    }
    counting.1.set(0);
    LogTree::load(SUITE, 70_000, &counting).unwrap();
    assert_eq!(counting.1.get(), 3);
}

#[test]
fn forged_inclusion_proofs_are_refused() {
    for size in [1_u64, 2, 3, 5, 8, 13, 255, 256, 257, 600] {
        let (tree, tiles) = build(size);
        let root = tree.root();
        for index in [0, size / 3, size / 2, size - 1] {
            let proof = inclusion_proof(SUITE, index, size, &tiles).unwrap();
            let check = |leaf: &Hash, index, size, proof: &[Hash], root: &Hash| {
                verify_inclusion(SUITE, leaf, index, size, proof, root)
            };
            assert_eq!(check(&leaf(index), index, size, &proof, &root), Ok(()));
            for forged in bent(&proof) {
                assert!(check(&leaf(index), index, size, &forged, &root).is_err());
            }
            for bit in 0..256 {
                assert!(check(&flip(leaf(index), bit), index, size, &proof, &root).is_err());
                assert!(check(&leaf(index), index, size, &proof, &flip(root, bit)).is_err());
            }
            for other in (0..size + 3).filter(|other| *other != index) {
                assert!(check(&leaf(index), other, size, &proof, &root).is_err());
            }
            // Another size gives another shape; where the shape is the same so is the claim about
            // the leaf's path, and only the checkpoint binds the size.
            for other in [0, index, 1 << 40, u64::MAX] {
                if other != size {
                    assert!(check(&leaf(index), index, other, &proof, &root).is_err());
                }
            }
        }
    }
}

#[test]
fn forged_consistency_proofs_are_refused() {
    for (old, new) in [
        (1, 2),
        (1, 3),
        (2, 3),
        (3, 7),
        (4, 7),
        (6, 8),
        (255, 600),
        (256, 600),
        (511, 512),
    ] {
        let (tree, tiles) = build(new);
        let old_root = root_at(SUITE, old, &tiles).unwrap();
        let new_root = tree.root();
        let proof = consistency_proof(SUITE, old, new, &tiles).unwrap();
        let check = |old, new, proof: &[Hash], old_root: &Hash, new_root: &Hash| {
            verify_consistency(SUITE, old, new, proof, old_root, new_root)
        };
        assert_eq!(check(old, new, &proof, &old_root, &new_root), Ok(()));
        for forged in bent(&proof) {
            assert!(check(old, new, &forged, &old_root, &new_root).is_err());
        }
        for bit in 0..256 {
            assert!(check(old, new, &proof, &flip(old_root, bit), &new_root).is_err());
            assert!(check(old, new, &proof, &old_root, &flip(new_root, bit)).is_err());
        }
        assert!(check(new, old, &proof, &new_root, &old_root).is_err());
        assert!(check(0, new, &proof, &empty_root(SUITE), &new_root).is_err());
        assert!(check(new, new, &proof, &new_root, &new_root).is_err());
        assert!(check(old, u64::MAX, &proof, &old_root, &new_root).is_err());
        assert!(check(old - 1, new, &proof, &old_root, &new_root).is_err());
    }
}

#[test]
fn consistency_with_the_empty_log_and_with_itself() {
    let (tree, _) = build(5);
    let (empty, root) = (empty_root(SUITE), tree.root());
    assert_eq!(verify_consistency(SUITE, 0, 5, &[], &empty, &root), Ok(()));
    assert_eq!(verify_consistency(SUITE, 0, 0, &[], &empty, &empty), Ok(()));
    assert_eq!(verify_consistency(SUITE, 5, 5, &[], &root, &root), Ok(()));
    assert!(verify_consistency(SUITE, 0, 5, &[], &root, &root).is_err());
    assert!(verify_consistency(SUITE, 0, 0, &[], &empty, &root).is_err());
    assert!(verify_consistency(SUITE, 5, 5, &[], &root, &empty).is_err());
    assert!(verify_consistency(SUITE, 5, 5, &[root], &root, &root).is_err());
    assert!(verify_consistency(SUITE, 5, 6, &[], &root, &root).is_err());
}

#[test]
fn short_files_and_wrong_places_are_errors() {
    let (_, tiles) = build(300);
    assert!(matches!(
        root_at(SUITE, 301, &tiles),
        Err(LogError::Short { level: 0, .. })
    ));
    assert!(matches!(
        root_at(SUITE, 512, &tiles),
        Err(LogError::Short { level: 1, .. })
    ));
    assert_eq!(
        inclusion_proof(SUITE, 300, 300, &tiles),
        Err(LogError::IndexOutside {
            index: 300,
            size: 300
        })
    );
    assert_eq!(
        consistency_proof(SUITE, 2, 1, &tiles),
        Err(LogError::SizesReversed { old: 2, new: 1 })
    );
    for size in [1 << 62, TREE_SIZE_MAX] {
        assert!(matches!(
            root_at(SUITE, size, &tiles),
            Err(LogError::Short { .. })
        ));
        assert!(inclusion_proof(SUITE, size - 1, size, &tiles).is_err());
        assert!(consistency_proof(SUITE, size / 3, size, &tiles).is_err());
    }
    assert!(matches!(
        root_at(SUITE, TREE_SIZE_MAX + 1, &tiles),
        Err(LogError::SizeTooLarge { .. })
    ));
}

#[test]
fn tile_paths_of_the_specification() {
    let hashes =
        |level, index, width| TilePath::new(TileContent::Hashes { level }, index, width).unwrap();
    for (tile, path) in [
        (hashes(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (hashes(0, 0, 256), "tile/0/000"),
        (hashes(1, 272, 17), "tile/1/272.p/17"),
        (hashes(63, 1000, 1), "tile/63/x001/000.p/1"),
        (
            hashes(2, u64::MAX, 255),
            "tile/2/x018/x446/x744/x073/x709/x551/615.p/255",
        ),
        (
            TilePath::new(TileContent::Entries, 273, 112).unwrap(),
            "tile/entries/273.p/112",
        ),
    ] {
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    }
    for refused in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/001/002",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/",
        "tile/0/001.p/1/",
        "tile/0/001/",
        "/tile/0/001",
        "tile/data/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x001/x018/x446/x744/x073/x709/x551/615",
        "tile/0/.p/1",
        "tile/0/٣٣٣",
        "tile/0/x00/1.p/1",
    ] {
        assert_eq!(refused.parse::<TilePath>(), Err(TilePathError), "{refused}");
    }
}

#[test]
fn tiles_exist_in_logs_that_reach_them() {
    let places = |path: &str, size| path.parse::<TilePath>().unwrap().places_in(size);
    assert_eq!(places("tile/0/272", 70_000), Some(272 * 256..273 * 256));
    assert_eq!(places("tile/0/273", 70_000), None);
    assert_eq!(places("tile/0/273.p/112", 70_000), Some(273 * 256..70_000));
    assert_eq!(places("tile/0/273.p/113", 70_000), None);
    assert_eq!(
        places("tile/entries/273.p/112", 70_000),
        Some(273 * 256..70_000)
    );
    assert_eq!(places("tile/1/001.p/17", 70_000), Some(256..273));
    assert_eq!(places("tile/2/000.p/1", 70_000), Some(0..1));
    assert_eq!(places("tile/2/000.p/1", 65_535), None);
    assert_eq!(places("tile/8/000.p/1", u64::MAX), None);
    assert_eq!(
        places("tile/63/x018/x446/x744/x073/x709/x551/615", u64::MAX),
        None
    );
}

#[test]
fn bundles_are_bounded() {
    assert_eq!(
        encode_bundle(&[&b"ab"[..], b"", b"c"]).unwrap(),
        b"\0\x02ab\0\0\0\x01c"
    );
    assert_eq!(encode_bundle(&vec![b""; 257]), Err(BundleError::TooMany));
    let long = vec![0; 65_536];
    assert_eq!(
        encode_bundle(&[&b""[..], &long]),
        Err(BundleError::EntryTooLong {
            index: 1,
            len: 65_536
        })
    );
    assert_eq!(decode_bundle(&[0; 514]), Err(BundleError::TooMany));
    assert_eq!(
        decode_bundle(b"\0\0\0"),
        Err(BundleError::Truncated { index: 1 })
    );
    assert_eq!(
        decode_bundle(b"\0\x03ab"),
        Err(BundleError::Truncated { index: 0 })
    );
    assert!(decode_bundle(b"").unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn large_trees_prove_any_leaf_and_any_older_size(
        size in 1_u64..200_000, index in any::<u64>(), old in any::<u64>(),
    ) {
        let tiles = large();
        let (index, old) = (index % size, old % (size + 1));
        let root = root_at(SUITE, size, tiles).unwrap();
        let proof = inclusion_proof(SUITE, index, size, tiles).unwrap();
        prop_assert_eq!(verify_inclusion(SUITE, &leaf(index), index, size, &proof, &root), Ok(()));
        let old_root = root_at(SUITE, old, tiles).unwrap();
        let proof = consistency_proof(SUITE, old, size, tiles).unwrap();
        prop_assert_eq!(verify_consistency(SUITE, old, size, &proof, &old_root, &root), Ok(()));
    }

    #[test]
    fn verifiers_are_total(
        index in any::<u64>(), size in any::<u64>(), length in 0_usize..70, fill in any::<u8>(),
    ) {
        let proof = vec![Hash([fill; HASH_LEN]); length];
        let hash = Hash::ZERO;
        prop_assert!(verify_inclusion(SUITE, &hash, index, size, &proof, &hash).is_err() || size == 1);
        let _ = verify_consistency(SUITE, index, size, &proof, &hash, &hash);
    }

    #[test]
    fn tile_paths_read_back(level in 0_u8..64, index in any::<u64>(), width in 1_u16..=256, entries: bool) {
        let content = if entries { TileContent::Entries } else { TileContent::Hashes { level } };
        let tile = TilePath::new(content, index, width).unwrap();
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
    }

    #[test]
    fn any_text_gives_a_tile_or_an_error(text in "(tile/)?[0-9ex/.p]{0,30}|.{0,40}") {
        if let Ok(tile) = text.parse::<TilePath>() {
            prop_assert_eq!(tile.to_string(), text);
        }
    }

    #[test]
    fn bundles_read_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let bytes = encode_bundle(&entries).unwrap();
        prop_assert_eq!(decode_bundle(&bytes).unwrap(), entries);
    }

    #[test]
    fn any_bytes_give_a_bundle_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(entries) = decode_bundle(&bytes) {
            prop_assert_eq!(encode_bundle(&entries).unwrap(), bytes);
        }
    }
}

fn large() -> &'static MemoryTiles {
    static TILES: std::sync::OnceLock<MemoryTiles> = std::sync::OnceLock::new();
    TILES.get_or_init(|| build(200_000).1)
}

fn flip(mut hash: Hash, bit: usize) -> Hash {
    hash.0[bit / 8] ^= 1 << (bit % 8);
    hash
}

/// The proof with each bit flipped, each hash removed, doubled or exchanged with the next, and with
/// hashes added at either end.
fn bent(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for place in 0..proof.len() {
        for bit in 0..256 {
            let mut forged = proof.to_vec();
            forged[place] = flip(forged[place], bit);
            all.push(forged);
        }
        let mut removed = proof.to_vec();
        let hash = removed.remove(place);
        all.push(removed);
        let mut doubled = proof.to_vec();
        doubled.insert(place, hash);
        all.push(doubled);
        if place + 1 < proof.len() {
            let mut exchanged = proof.to_vec();
            exchanged.swap(place, place + 1);
            all.push(exchanged);
        }
    }
    for extra in [Hash::ZERO, empty_root(SUITE)] {
        all.push([proof, &[extra]].concat());
        all.push([&[extra], proof].concat());
    }
    all.push([proof, &[Hash::ZERO; 65]].concat());
    all
}
