//! Aligned columns for people: a header, a rule, rows; widths as a terminal shows them.

use std::fmt::{self, Write as _};

use unicode_width::UnicodeWidthChar as _;

/// Widest a cell is padded to, in terminal columns; longer ones stick out.
const CELL_WIDTH_MAX: usize = 80;

/// On which side of a cell the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    header: Vec<String>,
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub(crate) fn new(header: &[&str]) -> Self {
        Self {
            header: header.iter().map(|title| printable(title)).collect(),
            align: vec![Align::Left; header.len()],
            rows: Vec::new(),
        }
    }

    /// Sets on which side the cells of each column stand.
    pub(crate) fn aligned(mut self, align: Vec<Align>) -> Self {
        self.align = align;
        self
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells = cells.into_iter().map(|cell| printable(cell.as_ref()));
        self.rows.push(cells.take(self.header.len()).collect());
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.header.iter().map(|title| width(title)).collect();
        for row in &self.rows {
            for (cell, widest) in row.iter().zip(&mut widths) {
                *widest = width(cell).min(CELL_WIDTH_MAX).max(*widest);
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let mut line = String::new();
        for (title, width) in self.header.iter().zip(&widths) {
            let missing = width.saturating_sub(self::width(title));
            let before = missing / 2;
            let _ = write!(
                line,
                " {}{title}{} │",
                " ".repeat(before),
                " ".repeat(missing - before)
            );
        }
        writeln!(f, "{}", end(&line))?;
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        writeln!(f, "{}", rule.join("┼"))?;
        for row in &self.rows {
            line.clear();
            let padding = std::iter::repeat(&Align::Left);
            for (place, (width, align)) in widths
                .iter()
                .zip(self.align.iter().chain(padding))
                .enumerate()
            {
                let cell = row.get(place).map_or("", String::as_str);
                let missing = " ".repeat(width.saturating_sub(self::width(cell)));
                let _ = match align {
                    Align::Left => write!(line, " {cell}{missing} │"),
                    Align::Right => write!(line, " {missing}{cell} │"),
                };
            }
            writeln!(f, "{}", end(&line))?;
        }
        Ok(())
    }
}

fn end(line: &str) -> &str {
    line.strip_suffix('│').unwrap_or(line).trim_end()
}

/// Columns a terminal uses for a text without control characters.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// A text with control characters made visible: data must not be able to steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push('↵'),
            '\t' => shown.push_str("    "),
            // Marks that reorder text could make a value look like another.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(shown, "\\x{:02x}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut table = Table::new(&["name", "n"]).aligned(vec![Align::Left, Align::Right]);
        table.row(["小明", "1"]);
        table.row(["bob", "1000"]);
        table.row(["é"]);
        assert_eq!(
            table.to_string(),
            " name │  n\n──────┼──────\n 小明 │    1\n bob  │ 1000\n é    │\n"
        );
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(printable("a\x1b[31mb\nc\u{202e}"), "a\\x1b[31mb↵c\\u{202e}");
    }
}
