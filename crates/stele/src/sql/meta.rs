//! Commands of the shell itself: they begin with a backslash and take one line.

/// What the list of commands says.
pub(super) const HELP: &str = "\
Statements end with ; and may span lines. Commands of the shell:

  \\proof TABLE KEY…     prove a row, or that it is not there; check the proof and save it
                        (one value for each primary key column; quote values with spaces)
  \\proof tx ID          prove a transaction and how it ended
  \\dt                   list tables
  \\d TABLE              describe a table
  \\i FILE               run the statements of a file
  \\timing               show or hide how long statements take
  \\? or \\help           this list
  \\q                    leave (so does Ctrl-D)

Ctrl-C drops the line, or cancels the statement that runs.
";

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meta {
    Help,
    Quit,
    Timing,
    Include(String),
    Tables,
    Describe(String),
    ProveRow {
        schema: String,
        table: String,
        key: Vec<String>,
    },
    ProveTransaction(String),
}

impl Meta {
    /// Reads a line that begins with a backslash.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let words = words(line.trim().trim_end_matches(';'))?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["\\?" | "\\h" | "\\help"] => Ok(Self::Help),
            ["\\q" | "\\quit"] => Ok(Self::Quit),
            ["\\timing"] => Ok(Self::Timing),
            ["\\i", file] => Ok(Self::Include((*file).to_owned())),
            ["\\i"] => Err("\\i takes a file: \\i FILE".to_owned()),
            ["\\d" | "\\dt"] => Ok(Self::Tables),
            ["\\d", table] => Ok(Self::Describe((*table).to_owned())),
            ["\\proof", "tx", id] => Ok(Self::ProveTransaction((*id).to_owned())),
            ["\\proof", table, key @ ..] if !key.is_empty() => {
                let (schema, table) = table.split_once('.').unwrap_or(("public", table));
                Ok(Self::ProveRow {
                    schema: schema.to_owned(),
                    table: table.to_owned(),
                    key: key.iter().map(|value| (*value).to_owned()).collect(),
                })
            }
            ["\\proof", ..] => Err(
                "\\proof takes a table and its primary key, or tx and a transaction: \\proof orders 1001, \\proof tx ID".to_owned(),
            ),
            [unknown, ..] => Err(format!("there is no command {unknown}; \\? lists them")),
            [] => Err("\\? lists the commands".to_owned()),
        }
    }
}

/// Splits a line at white space; single quotes keep a value together and double to stand for one.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if first != '\'' {
            word.push(first);
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
            words.push(word);
            continue;
        }
        loop {
            match chars.next() {
                Some('\'') if chars.next_if_eq(&'\'').is_some() => word.push('\''),
                Some('\'') => break,
                Some(c) => word.push(c),
                None => return Err("a quote is not closed".to_owned()),
            }
        }
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(Meta::parse("\\q;"), Ok(Meta::Quit));
        assert_eq!(
            Meta::parse("\\proof shop.orders 'it''s one' 7"),
            Ok(Meta::ProveRow {
                schema: "shop".to_owned(),
                table: "orders".to_owned(),
                key: vec!["it's one".to_owned(), "7".to_owned()],
            })
        );
        assert_eq!(
            Meta::parse("\\proof tx ab"),
            Ok(Meta::ProveTransaction("ab".to_owned()))
        );
        for wrong in ["\\proof", "\\proof orders", "\\x", "\\proof a 'b", "\\i"] {
            assert!(Meta::parse(wrong).is_err(), "{wrong}");
        }
    }
}
