//! TLS to a server, with the certificate authorities that the system trusts.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const UNTRUSTED: &str = "; if the server has a certificate of your own authority, name the \
                         authority's certificate in SSL_CERT_FILE";

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// No certificate authority is known.
    #[error(
        "cannot use https: the system trusts no certificate authority{0}; install its \
         certificates (often the package ca-certificates), or name a file with SSL_CERT_FILE"
    )]
    NoRoots(String),
    /// The host cannot be named in a handshake.
    #[error("cannot use https: invalid host name {0:?}")]
    Name(String),
    /// The settings are not supported.
    #[error("cannot use https: {0}")]
    Config(String),
    /// The handshake failed.
    #[error("no TLS connection to {host}: {error}{hint}")]
    Handshake {
        /// The host.
        host: String,
        /// The reason.
        error: io::Error,
        /// What may help.
        hint: &'static str,
    },
}

/// Begins TLS on a connection, and verifies the server's certificate.
pub(super) async fn connect(
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))?;
    let connector = TlsConnector::from(config()?);
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| TlsError::Handshake {
        host: host.to_owned(),
        hint: if is_untrusted(&error) { UNTRUSTED } else { "" },
        error,
    })
}

/// Returns the settings, which are read once.
fn config() -> Result<Arc<ClientConfig>, TlsError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first();
        return Err(TlsError::NoRoots(
            reason.map_or_else(String::new, |error| format!(" ({error})")),
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Config(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

fn is_untrusted(error: &io::Error) -> bool {
    error.to_string().contains("UnknownIssuer")
}
