//! Settings of a session: what SET takes and SHOW answers.
//!
//! Settings that would change how values are read or written are fixed to the one form Stele
//! writes (UTF-8, ISO dates, UTC); setting them to anything else is refused with the form to use.
//! Settings that only tune PostgreSQL are taken and have no effect.

use std::collections::BTreeMap;
use std::time::Duration;

use stele_sql::SqlError;
use stele_sql::bind::check_moment;

/// Longest value of a setting, in bytes.
const VALUE_LEN_MAX: usize = 1_024;
/// Most settings with a dotted name (`myapp.user`) in a session.
const CUSTOM_MAX: usize = 64;
/// PostgreSQL's version whose behaviour clients may expect.
pub(crate) const SERVER_VERSION: &str = concat!("15.0 (Stele ", env!("CARGO_PKG_VERSION"), ")");

/// How a setting takes values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Never changes.
    Fixed,
    /// Only values that mean the same as the default; the listed spellings.
    Only(&'static [&'static str]),
    /// `on` or `off`.
    Switch,
    /// A whole number, perhaps with a unit.
    Number,
    /// A whole number of milliseconds, or with a unit.
    Time,
    /// Any text.
    Free,
    /// A height or a time, or nothing.
    Moment,
}

/// One setting Stele knows.
struct Known {
    name: &'static str,
    /// As SHOW and ParameterStatus spell it.
    spelling: &'static str,
    default: &'static str,
    rule: Rule,
    /// Told to the client whenever it changes.
    reported: bool,
}

const fn known(name: &'static str, default: &'static str, rule: Rule) -> Known {
    Known {
        name,
        spelling: name,
        default,
        rule,
        reported: false,
    }
}

const fn reported(
    name: &'static str,
    spelling: &'static str,
    default: &'static str,
    rule: Rule,
) -> Known {
    Known {
        name,
        spelling,
        default,
        rule,
        reported: true,
    }
}

const UTF8: Rule = Rule::Only(&["utf8", "unicode", "sqlascii"]);
const UTC: Rule = Rule::Only(&[
    "utc",
    "gmt",
    "etc/utc",
    "etc/gmt",
    "zulu",
    "uct",
    "universal",
    "z",
    "0",
    "+00",
    "+00:00",
    "gmt0",
    "greenwich",
    "<+00>+00",
]);
const ISO: Rule = Rule::Only(&[
    "iso", "iso, mdy", "iso, dmy", "iso, ymd", "mdy", "dmy", "ymd",
]);
const LEVELS: Rule = Rule::Only(&[
    "read uncommitted",
    "read committed",
    "repeatable read",
    "serializable",
]);

/// By name.
const KNOWN: &[Known] = &[
    reported("application_name", "application_name", "", Rule::Free),
    known("array_nulls", "on", Rule::Switch),
    known("backslash_quote", "safe_encoding", Rule::Free),
    known("bytea_output", "hex", Rule::Only(&["hex"])),
    known("check_function_bodies", "on", Rule::Switch),
    reported("client_encoding", "client_encoding", "UTF8", UTF8),
    known("client_min_messages", "notice", Rule::Free),
    reported("datestyle", "DateStyle", "ISO, MDY", ISO),
    known("default_table_access_method", "heap", Rule::Free),
    known("default_tablespace", "", Rule::Free),
    known("default_transaction_deferrable", "off", Rule::Switch),
    known("default_transaction_isolation", "read committed", LEVELS),
    reported(
        "default_transaction_read_only",
        "default_transaction_read_only",
        "off",
        Rule::Switch,
    ),
    known("enable_seqscan", "on", Rule::Switch),
    known("escape_string_warning", "on", Rule::Switch),
    known("extra_float_digits", "1", Rule::Number),
    known("geqo", "on", Rule::Switch),
    known("idle_in_transaction_session_timeout", "0", Rule::Number),
    known("idle_session_timeout", "0", Rule::Number),
    reported("in_hot_standby", "in_hot_standby", "off", Rule::Fixed),
    reported("integer_datetimes", "integer_datetimes", "on", Rule::Fixed),
    reported(
        "intervalstyle",
        "IntervalStyle",
        "postgres",
        Rule::Only(&["postgres", "iso_8601"]),
    ),
    reported("is_superuser", "is_superuser", "off", Rule::Fixed),
    known("jit", "off", Rule::Switch),
    known("lc_collate", "C", Rule::Fixed),
    known("lc_ctype", "C", Rule::Fixed),
    known("lc_messages", "C", Rule::Free),
    known("lc_monetary", "C", Rule::Free),
    known("lc_numeric", "C", Rule::Free),
    known("lc_time", "C", Rule::Free),
    known("lock_timeout", "0", Rule::Number),
    known("max_identifier_length", "63", Rule::Fixed),
    known("max_index_keys", "32", Rule::Fixed),
    known("password_encryption", "scram-sha-256", Rule::Free),
    known("row_security", "on", Rule::Switch),
    known("search_path", "\"$user\", public", Rule::Free),
    reported("server_encoding", "server_encoding", "UTF8", Rule::Fixed),
    reported(
        "server_version",
        "server_version",
        SERVER_VERSION,
        Rule::Fixed,
    ),
    known("server_version_num", "150000", Rule::Fixed),
    reported(
        "session_authorization",
        "session_authorization",
        "",
        Rule::Fixed,
    ),
    known(
        "session_replication_role",
        "origin",
        Rule::Only(&["origin"]),
    ),
    reported(
        "standard_conforming_strings",
        "standard_conforming_strings",
        "on",
        Rule::Only(&["on", "true", "1", "yes"]),
    ),
    known(STATEMENT_TIMEOUT, "0", Rule::Time),
    known(AS_OF, "", Rule::Moment),
    known(COPY_BATCHES, "off", Rule::Switch),
    known(WAIT_FOR_REPLICA, "", Rule::Free),
    known("synchronize_seqscans", "on", Rule::Switch),
    known(
        "synchronous_commit",
        "on",
        Rule::Only(&[
            "on",
            "true",
            "1",
            "yes",
            "local",
            "remote_write",
            "remote_apply",
        ]),
    ),
    known("tcp_keepalives_idle", "0", Rule::Number),
    reported("timezone", "TimeZone", "UTC", UTC),
    known("transaction_deferrable", "off", Rule::Switch),
    known("transaction_isolation", "read committed", LEVELS),
    known("transaction_read_only", "off", Rule::Switch),
    known("work_mem", "4MB", Rule::Number),
    known("xmloption", "content", Rule::Free),
];

/// Table versions transactions insist on (strict mode): `table:height:index`, with commas between.
pub(crate) const EXPECTED_VERSIONS: &str = "stele.expected_versions";

/// The height or time as of which the session reads; empty for the newest state.
pub(crate) const AS_OF: &str = "stele.as_of";

/// Whether COPY FROM is stored in as many transactions as it takes.
pub(crate) const COPY_BATCHES: &str = "stele.copy_batches";

/// The replica a COMMIT waits for after its block; empty for none.
pub(crate) const WAIT_FOR_REPLICA: &str = "stele.wait_for_replica";

/// How long a read or preview may take.
pub(crate) const STATEMENT_TIMEOUT: &str = "statement_timeout";

/// The settings of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Those that differ from their default.
    changed: BTreeMap<String, String>,
    /// Defaults the client chose when it connected: what RESET goes back to.
    chosen: BTreeMap<String, String>,
}

/// A setting whose new value the client must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Its name as PostgreSQL spells it.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: String,
}

impl Settings {
    /// The settings of a new session of a user.
    pub(crate) fn of(user: &str) -> Self {
        let name = "session_authorization".to_owned();
        Self {
            changed: BTreeMap::new(),
            chosen: BTreeMap::from([(name, user.to_owned())]),
        }
    }

    /// What a client is told when it has connected.
    pub(crate) fn reports(&self) -> Vec<Report> {
        KNOWN
            .iter()
            .filter(|known| known.reported)
            .map(|known| self.report(known))
            .collect()
    }

    /// Sets a default the client asks for in its start-up message.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub(crate) fn choose(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        let name = name.to_ascii_lowercase();
        let value = accepted(&name, value)?;
        self.chosen.insert(name, value);
        Ok(())
    }

    /// Sets a value, or the default for none; gives what to tell the client.
    ///
    /// # Errors
    /// 22023 for a value that is not taken, 55P02 for one that never changes, 42704 for an unknown
    /// setting, 54000 for one too long.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<Option<Report>, SqlError> {
        let known = find(name);
        let before = self.value(name).map(str::to_owned);
        match value {
            Some(value) => {
                let value = accepted(name, value)?;
                let custom = known.is_none() && !self.changed.contains_key(name);
                if custom && self.changed.len() >= KNOWN.len() + CUSTOM_MAX {
                    return Err(SqlError::new(
                        "54000",
                        format!("more than {CUSTOM_MAX} settings of the session's own"),
                    )
                    .hint("RESET ALL drops them."));
                }
                self.changed.insert(name.to_owned(), value);
            }
            None => {
                if known.is_none() && !name.contains('.') {
                    return Err(unknown(name));
                }
                self.changed.remove(name);
            }
        }
        Ok(known
            .filter(|known| known.reported && self.value(name) != before.as_deref())
            .map(|known| self.report(known)))
    }

    /// Puts everything back as it was when the client connected; gives what to tell the client.
    pub(crate) fn reset(&mut self) -> Vec<Report> {
        let before = std::mem::take(&mut self.changed);
        self.differences(&before)
    }

    /// Goes back to settings saved before; gives what to tell the client.
    pub(crate) fn restore(&mut self, saved: Self) -> Vec<Report> {
        let before = std::mem::replace(self, saved);
        self.differences(&before.changed)
    }

    fn differences(&self, before: &BTreeMap<String, String>) -> Vec<Report> {
        KNOWN
            .iter()
            .filter(|known| {
                known.reported && before.get(known.name) != self.changed.get(known.name)
            })
            .map(|known| self.report(known))
            .collect()
    }

    /// A setting's name as PostgreSQL spells it.
    pub(crate) fn spelling(name: &str) -> &str {
        find(name).map_or(name, |known| known.spelling)
    }

    /// What SHOW answers: the name as PostgreSQL spells it, and the value.
    ///
    /// # Errors
    /// 42704 for an unknown setting.
    pub(crate) fn show<'n>(&self, name: &'n str) -> Result<(&'n str, String), SqlError> {
        match self.value(name) {
            Some(value) => Ok((Self::spelling(name), value.to_owned())),
            None => Err(unknown(name)),
        }
    }

    /// What SHOW ALL answers: name and value of each.
    pub(crate) fn show_all(&self) -> Vec<(&'static str, String)> {
        KNOWN
            .iter()
            .map(|known| (known.spelling, self.shown(known)))
            .collect()
    }

    /// The session's own value of a setting, if it has one.
    pub(crate) fn changed(&self, name: &str) -> Option<&str> {
        self.changed.get(name).map(String::as_str)
    }

    /// The height or time as of which the session reads, if it chose one.
    pub(crate) fn as_of(&self) -> Option<&str> {
        self.value(AS_OF).filter(|moment| !moment.is_empty())
    }

    /// The replica COMMITs wait for, if one was named.
    pub(crate) fn wait_for_replica(&self) -> Option<&str> {
        self.value(WAIT_FOR_REPLICA).filter(|name| !name.is_empty())
    }

    /// How long a read or preview may take, if the session has a limit.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let time = milliseconds(self.value(STATEMENT_TIMEOUT)?)?;
        (time > 0).then(|| Duration::from_millis(time))
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value == "on")
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.changed
            .get(name)
            .or_else(|| self.chosen.get(name))
            .map(String::as_str)
            .or_else(|| find(name).map(|known| known.default))
    }

    fn shown(&self, known: &Known) -> String {
        self.value(known.name).unwrap_or_default().to_owned()
    }

    fn report(&self, known: &Known) -> Report {
        Report {
            name: known.spelling,
            value: self.shown(known),
        }
    }
}

fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// The value as it is kept.
fn accepted(name: &str, value: &str) -> Result<String, SqlError> {
    if value.len() > VALUE_LEN_MAX || name.len() > VALUE_LEN_MAX {
        return Err(SqlError::new(
            "54000",
            format!("a setting may have {VALUE_LEN_MAX} bytes at most"),
        ));
    }
    let Some(known) = find(name) else {
        return match name.contains('.') {
            true => Ok(value.to_owned()),
            false => Err(unknown(name)),
        };
    };
    let mut lower = value.trim().to_ascii_lowercase();
    if known.name == "client_encoding" {
        // As PostgreSQL does, which reads `'utf-8'` with its quotes too.
        lower.retain(|c| c.is_ascii_alphanumeric());
    }
    let invalid = || {
        SqlError::new(
            "22023",
            format!(
                "invalid value for parameter \"{}\": \"{value}\"",
                known.spelling
            ),
        )
    };
    match known.rule {
        Rule::Free => Ok(value.to_owned()),
        Rule::Moment if value.trim().is_empty() => Ok(String::new()),
        Rule::Moment => check_moment(value).map(|()| value.trim().to_owned()),
        Rule::Fixed => Err(SqlError::new(
            "55P02",
            format!("parameter \"{}\" cannot be changed", known.spelling),
        )),
        Rule::Switch => match lower.as_str() {
            "on" | "true" | "yes" | "1" | "t" | "y" => Ok("on".to_owned()),
            "off" | "false" | "no" | "0" | "f" | "n" => Ok("off".to_owned()),
            _ => Err(invalid().hint("Write on or off.")),
        },
        Rule::Number => {
            let digits = lower.strip_prefix('-').unwrap_or(&lower);
            match digits.starts_with(|c: char| c.is_ascii_digit()) {
                true => Ok(value.trim().to_owned()),
                false => Err(invalid().hint("Write a number.")),
            }
        }
        Rule::Time => {
            match milliseconds(&lower) {
                Some(_) => Ok(lower),
                None => Err(invalid()
                    .hint("Write milliseconds, or a number with one of ms, s, min, h, d: 5s.")),
            }
        }
        Rule::Only(values) if values.contains(&lower.as_str()) => Ok(match known.name {
            "default_transaction_isolation" | "transaction_isolation" => lower,
            _ => known.default.to_owned(),
        }),
        Rule::Only(_) => Err(invalid().hint(match known.name {
            "timezone" => "Sessions are in UTC: convert in the client.".to_owned(),
            "client_encoding" => "Texts are UTF-8: set client_encoding to UTF8.".to_owned(),
            _ => format!("It is always {}.", known.default),
        })),
    }
}

/// Reads a time as PostgreSQL's settings have it: a whole number and a unit, milliseconds without one.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    // PostgreSQL keeps it in 31 bits.
    let time = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (time <= i32::MAX as u64).then_some(time)
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(
        "42704",
        format!("unrecognized configuration parameter \"{name}\""),
    )
    .hint("SHOW ALL lists those there are; a session's own have a dot in their name.")
}

#[cfg(test)]
mod tests;
