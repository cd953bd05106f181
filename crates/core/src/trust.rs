//! What an offline verifier pins: which ledger, and whose signatures make its certificates.
//!
//! Written as lines, in this order, each ended by a newline:
//!
//! ```text
//! stele-trust/v1
//! suite ed25519-sha256
//! ledger <64 hexadecimal characters>
//! origin <origin>
//! validator <vkey as in C2SP signed-note>      (one line a validator, sorted by name)
//! ```

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::genesis::Genesis;
use crate::hash::{Hash, Suite};
use crate::note::VerifierKey;
use crate::validators::{VALIDATORS_MAX, Validator, ValidatorSet};

/// Longest trust file, in bytes.
pub const TRUST_LEN_MAX: usize = 64 * 1024;

const FIRST_LINE: &str = "stele-trust/v1";
const SUITE: &str = "ed25519-sha256";

/// A pinned ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Algorithms.
    pub suite: Suite,
    /// The ledger's identity.
    pub ledger: Hash,
    /// Origin of its checkpoints.
    pub origin: String,
    /// Whose signatures count.
    pub validators: ValidatorSet,
}

/// Why a text is not a trust file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "not a trust file: {reason} (line {line}); `stele start` writes one as trust.txt in the data directory"
)]
pub struct TrustError {
    line: usize,
    reason: String,
}

impl Trust {
    /// What a ledger's genesis says of itself.
    #[must_use]
    pub fn of_genesis(genesis: &Genesis) -> Self {
        Self {
            suite: genesis.suite,
            ledger: genesis.ledger_id(),
            origin: genesis.origin.clone(),
            validators: genesis.validators.clone(),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        writeln!(f, "suite {SUITE}")?;
        writeln!(f, "ledger {}", self.ledger)?;
        writeln!(f, "origin {}", self.origin)?;
        for validator in self.validators.validators() {
            let key = VerifierKey::of_validator(&self.origin, validator).map_err(|_| fmt::Error)?;
            writeln!(f, "validator {key}")?;
        }
        Ok(())
    }
}

impl FromStr for Trust {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |line: usize, reason: &str| TrustError {
            line,
            reason: reason.to_owned(),
        };
        if text.len() > TRUST_LEN_MAX {
            return Err(refuse(1, "it is too long"));
        }
        let mut lines = text.lines().zip(1..);
        let mut field = |name: &str| -> Result<(String, usize), TrustError> {
            let (line, number) = lines.next().ok_or_else(|| refuse(0, "it ends too early"))?;
            let value = line
                .strip_prefix(name)
                .ok_or_else(|| refuse(number, &format!("expected {name:?}")))?;
            Ok((value.to_owned(), number))
        };
        field(FIRST_LINE)?;
        let (suite, number) = field("suite ")?;
        if suite != SUITE {
            return Err(refuse(number, "unknown suite"));
        }
        let (ledger, number) = field("ledger ")?;
        let ledger = Hash::from_hex(&ledger)
            .ok_or_else(|| refuse(number, "the ledger id is not 64 hexadecimal characters"))?;
        let (origin, _) = field("origin ")?;
        let mut validators = Vec::new();
        for (line, number) in lines {
            if validators.len() >= VALIDATORS_MAX {
                return Err(refuse(number, "too many validators"));
            }
            let vkey = line
                .strip_prefix("validator ")
                .ok_or_else(|| refuse(number, "expected \"validator \""))?;
            let key: VerifierKey = vkey
                .parse()
                .map_err(|error| refuse(number, &format!("{error}")))?;
            let name = key
                .name()
                .strip_prefix(&origin)
                .and_then(|rest| rest.strip_prefix("/v/"))
                .ok_or_else(|| refuse(number, "the key's name is not <origin>/v/<name>"))?;
            validators.push(Validator {
                name: name.to_owned(),
                key: key.key(),
            });
        }
        let validators =
            ValidatorSet::new(validators).map_err(|error| refuse(5, &error.to_string()))?;
        let trust = Self {
            suite: Suite::Ed25519Sha256,
            ledger,
            origin,
            validators,
        };
        // One trust file a ledger: verifiers in any language accept the same bytes.
        let written = trust.to_string();
        if written == text {
            return Ok(trust);
        }
        let same = written
            .split('\n')
            .zip(text.split('\n'))
            .take_while(|(a, b)| a == b)
            .count();
        Err(refuse(
            same + 1,
            "the line is not in its one form: copy the file unchanged",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    #[test]
    fn reads_back_what_it_writes() {
        let trust = Trust {
            suite: Suite::default(),
            ledger: Hash([3; 32]),
            origin: "ledger.example.org/trade".to_owned(),
            validators: ValidatorSet::new(vec![Validator {
                name: "one".to_owned(),
                key: SecretKey::from_seed(&[1; 32]).public(),
            }])
            .unwrap(),
        };
        let text = trust.to_string();
        assert_eq!(text.parse::<Trust>().unwrap(), trust);
        for cut in 0..text.len() {
            let _ = text[..cut].parse::<Trust>();
        }
        for (from, to) in [
            ("/v/one", "/x/one"),
            ("v1\n", "v12\n"),
            ("\n", "\r\n"),
            ("ledger 03", "ledger  03"),
        ] {
            let other = text.replacen(from, to, 1);
            assert!(other.parse::<Trust>().is_err(), "{other}");
        }
        let cut = text.trim_end();
        let error = cut.parse::<Trust>().unwrap_err();
        assert!(error.to_string().contains("line 6"), "{error}");
    }
}
