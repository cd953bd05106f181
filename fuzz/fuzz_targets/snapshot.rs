//! Opening and checking a snapshot of arbitrary bytes: no panic, no row given that its file does not hold, and nothing
//! believed that nobody signed.
//!
//! The first byte: bit 0 puts a good start and checksums around the records described by the rest (kind, payload length,
//! payload), else the rest is the file as it is.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stele_core::trust::Trust;
use stele_core::Suite;
use stele_flow::sim::MemoryFiles;
use stele_flow::{Files, OpenMode, State};
use stele_store::SnapshotFile;

const PATH: &str = "/x.snapshot";
/// Who is trusted: nobody who signs what is made up here.
const TRUST: &str = include_str!("../../crates/core/tests/fixtures/proof/trust.txt");

fuzz_target!(|data: &[u8]| {
    let Some((flags, bytes)) = data.split_first() else {
        return;
    };
    let content = match flags & 1 {
        0 => bytes.to_vec(),
        _ => framed(bytes),
    };
    let files: Arc<MemoryFiles> = Arc::new(MemoryFiles::new(1));
    let file = files.open(Path::new(PATH), OpenMode::Create).expect("a memory disk makes files");
    file.write_at(0, &content).expect("a memory disk has room");
    let Ok(snapshot) = SnapshotFile::open(&*files, Path::new(PATH), Suite::default()) else {
        return;
    };
    for table in snapshot.tables() {
        let mut rows = 0;
        let read = snapshot.rows(table.id, &[], &mut |_, values| {
            assert_eq!(values.len(), table.columns.len());
            rows += 1;
            rows < 10_000
        });
        if read.is_ok() && rows < 10_000 {
            assert_eq!(rows, snapshot.rows_expected(table.id));
        }
    }
    let trust: Trust = TRUST.parse().expect("the fixture is a trust file");
    assert!(snapshot.verify(&trust, &mut |_| {}).is_err());
});

/// A snapshot whose frames are good.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = b"STELSNAP\0\0\0\x01".to_vec();
    while let Some((head, rest)) = bytes.split_first_chunk::<3>() {
        let [kind, high, low] = *head;
        let len = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        let (payload, rest) = rest.split_at(len);
        let mut framed = vec![kind];
        framed.extend_from_slice(&(len as u32).to_be_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&framed), payload);
        framed.extend_from_slice(&crc.to_be_bytes());
        framed.extend_from_slice(payload);
        out.extend_from_slice(&framed);
        bytes = rest;
    }
    out
}
