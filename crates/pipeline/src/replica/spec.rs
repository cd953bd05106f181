//! What a replica is to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::selection::Selection;

/// Longest name of a replica.
const NAME_LEN_MAX: usize = 40;

/// What a replica is to be; kept as TOML in the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSpec {
    /// Which database, as a URL without password.
    pub target: String,
    /// Tables: `schema.name`, `name` or `schema.*`; none: all tables of users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Names in the target, by `schema.name` in the ledger.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, String>,
    /// Whether it rests.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Seconds between audits that run by themselves; 0 for none.
    #[serde(default)]
    pub audit_interval_s: u64,
    /// Rows such an audit reads a second; 0 for no limit.
    #[serde(default)]
    pub audit_rows_per_s: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl ReplicaSpec {
    pub(super) fn selection(&self) -> Selection {
        Selection {
            names: self.tables.clone(),
        }
    }
}

/// Whether a text can name a replica: it is the name of files too.
///
/// # Errors
/// What a name must be.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= NAME_LEN_MAX && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!(
        "{name:?} cannot name a replica: write 1 to {NAME_LEN_MAX} of a-z, 0-9, - and _"
    ))
}
