//! A statement's failure, with everything the node says about it.

use std::fmt::Write as _;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::paint::Paint;
use crate::table::{printable, width};

/// In one line, where no statement is to be shown.
pub(super) fn one_line(error: &DbError) -> String {
    let mut text = format!("{} ({})", printable(error.message()), error.code().code());
    for more in [error.detail(), error.hint()].into_iter().flatten() {
        let _ = write!(text, "; {}", printable(more));
    }
    text
}

/// In full: SQLSTATE, message, the place in the statement, detail and hint.
pub(super) fn describe(statement: &str, error: &tokio_postgres::Error, paint: Paint) -> String {
    let Some(error) = error.as_db_error() else {
        let mut causes = vec![error.to_string()];
        let mut cause = std::error::Error::source(error);
        while let Some(deeper) = cause {
            causes.push(deeper.to_string());
            cause = deeper.source();
        }
        return format!("{} {}\n", paint.bad("ERROR"), causes.join(": "));
    };
    let mut text = format!(
        "{} {}\n",
        paint.bad(format!("ERROR {}:", error.code().code())),
        printable(error.message())
    );
    if let Some(ErrorPosition::Original(position)) = error.position() {
        text.push_str(&caret(statement, *position as usize, paint));
    }
    for (name, more) in [("detail", error.detail()), ("hint", error.hint())] {
        if let Some(more) = more {
            let _ = writeln!(
                text,
                "{} {}",
                paint.strong(format!("{name}:")),
                printable(more)
            );
        }
    }
    text
}

/// The line of the statement with a mark below the character at `position`, counted from 1.
fn caret(statement: &str, position: usize, paint: Paint) -> String {
    let mut left = position.saturating_sub(1);
    for (line, number) in statement.split('\n').zip(1..) {
        let len = line.chars().count();
        if left > len {
            left -= len + 1;
            continue;
        }
        let before: String = line.chars().take(left).collect();
        let label = format!("line {number}: ");
        let indent = " ".repeat(label.len() + width(&printable(&before)));
        return format!("{label}{}\n{indent}{}\n", printable(line), paint.bad("^"));
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_below_the_character() {
        let paint = Paint::of_stdout();
        assert_eq!(
            caret("SELECT a,\n  '小明', b\nFROM t", 19, paint),
            "line 2:   '小明', b\n                  ^\n"
        );
        assert_eq!(caret("SELEC", 1, paint), "line 1: SELEC\n        ^\n");
        assert_eq!(caret("ab", 3, paint), "line 1: ab\n          ^\n");
        assert_eq!(caret("ab", 9, paint), "");
    }
}
