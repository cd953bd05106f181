//! TLS to a server on another machine: its certificate must be signed by a known authority and name the host.

use std::path::Path;
use std::sync::Arc;

use stele_flow::{SinkError, SinkErrorKind};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// A client's settings; `ca` is a file of certificates (PEM), else those the public web goes by.
pub(crate) fn client(target: &str, ca: Option<&Path>) -> Result<rustls::ClientConfig, SinkError> {
    let failed = |what: String| {
        SinkError::new(SinkErrorKind::Refused, format!("{target}: {what}")).remedy(
            "name a PEM file of the authority that signed the server's certificate: ?ca=FILE",
        )
    };
    let mut roots = rustls::RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let shown = path.display();
            let certificates = CertificateDer::pem_file_iter(path)
                .map_err(|error| failed(format!("cannot read {shown}: {error}")))?;
            for certificate in certificates {
                let certificate =
                    certificate.map_err(|error| failed(format!("{shown}: {error}")))?;
                roots
                    .add(certificate)
                    .map_err(|error| failed(format!("{shown}: {error}")))?;
            }
            if roots.is_empty() {
                return Err(failed(format!("{shown} holds no certificate")));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
