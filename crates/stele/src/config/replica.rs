//! Replicas in the configuration file: a section `[replica.NAME]` each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use stele_pipeline::ReplicaSpec;

use super::Config;
use crate::login::password_of_file;

/// Lines of the template that show a replica.
pub(super) const EXAMPLE: &str = "
# A replica: a database that mirrors tables of the ledger. One section each; `stele replica add` needs none.
# [replica.reports]
# target = \"postgres://app@127.0.0.1:5432/reports\"
# tables = [\"orders\", \"sales.*\"]            # all tables of users when left out
# map = { \"public.orders\" = \"ledger.orders\" } # other names in the database
# password_file = \"/etc/stele/reports.password\"
# audit_interval_s = 86400                    # compares all rows by itself, at most so many a second
# audit_rows_per_s = 5000
";

/// One section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplicaSection {
    target: String,
    #[serde(default)]
    tables: Vec<String>,
    #[serde(default)]
    map: BTreeMap<String, String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    audit_interval_s: u64,
    #[serde(default)]
    audit_rows_per_s: u64,
}

/// The sections of a file's text.
pub(super) fn sections(text: &str) -> Result<BTreeMap<String, ReplicaSection>, String> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        replica: BTreeMap<String, ReplicaSection>,
    }
    let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    Ok(file.replica)
}

impl Config {
    /// The replicas, with their passwords.
    pub(crate) fn replicas(&self) -> Result<Vec<(String, ReplicaSpec, Option<String>)>> {
        let replica = |(name, section): (&String, &ReplicaSection)| {
            let password = match &section.password_file {
                None => None,
                Some(file) => Some(
                    password_of_file(file)
                        .with_context(|| format!("replica.{name}.password_file"))?,
                ),
            };
            let spec = ReplicaSpec {
                target: section.target.clone(),
                tables: section.tables.clone(),
                map: section.map.clone(),
                paused: false,
                audit_interval_s: section.audit_interval_s,
                audit_rows_per_s: section.audit_rows_per_s,
            };
            Ok((name.clone(), spec, password))
        };
        self.replica_sections.iter().map(replica).collect()
    }
}
