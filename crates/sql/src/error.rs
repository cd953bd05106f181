//! Errors a client sees: PostgreSQL's codes and wording.

use std::fmt;

use stele_core::datetime::DateTimeError;
use stele_core::numeric::NumericError;
use stele_core::outcome::Code;
use stele_core::value::ValueError;

/// A failure of a statement or transaction with its SQLSTATE. Deterministic: it depends on the
/// statement and the state alone, so every node gives the same code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// SQLSTATE.
    pub code: Code,
    /// What went wrong, in PostgreSQL's words where it has some.
    pub message: String,
    /// More about where.
    pub detail: Option<String>,
    /// What to do instead.
    pub hint: Option<String>,
    /// Name of the constraint that was violated.
    pub constraint: Option<String>,
    /// Place in the statement's text, in characters from 1.
    pub position: Option<u32>,
}

impl SqlError {
    /// An error of a SQLSTATE.
    ///
    /// # Panics
    /// When `code` is no SQLSTATE: it is always a literal.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Code::new(code).expect("a literal SQLSTATE"),
            message: message.into(),
            detail: None,
            hint: None,
            constraint: None,
            position: None,
        }
    }

    /// Adds what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds more about where.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Something Stele does not take (0A000), and what to do instead.
    #[must_use]
    pub fn unsupported(what: impl fmt::Display, instead: impl Into<String>) -> Self {
        Self::new("0A000", format!("{what} is not supported")).hint(instead)
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)?;
        if let Some(detail) = &self.detail {
            write!(f, "; {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SqlError {}

impl From<ValueError> for SqlError {
    fn from(error: ValueError) -> Self {
        let mut sql_error = Self::new(error.sqlstate(), error.to_string());
        sql_error.detail = error.detail();
        sql_error
    }
}

impl From<NumericError> for SqlError {
    fn from(error: NumericError) -> Self {
        Self::new(error.sqlstate(), error.to_string())
    }
}

impl From<DateTimeError> for SqlError {
    fn from(error: DateTimeError) -> Self {
        Self::new(error.sqlstate(), error.to_string())
    }
}
