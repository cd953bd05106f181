//! Where in a text: the parser counts lines and columns, PostgreSQL counts characters.

use sqlparser::tokenizer::Location;

/// Turns ascending locations into byte offsets in one pass over the text.
pub(super) struct Positions<'t> {
    rest: &'t str,
    byte: usize,
    line: u64,
    column: u64,
}

impl<'t> Positions<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            rest: text,
            byte: 0,
            line: 1,
            column: 1,
        }
    }

    /// The byte offset of a location not before the last one asked for.
    pub(super) fn byte_of(&mut self, location: Location) -> usize {
        let mut characters = self.rest.chars();
        while (self.line, self.column) < (location.line, location.column) {
            let Some(character) = characters.next() else {
                break;
            };
            self.byte += character.len_utf8();
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = characters.as_str();
        self.byte
    }
}

/// The place in characters from 1; none when the location is unknown.
pub(super) fn character_of(text: &str, location: Location) -> Option<u32> {
    if location.line == 0 {
        return None;
    }
    let byte = Positions::new(text).byte_of(location);
    let before = text.get(..byte)?.chars().count();
    u32::try_from(before + 1).ok()
}

/// Splits ` at Line: 1, Column: 5` off the end of a parser's message.
pub(super) fn take_location(message: &str) -> (&str, Option<Location>) {
    let Some((words, place)) = message.rsplit_once(" at Line: ") else {
        return (message, None);
    };
    let location = place.split_once(", Column: ").and_then(|(line, column)| {
        Some(Location {
            line: line.trim().parse().ok()?,
            column: column.trim().parse().ok()?,
        })
    });
    match location {
        Some(location) => (words, Some(location)),
        None => (message, None),
    }
}
