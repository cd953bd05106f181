//! Public files name types of other databases, and fill tables as they make them, which the ledger refuses: both are
//! written otherwise, on every server alike.

/// Names of types that other databases have, and PostgreSQL's.
const TYPES: [(&str, &str); 5] = [
    (" int unsigned", " bigint"),
    (" tinyint", " smallint"),
    (" string", " text"),
    (" double", " double precision"),
    (" double precision precision", " double precision"),
];

/// A `CREATE TABLE` taken apart.
pub struct NewTable<'a> {
    name: &'a str,
    /// What stands in the parentheses after the name.
    columns: Option<&'a str>,
    /// What it is filled with.
    pub query: Option<&'a str>,
}

impl<'a> NewTable<'a> {
    pub fn parse(sql: &'a str) -> Option<Self> {
        let sql = sql.trim().trim_end_matches(';');
        let rest = after_word(after_word(sql, "create")?, "table")?;
        let unless_there = ["if", "not", "exists"];
        let rest = unless_there
            .iter()
            .try_fold(rest, |rest, word| after_word(rest, word))
            .unwrap_or(rest);
        let end = rest.find(|c: char| c.is_whitespace() || c == '(')?;
        let (name, rest) = rest.split_at_checked(end)?;
        let rest = rest.trim_start();
        let (columns, rest) = match rest.strip_prefix('(') {
            Some(inside) => {
                let (columns, rest) = inside.split_at_checked(closing(inside)?)?;
                (Some(columns), rest.get(1..)?.trim_start())
            }
            None => (None, rest),
        };
        let query = after_word(rest, "as");
        (query.is_some() || rest.is_empty()).then_some(Self {
            name,
            columns,
            query,
        })
    }

    /// The statement that makes it. `described` are the columns of its query.
    pub fn create(&self, described: &str) -> String {
        let mut columns = self.columns.unwrap_or(described).to_owned();
        let lower = columns.to_ascii_lowercase();
        if TYPES.iter().any(|(theirs, _)| lower.contains(theirs)) {
            columns = TYPES.iter().fold(lower, |columns, (theirs, ours)| {
                columns.replace(theirs, ours)
            });
        }
        format!("CREATE TABLE {} ({columns})", self.name)
    }

    /// The statement that fills it.
    pub fn fill(&self, query: &str) -> String {
        format!("INSERT INTO {} {query}", self.name)
    }
}

/// What stands after a word at the start of a text.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = text.trim_start().split_at_checked(word.len())?;
    let ends = rest.starts_with(|c: char| c.is_whitespace() || c == '(');
    (first.eq_ignore_ascii_case(word) && ends).then_some(rest.trim_start())
}

/// Where the parenthesis closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}
