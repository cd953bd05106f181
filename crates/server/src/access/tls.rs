//! TLS of a listener, by rustls: versions 1.2 and 1.3.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, ServerConnection};
use tokio_rustls::{Accept, TlsAcceptor};
use webpki::EndEntityCert;
use x509_certificate::X509Certificate;

/// Longest file of certificates or keys, in bytes.
const FILE_LEN_MAX: u64 = 1024 * 1024;
/// Permissions of a file that give others than its owner something.
const OTHERS: u32 = 0o077;

/// A certificate, its key, and whose certificates are believed. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    scram: ScramServerAuth,
}

/// Why TLS cannot be set up; names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Others may read the key.
    #[error(
        "{path} can be read by others than its owner (mode {mode:04o}): run `chmod 600 {path}`"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{path} holds no {what} in PEM form{reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
        /// More, if known.
        reason: String,
    },
    /// Certificate and key do not go together, or cannot be used.
    #[error("the certificate {certificate} cannot be used with the key {key}: {reason}")]
    Pair {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Tls {
    /// Reads PEM files: the server's certificate followed by those between it and its root, the
    /// private key, and roots of client certificates. Clients may show a certificate then; none
    /// must.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(
        certificate: &Path,
        key: &Path,
        client_ca: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let secret = private_key(key)?;
        let provider = Arc::new(ring::default_provider());
        let pair = |reason: String| TlsError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(ALL_VERSIONS)
            .map_err(|error| pair(error.to_string()))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let unfit = |reason: String| TlsError::Content {
                    path: path.to_owned(),
                    what: "root certificate",
                    reason: format!(": {reason}"),
                };
                let mut roots = RootCertStore::empty();
                for root in certificates(path)? {
                    roots.add(root).map_err(|error| unfit(error.to_string()))?;
                }
                let clients =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| unfit(error.to_string()))?;
                builder.with_client_cert_verifier(clients)
            }
        };
        let mut scram = ScramServerAuth::new();
        if let Some(own) = chain.first() {
            // A signature algorithm without a digest of its own, such as Ed25519, has no binding.
            if let Err(error) = scram.configure_certificate(pem(own).as_bytes()) {
                tracing::info!(%error, "no channel binding with this certificate");
            }
        }
        let config = builder
            .with_single_cert(chain, secret)
            .map_err(|error| pair(error.to_string()))?;
        Ok(Self {
            config: Arc::new(config),
            scram,
        })
    }

    /// Begins a handshake with a client.
    pub(crate) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        TlsAcceptor::from(self.config.clone()).accept(stream)
    }

    /// The SCRAM server that knows the certificate.
    pub(crate) fn scram(&self) -> &ScramServerAuth {
        &self.scram
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

/// Names in the certificate a client has shown: the common name, then DNS names. It is verified.
pub(crate) fn client_names(connection: &ServerConnection) -> Vec<String> {
    let Some(shown) = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
    else {
        return Vec::new();
    };
    let Ok(certificate) = X509Certificate::from_der(shown.as_ref()) else {
        return Vec::new();
    };
    let mut names: Vec<String> = certificate.subject_common_name().into_iter().collect();
    if let Ok(certificate) = EndEntityCert::try_from(shown) {
        names.extend(certificate.valid_dns_names().map(str::to_owned));
    }
    names
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let content = |reason| TlsError::Content {
        path: path.to_owned(),
        what: "certificate",
        reason,
    };
    match read {
        Ok(all) if all.is_empty() => Err(content(String::new())),
        Ok(all) => Ok(all),
        Err(error) => Err(content(format!(": {error}"))),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    check_private(path)?;
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| TlsError::Content {
        path: path.to_owned(),
        what: "private key without a passphrase",
        reason: format!(": {error}"),
    })
}

/// Refuses a file that others than its owner may use.
fn check_private(path: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(TlsError::Open {
        path: path.to_owned(),
        mode,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut bytes = Vec::new();
    file.take(FILE_LEN_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> TlsError {
    TlsError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let encoded = STANDARD.encode(certificate);
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
