//! Connecting to MySQL and MariaDB, and what their refusals mean.

use std::time::Duration;

use mysql::prelude::Queryable as _;
use mysql::{Conn, OptsBuilder, SslOpts};
use stele_flow::{SinkError, SinkErrorKind};

use crate::target::{Password, Server, Target};
use crate::tls;

/// Longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for an answer. A change of a large table may take longer: it goes on in the server, and is found done.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How long sent bytes may stay unconfirmed before the server counts as gone, in milliseconds.
const SILENCE_MS_MAX: u32 = 30_000;
/// Statements kept prepared.
const STATEMENTS_KEPT: usize = 128;

/// A connection, and the collation its server keeps texts in.
pub(super) struct Connected {
    pub(super) conn: Conn,
    pub(super) collation: &'static str,
}

/// Connects and prepares the session.
pub(super) fn connect(
    server: &Server,
    password: Option<&Password>,
) -> Result<Connected, SinkError> {
    let mut options = OptsBuilder::new()
        .user(Some(&server.user))
        .db_name(Some(&server.database))
        .pass(password.map(Password::reveal))
        .prefer_socket(false)
        .tcp_connect_timeout(Some(CONNECT_WAIT))
        .read_timeout(Some(ANSWER_WAIT))
        .write_timeout(Some(ANSWER_WAIT))
        .tcp_keepalive_time_ms(Some(SILENCE_MS_MAX))
        .tcp_user_timeout_ms(Some(SILENCE_MS_MAX))
        .stmt_cache_size(STATEMENTS_KEPT);
    options = match &server.socket {
        Some(path) => options.socket(Some(path.display().to_string())),
        None => options
            .ip_or_hostname(Some(&server.host))
            .tcp_port(server.port),
    };
    if !server.is_local() {
        // Says what is wrong with the file in our own words.
        tls::client(&describe(server), server.ca.as_deref())?;
        let tls = SslOpts::default().with_root_cert_path(server.ca.clone());
        options = options.ssl_opts(Some(tls));
    }
    let failed = |error| failed(server, &error);
    let mut conn = Conn::new(options).map_err(failed)?;
    conn.query_drop(
        "SET NAMES utf8mb4, time_zone = '+00:00', \
         sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,NO_ZERO_IN_DATE', \
         innodb_lock_wait_timeout = 20, lock_wait_timeout = 20",
    )
    .map_err(failed)?;
    let version: Option<String> = conn.query_first("SELECT version()").map_err(failed)?;
    let mariadb = version.is_some_and(|version| version.contains("MariaDB"));
    Ok(Connected {
        conn,
        collation: match mariadb {
            true => "utf8mb4_nopad_bin",
            false => "utf8mb4_0900_bin",
        },
    })
}

pub(super) fn describe(server: &Server) -> String {
    Target::MySql(server.clone()).to_string()
}

/// What an error of the server or the connection means.
pub(super) fn failed(server: &Server, error: &mysql::Error) -> SinkError {
    let target = describe(server);
    let told = |kind, message: String, remedy: &str| SinkError::new(kind, message).remedy(remedy);
    if error.to_string().contains("(os error 11)") {
        return told(
            SinkErrorKind::Unreachable,
            format!(
                "{target}: it does not answer within {} s",
                ANSWER_WAIT.as_secs()
            ),
            "the server hangs, or works on something long: wake it or start it again; it goes on by itself",
        );
    }
    let mysql::Error::MySqlError(said) = error else {
        let words = match error {
            mysql::Error::IoError(error) => error.to_string(),
            mysql::Error::DriverError(error) => error.to_string(),
            mysql::Error::TlsError(error) => error.to_string(),
            other => other.to_string(),
        };
        return told(
            SinkErrorKind::Unreachable,
            format!("{target}: {words}"),
            "start the server or mend the way to it; it goes on by itself",
        );
    };
    let message = format!("{target}: {} [{}]", said.message, said.code);
    match said.code {
        1045 | 1698 | 1251 | 2059 => told(
            SinkErrorKind::Refused,
            message,
            "check user and password (`stele replica password NAME`) and the user's grants",
        ),
        1049 => told(SinkErrorKind::Refused, message, "create the database"),
        1044 | 1142 | 1143 | 1227 | 1370 => told(
            SinkErrorKind::Refused,
            message,
            "GRANT ALL on the database to the user",
        ),
        1290 | 1836 => told(
            SinkErrorKind::Refused,
            message,
            "the server is read-only: name its primary",
        ),
        1021 | 1114 | 1026 | 3 | 28 => told(
            SinkErrorKind::Full,
            message,
            "make room on the server; it goes on by itself",
        ),
        1040 | 1053 | 1077 | 1152 | 1158..=1161 | 1203 | 1226 | 1927 | 3169 => told(
            SinkErrorKind::Unreachable,
            message,
            "it goes on by itself when the server takes connections again",
        ),
        1205 | 1213 | 3572 => told(
            SinkErrorKind::Unreachable,
            message,
            "another session holds locks on the mirrored tables; it is tried again",
        ),
        1153 => told(
            SinkErrorKind::Unfit,
            message,
            "set the server's max_allowed_packet to 64M: a value of the ledger has up to 16 MiB",
        ),
        1118 | 1117 | 1071 | 1059 | 1060 | 1103 | 1166 | 1267 | 1300 => told(
            SinkErrorKind::Unfit,
            message,
            "InnoDB cannot hold such a table: leave it out of the replica, or choose other names",
        ),
        1062 | 1451 | 1452 | 4025 | 3819 => told(
            SinkErrorKind::ForeignRow,
            message,
            "a row is in the way that did not come from the source, or somebody added a constraint; delete it, or run `stele replica audit NAME --repair`",
        ),
        1054 | 1091 | 1146 | 1264 | 1265 | 1292 | 1364 | 1366 | 1406 | 1048 | 1932 => told(
            SinkErrorKind::Drift,
            message,
            "the table was changed by hand; undo that, or run `stele replica audit NAME --repair`",
        ),
        _ => SinkError::new(SinkErrorKind::Other, message),
    }
}
