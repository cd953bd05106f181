//! The answer to a statement, as aligned columns.

use std::fmt::Write as _;
use std::time::Duration;

use tokio_postgres::SimpleQueryMessage;

use crate::paint::Paint;
use crate::table::{Align, Table};

/// What stands for NULL.
const NULL: &str = "NULL";

/// Rows of one statement; a missing value is NULL.
struct Rows {
    names: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

/// One result after another, as they come from the node.
pub(super) fn describe(statement: &str, messages: &[SimpleQueryMessage]) -> String {
    let mut text = String::new();
    let mut open: Option<Rows> = None;
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                let names = columns
                    .iter()
                    .map(|column| column.name().to_owned())
                    .collect();
                open = Some(Rows {
                    names,
                    rows: Vec::new(),
                });
            }
            SimpleQueryMessage::Row(row) => {
                if let Some(open) = &mut open {
                    open.rows.push(
                        (0..row.len())
                            .map(|place| row.try_get(place).ok().flatten().map(str::to_owned))
                            .collect(),
                    );
                }
            }
            SimpleQueryMessage::CommandComplete(count) => match open.take() {
                Some(open) => text.push_str(&rows_text(&open.names, &open.rows)),
                None => text.push_str(&tag(statement, *count)),
            },
            _ => {}
        }
    }
    text
}

/// How long it took.
pub(super) fn timing(elapsed: Duration, paint: Paint) -> String {
    let ms = elapsed.as_secs_f64() * 1_000.0;
    format!("{}\n", paint.faint(format!("{ms:.1} ms")))
}

fn rows_text(names: &[String], rows: &[Vec<Option<String>>]) -> String {
    let header: Vec<&str> = names.iter().map(String::as_str).collect();
    let align = (0..names.len())
        .map(|place| {
            let mut values = rows
                .iter()
                .filter_map(|row| row.get(place)?.as_deref())
                .peekable();
            if values.peek().is_some() && values.all(is_number) {
                Align::Right
            } else {
                Align::Left
            }
        })
        .collect();
    let mut table = Table::new(&header).aligned(align);
    for row in rows {
        table.row(row.iter().map(|value| value.as_deref().unwrap_or(NULL)));
    }
    let count = match rows.len() {
        1 => "(1 row)".to_owned(),
        count => format!("({count} rows)"),
    };
    format!("{table}{count}\n")
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-'))
        && digits.parse::<f64>().is_ok()
}

/// What a statement without rows did: its first words, and how many rows it changed.
fn tag(statement: &str, count: u64) -> String {
    let mut words = statement
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_uppercase);
    let first = words.next().unwrap_or_default();
    let mut tag = first.clone();
    match first.as_str() {
        "CREATE" | "DROP" | "ALTER" => {
            if let Some(kind) = words.find(|word| word != "UNIQUE") {
                let _ = write!(tag, " {kind}");
            }
        }
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY" | "WITH" => {
            let rows = if count == 1 { "row" } else { "rows" };
            let _ = write!(tag, ", {count} {rows}");
        }
        _ => {}
    }
    tag.push('\n');
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_null_is_told() {
        let names = ["n".to_owned(), "t".to_owned()];
        let row = |n: Option<&str>, t: &str| vec![n.map(str::to_owned), Some(t.to_owned())];
        let rows = [row(Some("-1.50"), "a"), row(None, "2026-01-02")];
        assert_eq!(
            rows_text(&names, &rows),
            "   n   │     t\n───────┼────────────\n -1.50 │ a\n  NULL │ 2026-01-02\n(2 rows)\n"
        );
    }

    #[test]
    fn a_statement_without_rows_says_what_it_did() {
        assert_eq!(tag("insert into t values (1)", 1), "INSERT, 1 row\n");
        assert_eq!(tag("CREATE UNIQUE INDEX i ON t (a)", 0), "CREATE INDEX\n");
        assert_eq!(tag("begin", 0), "BEGIN\n");
    }
}
