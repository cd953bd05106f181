//! The validators of a ledger: who signs its checkpoints, and how many make a quorum.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list};
use crate::crypto::PublicKey;
use crate::hash::{Domain, Hash, Suite};

#[cfg(test)]
mod tests;

/// Most validators in a set.
pub const VALIDATORS_MAX: usize = 100;

/// Longest validator name in bytes.
pub const VALIDATOR_NAME_LEN_MAX: usize = 63;

/// Version byte of an encoded set.
const VALIDATOR_SET_VERSION: u8 = 1;

/// One validator: a name of its own in the ledger, and the key it signs checkpoints with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// 1 to 63 bytes of `a`-`z`, `0`-`9`, `-`, `_` and `.`.
    pub name: String,
    /// Signs checkpoints.
    pub key: PublicKey,
}

/// The validators in force at a time: at least one, sorted by name, no name and no key twice.
///
/// Encoded as version `1`, then a counted list of (name as length-prefixed text, key as 32 bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet(Vec<Validator>);

/// Why validators make no set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValidatorSetError {
    /// Nobody is in it.
    #[error("a validator set needs at least one validator")]
    Empty,
    /// Too many are in it.
    #[error("{found} validators are more than the {VALIDATORS_MAX} a set can have")]
    TooMany {
        /// How many were given.
        found: usize,
    },
    /// A name has the wrong form.
    #[error(
        "'{name}' is no validator name: it needs 1 to {VALIDATOR_NAME_LEN_MAX} characters of a-z, 0-9, \
         '-', '_' and '.'"
    )]
    Name {
        /// The name, cut after its first characters.
        name: String,
    },
    /// Two validators share a name.
    #[error("two validators are named '{name}': names must differ")]
    SameName {
        /// The name.
        name: String,
    },
    /// Two validators share a key, which would give its holder two votes.
    #[error("validator '{name}' has the key of another: every validator needs a key of its own")]
    SameKey {
        /// The second one's name.
        name: String,
    },
}

impl Validator {
    /// Whether a text can name a validator.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        (1..=VALIDATOR_NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(allowed)
    }
}

impl ValidatorSet {
    /// The set of these validators, in any order.
    ///
    /// # Errors
    /// When there are none or too many, a name has the wrong form, or a name or key is there twice.
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if validators.len() > VALIDATORS_MAX {
            return Err(ValidatorSetError::TooMany {
                found: validators.len(),
            });
        }
        validators.sort_by(|a, b| a.name.cmp(&b.name));
        let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for validator in &validators {
            let name = || {
                validator
                    .name
                    .chars()
                    .take(VALIDATOR_NAME_LEN_MAX)
                    .collect()
            };
            if !Validator::is_name(&validator.name) {
                return Err(ValidatorSetError::Name { name: name() });
            }
            if !names.insert(&validator.name) {
                return Err(ValidatorSetError::SameName { name: name() });
            }
            if !keys.insert(validator.key) {
                return Err(ValidatorSetError::SameKey { name: name() });
            }
        }
        Ok(Self(validators))
    }

    /// The validators, sorted by name.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.0
    }

    /// The validator of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Validator> {
        let place = self
            .0
            .binary_search_by(|validator| validator.name.as_str().cmp(name))
            .ok()?;
        self.0.get(place)
    }

    /// How many signatures make a certificate: `n - f` where `f = (n - 1) / 3` may be faulty.
    ///
    /// With `n = 3f + 1` that is 2f + 1. Two quorums always share more than `f` validators.
    #[must_use]
    pub fn quorum(&self) -> usize {
        let n = self.0.len();
        n - n.saturating_sub(1) / 3
    }

    /// Hash of the set, as block leaves carry it.
    #[must_use]
    pub fn hash(&self, suite: Suite) -> Hash {
        suite.hash_of(Domain::ValidatorSet, self)
    }
}

impl Encode for Validator {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        self.key.encode(out);
    }
}

impl Decode for Validator {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: reader.text("validator name", VALIDATOR_NAME_LEN_MAX)?,
            key: PublicKey::decode(reader)?,
        })
    }
}

impl Encode for ValidatorSet {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VALIDATOR_SET_VERSION);
        put_list(out, &self.0);
    }
}

impl Decode for ValidatorSet {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("validator set version", VALIDATOR_SET_VERSION)?;
        let validators: Vec<Validator> = reader.list("validators", VALIDATORS_MAX)?;
        if !validators.is_sorted_by(|a, b| a.name < b.name) {
            return Err(DecodeError::Invalid("validators are not sorted by name"));
        }
        Self::new(validators).map_err(|_| {
            DecodeError::Invalid("a validator set is empty, or has a bad name or a key twice")
        })
    }
}
