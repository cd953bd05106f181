//! The data directory: what lies where, and how a ledger is made in an empty one.
//!
//! ```text
//! format            version of this layout; another version is refused by name
//! LOCK              held while a node runs on the directory
//! genesis           the ledger's identity document; written last, so its presence means the rest is there
//! trust.txt         what an offline verifier pins
//! keys/<name>.key   keys of local users, the operator's among them
//! replicas/         databases that mirror tables: what each is to be, and its password
//! snapshots/        states that restores begin from
//! engine/           of one of several validators: its votes, and blocks that are not applied yet
//! validator.key     the key that signs checkpoints
//! segments/         blocks and effects: the only files that cannot be made again
//! index/            look-ups, derived from the segments
//! log/              tile files of the log, derived from the segments
//! state.db          rows, state tree and history, derived from the segments
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stele_core::crypto::SecretKey;
use stele_core::genesis::{Genesis, Limits, ORIGIN_LEN_MAX};
use stele_core::note::SignerKey;
use stele_core::trust::Trust;
use stele_core::validators::{Validator, ValidatorSet};
use stele_core::{Decode, Encode, Suite};
use stele_flow::{FileError, FileLock, Files, Runtime};
use zeroize::Zeroize;

use crate::error::NodeError;
use crate::followed::Server;
use crate::keys::{KeyStore, OPERATOR};
use crate::recover::STATE_FILE;

/// Content of the file `format`.
const FORMAT: &str = "stele data directory, format 1\n";
/// Name of the first validator of a ledger.
pub const FIRST_VALIDATOR: &str = "one";
/// Name of the key made when a copy of a ledger is begun.
pub const FOLLOWER_KEY: &str = "me";
/// What an offline verifier pins.
const TRUST: &str = "trust.txt";
/// What may lie in a directory before a ledger is made in it: what `stele keys new` and a start that
/// was cut short leave, and what a file system puts at its top. Segments are refused by another name.
const OWN_NAMES: [&str; 9] = [
    "LOCK",
    "format",
    "index",
    "keys",
    "log",
    "lost+found",
    "segments",
    TRUST,
    VALIDATOR_KEY,
];
/// Most names an error lists.
const NAMES_SHOWN_MAX: usize = 5;
/// File of the key that signs checkpoints.
const VALIDATOR_KEY: &str = "validator.key";
/// The rules this program executes blocks by.
pub const EXECUTION_VERSION: u32 = 1;

/// An opened data directory.
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// The ledger.
    pub genesis: Genesis,
    /// Keys of local users.
    pub keys: KeyStore,
    /// Whether this call made the ledger.
    pub created: bool,
    /// Held while the directory is open.
    pub lock: Box<dyn FileLock>,
}

impl From<FileError> for NodeError {
    fn from(error: FileError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl Directory {
    /// Opens the ledger of a directory, or makes one named `origin` if there is none; and gives what
    /// signs its checkpoints.
    ///
    /// # Errors
    /// When another process uses it, it is of another format, it follows a ledger that others order,
    /// or a file cannot be read or written.
    pub fn open(
        path: &Path,
        origin: &str,
        runtime: &Runtime,
    ) -> Result<(Self, SignerKey), NodeError> {
        let files = runtime.files.clone();
        let genesis_path = path.join("genesis");
        if inspect(&files, path)? == Found::NoLedger {
            check_origin(origin)?;
        }
        let (lock, keys) = take(path, runtime)?;
        let created = !files.exists(&genesis_path)?;
        if !created && !files.exists(&path.join(VALIDATOR_KEY))? {
            return Err(NodeError::Invalid(format!(
                "{} holds no {VALIDATOR_KEY}: if it is a copy kept by `stele proxy`, start that; else restore the key",
                path.display()
            )));
        }
        let secret = validator_key(&files, path, runtime)?;
        if created {
            refuse_remains(&files, path)?;
            let operator = match keys.get(OPERATOR) {
                Some(key) => key,
                None => keys.create(OPERATOR, runtime)?,
            };
            let validators = ValidatorSet::new(vec![Validator {
                name: FIRST_VALIDATOR.to_owned(),
                key: secret.public(),
            }])
            .map_err(|error| NodeError::Invalid(error.to_string()))?;
            let genesis = make_genesis(origin, validators, operator.public(), runtime);
            write_trust(&files, path, &Trust::of_genesis(&genesis))?;
            files.replace(&genesis_path, &genesis.encode_to_vec())?;
        }
        let genesis = read_genesis(&files, path)?;
        keep_trust(&files, path, &Trust::of_genesis(&genesis))?;
        let mut validators = genesis.validators.validators().iter();
        let own = validators.find(|validator| validator.key == secret.public());
        let Some(own) = own else {
            return Err(NodeError::Invalid(format!(
                "{} is not the key the ledger was made with: restore the right one",
                path.join(VALIDATOR_KEY).display()
            )));
        };
        let signer = SignerKey::of_validator(&genesis.origin, &own.name, secret)
            .map_err(|error| NodeError::Invalid(error.to_string()))?;
        let directory = Self {
            path: path.to_owned(),
            genesis,
            keys,
            created,
            lock,
        };
        Ok((directory, signer))
    }

    /// The key a directory signs with.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn validator_secret(path: &Path, runtime: &Runtime) -> Result<SecretKey, NodeError> {
        validator_key(&runtime.files, path, runtime)
    }

    /// Makes a ledger that several validators order, in an empty directory for each. All of them know the operator's key.
    ///
    /// # Errors
    /// When an origin or name is none, a directory is not empty, or a file cannot be written.
    pub fn found(
        origin: &str,
        members: &[(String, PathBuf)],
        runtime: &Runtime,
    ) -> Result<Genesis, NodeError> {
        check_origin(origin)?;
        let files = runtime.files.clone();
        let mut operator: Option<Vec<u8>> = None;
        let mut validators = Vec::new();
        let mut operator_key = None;
        for (name, path) in members {
            if inspect(&files, path)? == Found::Ledger {
                return Err(NodeError::Invalid(format!(
                    "{} holds a ledger already: name a directory that is empty or not there yet",
                    path.display()
                )));
            }
            let (_lock, keys) = take(path, runtime)?;
            refuse_remains(&files, path)?;
            let secret = validator_key(&files, path, runtime)?;
            validators.push(Validator {
                name: name.clone(),
                key: secret.public(),
            });
            let file = path.join("keys").join(format!("{OPERATOR}.key"));
            match &operator {
                None => {
                    let key = match keys.get(OPERATOR) {
                        Some(key) => key,
                        None => keys.create(OPERATOR, runtime)?,
                    };
                    operator_key = Some(key.public());
                    operator = Some(files.read(&file)?);
                }
                Some(text) => files.replace(&file, text)?,
            }
        }
        let validators =
            ValidatorSet::new(validators).map_err(|error| NodeError::Invalid(error.to_string()))?;
        let operator = operator_key
            .ok_or_else(|| NodeError::Invalid("a ledger needs a validator".to_owned()))?;
        let genesis = make_genesis(origin, validators, operator, runtime);
        for (_, path) in members {
            write_trust(&files, path, &Trust::of_genesis(&genesis))?;
            files.replace(&path.join("genesis"), &genesis.encode_to_vec())?;
        }
        Ok(genesis)
    }

    /// Opens the copy of a ledger that others order, or begins one with the genesis the server gives,
    /// which must be that of the pinned ledger.
    ///
    /// # Errors
    /// As [`Self::open`]; and when directory, server and pinned ledger do not fit.
    pub fn open_followed(
        path: &Path,
        trust: &Trust,
        server: &dyn Server,
        runtime: &Runtime,
    ) -> Result<Self, NodeError> {
        let files = runtime.files.clone();
        inspect(&files, path)?;
        let (lock, keys) = take(path, runtime)?;
        if files.exists(&path.join(VALIDATOR_KEY))? {
            return Err(NodeError::Invalid(format!(
                "{} is the directory of a node that orders a ledger itself: give this one its own with --dir",
                path.display()
            )));
        }
        let genesis_path = path.join("genesis");
        let created = !files.exists(&genesis_path)?;
        if created {
            refuse_remains(&files, path)?;
            let bytes = server.genesis()?;
            let genesis = Genesis::decode_all(&bytes).map_err(|error| {
                NodeError::Invalid(format!("{} gives no genesis: {error}", server.name()))
            })?;
            check_pinned(&genesis, trust, &server.name())?;
            write_trust(&files, path, trust)?;
            files.replace(&genesis_path, &bytes)?;
        }
        let genesis = read_genesis(&files, path)?;
        check_pinned(&genesis, trust, &path.display().to_string())?;
        keep_trust(&files, path, trust)?;
        if keys.list().is_empty() {
            keys.create(FOLLOWER_KEY, runtime)?;
        }
        Ok(Self {
            path: path.to_owned(),
            genesis,
            keys,
            created,
            lock,
        })
    }
}

/// What lies in a directory before anything is made there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Ledger,
    NoLedger,
}

/// Looks at a directory without changing it.
///
/// # Errors
/// When it is no directory, or holds no ledger but something else than what comes before the first
/// start: files of others must not be mixed with a ledger's.
fn inspect(files: &Arc<dyn Files>, path: &Path) -> Result<Found, NodeError> {
    if !files.exists(path)? {
        return Ok(Found::NoLedger);
    }
    let names = files
        .list(path)
        .map_err(|error| match error.source.kind() {
            std::io::ErrorKind::NotADirectory => NodeError::Invalid(format!(
                "{} is a file: name a directory with --dir, one that is empty or not there yet",
                path.display()
            )),
            _ => error.into(),
        })?;
    if names.iter().any(|name| name == "genesis") {
        return Ok(Found::Ledger);
    }
    let foreign: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !OWN_NAMES.contains(name) && !name.starts_with(STATE_FILE))
        .collect();
    if foreign.is_empty() {
        return Ok(Found::NoLedger);
    }
    let shown = foreign.iter().take(NAMES_SHOWN_MAX);
    let mut shown = shown.copied().collect::<Vec<_>>().join(", ");
    if foreign.len() > NAMES_SHOWN_MAX {
        shown.push_str(&format!(" and {} more", foreign.len() - NAMES_SHOWN_MAX));
    }
    Err(NodeError::Invalid(format!(
        "{} holds no ledger but other things ({shown}): name a directory of its own with --dir, one that is empty or not there yet",
        path.display()
    )))
}

/// Writes the trust file of a copy that was restored without it, as `stele verify` looks for it here; one that
/// is there must be that of the ledger, or its owner would give away another.
fn keep_trust(files: &Arc<dyn Files>, path: &Path, trust: &Trust) -> Result<(), NodeError> {
    let file = path.join(TRUST);
    if !files.exists(&file)? {
        return write_trust(files, path, trust);
    }
    let bytes = files.read(&file)?;
    let differs = match std::str::from_utf8(&bytes).map(str::parse::<Trust>) {
        Ok(Ok(found)) if found == *trust => return Ok(()),
        Ok(Ok(found)) if found.ledger == trust.ledger => {
            "names other validators or another origin".to_owned()
        }
        Ok(Ok(found)) => format!("is of ledger {} ({})", found.ledger, found.origin),
        Ok(Err(error)) => format!("does not read: {error}"),
        Err(error) => format!("is not text: {error}"),
    };
    Err(NodeError::Invalid(format!(
        "{} was changed: it {differs}, and the ledger here is {} ({}); remove the file and start, it is written anew",
        file.display(),
        trust.ledger,
        trust.origin
    )))
}

fn write_trust(files: &Arc<dyn Files>, path: &Path, trust: &Trust) -> Result<(), NodeError> {
    Ok(files.replace(&path.join(TRUST), trust.to_string().as_bytes())?)
}

/// Locks a directory of the right format and opens its keys.
fn take(path: &Path, runtime: &Runtime) -> Result<(Box<dyn FileLock>, KeyStore), NodeError> {
    let files = &runtime.files;
    files.create_dir(path)?;
    let lock = files.lock(
        &path.join("LOCK"),
        &format!("stele node, process {}", std::process::id()),
    )?;
    check_format(files, path)?;
    let keys = KeyStore::open(files.clone(), &path.join("keys"), Suite::default())?;
    Ok((lock, keys))
}

fn check_pinned(genesis: &Genesis, trust: &Trust, whose: &str) -> Result<(), NodeError> {
    if Trust::of_genesis(genesis) == *trust {
        return Ok(());
    }
    Err(NodeError::Invalid(format!(
        "{whose} is of ledger {} ({}), pinned is {} ({}): take the trust file of the right ledger, or name its server",
        genesis.ledger_id(),
        genesis.origin,
        trust.ledger,
        trust.origin
    )))
}

/// Reads the identity document of a data directory.
///
/// # Errors
/// When it is not there or does not decode.
pub fn read_genesis(files: &Arc<dyn Files>, path: &Path) -> Result<Genesis, NodeError> {
    let path = path.join("genesis");
    let bytes = files.read(&path)?;
    Genesis::decode_all(&bytes).map_err(|error| {
        NodeError::Storage(format!(
            "{} is damaged: {error}; restore it from a copy (segments/00000001.seg holds it as its first record)",
            path.display()
        ))
    })
}

/// Refuses a data directory of another format.
///
/// # Errors
/// When its `format` file says another version.
pub fn check_format(files: &Arc<dyn Files>, path: &Path) -> Result<(), NodeError> {
    let file = path.join("format");
    if !files.exists(&file)? {
        return Ok(files.replace(&file, FORMAT.as_bytes())?);
    }
    let found = files.read(&file)?;
    if found == FORMAT.as_bytes() {
        return Ok(());
    }
    let found: String = String::from_utf8_lossy(&found).chars().take(80).collect();
    Err(NodeError::Invalid(format!(
        "{} says {:?}, this program reads {:?}: use the program version that wrote it, or another directory",
        file.display(),
        found.trim_end(),
        FORMAT.trim_end()
    )))
}

fn refuse_remains(files: &Arc<dyn Files>, path: &Path) -> Result<(), NodeError> {
    let segments = path.join("segments");
    if files.exists(&segments)? && !files.list(&segments)?.is_empty() {
        return Err(NodeError::Invalid(format!(
            "{} holds segments but no genesis file: restore `genesis` from a copy, or use an empty directory",
            path.display()
        )));
    }
    Ok(())
}

fn validator_key(
    files: &Arc<dyn Files>,
    path: &Path,
    runtime: &Runtime,
) -> Result<SecretKey, NodeError> {
    let path = path.join(VALIDATOR_KEY);
    let mut seed = [0; 32];
    if files.exists(&path)? {
        let mut text = files.read(&path)?;
        let decoded = hex::decode_to_slice(text.trim_ascii(), &mut seed);
        text.zeroize();
        decoded.map_err(|_| {
            NodeError::Invalid(format!(
                "{} is not a key: it must hold 64 hexadecimal characters; restore it",
                path.display()
            ))
        })?;
    } else {
        runtime.random.fill(&mut seed);
        let mut text = hex::encode(seed);
        let written = files.replace(&path, text.as_bytes());
        text.zeroize();
        written?;
    }
    let key = SecretKey::from_seed(&seed);
    seed.zeroize();
    Ok(key)
}

/// That a ledger may have this name.
fn check_origin(origin: &str) -> Result<(), NodeError> {
    let fits = origin.len() <= ORIGIN_LEN_MAX
        && stele_core::note::is_key_name(origin)
        && !origin.contains("://");
    if !fits {
        return Err(NodeError::Invalid(format!(
            "{origin:?} cannot be an origin: 1 to {ORIGIN_LEN_MAX} bytes without spaces, control characters, '+' or a scheme, such as ledger.example.org/trade"
        )));
    }
    Ok(())
}

fn make_genesis(
    origin: &str,
    validators: ValidatorSet,
    operator: stele_core::crypto::PublicKey,
    runtime: &Runtime,
) -> Genesis {
    let mut nonce = [0; 16];
    runtime.random.fill(&mut nonce);
    Genesis {
        suite: Suite::default(),
        origin: origin.to_owned(),
        created_us: runtime.clock.now_us(),
        nonce,
        validators,
        operator,
        execution_version: EXECUTION_VERSION,
        limits: Limits::default(),
    }
}
