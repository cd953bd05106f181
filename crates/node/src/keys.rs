//! The node's key store: names of local users and the secret keys that sign for them.
//!
//! One file a key, `keys/<name>.key`, 64 hexadecimal characters, readable by its owner only.
//! Secrets never leave this module except as signatures. Beside it, in `keys/<name>.scram`, lies what
//! checks the user's password, if he has one: a line that the server makes and reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use stele_core::crypto::{PublicKey, SecretKey};
use stele_core::{AccountId, Suite};
use stele_flow::{FileError, Files, Runtime};
use zeroize::Zeroize;

use crate::error::NodeError;

/// Most keys a store holds.
pub const KEYS_MAX: usize = 100_000;
/// Longest name, in bytes.
pub const KEY_NAME_LEN_MAX: usize = 63;
/// Longest line that checks a password, in bytes.
pub const VERIFIER_LEN_MAX: usize = 1_024;
/// The name of the key made when a ledger is created.
pub const OPERATOR: &str = "operator";

/// Names and keys. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct KeyStore {
    files: Arc<dyn Files>,
    directory: PathBuf,
    suite: Suite,
    keys: Arc<RwLock<BTreeMap<String, Arc<LocalKey>>>>,
}

/// A key of the store.
pub struct LocalKey {
    /// Its name.
    pub name: String,
    /// The account whose first key it is.
    pub account: AccountId,
    secret: SecretKey,
}

impl LocalKey {
    /// The secret, to sign with.
    #[must_use]
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.secret.public()
    }
}

impl KeyStore {
    /// Loads all keys of a directory, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be read, or a file in it is not a key.
    pub fn open(files: Arc<dyn Files>, directory: &Path, suite: Suite) -> Result<Self, NodeError> {
        let store = Self {
            files,
            directory: directory.to_owned(),
            suite,
            keys: Arc::new(RwLock::new(BTreeMap::new())),
        };
        store
            .files
            .create_dir(directory)
            .map_err(|error| NodeError::Storage(error.to_string()))?;
        let names = store
            .files
            .list(directory)
            .map_err(|error| NodeError::Storage(error.to_string()))?;
        for file in names {
            if let Some(name) = file.strip_suffix(".key") {
                store.load(name)?;
            }
        }
        Ok(store)
    }

    /// The key of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<LocalKey>> {
        self.keys.read().get(name).cloned()
    }

    /// The key of that name, or one added to the directory since the store was opened.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, name: &str) -> Result<Arc<LocalKey>, NodeError> {
        if let Some(key) = self.get(name) {
            return Ok(key);
        }
        if check_name(name).is_ok()
            && self.load(name).is_ok()
            && let Some(key) = self.get(name)
        {
            return Ok(key);
        }
        Err(NodeError::NotFound {
            what: format!("key {name:?}"),
            hint: format!(
                "the key store has {}; `stele keys new {name}` makes one",
                self.names()
            ),
        })
    }

    /// All keys by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<LocalKey>> {
        self.keys.read().values().cloned().collect()
    }

    /// Makes a key and stores it durably.
    ///
    /// # Errors
    /// When the name is taken or unfit, or the file cannot be written.
    pub fn create(&self, name: &str, runtime: &Runtime) -> Result<Arc<LocalKey>, NodeError> {
        let mut seed = [0; 32];
        runtime.random.fill(&mut seed);
        let made = self.import(name, &seed);
        seed.zeroize();
        made
    }

    /// Stores a key made elsewhere.
    ///
    /// # Errors
    /// When the name is taken or unfit, or the file cannot be written.
    pub fn import(&self, name: &str, seed: &[u8; 32]) -> Result<Arc<LocalKey>, NodeError> {
        check_name(name)?;
        let path = self.path(name);
        let taken = self
            .files
            .exists(&path)
            .map_err(|error| NodeError::Storage(error.to_string()))?;
        if taken {
            return Err(NodeError::Invalid(format!(
                "a key named {name:?} is there already ({}); choose another name",
                path.display()
            )));
        }
        if self.keys.read().len() >= KEYS_MAX {
            return Err(NodeError::Invalid(format!(
                "the key store is full ({KEYS_MAX} keys)"
            )));
        }
        let mut text = hex::encode(seed);
        let written = self.files.replace(&path, text.as_bytes());
        text.zeroize();
        written.map_err(|error| NodeError::Storage(error.to_string()))?;
        Ok(self.insert(name, seed))
    }

    /// The line that checks a user's password, if he has one. Read from the disk each time, so that
    /// a change counts at once.
    ///
    /// # Errors
    /// When it cannot be read or is no such line.
    pub fn password_verifier(&self, name: &str) -> Result<Option<String>, NodeError> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        let path = self.verifier_path(name);
        let failed = |error: FileError| NodeError::Storage(error.to_string());
        if !self.files.exists(&path).map_err(failed)? {
            return Ok(None);
        }
        let bytes = self.files.read(&path).map_err(failed)?;
        match String::from_utf8(bytes) {
            Ok(line) if line.len() <= VERIFIER_LEN_MAX => Ok(Some(line)),
            _ => Err(NodeError::Storage(format!(
                "{} does not hold what checks a password: set the password anew with `stele keys password {name}`",
                path.display()
            ))),
        }
    }

    /// Keeps the line that checks a user's password; none takes his password away.
    ///
    /// # Errors
    /// When the user has no key, or the file cannot be written.
    pub fn set_password_verifier(&self, name: &str, line: Option<&str>) -> Result<(), NodeError> {
        let key = self.find(name)?;
        let path = self.verifier_path(&key.name);
        let failed = |error: FileError| NodeError::Storage(error.to_string());
        match line {
            Some(line) => self.files.replace(&path, line.as_bytes()).map_err(failed),
            None if self.files.exists(&path).map_err(failed)? => {
                self.files.remove(&path).map_err(failed)?;
                self.files.sync_dir(&self.directory).map_err(failed)
            }
            None => Ok(()),
        }
    }

    fn verifier_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.scram"))
    }

    fn names(&self) -> String {
        let keys = self.keys.read();
        if keys.is_empty() {
            return "no keys".to_owned();
        }
        let shown: Vec<&str> = keys.keys().take(8).map(String::as_str).collect();
        shown.join(", ")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.key"))
    }

    fn load(&self, name: &str) -> Result<(), NodeError> {
        let path = self.path(name);
        let mut bytes = self
            .files
            .read(&path)
            .map_err(|error| NodeError::Storage(error.to_string()))?;
        let mut seed = [0; 32];
        let decoded = hex::decode_to_slice(bytes.trim_ascii(), &mut seed);
        bytes.zeroize();
        decoded.map_err(|_| {
            NodeError::Invalid(format!(
                "{} is not a key: it must hold 64 hexadecimal characters; move it away or restore it",
                path.display()
            ))
        })?;
        self.insert(name, &seed);
        seed.zeroize();
        Ok(())
    }

    fn insert(&self, name: &str, seed: &[u8; 32]) -> Arc<LocalKey> {
        let secret = SecretKey::from_seed(seed);
        let key = Arc::new(LocalKey {
            name: name.to_owned(),
            account: AccountId::of_key(self.suite, &secret.public()),
            secret,
        });
        self.keys.write().insert(name.to_owned(), key.clone());
        key
    }
}

fn check_name(name: &str) -> Result<(), NodeError> {
    let fits = !name.is_empty()
        && name.len() <= KEY_NAME_LEN_MAX
        && !name.starts_with(['-', '.'])
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.@".contains(&b));
    if fits {
        Ok(())
    } else {
        Err(NodeError::Invalid(format!(
            "{name:?} cannot name a key: 1 to {KEY_NAME_LEN_MAX} of a-z, 0-9, _ - . @, not starting with - or ."
        )))
    }
}
