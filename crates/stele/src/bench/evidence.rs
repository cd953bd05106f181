//! Proofs made and checked, and the self-check, on a node opened in this process: no wire between.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use stele_core::Hash;
use stele_core::proof::{Proven, Verifier};
use stele_core::transaction::Payload;
use stele_core::trust::Trust;
use stele_node::Node;

use super::core_time::CoreTime;
use super::sample::{Sample, micros};

/// Most different proofs made for one measure; they are gone through again and again.
const PROOFS_MAX: usize = 20_000;
const MIB: f64 = 1024.0 * 1024.0;

/// What can be proven.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A transaction, by its identity.
    Entry(Hash),
    /// A row of a table in schema `public`, by its key.
    Row(String, i64),
}

/// The newest transactions that carry statements.
pub(super) fn entries(node: &Node) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    let mut height = node.status().height;
    while height > 0 && subjects.len() < PROOFS_MAX {
        let stored = node.block(height)?;
        for signed in &stored.block.transactions {
            if matches!(signed.transaction.payload, Payload::Statements(_)) {
                subjects.push(Subject::Entry(signed.transaction.id(node.suite())));
            }
        }
        height -= 1;
    }
    if subjects.is_empty() {
        bail!("the ledger holds no transaction to prove");
    }
    Ok(subjects)
}

/// One round of making proofs, by the time of one core; `from` says with which subject to go on.
pub(super) fn make(
    node: &Node,
    subjects: &[Subject],
    from: usize,
    time: Duration,
) -> Result<(Sample, Vec<String>)> {
    let (mut proofs, mut latencies) = (Vec::new(), Vec::new());
    let mut made = 0;
    let start = CoreTime::of_thread();
    for subject in subjects.iter().cycle().skip(from) {
        let begin = Instant::now();
        if start.wall() >= time {
            break;
        }
        let proof = match subject {
            Subject::Entry(id) => node.prove_transaction(id)?,
            Subject::Row(table, key) => node.prove_row("public", table, &[key.to_string()])?,
        };
        latencies.push(micros(begin.elapsed()));
        made += 1;
        if proofs.len() < PROOFS_MAX {
            proofs.push(proof);
        }
    }
    Ok((Sample::round(made, start.elapsed(), latencies), proofs))
}

/// One round of checking proofs, by the time of one core, as `stele verify` does.
pub(super) fn check(node: &Node, proofs: &[String], time: Duration) -> Result<Sample> {
    let mut verifier = Verifier::new(Trust::of_genesis(node.genesis()));
    let mut latencies = Vec::new();
    let start = CoreTime::of_thread();
    for proof in proofs.iter().cycle() {
        let begin = Instant::now();
        if start.wall() >= time {
            break;
        }
        let proven = verifier.verify(proof.as_bytes())?;
        if let Proven::Rows(rows) = &proven
            && rows.rows.is_empty()
        {
            bail!("the proof of a row shows that there is none");
        }
        latencies.push(micros(begin.elapsed()));
    }
    Ok(Sample::round(
        latencies.len() as u64,
        start.elapsed(),
        latencies,
    ))
}

/// One self-check of all segments, in MiB; the state's rows are not read.
pub(super) fn self_check(node: &Node) -> Result<Sample> {
    let start = Instant::now();
    let report = node.audit(1..=u64::MAX, false, &|_, _| {})?;
    let time = start.elapsed();
    if let Some(finding) = report.findings.first() {
        bail!("the self-check found damage: {finding:?}");
    }
    Ok(mebibytes(report.bytes, time))
}

/// One run of `sha256sum` over the same files.
pub(super) fn sha256sum(files: &[PathBuf]) -> Result<Sample> {
    let mut bytes = 0;
    for file in files {
        bytes += std::fs::metadata(file)?.len();
    }
    let start = Instant::now();
    let status = Command::new("sha256sum")
        .args(files)
        .stdout(Stdio::null())
        .status()
        .context("cannot run sha256sum")?;
    if !status.success() {
        bail!("sha256sum failed: {status}");
    }
    Ok(mebibytes(bytes, start.elapsed()))
}

/// The segment files of a data directory.
pub(super) fn segments(directory: &Path) -> Result<Vec<PathBuf>> {
    let directory = directory.join("segments");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&directory)
        .with_context(|| format!("cannot list {}", directory.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "seg") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A sample whose rate is MiB/s.
pub(super) fn mebibytes(bytes: u64, time: Duration) -> Sample {
    // Samples count whole things: bytes over as many times the time give the rate exactly.
    Sample::round(bytes, time.mul_f64(MIB), Vec::new())
}
