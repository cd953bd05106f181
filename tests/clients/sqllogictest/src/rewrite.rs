//! Public files make tables without a primary key, which the ledger refuses. Such a table gets one more column
//! as its key, on every server alike; a result never shows it.

/// The column that is added.
pub const KEY: &str = "slt_key";
/// How it is written in CREATE TABLE.
pub const KEY_DEFINITION: &str = "slt_key BIGSERIAL PRIMARY KEY";

/// `CREATE TABLE … (…)` with a key, if it is one and has none.
pub fn with_key(sql: &str) -> Option<String> {
    let lower = sql.to_ascii_lowercase();
    if !is_create_table(&lower) || lower.contains("primary key") {
        return None;
    }
    let (before, rest) = sql.rsplit_once(')')?;
    Some(format!("{before}, {KEY_DEFINITION}){rest}"))
}

/// Name and query of `CREATE TABLE name AS query`.
pub fn filled_table(sql: &str) -> Option<(&str, &str)> {
    let lower = sql.to_ascii_lowercase();
    if !is_create_table(&lower) {
        return None;
    }
    let at = lower.split_whitespace().position(|word| word == "as")?;
    let mut words = sql.split_whitespace();
    let name = words.nth(at.checked_sub(1)?)?;
    let after = words.nth(0)?;
    if at > 5 || name.contains([')', ',']) {
        return None;
    }
    // Where the word AS ends: `words` borrows from `sql`.
    let start = after.as_ptr() as usize - sql.as_ptr() as usize + after.len();
    Some((name, sql[start..].trim().trim_end_matches(';')))
}

fn is_create_table(lower: &str) -> bool {
    let words: Vec<_> = lower.split_whitespace().take(2).collect();
    matches!(words.as_slice(), ["create", table] if table.split('(').next() == Some("table"))
}
