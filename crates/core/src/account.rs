//! Accounts: identified by the hash of their first public key.

use std::fmt;
use std::str::FromStr;

use bech32::{Bech32m, Hrp};
use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::crypto::PublicKey;
use crate::hash::{Domain, HASH_LEN, Suite};

/// Prefix of the written form, before the separator `1`.
pub const ACCOUNT_PREFIX: &str = "st";

/// Identity of an account for ever: the hash of its first public key, written `st1…` (bech32m).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub [u8; HASH_LEN]);

/// Why a text is not an account.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "not an account: {text:?} ({reason}); accounts look like st1… and are listed by `stele keys list`"
)]
pub struct AccountError {
    text: String,
    reason: String,
}

impl AccountId {
    /// The account whose first key is `key`.
    #[must_use]
    pub fn of_key(suite: Suite, key: &PublicKey) -> Self {
        Self(suite.hash(Domain::Account, &[&key.0]).0)
    }

    /// The account that owns the built-in tables; nobody can sign for it.
    pub const LEDGER: Self = Self([0; HASH_LEN]);
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32m>(Hrp::parse_unchecked(ACCOUNT_PREFIX), &self.0)
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AccountId {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| AccountError {
            text: text.chars().take(100).collect(),
            reason: reason.to_owned(),
        };
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|error| refuse(&error.to_string()))?;
        if checked.hrp().as_str() != ACCOUNT_PREFIX {
            return Err(refuse("the prefix is not st"));
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let id = bytes
            .try_into()
            .map_err(|_| refuse("it does not hold 32 bytes"))?;
        Ok(Self(id))
    }
}

impl Encode for AccountId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for AccountId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.array()?))
    }
}
