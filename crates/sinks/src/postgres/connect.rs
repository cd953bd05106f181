//! Connecting to PostgreSQL, and what its refusals mean.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use stele_flow::{SinkError, SinkErrorKind};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::target::{Password, Server, Target};
use crate::tls;

/// Longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for a server's first answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Asks whether the server speaks TLS: any server answers that with one byte, before anybody logs in.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// How long sent bytes may stay unconfirmed before the server counts as gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Settings that values are read and written by, and bounds on waits.
const SESSION: &str = "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; \
     SET bytea_output = 'hex'; SET extra_float_digits = 1; SET standard_conforming_strings = on; \
     SET client_encoding = 'UTF8'; SET lock_timeout = '30s'; SET client_min_messages = 'error'; \
     SET statement_timeout = 0; SET search_path = pg_catalog";

/// Connects and prepares the session.
pub(super) fn connect(server: &Server, password: Option<&Password>) -> Result<Client, SinkError> {
    let mut config = Config::new();
    config
        .user(&server.user)
        .dbname(&server.database)
        .port(server.port)
        .application_name("stele replica")
        .connect_timeout(CONNECT_WAIT)
        .tcp_user_timeout(SILENCE_MAX)
        .keepalives_idle(SILENCE_MAX);
    match &server.socket {
        Some(directory) => config.host_path(directory),
        None => config.host(&server.host),
    };
    if let Some(password) = password {
        config.password(password.reveal());
    }
    if hangs(server) {
        return Err(SinkError::new(
            SinkErrorKind::Unreachable,
            format!(
                "{}: it takes connections and does not answer within {} s",
                describe(server),
                ANSWER_WAIT.as_secs()
            ),
        )
        .remedy("the server hangs: wake it or start it again; it goes on by itself"));
    }
    let failed = |error| failed(server, &error);
    let mut client = if server.is_local() {
        config.ssl_mode(postgres::config::SslMode::Disable);
        config.connect(NoTls).map_err(failed)?
    } else {
        config.ssl_mode(postgres::config::SslMode::Require);
        let tls = MakeRustlsConnect::new(tls::client(&describe(server), server.ca.as_deref())?);
        config.connect(tls).map_err(failed)?
    };
    client.batch_execute(SESSION).map_err(failed)?;
    let encoding: String = client
        .query_one("SELECT current_setting('server_encoding')", &[])
        .map_err(failed)?
        .get(0);
    if encoding != "UTF8" {
        return Err(SinkError::new(
            SinkErrorKind::Unfit,
            format!("{}: its encoding is {encoding}", describe(server)),
        )
        .remedy("a mirror holds any text, so its database must be UTF8: CREATE DATABASE … ENCODING 'UTF8'"));
    }
    Ok(client)
}

/// Whether a server takes connections and says nothing: logging in has no bound on that. Other trouble is told by logging in.
fn hangs(server: &Server) -> bool {
    let asked = match &server.socket {
        Some(directory) => {
            let path = directory.join(format!(".s.PGSQL.{}", server.port));
            UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(ANSWER_WAIT))?;
                ask(stream)
            })
        }
        None => (server.host.as_str(), server.port)
            .to_socket_addrs()
            .and_then(|mut addresses| {
                let reached = addresses
                    .find_map(|address| TcpStream::connect_timeout(&address, CONNECT_WAIT).ok());
                let stream = reached.ok_or(ErrorKind::NotConnected)?;
                stream.set_read_timeout(Some(ANSWER_WAIT))?;
                ask(stream)
            }),
    };
    asked.is_err_and(|error| [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()))
}

fn ask(mut stream: impl Read + Write) -> std::io::Result<()> {
    stream.write_all(&SSL_REQUEST)?;
    stream.read(&mut [0]).map(drop)
}

pub(super) fn describe(server: &Server) -> String {
    Target::Postgres(server.clone()).to_string()
}

/// What an error of the server or the connection means.
pub(super) fn failed(server: &Server, error: &postgres::Error) -> SinkError {
    let target = describe(server);
    let Some(said) = error.as_db_error() else {
        let mut words = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            words = format!("{words}: {next}");
            cause = next.source();
        }
        let refused = words.contains("password");
        let kind = if refused {
            SinkErrorKind::Refused
        } else {
            SinkErrorKind::Unreachable
        };
        let remedy = if refused {
            "give the password with `stele replica password NAME`"
        } else {
            "start the server or mend the way to it; it goes on by itself"
        };
        return SinkError::new(kind, format!("{target}: {words}")).remedy(remedy);
    };
    let code = said.code().code().to_owned();
    let detail = said
        .detail()
        .map_or(String::new(), |detail| format!(" ({detail})"));
    let message = format!("{target}: {}{detail} [{code}]", said.message());
    let told = |kind, remedy: &str| SinkError::new(kind, message.clone()).remedy(remedy);
    match code.get(..2).unwrap_or_default() {
        "28" => told(
            SinkErrorKind::Refused,
            "check user and password (`stele replica password NAME`) and the server's pg_hba.conf",
        ),
        "3D" => told(SinkErrorKind::Refused, "create the database"),
        "53" if *said.code() == SqlState::DISK_FULL => told(
            SinkErrorKind::Full,
            "make room on the server; it goes on by itself",
        ),
        "08" | "53" | "57" => told(
            SinkErrorKind::Unreachable,
            "it goes on by itself when the server takes connections again",
        ),
        "55" | "40" => told(
            SinkErrorKind::Unreachable,
            "another session holds locks on the mirrored tables; it is tried again",
        ),
        "42" if *said.code() == SqlState::INSUFFICIENT_PRIVILEGE => told(
            SinkErrorKind::Refused,
            "let the user create schemas and tables in the database, and own the mirrored ones",
        ),
        "23" => told(
            SinkErrorKind::ForeignRow,
            "a row is in the way that did not come from the source, or somebody added a constraint; delete it, or run `stele replica audit NAME --repair`",
        ),
        "2B" | "0A" => told(
            SinkErrorKind::Drift,
            "a view or another object depends on the table: drop that, and make it again afterwards",
        ),
        "42" if ["42701", "42939", "42602"].contains(&code.as_str()) => told(
            SinkErrorKind::Unfit,
            "PostgreSQL has a use of its own for such a name: leave the table out of the replica",
        ),
        "42" | "22" => told(
            SinkErrorKind::Drift,
            "the table was changed by hand; undo that, or run `stele replica audit NAME --repair`",
        ),
        "25" => told(
            SinkErrorKind::Refused,
            "the server is read-only: name its primary",
        ),
        _ => SinkError::new(SinkErrorKind::Other, message),
    }
}
