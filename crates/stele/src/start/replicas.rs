//! The replicas of a node, made of what this program has: the ledger as their source, databases as sinks.

use std::path::Path;

use anyhow::{Context, Result};
use stele_flow::Runtime;
use stele_node::Node;
use stele_pipeline::{ReplicaSpec, Replicas, Workshop};
use stele_sinks::{Naming, Password, Target};

use crate::config::Config;

/// Opens and starts the replicas of a node's data directory and of its configuration.
pub(super) fn open(node: &Node, config: &Config) -> Result<Replicas> {
    open_replicas(node, &config.directory, config.replicas()?)
}

/// Opens and starts the replicas kept in a directory, and those given with their passwords.
pub(crate) fn open_replicas(
    node: &Node,
    directory: &Path,
    configured: Vec<(String, ReplicaSpec, Option<String>)>,
) -> Result<Replicas> {
    let source_node = node.clone();
    let own = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    let workshop = Workshop {
        source: Box::new(move || Box::new(source_node.source())),
        sink: Box::new(move |spec: &ReplicaSpec, password| {
            let target: Target = spec
                .target
                .parse()
                .map_err(|error: stele_sinks::TargetError| error.to_string())?;
            if let Target::Sqlite(path) = &target {
                let folder = path
                    .parent()
                    .filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
                if folder.starts_with(&own) {
                    return Err(format!(
                        "{target} lies in the node's data directory, which is the node's alone: choose another place"
                    ));
                }
            }
            let naming = Naming {
                chosen: spec.map.clone(),
            };
            Ok(stele_sinks::open(
                &target,
                password.map(Password::new),
                naming,
            ))
        }),
        runtime: Runtime::real(),
        directory: directory.to_owned(),
    };
    Replicas::open(workshop, configured).context("cannot start the replicas")
}
