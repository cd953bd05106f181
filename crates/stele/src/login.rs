//! As whom to speak to a node that asks.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use crate::trust::read_bounded;

/// Variable that holds the password, as for psql.
pub(crate) const PASSWORD_VARIABLE: &str = "PGPASSWORD";

/// The password the environment holds.
pub(crate) fn password_from_environment() -> Option<String> {
    std::env::var(PASSWORD_VARIABLE)
        .ok()
        .filter(|password| !password.is_empty())
}

/// Longest password file, in bytes.
pub(crate) const PASSWORD_FILE_LEN_MAX: usize = 4_096;

/// The password a file holds: its first line.
pub(crate) fn password_of_file(file: &Path) -> Result<String> {
    let bytes = read_bounded(file, PASSWORD_FILE_LEN_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        anyhow!(
            "{} does not hold a password: it is not UTF-8",
            file.display()
        )
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Asks for a user's password, if somebody sits at a terminal.
pub(crate) fn ask_password(user: &str) -> Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    Ok(Some(rpassword::prompt_password(format!(
        "Password for {user}: "
    ))?))
}

/// Whom to log in as, over HTTP.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// User to log in as where the node asks; PGPASSWORD holds the password, else it is asked for
    #[arg(long, short = 'U', global = true, value_name = "NAME", default_value = stele_node::keys::OPERATOR)]
    user: String,
}

impl LoginArgs {
    /// The user.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// With the password of the environment.
    pub(crate) fn login(&self) -> Login {
        Login::new(&self.user, password_from_environment())
    }
}

/// A user and his password, which is asked for once it is needed.
#[derive(Debug)]
pub(crate) struct Login {
    user: String,
    password: RefCell<Option<String>>,
}

impl Login {
    /// With the password given, if there is one.
    pub(crate) fn new(user: &str, password: Option<String>) -> Self {
        Self {
            user: user.to_owned(),
            password: RefCell::new(password),
        }
    }

    /// The header `Authorization`, if the password is known.
    pub(crate) fn header(&self) -> Option<String> {
        let password = self.password.borrow();
        let password = password.as_ref()?;
        let pair = format!("{}:{password}", self.user);
        Some(format!("Basic {}", STANDARD.encode(pair)))
    }

    /// Asks for a password that is not known yet; whether there is one to try now.
    pub(crate) fn ask(&self) -> Result<bool> {
        if self.password.borrow().is_some() {
            return Ok(false);
        }
        let given = ask_password(&self.user)?;
        let is_given = given.is_some();
        *self.password.borrow_mut() = given;
        Ok(is_given)
    }
}
