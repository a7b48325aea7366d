//! The files of the server's certificate, in their current state.
//!
//! They are read again every second. A renewed certificate applies to new
//! connections as soon as both files belong together; until then, and when they
//! cannot be used, the last valid one stays.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use blake3::Hash;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::certificate::{CertificateFiles, TlsFileError};

/// The time between two looks at the files.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// The mode bit that lets all users read a file.
const READABLE_BY_ALL: u32 = 0o004;

/// A certificate with its key, which follows its files.
#[derive(Clone)]
pub struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
    current: Arc<RwLock<Arc<ServerConfig>>>,
    /// What `current` was read from.
    digest: Hash,
}

impl TlsFiles {
    /// Reads the certificate chain and the private key, both in PEM format.
    pub fn open(cert: &Path, key: &Path) -> Result<TlsFiles, TlsFileError> {
        let files = CertificateFiles::read(cert, key)?;
        let settings = files.settings(cert, key)?;
        let mode = key.metadata().map_or(0, |metadata| metadata.mode());
        if mode & READABLE_BY_ALL != 0 {
            tracing::warn!(
                file = %key.display(),
                "all users of this machine can read the TLS key; run `chmod o-r` on it"
            );
        }
        Ok(TlsFiles {
            cert: cert.to_owned(),
            key: key.to_owned(),
            current: Arc::new(RwLock::new(settings)),
            digest: files.digest(),
        })
    }

    /// Returns what accepts TLS connections with the current certificate.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(current.clone())
    }

    /// Follows the files while polled.
    pub(crate) async fn watch(self) {
        let mut used = self.digest;
        let mut reported = None;
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let files = self.clone();
            let loaded = tokio::task::spawn_blocking(move || files.load_if_changed(used)).await;
            let error = match loaded {
                Ok(Ok(None)) => None,
                Ok(Ok(Some((digest, settings)))) => {
                    used = digest;
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = settings;
                    tracing::info!(file = %self.cert.display(), "TLS certificate reloaded");
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            self.report(error, &mut reported);
        }
    }

    /// Reads the files, and checks them unless they are the ones in use.
    fn load_if_changed(
        &self,
        used: Hash,
    ) -> Result<Option<(Hash, Arc<ServerConfig>)>, TlsFileError> {
        let files = CertificateFiles::read(&self.cert, &self.key)?;
        let digest = files.digest();
        if digest == used {
            return Ok(None);
        }
        let settings = files.settings(&self.cert, &self.key)?;
        Ok(Some((digest, settings)))
    }

    /// Logs an error that two looks in a row have met, once: one of the files may
    /// just be being replaced.
    fn report(&self, error: Option<String>, reported: &mut Option<(String, u32)>) {
        let Some(error) = error else {
            *reported = None;
            return;
        };
        let looks = match reported {
            Some((same, looks)) if *same == error => *looks,
            _ => 0,
        };
        if looks == 1 {
            tracing::error!(
                error,
                "cannot reload TLS certificate; the previous one stays in use"
            );
        }
        *reported = Some((error, looks.saturating_add(1)));
    }
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsFiles({})", self.cert.display())
    }
}
