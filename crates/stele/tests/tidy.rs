//! House rules that no compiler checks: file length, layering, dead files, links in the documents.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file, in lines; past it a file holds more than one thing.
const SOURCE_LINES_MAX: usize = 600;
/// Longest tracked text file of any kind, in bytes.
const FILE_LEN_MAX: u64 = 1024 * 1024;

/// Crates in the order of the layers: each may use those before it only.
const LAYERS: [&str; 11] = [
    "core",
    "flow",
    "store",
    "sql",
    "consensus",
    "node",
    "sinks",
    "pipeline",
    "server",
    "stele",
    "sim",
];
/// Crates that speak to the network or a person: the only ones that may use tokio.
const ASYNC_LAYERS: [&str; 3] = ["sinks", "server", "stele"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lies two folders deep")
        .to_owned()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn source_files_are_read_in_a_sitting() {
    let root = root();
    let long: Vec<String> = files(&root.join("crates"), ".rs")
        .into_iter()
        .filter_map(|path| {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            (lines > SOURCE_LINES_MAX).then(|| format!("{} has {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "split by noun: {long:#?}");
}

#[test]
fn no_file_is_huge() {
    for path in files(&root().join("crates"), "") {
        let len = fs::metadata(&path).unwrap().len();
        assert!(len <= FILE_LEN_MAX, "{} has {len} bytes", path.display());
    }
}

#[test]
fn layers_know_only_those_below() {
    for (place, layer) in LAYERS.iter().enumerate() {
        let manifest = root().join("crates").join(layer).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let dependencies = text.split("[dev-dependencies]").next().unwrap();
        for (other_place, other) in LAYERS.iter().enumerate() {
            let uses = dependencies
                .lines()
                .any(|line| line.starts_with(&format!("stele-{other}")));
            assert!(
                !uses || other_place < place,
                "{layer} uses {other}, which stands above it"
            );
        }
        if !ASYNC_LAYERS.contains(layer) {
            assert!(
                !dependencies.lines().any(|line| line.starts_with("tokio")),
                "{layer} uses tokio"
            );
        }
    }
    let folders: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let layers: BTreeSet<String> = LAYERS.iter().map(ToString::to_string).collect();
    assert_eq!(folders, layers, "each crate has its place among the layers");
}

#[test]
fn no_source_file_is_dead() {
    for layer in LAYERS {
        let sources = root().join("crates").join(layer).join("src");
        let mut declared: BTreeMap<PathBuf, bool> = files(&sources, ".rs")
            .into_iter()
            .map(|path| (path, false))
            .collect();
        let paths: Vec<PathBuf> = declared.keys().cloned().collect();
        for path in &paths {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let folder = match stem.as_str() {
                "lib" | "main" | "mod" => path.parent().unwrap().to_owned(),
                _ => path.with_extension(""),
            };
            for line in fs::read_to_string(path).unwrap().lines() {
                let line = line.trim_start();
                let line = ["pub(crate) ", "pub(super) ", "pub "]
                    .iter()
                    .find_map(|prefix| line.strip_prefix(prefix))
                    .unwrap_or(line);
                if let Some(name) = line
                    .strip_prefix("mod ")
                    .and_then(|rest| rest.strip_suffix(';'))
                {
                    for child in [
                        folder.join(format!("{name}.rs")),
                        folder.join(name).join("mod.rs"),
                    ] {
                        if let Some(seen) = declared.get_mut(&child) {
                            *seen = true;
                        }
                    }
                }
            }
        }
        let dead: Vec<PathBuf> = declared
            .into_iter()
            .filter(|(path, seen)| {
                let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
                !seen && stem != "lib" && stem != "main"
            })
            .map(|(path, _)| path)
            .collect();
        assert!(dead.is_empty(), "no module names these: {dead:#?}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = root();
    let mut documents = files(&root.join("docs"), ".md");
    documents.extend(
        ["README.md", "README.zh-CN.md", "CHANGELOG.md"]
            .iter()
            .map(|name| root.join(name)),
    );
    let mut broken = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !document.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
