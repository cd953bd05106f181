//! LIKE and ILIKE.

use super::case;
use crate::error::SqlError;
use crate::spill;

/// Most steps one match may take, so that a pattern of many `%` cannot run away.
const STEPS_MAX: u64 = 50_000_000;
/// Steps are counted so many at a time towards what functions may do, each as so many units.
const STEPS_COUNTED: u64 = 1_024;
const WORK_PER_STEP: u64 = 8;

enum Piece {
    Any,
    One,
    Exactly(char),
    /// An escape with nothing after it: an error only where a character meets it.
    Dangling,
}

/// Whether the text matches the pattern: `%` any characters, `_` one. `escape` is empty for none.
pub(super) fn like(
    text: &str,
    pattern: &str,
    escape: &str,
    ignore_case: bool,
) -> Result<bool, SqlError> {
    let fold = |character| {
        if ignore_case {
            case::lower(character)
        } else {
            character
        }
    };
    let pieces = pieces(pattern, escape, fold)?;
    let characters: Vec<char> = text.chars().map(fold).collect();
    let (mut at, mut piece) = (0, 0);
    // Where to go on when a match after the last `%` fails: one character further.
    let mut retry: Option<(usize, usize)> = None;
    let mut steps = 0;
    loop {
        steps += 1;
        if steps % STEPS_COUNTED == 0 {
            spill::work(STEPS_COUNTED * WORK_PER_STEP)?;
        }
        if steps > STEPS_MAX {
            return Err(SqlError::new(
                "54000",
                "the LIKE pattern takes too many steps",
            ));
        }
        let matched = match (pieces.get(piece), characters.get(at)) {
            (None, None) => return Ok(true),
            (Some(Piece::Any), _) => {
                retry = Some((piece, at));
                piece += 1;
                continue;
            }
            (Some(Piece::One), Some(_)) => true,
            (Some(Piece::Dangling), Some(_)) => {
                return Err(SqlError::new(
                    "22025",
                    "LIKE pattern must not end with escape character",
                ));
            }
            (Some(Piece::Exactly(wanted)), Some(found)) => wanted == found,
            _ => false,
        };
        if matched {
            at += 1;
            piece += 1;
        } else {
            match retry {
                Some((any, from)) if from < characters.len() => {
                    retry = Some((any, from + 1));
                    at = from + 1;
                    piece = any + 1;
                }
                _ => return Ok(false),
            }
        }
    }
}

fn pieces(
    pattern: &str,
    escape: &str,
    fold: impl Fn(char) -> char,
) -> Result<Vec<Piece>, SqlError> {
    let mut escapes = escape.chars();
    let escape = escapes.next();
    if escapes.next().is_some() {
        return Err(SqlError::new("22025", "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    let mut pieces = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        pieces.push(match character {
            _ if Some(character) == escape => match characters.next() {
                Some(next) => Piece::Exactly(fold(next)),
                None => Piece::Dangling,
            },
            '%' => Piece::Any,
            '_' => Piece::One,
            other => Piece::Exactly(fold(other)),
        });
    }
    Ok(pieces)
}
