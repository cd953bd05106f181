//! Which database a sink is, as a URL without secrets.
//!
//! `sqlite:FILE`, `postgres://USER@HOST:PORT/DATABASE` or `mysql://USER@HOST:PORT/DATABASE` (also for MariaDB
//! and TiDB). `?socket=PATH` goes through a Unix socket (PostgreSQL: its directory; MySQL: the socket itself);
//! `?ca=FILE` names the certificates that may sign the server's. A server on another machine is spoken to over
//! TLS only, and its certificate must name the host.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::{Host, Url};
use zeroize::Zeroizing;

/// A database that takes row changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(Server),
    /// A MySQL, MariaDB or TiDB database.
    MySql(Server),
    /// A program and its arguments, see `docs/plugins.md`.
    Plugin(Vec<String>),
}

/// A database of a server, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Database.
    pub database: String,
    /// Unix socket to go through instead of TCP: PostgreSQL's directory, MySQL's file.
    pub socket: Option<PathBuf>,
    /// File of the certificates (PEM) that may sign the server's; none: those the public web goes by.
    pub ca: Option<PathBuf>,
}

/// A password. Never shown; overwritten when it is dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not one of the forms.
    #[error(
        "{0:?} names no database: write sqlite:FILE, postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE"
    )]
    Form(String),
    /// A password in a URL ends in histories, process lists and logs.
    #[error(
        "the URL holds a password, and URLs end in histories and logs: leave it out; the password is asked for, or read from --password-file FILE"
    )]
    Password,
    /// Something is missing or wrong.
    #[error("{url:?}: {what}")]
    Part {
        /// The URL.
        url: String,
        /// What is wrong.
        what: String,
    },
}

impl Server {
    /// Whether it is on this machine, so that nobody listens between.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let loopback = match self.host.parse::<std::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost",
        };
        self.socket.is_some() || loopback
    }

    fn shown(&self, scheme: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, host, port) = (&self.user, &self.host, self.port);
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        write!(f, "{scheme}://{user}@{host}:{port}/{}", self.database)?;
        let parts = [("socket", &self.socket), ("ca", &self.ca)];
        let mut mark = '?';
        for (name, path) in parts {
            if let Some(path) = path {
                write!(f, "{mark}{name}={}", path.display())?;
                mark = '&';
            }
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(server) => server.shown("postgres", f),
            Self::MySql(server) => server.shown("mysql", f),
            Self::Plugin(command) => write!(f, "plugin:{}", command.join(" ")),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(TargetError::Form(text.to_owned()));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if let Some(command) = text.strip_prefix("plugin:") {
            let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            return match command.is_empty() {
                true => Err(TargetError::Form(text.to_owned())),
                false => Ok(Self::Plugin(command)),
            };
        }
        let url = Url::parse(text).map_err(|_| TargetError::Form(text.to_owned()))?;
        if url.password().is_some() {
            return Err(TargetError::Password);
        }
        match url.scheme() {
            "postgres" | "postgresql" => Ok(Self::Postgres(server(text, &url, 5432)?)),
            "mysql" | "mariadb" => Ok(Self::MySql(server(text, &url, 3306)?)),
            _ => Err(TargetError::Form(text.to_owned())),
        }
    }
}

fn server(text: &str, url: &Url, usual_port: u16) -> Result<Server, TargetError> {
    let part = |what: String| TargetError::Part {
        url: text.to_owned(),
        what,
    };
    let plain = |encoded: &str| {
        let decoded = percent_decode_str(encoded).decode_utf8();
        decoded.map(String::from).map_err(|_| {
            part("a part of it is not UTF-8 when its percent signs are read".to_owned())
        })
    };
    let mut server = Server {
        host: match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => plain(&host.to_string())?,
            None => "localhost".to_owned(),
        },
        port: url.port().unwrap_or(usual_port),
        user: plain(url.username())?,
        database: plain(url.path().trim_start_matches('/'))?,
        socket: None,
        ca: None,
    };
    if server.user.is_empty() {
        return Err(part(
            "it names no user: write USER@ before the host".to_owned(),
        ));
    }
    if server.database.is_empty() || server.database.contains('/') {
        return Err(part(
            "it names no database: write /DATABASE after the host".to_owned(),
        ));
    }
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "socket" => server.socket = Some(PathBuf::from(value.as_ref())),
            "ca" => server.ca = Some(PathBuf::from(value.as_ref())),
            other => {
                return Err(part(format!(
                    "{other:?} is no part of a target; socket and ca are"
                )));
            }
        }
    }
    Ok(server)
}

impl Password {
    /// Takes a password.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests;
