//! Regular expressions: linear in time, of the `regex` crate, whose tables are part of the build.
//!
//! PostgreSQL's own have more (back references, look-around) and, where several matches begin at one
//! place, take the longest where these take the first alternative.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::{Captures, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::arguments::{Arguments, Cost, PURE, counted};
use super::failure::raise;
use super::text::{check_len, grow, text};
use crate::error::SqlError;
use crate::spill;

/// Largest compiled pattern, in bytes.
const PROGRAM_LEN_MAX: usize = 256 * 1024;
/// Deepest nesting of a pattern.
const NESTING_MAX: u32 = 50;
/// Compiled patterns kept for the statement under way.
const KEPT_MAX: usize = 16;
/// Units of work that compiling costs for each part of the pattern, repetitions written out.
const WORK_PER_PART: u64 = 1_536;
/// Units that compiling costs besides, of letters alone and of anything else: measured, it takes 3 to 12 and 40 to
/// 170 microseconds.
const WORK_PER_LITERAL: u64 = 48 * 1024;
const WORK_PER_PATTERN: u64 = 640 * 1024;
/// Units a byte costs that is looked at, and more for each two parts of the pattern: where its automaton grows too
/// large, all parts it may be in are followed at once.
const WORK_PER_BYTE: u64 = 8;
const PARTS_PER_WORK: u64 = 2;
/// Bytes that beginning a search is counted as.
const SEARCH_LEN: u64 = 64;
/// No class of characters is more parts at once than that: UTF-8 has four bytes a character.
const CLASS_WIDTH_MAX: u64 = 8;

/// A compiled pattern and what it costs.
struct Program {
    regex: Regex,
    /// Units of work a byte that is looked at costs.
    per_byte: u64,
    /// Bytes of the longest match; none when there is no bound.
    longest: Option<u64>,
}

impl Program {
    /// Counts a search through the text.
    fn count_search(&self, text: &str) -> Result<(), SqlError> {
        spill::work((text.len() as u64).saturating_mul(self.per_byte))
    }

    /// Counts a further search after a match. All searches go over the text once; each may go beyond the match it
    /// finds: by the longest match, or, if that has no bound, to the end of the text.
    fn count_further(&self, text: &str, from: usize) -> Result<(), SqlError> {
        let rest = text.len().saturating_sub(from) as u64;
        let beyond = self.longest.map_or(rest, |longest| longest.min(rest));
        spill::work(
            beyond
                .saturating_add(SEARCH_LEN)
                .saturating_mul(WORK_PER_BYTE),
        )
    }

    /// All matches with their groups, each counted.
    fn each_match(
        &self,
        text: &str,
        mut found: impl FnMut(&Captures<'_>) -> Result<bool, SqlError>,
    ) -> Result<(), SqlError> {
        self.count_search(text)?;
        for captures in self.regex.captures_iter(text) {
            let end = captures.get(0).map_or(text.len(), |whole| whole.end());
            self.count_further(text, end)?;
            if !found(&captures)? {
                break;
            }
        }
        Ok(())
    }
}

thread_local! {
    /// The patterns of the statement under way.
    static KEPT: RefCell<Kept> = RefCell::new(Kept::default());
}

#[derive(Default)]
struct Kept {
    statement: u64,
    /// By flags and pattern.
    programs: HashMap<(String, String), Rc<Program>>,
}

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // (text, pattern, flags)
    function(connection, "st_regex_like", 3, |arguments, program| {
        let subject = arguments.text(0)?;
        program.count_search(subject)?;
        Ok(Value::Integer(program.regex.is_match(subject).into()))
    })?;
    function(connection, "st_regex_count", 3, |arguments, program| {
        let subject = arguments.text(0)?;
        program.count_search(subject)?;
        let mut count = 0;
        for found in program.regex.find_iter(subject) {
            program.count_further(subject, found.end())?;
            count += 1;
        }
        Ok(Value::Integer(count))
    })?;
    // The first group if there is one, else the whole match.
    function(connection, "st_regex_part", 3, |arguments, program| {
        let subject = arguments.text(0)?;
        program.count_search(subject)?;
        let Some(found) = program.regex.captures(subject) else {
            return Ok(Value::Null);
        };
        let part = if program.regex.captures_len() > 1 {
            1
        } else {
            0
        };
        match found.get(part) {
            Some(part) => text(part.as_str().to_owned()),
            None => Ok(Value::Null),
        }
    })?;
    function(connection, "st_regex_find", 3, |arguments, program| {
        let subject = arguments.text(0)?;
        program.count_search(subject)?;
        match program.regex.find(subject) {
            Some(found) => text(found.as_str().to_owned()),
            None => Ok(Value::Null),
        }
    })?;
    // (text, pattern, flags, replacement)
    function(connection, "st_regex_replace", 4, |arguments, program| {
        let all = arguments.text(2)?.contains('g');
        let replacement = arguments.text(3)?;
        let given = arguments.text(0)?;
        let (mut result, mut after) = (String::new(), 0);
        program.each_match(given, |found| {
            let Some(whole) = found.get(0) else {
                return Ok(true);
            };
            let between = given.get(after..whole.start()).unwrap_or_default();
            grow(&mut result, between)?;
            expand(&mut result, found, replacement)?;
            after = whole.end();
            Ok(all)
        })?;
        grow(&mut result, given.get(after..).unwrap_or_default())?;
        text(result)
    })
}

/// Appends a replacement with `\1`, `\&` and `\\` filled in.
fn expand(result: &mut String, found: &Captures<'_>, replacement: &str) -> Result<(), SqlError> {
    check_len(result.len().saturating_add(replacement.len()))?;
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            result.push(character);
            continue;
        }
        let group = match characters.next() {
            Some('&') => Some(0),
            Some(digit) if digit.is_ascii_digit() && digit != '0' => {
                digit.to_digit(10).map(|digit| digit as usize)
            }
            Some('\\') | None => {
                result.push('\\');
                None
            }
            Some(other) => {
                result.push('\\');
                result.push(other);
                None
            }
        };
        if let Some(part) = group.and_then(|group| found.get(group)) {
            grow(result, part.as_str())?;
        }
    }
    Ok(())
}

/// Registers a strict function of (text, pattern, flags, …).
fn function(
    connection: &Connection,
    name: &str,
    count: i32,
    run: impl Fn(&Arguments<'_>, &Program) -> Result<Value, SqlError> + Send + 'static,
) -> rusqlite::Result<()> {
    let cost = Cost::of(name);
    connection.create_scalar_function(name, count, PURE, move |context| {
        let arguments = Arguments(context);
        if (0..arguments.len()).any(|index| arguments.is_null(index)) {
            return Ok(Value::Null);
        }
        let work = || -> Result<Value, SqlError> {
            arguments.count(cost)?;
            let program = compiled(arguments.text(1)?, arguments.text(2)?)?;
            counted(run(&arguments, &program)?)
        };
        work().map_err(raise)
    })
}

/// The pattern compiled, kept while the statement goes on.
fn compiled(pattern: &str, flags: &str) -> Result<Rc<Program>, SqlError> {
    KEPT.with_borrow_mut(|kept| {
        if kept.statement != spill::statement() || kept.programs.len() >= KEPT_MAX {
            kept.programs.clear();
            kept.statement = spill::statement();
        }
        let key = (flags.to_owned(), pattern.to_owned());
        if let Some(program) = kept.programs.get(&key) {
            return Ok(Rc::clone(program));
        }
        let program = Rc::new(compile(pattern, flags)?);
        kept.programs.insert(key, Rc::clone(&program));
        Ok(program)
    })
}

/// How many parts a pattern has with its repetitions written out: all of them, and those that a place in a text may
/// be in at once.
fn parts(hir: &Hir) -> (u64, u64) {
    let sum = |hirs: &[Hir]| {
        let each = hirs.iter().map(parts);
        each.fold((1_u64, 1_u64), |(all, wide), (a, w)| {
            (all.saturating_add(a), wide.saturating_add(w))
        })
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => (1, 1),
        HirKind::Literal(literal) => (literal.0.len() as u64, literal.0.len() as u64),
        HirKind::Class(class) => {
            let ranges = match class {
                Class::Unicode(class) => class.ranges().len(),
                Class::Bytes(class) => class.ranges().len(),
            } as u64;
            (ranges.saturating_mul(4), (ranges + 1).min(CLASS_WIDTH_MAX))
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1));
            let (all, wide) = parts(&repetition.sub);
            let times = u64::from(times.max(1));
            (all.saturating_mul(times), wide.saturating_mul(times))
        }
        HirKind::Capture(capture) => parts(&capture.sub),
        HirKind::Concat(hirs) | HirKind::Alternation(hirs) => sum(hirs),
    }
}

fn compile(pattern: &str, flags: &str) -> Result<Program, SqlError> {
    if pattern.starts_with("***") || pattern.contains(r"\m") || pattern.contains(r"\M") {
        return Err(SqlError::unsupported(
            r"a regular expression with ***, \m or \M",
            r"Use \b for the edge of a word.",
        ));
    }
    let escaped;
    let pattern = if flags.contains('q') {
        escaped = regex::escape(pattern);
        &escaped
    } else {
        pattern
    };
    let (mut builder, mut parser) = (RegexBuilder::new(pattern), ParserBuilder::new());
    builder
        .size_limit(PROGRAM_LEN_MAX)
        .dfa_size_limit(PROGRAM_LEN_MAX * 4)
        .nest_limit(NESTING_MAX);
    parser.nest_limit(NESTING_MAX);
    let mut options = Options::default();
    for flag in flags.chars() {
        match flag {
            'i' => options.ignore_case = true,
            'c' => options.ignore_case = false,
            's' => options.lines = false,
            'n' | 'm' => options.lines = true,
            'x' => options.ignore_spaces = true,
            'g' | 'q' => {}
            other => {
                return Err(SqlError::new(
                    "22023",
                    format!("invalid regular expression option: \"{other}\""),
                ));
            }
        }
    }
    builder
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(!options.lines)
        .multi_line(options.lines)
        .ignore_whitespace(options.ignore_spaces);
    parser
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(!options.lines)
        .multi_line(options.lines)
        .ignore_whitespace(options.ignore_spaces);
    let (mut width, mut longest) = (0, None);
    // One that does not parse is refused below, in the words of the other crate.
    if let Ok(hir) = parser.build().parse(pattern) {
        let (all, wide) = parts(&hir);
        let begins = match hir.kind() {
            HirKind::Empty | HirKind::Literal(_) => WORK_PER_LITERAL,
            _ => WORK_PER_PATTERN,
        };
        spill::work(all.saturating_mul(WORK_PER_PART).saturating_add(begins))?;
        width = wide;
        longest = hir.properties().maximum_len().map(|len| len as u64);
    }
    let regex = build(&builder)?;
    Ok(Program {
        regex,
        per_byte: WORK_PER_BYTE + width / PARTS_PER_WORK,
        longest,
    })
}

#[derive(Default)]
struct Options {
    ignore_case: bool,
    /// Whether `.` and negated classes stop at the end of a line, and `^` and `$` match there.
    lines: bool,
    ignore_spaces: bool,
}

fn build(builder: &RegexBuilder) -> Result<Regex, SqlError> {
    builder.build().map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default();
        SqlError::new(
            "2201B",
            format!(
                "invalid regular expression: {}",
                reason.trim_start_matches("error: ")
            ),
        )
        .hint("Back references and look-around are not taken: they have no bound on their cost.")
    })
}

/// SIMILAR TO as a regular expression over the whole text.
pub(crate) fn similar(pattern: &str, escape: Option<char>) -> Result<String, SqlError> {
    let mut regex = String::from("^(?:");
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            match characters.next() {
                Some(next) => regex.push_str(&regex::escape(next.encode_utf8(&mut [0; 4]))),
                None => {
                    return Err(SqlError::new("22025", "invalid escape sequence"));
                }
            }
            continue;
        }
        match character {
            _ if in_class => {
                in_class = character != ']';
                if character == '\\' {
                    regex.push('\\');
                }
                regex.push(character);
            }
            '[' => {
                in_class = true;
                regex.push('[');
            }
            '%' => regex.push_str("(?s:.)*"),
            '_' => regex.push_str("(?s:.)"),
            '(' => regex.push_str("(?:"),
            '.' | '^' | '$' | '\\' => {
                regex.push('\\');
                regex.push(character);
            }
            other => regex.push(other),
        }
    }
    regex.push_str(")$");
    Ok(regex)
}
