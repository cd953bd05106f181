//! Why a sink did not take something.

use thiserror::Error;

/// What kind of trouble a sink has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkErrorKind {
    /// It does not answer.
    Unreachable,
    /// It answers, and refuses the user, the password or the right.
    Refused,
    /// It has no room left.
    Full,
    /// A table is not as the sink made it.
    Drift,
    /// A row is there that the source did not put there.
    ForeignRow,
    /// A row is not there that the source did put there.
    MissingRow,
    /// Its cursor does not read, or is not what it was.
    Cursor,
    /// Another worker has taken it over.
    Overtaken,
    /// It cannot hold a table or a value.
    Unfit,
    /// Something else.
    Other,
}

/// Why a sink did not take something: names the thing, the place, the cause and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}{}", remedy.as_deref().map(|remedy| format!("; {remedy}")).unwrap_or_default())]
pub struct SinkError {
    /// The kind.
    pub kind: SinkErrorKind,
    /// What, where and why.
    pub message: String,
    /// What helps.
    pub remedy: Option<String>,
}

impl SinkError {
    /// An error without a remedy of its own.
    #[must_use]
    pub fn new(kind: SinkErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            remedy: None,
        }
    }

    /// Adds what helps.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
