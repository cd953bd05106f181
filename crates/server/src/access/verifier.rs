//! What is kept of a password (RFC 5802, RFC 7677), as PostgreSQL writes it:
//! `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, binary parts in base64.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{ScramSecret, gen_salted_password};
use stele_flow::Random;

/// Longest password, in bytes.
pub const PASSWORD_LEN_MAX: usize = 1_024;
/// Iterations of a new verifier; PostgreSQL's own number, and the least RFC 7677 allows.
const ITERATIONS: usize = 4_096;
/// Most iterations that are taken: what a login costs this node over HTTP is bounded by them.
const ITERATIONS_MAX: usize = 1_000_000;
const SALT_LEN: usize = 16;
const SALT_LEN_MAX: usize = 64;
const KEY_LEN: usize = 32;
const MECHANISM: &str = "SCRAM-SHA-256";

/// Checks a password without holding it.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    salt: Vec<u8>,
    iterations: usize,
    stored_key: [u8; KEY_LEN],
    server_key: [u8; KEY_LEN],
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It has no characters.
    #[error("the password is empty")]
    Empty,
    /// It is too long.
    #[error("the password is longer than {PASSWORD_LEN_MAX} bytes")]
    Long,
    /// It holds what no client can send.
    #[error("the password holds a zero or a line break")]
    Unfit,
}

impl Verifier {
    /// The verifier of a new password.
    ///
    /// # Errors
    /// When the password is empty, too long, or holds a control character no client sends.
    pub fn of_password(password: &str, random: &dyn Random) -> Result<Self, PasswordError> {
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        if password.len() > PASSWORD_LEN_MAX {
            return Err(PasswordError::Long);
        }
        if password.contains(['\0', '\n', '\r']) {
            return Err(PasswordError::Unfit);
        }
        let mut salt = [0; SALT_LEN];
        random.fill(&mut salt);
        let (stored_key, server_key) = derive(password, &salt, ITERATIONS);
        Ok(Self {
            salt: salt.to_vec(),
            iterations: ITERATIONS,
            stored_key,
            server_key,
        })
    }

    /// A verifier with a given salt whose keys are random.
    pub(super) fn unfitting(salt: &[u8; 32], random: &dyn Random) -> Self {
        let (mut stored_key, mut server_key) = ([0; KEY_LEN], [0; KEY_LEN]);
        random.fill(&mut stored_key);
        random.fill(&mut server_key);
        Self {
            salt: salt.iter().take(SALT_LEN).copied().collect(),
            iterations: ITERATIONS,
            stored_key,
            server_key,
        }
    }

    /// Reads what [`Verifier::to_text`] wrote, or PostgreSQL.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix(MECHANISM)?.strip_prefix('$')?;
        let (head, keys) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| <[u8; KEY_LEN]>::try_from(STANDARD.decode(text).ok()?).ok();
        let verifier = Self {
            salt: STANDARD.decode(salt).ok()?,
            iterations: iterations.parse().ok()?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        };
        let fits = (ITERATIONS..=ITERATIONS_MAX).contains(&verifier.iterations)
            && (8..=SALT_LEN_MAX).contains(&verifier.salt.len());
        fits.then_some(verifier)
    }

    /// The line that is kept.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{MECHANISM}${}:{}${}:{}\n",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }

    /// Whether it is the verifier of that password. Takes about a millisecond of computing.
    #[must_use]
    pub fn fits(&self, password: &str) -> bool {
        if password.len() > PASSWORD_LEN_MAX {
            return false;
        }
        let (stored_key, _) = derive(password, &self.salt, self.iterations);
        // In constant time, though only digests are compared.
        let differing = stored_key
            .iter()
            .zip(&self.stored_key)
            .fold(0, |all, (a, b)| all | (a ^ b));
        differing == 0
    }

    pub(super) fn secret(&self) -> ScramSecret {
        ScramSecret::Verifier {
            salt: self.salt.clone(),
            iterations: self.iterations,
            stored_key: self.stored_key.to_vec(),
            server_key: self.server_key.to_vec(),
        }
    }
}

/// Nothing of it is shown: a log is no place for it.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

/// The stored key and the server key of a password.
fn derive(password: &str, salt: &[u8], iterations: usize) -> ([u8; KEY_LEN], [u8; KEY_LEN]) {
    let salted = gen_salted_password(password, salt, iterations);
    let secret = ScramSecret::verifier_from_salted_password(salt.to_vec(), salted, iterations);
    let ScramSecret::Verifier {
        stored_key,
        server_key,
        ..
    } = secret
    else {
        return ([0; KEY_LEN], [0; KEY_LEN]);
    };
    let key = |bytes: Vec<u8>| bytes.try_into().unwrap_or([0; KEY_LEN]);
    (key(stored_key), key(server_key))
}

#[cfg(test)]
mod tests {
    use stele_flow::real::SystemRandom;

    use super::*;

    #[test]
    fn the_verifier_of_a_password_fits_it_and_no_other() {
        let verifier = Verifier::of_password("pencil", &SystemRandom).unwrap();
        assert!(verifier.fits("pencil"));
        assert!(!verifier.fits("pencils"));
        assert!(!verifier.fits(""));
        let read = Verifier::parse(&verifier.to_text()).unwrap();
        assert!(read == verifier);
        let other = Verifier::of_password("pencil", &SystemRandom).unwrap();
        assert_ne!(verifier.to_text(), other.to_text());
        assert!(!format!("{verifier:?}").contains(&STANDARD.encode(verifier.stored_key)));
    }

    #[test]
    fn it_is_what_postgresql_keeps() {
        // From PostgreSQL 15: CREATE ROLE u PASSWORD 'pencil'.
        let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert!(Verifier::parse(text).unwrap().fits("pencil"));
    }

    #[test]
    fn damage_and_unfit_passwords_are_refused() {
        let text = Verifier::of_password("x", &SystemRandom).unwrap().to_text();
        for damaged in [
            String::new(),
            text.replace("SHA-256", "SHA-1"),
            text.replace("4096", "4095"),
            text.replace("4096", "99999999999"),
            text.replace(':', ""),
            text.chars().take(text.len() - 8).collect(),
        ] {
            assert!(Verifier::parse(&damaged).is_none(), "{damaged}");
        }
        for (password, error) in [
            (String::new(), PasswordError::Empty),
            ("a\nb".to_owned(), PasswordError::Unfit),
            ("a".repeat(PASSWORD_LEN_MAX + 1), PasswordError::Long),
        ] {
            assert_eq!(
                Verifier::of_password(&password, &SystemRandom).unwrap_err(),
                error
            );
        }
    }
}
