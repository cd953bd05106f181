//! Opening a store over arbitrary segment files: no panic, nothing changed when read only, and what
//! one open repaired the next one finds whole.
//!
//! The first byte: bit 0 puts a good header and checksums around the records described by the rest
//! (kind, height, payload length, payload), else the rest is the file as it is; bit 1 cuts the file in two segments.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stele_core::Hash;
use stele_flow::sim::MemoryFiles;
use stele_flow::{Files, OpenMode};
use stele_store::segment::{Header, Scanner, file_name};
use stele_store::{Access, BlockStore, MemoryIndex, StoreConfig};

const LEDGER: Hash = Hash([5; 32]);
const DIRECTORY: &str = "/data";

fuzz_target!(|data: &[u8]| {
    let Some((flags, bytes)) = data.split_first() else {
        return;
    };
    let files: Arc<MemoryFiles> = Arc::new(MemoryFiles::new(1));
    let segments = Path::new(DIRECTORY).join("segments");
    files.create_dir(&segments).expect("a memory disk makes directories");
    let halves = match flags & 2 {
        0 => vec![bytes],
        _ => {
            let (one, two) = bytes.split_at(bytes.len() / 2);
            vec![one, two]
        }
    };
    for (half, number) in halves.into_iter().zip(1..) {
        let content = match flags & 1 {
            0 => half.to_vec(),
            _ => framed(number, half),
        };
        let path = segments.join(file_name(number));
        let file = files.open(&path, OpenMode::Create).expect("a memory disk makes files");
        file.write_at(0, &content).expect("a memory disk has room");
        let mut scanner = Scanner::new(file, 64, content.len() as u64);
        let mut end = 64;
        while let Ok(Ok(Some((offset, frame)))) = scanner.next_record() {
            assert_eq!(offset, end);
            end += frame.frame_len();
            assert!(end <= content.len() as u64);
        }
    }
    let contents = |files: &MemoryFiles| {
        let names = files.list(&segments).expect("the directory is there");
        let names = names.into_iter().filter(|name| name.ends_with(".seg"));
        names
            .map(|name| files.read(&segments.join(name)).expect("it was listed"))
            .collect::<Vec<_>>()
    };
    let before = contents(&files);
    let read_only = read(open(&files, Access::ReadOnly));
    assert!(contents(&files) == before, "a read-only open changed a segment");
    let first = read(open(&files, Access::Copy));
    let repaired = contents(&files);
    let second = read(open(&files, Access::Copy));
    assert!(contents(&files) == repaired, "a second open changed a segment");
    assert_eq!(first, second);
    if let (Some(read_only), Some(first)) = (read_only, first) {
        assert_eq!(read_only, first);
    }
});

fn open(files: &Arc<MemoryFiles>, access: Access) -> Option<BlockStore> {
    let config = StoreConfig {
        access,
        ..StoreConfig::default()
    };
    let files: Arc<dyn Files> = Arc::clone(files) as Arc<dyn Files>;
    let index = Arc::new(MemoryIndex::new());
    let opened = BlockStore::open(files, Path::new(DIRECTORY), LEDGER, config, index);
    let (store, report) = opened.ok()?;
    assert!(report.effects_height <= report.height);
    Some(store)
}

/// Heights and hashes of all blocks that can be read.
fn read(store: Option<BlockStore>) -> Option<Vec<(u64, Hash)>> {
    let store = store?;
    let mut heights = Vec::new();
    for height in 1..=store.appended_height().min(1_000) {
        if let Ok(Some(meta)) = store.meta(height) {
            assert_eq!(meta.height, height);
            heights.push((height, meta.hash));
        }
        let _ = store.block(height).map(|block| block.map(|block| block.decode()));
        let _ = store.effects(height);
        let _ = store.certificate_from(height);
    }
    let _ = (store.info(), store.genesis(), store.range(-1, 10, 1 << 20));
    Some(heights)
}

/// A segment whose frames are good.
fn framed(number: u64, mut bytes: &[u8]) -> Vec<u8> {
    let header = Header {
        number,
        ledger: LEDGER,
        first_height: 1,
    };
    let mut out = header.to_bytes();
    while let Some((head, rest)) = bytes.split_first_chunk::<4>() {
        let [kind, height, high, low] = *head;
        let len = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        let (payload, rest) = rest.split_at(len);
        let start = out.len();
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.push(kind);
        out.extend_from_slice(&u64::from(height).to_be_bytes());
        out.extend_from_slice(payload);
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_be_bytes());
        bytes = rest;
    }
    out
}
