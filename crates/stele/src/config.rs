//! The configuration: one TOML file, environment variables over it, command-line flags over both.
//!
//! Every setting is one line of [`SETTINGS`]: the same definition reads the file and the
//! environment, writes the commented template, and names the nearest setting when one is misspelt.

mod error;
mod read;
mod replica;
mod setting;
mod template;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use stele_node::{BlockPolicy, ClusterConfig, MempoolConfig, NodeConfig};
use stele_server::access::{AccessConfig, Tls, TlsError};

pub(crate) use error::ConfigError;
pub(crate) use setting::SETTINGS;
pub(crate) use template::template;

/// Read when `--config` names no other file and it is there.
pub(crate) const DEFAULT_FILE: &str = "stele.toml";
/// Port of the PostgreSQL listener.
pub(crate) const POSTGRES_PORT: u16 = 5433;
/// Port of the HTTP listener.
pub(crate) const HTTP_PORT: u16 = 8080;

/// Port at which validators listen for each other.
pub(crate) const CLUSTER_PORT: u16 = 7400;

/// Value of `loopback` that lets local users without a password in.
const TRUST: &str = "trust";

const MIB: u64 = 1024 * 1024;

/// All settings, in the units of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) directory: PathBuf,
    pub(crate) origin: String,
    pub(crate) postgres_listen: SocketAddr,
    pub(crate) postgres_connections_max: u64,
    pub(crate) postgres_access: AccessSettings,
    pub(crate) http_listen: SocketAddr,
    pub(crate) http_hosts: Vec<String>,
    pub(crate) http_origins: Vec<String>,
    pub(crate) http_requests_max: u64,
    pub(crate) http_access: AccessSettings,
    pub(crate) block_transactions_max: u64,
    pub(crate) block_bytes_max: u64,
    pub(crate) block_interval_ms: u64,
    pub(crate) cluster_listen: SocketAddr,
    pub(crate) cluster_peers: Vec<String>,
    pub(crate) mempool_transactions_max: u64,
    pub(crate) mempool_mib_max: u64,
    pub(crate) segment_mib: u64,
    pub(crate) self_check_interval_s: u64,
    pub(crate) self_check_mib_per_s: u64,
    pub(crate) readers: u64,
    pub(crate) log_level: String,
    pub(crate) replica_sections: BTreeMap<String, replica::ReplicaSection>,
}

/// How clients of a listener are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessSettings {
    pub(crate) loopback: String,
    pub(crate) tls_certificate: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) tls_client_ca: Option<PathBuf>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            loopback: TRUST.to_owned(),
            tls_certificate: None,
            tls_key: None,
            tls_client_ca: None,
        }
    }
}

impl AccessSettings {
    /// What a server is told; reads the files.
    pub(crate) fn load(&self) -> Result<AccessConfig, TlsError> {
        let tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::load(certificate, key, self.tls_client_ca.as_deref())?)
            }
            _ => None,
        };
        Ok(AccessConfig {
            tls,
            trust_loopback: self.loopback == TRUST,
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        let node = NodeConfig::default();
        Self {
            directory: node.directory,
            origin: node.origin,
            postgres_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, POSTGRES_PORT)),
            postgres_connections_max: 256,
            postgres_access: AccessSettings::default(),
            http_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, HTTP_PORT)),
            http_hosts: Vec::new(),
            http_origins: Vec::new(),
            http_requests_max: 256,
            http_access: AccessSettings::default(),
            block_transactions_max: node.block.transactions_max as u64,
            block_bytes_max: node.block.bytes_max as u64,
            block_interval_ms: node.block.interval_us / 1_000,
            cluster_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, CLUSTER_PORT)),
            cluster_peers: Vec::new(),
            mempool_transactions_max: node.mempool.transactions_max as u64,
            mempool_mib_max: node.mempool.bytes_max as u64 / MIB,
            segment_mib: node.segment_len_max / MIB,
            self_check_interval_s: node.self_check_interval_s,
            self_check_mib_per_s: node.self_check_mib_per_s,
            readers: node.readers as u64,
            log_level: "info".to_owned(),
            replica_sections: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The file given, or [`DEFAULT_FILE`] if it is there, then the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self> {
        let mut config = Self::default();
        let default = Path::new(DEFAULT_FILE);
        let chosen = match file {
            Some(file) => Some(file),
            None if default.is_file() => Some(default),
            None => None,
        };
        if let Some(path) = chosen {
            let text = std::fs::read_to_string(path).with_context(|| {
                format!(
                    "cannot read the configuration {}; `stele start --print-config > {DEFAULT_FILE}` writes one with every setting",
                    path.display()
                )
            })?;
            config.read_file(&path.display().to_string(), &text)?;
        }
        config.read_environment(std::env::vars_os())?;
        Ok(config)
    }

    /// Refuses listeners that other machines can reach without TLS, and TLS that is half set up.
    pub(crate) fn check_listeners(&self) -> Result<(), ConfigError> {
        for (section, address, access) in [
            ("postgres", self.postgres_listen, &self.postgres_access),
            ("http", self.http_listen, &self.http_access),
        ] {
            let missing = match (&access.tls_certificate, &access.tls_key) {
                (Some(_), None) => Some("tls_key"),
                (None, Some(_)) => Some("tls_certificate"),
                (None, None) if access.tls_client_ca.is_some() => Some("tls_certificate"),
                (None, None) if !address.ip().is_loopback() => {
                    return Err(ConfigError::NotEncrypted { section, address });
                }
                _ => None,
            };
            if let Some(missing) = missing {
                return Err(ConfigError::HalfTls { section, missing });
            }
        }
        Ok(())
    }

    /// Where programs on this machine reach a listener: one that listens everywhere, on loopback.
    pub(crate) fn reached(listen: SocketAddr) -> SocketAddr {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, listen.port())
    }

    /// The other validators, if there are any.
    fn cluster(&self) -> Result<Option<ClusterConfig>, ConfigError> {
        if self.cluster_peers.is_empty() {
            return Ok(None);
        }
        let peers = self.cluster_peers.iter().map(|peer| {
            let parts = peer.split_once('@');
            let parsed =
                parts.and_then(|(name, address)| Some((name.to_owned(), address.parse().ok()?)));
            parsed.ok_or_else(|| ConfigError::Peer { peer: peer.clone() })
        });
        Ok(Some(ClusterConfig {
            listen: self.cluster_listen,
            peers: peers.collect::<Result<_, _>>()?,
        }))
    }

    /// What the node is started with.
    ///
    /// # Errors
    /// When a validator is not named as it must be.
    pub(crate) fn node_config(&self) -> Result<NodeConfig, ConfigError> {
        Ok(NodeConfig {
            cluster: self.cluster()?,
            directory: self.directory.clone(),
            origin: self.origin.clone(),
            block: BlockPolicy {
                transactions_max: size(self.block_transactions_max),
                bytes_max: size(self.block_bytes_max),
                interval_us: self.block_interval_ms * 1_000,
            },
            mempool: MempoolConfig {
                transactions_max: size(self.mempool_transactions_max),
                bytes_max: size(self.mempool_mib_max * MIB),
            },
            readers: size(self.readers),
            segment_len_max: self.segment_mib * MIB,
            self_check_interval_s: self.self_check_interval_s,
            self_check_mib_per_s: self.self_check_mib_per_s,
        })
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
