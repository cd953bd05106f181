//! Reading the file and the environment into a [`Config`].

use std::ffi::OsString;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError, SETTINGS, replica};
use crate::config::setting::{Setting, Slot};

/// Section of the replicas.
const REPLICA: &str = "replica";
/// First part of the names of environment variables that set something.
const VARIABLE_PREFIX: &str = "STELE_";
/// Likeness from which a name is offered as the one that was meant (Jaro-Winkler, 0 to 1).
const LIKENESS_MIN: f64 = 0.75;
/// Likeness from which an environment variable is taken for a misspelt setting.
const VARIABLE_LIKENESS_MIN: f64 = 0.85;

impl Config {
    /// Takes all settings of a file's text; `file` is its name, for messages.
    pub(crate) fn read_file(&mut self, file: &str, text: &str) -> Result<(), ConfigError> {
        let document = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            ConfigError::Syntax {
                place: format!("{file}, line {line}"),
                reason: error.message().to_owned(),
            }
        })?;
        let place = |at: usize| format!("{file}, line {}", line_of(text, at));
        for (name, value) in document.get_ref() {
            let at = place(name.span().start);
            let name = name.get_ref();
            let Some(table) = value.get_ref().as_table() else {
                return Err(outside_section(at, name));
            };
            if name == REPLICA {
                let sections = replica::sections(text);
                self.replica_sections = sections.map_err(|reason| ConfigError::Syntax {
                    place: format!("{at}, [{REPLICA}]"),
                    reason,
                })?;
                continue;
            }
            if !SETTINGS.iter().any(|setting| setting.section == name) {
                return Err(ConfigError::Section {
                    place: at,
                    name: name.to_string(),
                    nearest: nearest(name, sections()),
                });
            }
            for (key, value) in table {
                let at = place(key.span().start);
                let setting = find(&at, name, key.get_ref())?;
                self.set(setting, at, value)?;
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        setting: &Setting,
        place: String,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        let slot = (setting.slot)(self);
        let expected = slot.expected();
        let stored = match value.get_ref() {
            DeValue::String(text) => slot.set_text(text),
            DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix())
                .is_ok_and(|number| slot.set_number(number)),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<Vec<String>>>()
                .is_some_and(|texts| slot.set_texts(texts)),
            _ => false,
        };
        if stored {
            return Ok(());
        }
        Err(ConfigError::Value {
            place,
            name: format!("{}.{}", setting.section, setting.key),
            found: describe(value.get_ref()),
            expected,
        })
    }

    /// Takes the environment variables that set something.
    pub(crate) fn read_environment(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            if !name.starts_with(VARIABLE_PREFIX) {
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|setting| variable(setting) == name) else {
                if !means_a_setting(name) {
                    continue;
                }
                return Err(ConfigError::Variable {
                    name: name.to_owned(),
                    nearest: nearest(name, SETTINGS.iter().map(variable)),
                });
            };
            let text = value.to_string_lossy();
            let slot: Slot<'_> = (setting.slot)(self);
            let expected = slot.expected();
            if !slot.set_from_environment(&text) {
                return Err(ConfigError::Value {
                    place: "environment".to_owned(),
                    name: name.to_owned(),
                    found: format!("{text:?}"),
                    expected,
                });
            }
        }
        Ok(())
    }
}

/// Name of the environment variable of a setting.
pub(crate) fn variable(setting: &Setting) -> String {
    format!("{VARIABLE_PREFIX}{}_{}", setting.section, setting.key).to_uppercase()
}

/// Whether a variable that sets nothing was surely meant to: it names a section, or is very like a
/// setting's. Other programs, test runs among them, have `STELE_` variables of their own.
fn means_a_setting(name: &str) -> bool {
    let end = |name: &str| {
        name.strip_prefix(VARIABLE_PREFIX)
            .unwrap_or(name)
            .to_owned()
    };
    SETTINGS.iter().any(|setting| {
        name.starts_with(&format!(
            "{VARIABLE_PREFIX}{}_",
            setting.section.to_uppercase()
        )) || strsim::jaro_winkler(&end(name), &end(&variable(setting))) >= VARIABLE_LIKENESS_MIN
    })
}

fn sections() -> impl Iterator<Item = String> {
    SETTINGS.iter().map(|setting| setting.section.to_owned())
}

fn find(place: &str, section: &str, key: &str) -> Result<&'static Setting, ConfigError> {
    SETTINGS
        .iter()
        .find(|setting| setting.section == section && setting.key == key)
        .ok_or_else(|| ConfigError::Key {
            place: place.to_owned(),
            section: section.to_owned(),
            name: key.to_owned(),
            nearest: match SETTINGS.iter().find(|setting| setting.key == key) {
                Some(elsewhere) => format!("it belongs below [{}]", elsewhere.section),
                None => nearest(
                    key,
                    SETTINGS
                        .iter()
                        .filter(|setting| setting.section == section)
                        .map(|setting| setting.key.to_owned()),
                ),
            },
        })
}

fn outside_section(place: String, name: &str) -> ConfigError {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == name) {
        return ConfigError::NoSection {
            place,
            name: name.to_owned(),
            section: setting.section.to_owned(),
        };
    }
    ConfigError::Section {
        place,
        name: name.to_owned(),
        nearest: nearest(name, sections()),
    }
}

/// Offers the known name most like the one given, or all of them.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> String {
    let mut known: Vec<String> = known.collect();
    known.dedup();
    let likeness = |other: &String| strsim::jaro_winkler(name, other);
    let best = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best {
        Some(best) if likeness(best) >= LIKENESS_MIN => format!("did you mean {best:?}?"),
        _ => format!("known are {}", known.join(", ")),
    }
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
