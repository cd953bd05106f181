//! What a client asks for when it connects.

use stele_sql::SqlError;

use super::settings::Settings;

/// A start-up message, understood.
#[derive(Debug)]
pub(crate) struct Startup {
    /// The user: name of a key.
    pub(crate) user: String,
    /// Settings of the session.
    pub(crate) settings: Settings,
    /// Protocol options that are not known here.
    pub(crate) unknown_options: Vec<String>,
    /// What the user should know.
    pub(crate) warnings: Vec<SqlError>,
}

impl Startup {
    /// Reads the parameters of a start-up message.
    ///
    /// # Errors
    /// 28000 without a user, 0A000 for replication, or what a setting is refused with.
    pub(crate) fn read(parameters: Vec<(String, String)>) -> Result<Self, SqlError> {
        let user = parameters
            .iter()
            .find(|(name, _)| name == "user")
            .map(|(_, user)| user.clone())
            .filter(|user| !user.is_empty())
            .ok_or_else(|| {
                SqlError::new(
                    "28000",
                    "no PostgreSQL user name specified in startup packet",
                )
            })?;
        let mut startup = Self {
            settings: Settings::of(&user),
            user,
            unknown_options: Vec::new(),
            warnings: Vec::new(),
        };
        for (name, value) in parameters {
            match name.as_str() {
                "user" | "database" => {}
                "replication" if matches!(value.as_str(), "false" | "off" | "no" | "0") => {}
                "replication" => {
                    return Err(SqlError::unsupported(
                        "PostgreSQL replication",
                        "A copy that checks every block is kept by `stele proxy`; changes are read with stele_changes() and stele_diff().",
                    ));
                }
                "options" => {
                    for (name, value) in options(&value)? {
                        startup.choose(&name, &value)?;
                    }
                }
                _ if name.starts_with("_pq_.") => startup.unknown_options.push(name),
                _ => startup.choose(&name, &value)?,
            }
        }
        Ok(startup)
    }

    fn choose(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        match self.settings.choose(name, value) {
            // Some drivers send the client's zone unasked; they read the offset in each timestamp.
            Err(error) if name.eq_ignore_ascii_case("timezone") => {
                self.warnings.push(error);
                Ok(())
            }
            other => other,
        }
    }
}

/// Settings out of `-c name=value` and `--name=value`; a backslash keeps a blank.
fn options(text: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut words = vec![String::new()];
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => words.extend_last(rest.next()),
            c if c.is_whitespace() => words.push(String::new()),
            c => words.extend_last(Some(c)),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(setting), _) => setting.replace('-', "_"),
            (_, Some("")) => words.next().unwrap_or_default(),
            (_, Some(setting)) => setting.to_owned(),
            _ => return Err(invalid_options(&word)),
        };
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| invalid_options(&word))?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

fn invalid_options(word: &str) -> SqlError {
    SqlError::new(
        "42601",
        format!("invalid command-line argument for server process: {word}"),
    )
    .hint("Write options as -c name=value.")
}

trait ExtendLast {
    fn extend_last(&mut self, c: Option<char>);
}

impl ExtendLast for Vec<String> {
    fn extend_last(&mut self, c: Option<char>) {
        if let Some(last) = self.last_mut() {
            last.extend(c);
        }
    }
}

#[cfg(test)]
mod tests;
