//! Upper and lower case, one character for one.
//!
//! Only scripts whose case pairs Unicode will not add to any more are mapped: Latin-1, Latin
//! Extended-A, Greek, Cyrillic, Armenian, Latin Extended Additional. So two builds with different
//! Unicode tables give the same state.

fn is_mapped(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{17f}'
        | '\u{370}'..='\u{3ff}'
        | '\u{400}'..='\u{52f}'
        | '\u{531}'..='\u{587}'
        | '\u{1e00}'..='\u{1eff}')
}

fn single(mut mapped: impl Iterator<Item = char>, character: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) if is_mapped(one) => one,
        _ => character,
    }
}

pub(super) fn lower(character: char) -> char {
    if is_mapped(character) {
        single(character.to_lowercase(), character)
    } else {
        character
    }
}

pub(super) fn upper(character: char) -> char {
    if is_mapped(character) {
        single(character.to_uppercase(), character)
    } else {
        character
    }
}

/// Whether a character continues a word for `initcap`: a letter that has case, or an ASCII digit.
fn continues_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || lower(character) != character
        || upper(character) != character
}

pub(super) fn initcap(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|character| {
            let mapped = if inside {
                lower(character)
            } else {
                upper(character)
            };
            inside = continues_word(character);
            mapped
        })
        .collect()
}
