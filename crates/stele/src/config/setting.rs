//! What can be set: one definition a setting.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::Config;

/// One setting.
pub(crate) struct Setting {
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
    /// What it does, for the template; lines of at most 96 characters.
    pub(crate) doc: &'static str,
    pub(crate) slot: fn(&mut Config) -> Slot<'_>,
}

/// Where a value goes, and what it must be.
pub(crate) enum Slot<'c> {
    Text(&'c mut String),
    Choice(&'c mut String, &'static [&'static str]),
    Texts(&'c mut Vec<String>),
    Directory(&'c mut PathBuf),
    /// A file, or none when empty.
    File(&'c mut Option<PathBuf>),
    Address(&'c mut SocketAddr),
    Number(&'c mut u64, RangeInclusive<u64>),
}

impl Slot<'_> {
    /// What must stand there, for messages.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Text(_) => "a text in double quotes".to_owned(),
            Self::Choice(_, choices) => format!("one of {}", choices.join(", ")),
            Self::Texts(_) => "a list of texts, such as [\"a\", \"b\"]".to_owned(),
            Self::Directory(_) => "a directory in double quotes".to_owned(),
            Self::File(_) => "the name of a file in double quotes, or \"\" for none".to_owned(),
            Self::Address(_) => {
                "an address and port in double quotes, such as \"127.0.0.1:5433\"".to_owned()
            }
            Self::Number(_, range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
        }
    }

    /// The value as TOML.
    pub(crate) fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        match self {
            Self::Text(text) | Self::Choice(text, _) => quoted(text),
            Self::Texts(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            Self::Directory(path) => quoted(&path.display().to_string()),
            Self::File(path) => quoted(
                &path
                    .as_deref()
                    .map_or(String::new(), |path| path.display().to_string()),
            ),
            Self::Address(address) => quoted(&address.to_string()),
            Self::Number(number, _) => number.to_string(),
        }
    }

    /// Stores a text, if it is what must stand there.
    pub(crate) fn set_text(self, text: &str) -> bool {
        match self {
            Self::Text(slot) => text.clone_into(slot),
            Self::Choice(slot, choices) if choices.contains(&text) => text.clone_into(slot),
            Self::Directory(slot) if !text.is_empty() => *slot = PathBuf::from(text),
            Self::File(slot) => *slot = Some(PathBuf::from(text)).filter(|_| !text.is_empty()),
            Self::Address(slot) => match text.parse() {
                Ok(address) => *slot = address,
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }

    /// Stores a number, if it is what must stand there.
    pub(crate) fn set_number(self, number: u64) -> bool {
        match self {
            Self::Number(slot, range) if range.contains(&number) => *slot = number,
            _ => return false,
        }
        true
    }

    /// Stores a list, if it is what must stand there.
    pub(crate) fn set_texts(self, texts: Vec<String>) -> bool {
        match self {
            Self::Texts(slot) => *slot = texts,
            _ => return false,
        }
        true
    }

    /// Stores what an environment variable holds; lists are separated by commas.
    pub(crate) fn set_from_environment(self, text: &str) -> bool {
        match &self {
            Self::Number(..) => text.parse().is_ok_and(|number| self.set_number(number)),
            Self::Texts(_) => self.set_texts(
                text.split(',')
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            _ => self.set_text(text),
        }
    }
}

/// How local users without a password are treated.
const LOOPBACK: &[&str] = &[super::TRUST, "authenticate"];
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Every setting, in the order of the template.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        section: "node",
        key: "directory",
        doc: "Data directory: keys, blocks, state. Made on first use; one node at a time.\nRelative to where the command runs.",
        slot: |c| Slot::Directory(&mut c.directory),
    },
    Setting {
        section: "node",
        key: "origin",
        doc: "Name of the ledger, the first line of every checkpoint: unique for ever, without scheme.\nUsed when the ledger is made; an existing ledger keeps its own.",
        slot: |c| Slot::Text(&mut c.origin),
    },
    Setting {
        section: "postgres",
        key: "listen",
        doc: "Address for psql and PostgreSQL drivers. One that other machines can reach needs TLS, and its\nusers a password (`stele keys password NAME`) or a client certificate.",
        slot: |c| Slot::Address(&mut c.postgres_listen),
    },
    Setting {
        section: "postgres",
        key: "connections_max",
        doc: "Connections at the same time; beyond it clients are refused (53300).",
        slot: |c| Slot::Number(&mut c.postgres_connections_max, 1..=100_000),
    },
    Setting {
        section: "postgres",
        key: "loopback",
        doc: "Users without a password who connect from this machine: \"trust\" lets them in as they say,\n\"authenticate\" asks of them what it asks of others. A password that is set must be given.",
        slot: |c| Slot::Choice(&mut c.postgres_access.loopback, LOOPBACK),
    },
    Setting {
        section: "postgres",
        key: "tls_certificate",
        doc: "TLS: PEM file with the certificate, followed by those between it and its root,",
        slot: |c| Slot::File(&mut c.postgres_access.tls_certificate),
    },
    Setting {
        section: "postgres",
        key: "tls_key",
        doc: "PEM file with its private key, which its owner alone may read,",
        slot: |c| Slot::File(&mut c.postgres_access.tls_key),
    },
    Setting {
        section: "postgres",
        key: "tls_client_ca",
        doc: "and PEM file with the roots of client certificates: one whose common name or DNS name is a user\nstands for that user's password.",
        slot: |c| Slot::File(&mut c.postgres_access.tls_client_ca),
    },
    Setting {
        section: "http",
        key: "listen",
        doc: "Address of the HTTP API, the page for browsers, checkpoint and tiles. One that other machines\ncan reach needs TLS, and whoever asks a password or a client certificate.",
        slot: |c| Slot::Address(&mut c.http_listen),
    },
    Setting {
        section: "http",
        key: "hosts",
        doc: "Names besides the loopback ones under which clients reach the API, such as the name of a\nreverse proxy; any other Host header is turned away.",
        slot: |c| Slot::Texts(&mut c.http_hosts),
    },
    Setting {
        section: "http",
        key: "origins",
        doc: "Web origins, such as \"https://app.example.org\", whose pages may write.",
        slot: |c| Slot::Texts(&mut c.http_origins),
    },
    Setting {
        section: "http",
        key: "requests_max",
        doc: "Requests at the same time; beyond it clients get 503 and try again.",
        slot: |c| Slot::Number(&mut c.http_requests_max, 1..=100_000),
    },
    Setting {
        section: "http",
        key: "loopback",
        doc: "Users without a password who connect from this machine: \"trust\" lets them in as they say,\n\"authenticate\" asks of them what it asks of others. A password that is set must be given.",
        slot: |c| Slot::Choice(&mut c.http_access.loopback, LOOPBACK),
    },
    Setting {
        section: "http",
        key: "tls_certificate",
        doc: "TLS: PEM file with the certificate, followed by those between it and its root,",
        slot: |c| Slot::File(&mut c.http_access.tls_certificate),
    },
    Setting {
        section: "http",
        key: "tls_key",
        doc: "PEM file with its private key, which its owner alone may read,",
        slot: |c| Slot::File(&mut c.http_access.tls_key),
    },
    Setting {
        section: "http",
        key: "tls_client_ca",
        doc: "and PEM file with the roots of client certificates: one whose common name or DNS name is a user\nstands for that user's password.",
        slot: |c| Slot::File(&mut c.http_access.tls_client_ca),
    },
    Setting {
        section: "block",
        key: "transactions_max",
        doc: "A block is closed by whichever comes first: so many transactions,",
        slot: |c| Slot::Number(&mut c.block_transactions_max, 1..=100_000),
    },
    Setting {
        section: "block",
        key: "bytes_max",
        doc: "so many bytes of transactions,",
        slot: |c| Slot::Number(&mut c.block_bytes_max, 64 * 1024..=1_000 * 1024),
    },
    Setting {
        section: "block",
        key: "interval_ms",
        doc: "or the first transaction has waited so long, in milliseconds. 0 closes a block as soon as the\none before is stored: the shortest waits, and full blocks under load. At most 20000.\nWhile three sessions or more work on open transactions a block waits up to 14 ms for their COMMITs.",
        slot: |c| Slot::Number(&mut c.block_interval_ms, 0..=20_000),
    },
    Setting {
        section: "cluster",
        key: "listen",
        doc: "Where a validator of several listens for the others. They know each other by their keys, and\neverything between them is encrypted and authenticated.",
        slot: |c| Slot::Address(&mut c.cluster_listen),
    },
    Setting {
        section: "cluster",
        key: "peers",
        doc: "Where each validator listens, this one too, as \"NAME@ADDRESS:PORT\"; none: this node orders alone.\nBlocks of several validators come at least block.interval_ms apart, and 50 ms.",
        slot: |c| Slot::Texts(&mut c.cluster_peers),
    },
    Setting {
        section: "mempool",
        key: "transactions_max",
        doc: "Transactions that wait for a block; beyond it clients are asked to come again (53300).",
        slot: |c| Slot::Number(&mut c.mempool_transactions_max, 1..=10_000_000),
    },
    Setting {
        section: "mempool",
        key: "mib_max",
        doc: "Bytes of waiting transactions, in MiB.",
        slot: |c| Slot::Number(&mut c.mempool_mib_max, 1..=65_536),
    },
    Setting {
        section: "store",
        key: "segment_mib",
        doc: "Length at which a block file is sealed and the next begun, in MiB.",
        slot: |c| Slot::Number(&mut c.segment_mib, 1..=4_096),
    },
    Setting {
        section: "store",
        key: "self_check_interval_s",
        doc: "Seconds between self-checks of everything stored; 0 for none but those asked for.",
        slot: |c| Slot::Number(&mut c.self_check_interval_s, 0..=31_536_000),
    },
    Setting {
        section: "store",
        key: "self_check_mib_per_s",
        doc: "Reading rate of scheduled self-checks, in MiB/s; 0 for as fast as it goes.",
        slot: |c| Slot::Number(&mut c.self_check_mib_per_s, 0..=100_000),
    },
    Setting {
        section: "state",
        key: "readers",
        doc: "Reads answered at the same time.",
        slot: |c| Slot::Number(&mut c.readers, 1..=256),
    },
    Setting {
        section: "log",
        key: "level",
        doc: "What is written to standard error: off, error, warn, info, debug or trace.",
        slot: |c| Slot::Choice(&mut c.log_level, LEVELS),
    },
];
