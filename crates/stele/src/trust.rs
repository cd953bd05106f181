//! Finding and reading the trust file: what an offline check believes, and nothing else.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use stele_core::trust::{TRUST_LEN_MAX, Trust};

use crate::config::Config;

/// Name of the trust file in a data directory.
pub(crate) const TRUST_FILE: &str = "trust.txt";

/// A trust file and where it lies.
pub(crate) struct Pinned {
    pub(crate) path: PathBuf,
    pub(crate) trust: Trust,
}

/// Reads the trust file given, or the one of the configured data directory.
pub(crate) fn pinned(file: Option<&Path>, config: &Config) -> Result<Pinned> {
    let path = match file {
        Some(file) => file.to_owned(),
        None => {
            let path = config.directory.join(TRUST_FILE);
            if !path.is_file() {
                bail!(
                    "no trust file: {} is not there. Name the one you pinned with --trust FILE; the ledger's operator \
                     has it as {TRUST_FILE} in the data directory, and its ledger id should be compared with the \
                     operator's by another way than the proof came",
                    path.display()
                );
            }
            path
        }
    };
    let bytes = read_bounded(&path, TRUST_LEN_MAX)?;
    let text = String::from_utf8(bytes)
        .with_context(|| format!("{} is not a trust file: it is not text", path.display()))?;
    let trust = text
        .parse()
        .with_context(|| format!("cannot use {}", path.display()))?;
    Ok(Pinned { path, trust })
}

/// Refuses a directory whose ledger is not the one pinned by the file given, or by the directory's own.
pub(crate) fn check_pinned(
    directory: &Path,
    found: &Trust,
    trust: Option<&Path>,
    config: &Config,
) -> Result<()> {
    // The directory's own need not be there: the log's signatures are checked with the genesis all the same.
    let own = directory.join(TRUST_FILE);
    let own = own.is_file().then_some(own);
    if let Some(file) = trust.or(own.as_deref()) {
        let pinned = pinned(Some(file), config)?;
        if pinned.trust != *found && pinned.trust.ledger == found.ledger {
            bail!(
                "{} is not the trust file of the ledger in {}: it names other validators or another origin than the ledger was made with",
                file.display(),
                directory.display()
            );
        }
        if pinned.trust != *found {
            bail!(
                "{} holds ledger {} ({}), but {} pins ledger {} ({}): this is not the ledger you trust",
                directory.display(),
                found.ledger,
                found.origin,
                file.display(),
                pinned.trust.ledger,
                pinned.trust.origin
            );
        }
    }
    Ok(())
}

/// Reads a file of at most `len_max` bytes; `-` is standard input.
pub(crate) fn read_bounded(path: &Path, len_max: usize) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let source: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file =
            std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Box::new(file)
    };
    let mut bytes = Vec::new();
    source
        .take(len_max as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() > len_max {
        bail!(
            "{} is longer than {len_max} bytes, the bound for such a file",
            path.display()
        );
    }
    Ok(bytes)
}

/// Whose signatures a trust file asks for, in words.
pub(crate) fn signers(trust: &Trust) -> String {
    let names: Vec<&str> = trust
        .validators
        .validators()
        .iter()
        .map(|validator| validator.name.as_str())
        .collect();
    match names.as_slice() {
        [one] => format!("validator {one}"),
        names => format!("validators {}", names.join(", ")),
    }
}
