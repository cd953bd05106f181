//! Colours, only where someone can see them: on a terminal, unless `NO_COLOR` is set.

use std::fmt::Display;
use std::io::IsTerminal as _;

/// Colours text or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output.
    pub(crate) fn of_stdout() -> Self {
        Self {
            on: wanted() && std::io::stdout().is_terminal(),
        }
    }

    /// For standard error.
    pub(crate) fn of_stderr() -> Self {
        Self {
            on: wanted() && std::io::stderr().is_terminal(),
        }
    }

    /// Whether it colours.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// Good news.
    pub(crate) fn good(self, text: impl Display) -> String {
        self.wrap("32", text)
    }

    /// Bad news.
    pub(crate) fn bad(self, text: impl Display) -> String {
        self.wrap("1;31", text)
    }

    /// A title or a name that matters.
    pub(crate) fn strong(self, text: impl Display) -> String {
        self.wrap("1", text)
    }

    /// What can be passed over.
    pub(crate) fn faint(self, text: impl Display) -> String {
        self.wrap("2", text)
    }

    /// Something to type.
    pub(crate) fn command(self, text: impl Display) -> String {
        self.wrap("36", text)
    }

    fn wrap(self, code: &str, text: impl Display) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

fn wanted() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !no_color && !dumb
}
