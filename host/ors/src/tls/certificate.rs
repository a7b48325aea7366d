//! Reads a certificate chain and its private key, and checks that they belong
//! together.
//!
//! Only HTTP/1.1 is offered, and only TLS 1.2 and 1.3 with the library's safe
//! defaults. Clients need no certificate: API keys say who they are.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, InconsistentKeys, ServerConfig};
use zeroize::Zeroizing;

/// The largest file of a certificate or key, in bytes.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// Why a certificate with its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// A file cannot be read.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
    /// A file is too large to be what it should be.
    #[error("{} is larger than 1 MiB and no certificate or key", .0.display())]
    TooLarge(PathBuf),
    /// There is no certificate in the file, or an invalid one.
    #[error(
        "{} holds no valid certificate; it must be in PEM format, with the server's own \
         certificate first and those of intermediate authorities after it",
        .0.display()
    )]
    NoCertificate(PathBuf),
    /// There is no key in the file.
    #[error(
        "{} holds no private key; it must be in PEM format and have no password",
        .0.display()
    )]
    NoKey(PathBuf),
    /// The key is of another certificate.
    #[error("the key in {} does not belong to the certificate in {}", .key.display(), .cert.display())]
    Mismatch {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The library refuses them.
    #[error("the certificate in {} cannot be used: {}", .0.display(), .1)]
    Unusable(PathBuf, rustls::Error),
}

/// The bytes of both files, before they are understood.
pub(super) struct CertificateFiles {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl CertificateFiles {
    /// Reads both files.
    pub(super) fn read(cert: &Path, key: &Path) -> Result<CertificateFiles, TlsFileError> {
        Ok(CertificateFiles {
            cert: read(cert)?.to_vec(),
            key: read(key)?,
        })
    }

    /// Returns a digest of both, by which a change is noticed.
    pub(super) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(blake3::hash(&self.cert).as_bytes());
        hasher.update(blake3::hash(&self.key).as_bytes());
        hasher.finalize()
    }

    /// Returns the settings of connections with this certificate. The paths are
    /// for error messages.
    pub(super) fn settings(
        &self,
        cert: &Path,
        key: &Path,
    ) -> Result<Arc<ServerConfig>, TlsFileError> {
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(&self.cert).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| TlsFileError::NoCertificate(cert.to_owned()))?;
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsFileError::NoKey(key.to_owned()))?;
        let unusable = |error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsFileError::Mismatch {
                    cert: cert.to_owned(),
                    key: key.to_owned(),
                }
            }
            rustls::Error::InvalidCertificate(_) => TlsFileError::NoCertificate(cert.to_owned()),
            error => TlsFileError::Unusable(cert.to_owned(), error),
        };
        let mut settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(unusable)?;
        settings.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(settings))
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFileError> {
    let io_error = |error| TlsFileError::Io(path.to_owned(), error);
    let file = File::open(path).map_err(io_error)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_SIZE) {
        return Err(TlsFileError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}
