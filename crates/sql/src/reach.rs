//! How far one step of a statement may reach.
//!
//! A bound on steps bounds time only if steps take alike long. Where a statement goes over rows for each
//! of other rows, SQLite reads and compares a value again and again, and what it reads is not counted: each step
//! may copy a value of a megabyte. So the steps of such a statement weigh more, the longer the longest
//! value it may meet: one of its literals and parameters, one its functions gave, or the longest in the columns it
//! names, which an index tells (`l<table>_<column>`). All of these follow from
//! the statement and the rows alone.
//!
//! A statement that goes over one table once reads each value a few times, whatever it does: its steps
//! weigh one.

use std::collections::{BTreeMap, BTreeSet};

use stele_core::schema::{ColumnId, TableId};

use crate::catalogue::Catalogue;
use crate::physical::is_long;

/// Bytes of the longest value that make a step weigh one more: what a page of SQLite holds.
const BYTES_PER_WEIGHT: u64 = 4_096;

/// What the steps of a lowered statement may meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Whether it may go over rows again and again: it names more than one source of rows, computes
    /// windows or recurses.
    pub repeats: bool,
    /// Whether it goes over rows at all.
    pub has_rows: bool,
    /// Columns of long values it reads, if it repeats.
    pub columns: Vec<(TableId, ColumnId)>,
    /// Bytes no literal in it is longer than; zero when none can matter.
    pub literal_len: u64,
}

impl Reach {
    /// Told from the lowered text, where user text stands only inside quoted literals.
    pub(crate) fn of(sqlite: &str, catalogue: &Catalogue) -> Self {
        // A plain INSERT, the most frequent statement, is told without a look at each word.
        if sqlite.starts_with("INSERT") && !sqlite.contains("SELECT") {
            return Self::default();
        }
        let words = Words::of(sqlite);
        let repeats = words.sources > 1 || words.repeats;
        let has_rows = words.sources > 0;
        let long = sqlite.len() as u64 > BYTES_PER_WEIGHT && has_rows;
        Self {
            repeats,
            has_rows,
            columns: if repeats {
                words.long_columns(catalogue)
            } else {
                Vec::new()
            },
            literal_len: if long { words.literal_len as u64 } else { 0 },
        }
    }

    /// Whether steps may weigh more than one, given the longest parameter.
    pub(crate) fn weighs(&self, parameter_len: u64) -> bool {
        self.repeats || self.has_rows && self.literal_len.max(parameter_len) > BYTES_PER_WEIGHT
    }
}

/// What a step weighs when the longest value has so many bytes.
pub(crate) fn weight(longest: u64) -> u64 {
    1 + longest / BYTES_PER_WEIGHT
}

/// What matters of a lowered text.
#[derive(Debug, Default)]
struct Words<'t> {
    /// Tables, common tables and lists of values in FROM and JOIN, and what UPDATE changes.
    sources: usize,
    repeats: bool,
    literal_len: usize,
    tables: BTreeSet<TableId>,
    /// Tables whose rows an UPDATE or DELETE writes whole.
    written: BTreeSet<TableId>,
    aliases: BTreeMap<&'t str, TableId>,
    /// `r1.c2`
    columns: BTreeSet<(&'t str, ColumnId)>,
}

impl<'t> Words<'t> {
    fn of(sqlite: &'t str) -> Self {
        let mut found = Self::default();
        let mut tokens = Tokens {
            text: sqlite,
            at: 0,
        };
        // What FROM, JOIN, UPDATE or DELETE FROM says of the next word.
        let (mut source, mut written) = (false, false);
        let mut table: Option<TableId> = None;
        while let Some(token) = tokens.next() {
            let word = match token {
                Token::Word(word) => word,
                Token::Literal(len) => {
                    found.literal_len = found.literal_len.max(len);
                    continue;
                }
            };
            match word {
                "FROM" | "JOIN" => source = true,
                "UPDATE" => (source, written) = (true, true),
                "DELETE" => written = true,
                "OVER" | "RECURSIVE" => found.repeats = true,
                // In FROM a query, which has a FROM of its own; after ON CONFLICT no table.
                "SELECT" | "WITH" | "SET" => (source, written) = (false, false),
                "AS" => {
                    if let Some(id) = table
                        && let Some(alias) = tokens.word()
                    {
                        found.aliases.insert(alias, id);
                    }
                }
                _ => {
                    let id = number(word, 't').map(TableId);
                    if source {
                        found.sources += 1;
                        found.tables.extend(id);
                        if written {
                            found.written.extend(id);
                        }
                    }
                    if let Some(column) = tokens.column() {
                        if let Some(id) = id {
                            found.aliases.insert(word, id);
                            found.tables.insert(id);
                        }
                        found.columns.insert((word, column));
                    }
                    (source, written) = (false, false);
                    table = id;
                    continue;
                }
            }
            table = None;
        }
        found
    }

    /// The columns of long values among those it reads.
    fn long_columns(&self, catalogue: &Catalogue) -> Vec<(TableId, ColumnId)> {
        let mut read: BTreeSet<(TableId, ColumnId)> = BTreeSet::new();
        for (alias, column) in &self.columns {
            match self.aliases.get(alias) {
                Some(table) => {
                    read.insert((*table, *column));
                }
                // A query that shows columns under a name of its own: any of the tables.
                None => read.extend(self.tables.iter().map(|table| (*table, *column))),
            }
        }
        let mut long = Vec::new();
        for id in self.tables.union(&self.written) {
            let Some(table) = catalogue.table(*id) else {
                continue;
            };
            for column in &table.columns {
                let reads = self.written.contains(id) || read.contains(&(*id, column.id));
                if reads && is_long(column.ty) {
                    long.push((*id, column.id));
                }
            }
        }
        long
    }
}

/// The number in a name such as `t12`.
fn number<N: std::str::FromStr>(word: &str, letter: char) -> Option<N> {
    word.strip_prefix(letter)?.parse().ok()
}

enum Token<'t> {
    Word(&'t str),
    /// Bytes between quotes.
    Literal(usize),
}

/// Words and literals of lowered text; comments and quoted names are passed over.
struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Tokens<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            match *self.rest().first()? {
                quote @ (b'\'' | b'"') => {
                    let start = self.at + 1;
                    self.at = start;
                    // A doubled quote stands for one and ends nothing.
                    loop {
                        let rest = self.rest();
                        let inside = rest.iter().position(|byte| *byte == quote);
                        let inside = inside.unwrap_or(rest.len());
                        let doubled = rest.get(inside + 1) == Some(&quote);
                        self.at += inside + if doubled { 2 } else { 1 };
                        if !doubled {
                            break;
                        }
                    }
                    if quote == b'\'' {
                        return Some(Token::Literal(self.at - start));
                    }
                }
                b'/' if self.rest().get(1) == Some(&b'*') => {
                    let end = self.text.get(self.at..).and_then(|rest| rest.find("*/"));
                    self.at = end.map_or(self.text.len(), |end| self.at + end + 2);
                }
                byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                    return self.word().map(Token::Word);
                }
                // Digits and parameters are no words, nor the letters in them.
                byte if byte.is_ascii_digit() => {
                    let digits = self.rest().iter();
                    self.at += digits.take_while(|byte| is_word(**byte)).count();
                }
                _ => self.at += 1,
            }
        }
    }

    /// The word that comes next, after spaces.
    fn word(&mut self) -> Option<&'t str> {
        let spaces = self.rest().iter().take_while(|byte| **byte == b' ').count();
        let start = self.at + spaces;
        let bytes = self.text.as_bytes().get(start..)?;
        let len = bytes.iter().take_while(|byte| is_word(**byte)).count();
        let word = self
            .text
            .get(start..start + len)
            .filter(|word| !word.is_empty())?;
        self.at = start + len;
        Some(word)
    }

    /// The column after a dot, if one comes at once.
    fn column(&mut self) -> Option<ColumnId> {
        if self.rest().first() != Some(&b'.') {
            return None;
        }
        self.at += 1;
        number(self.word()?, 'c').map(ColumnId)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
