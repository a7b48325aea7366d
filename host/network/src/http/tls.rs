//! TLS to servers, with certificate authorities that were read before.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::rules::url::Host;

/// Returns the settings for these authorities, each in DER. Those that cannot be
/// read are left out, as in a store of the system.
pub(crate) fn config(authorities: &[Vec<u8>]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let authorities = authorities
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()));
    roots.add_parsable_certificates(authorities);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Begins TLS on a connection, and verifies that the server is this host.
pub(crate) async fn connect(
    config: Arc<ClientConfig>,
    host: &Host,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let name = match host {
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|error| error.to_string())?
        }
        Host::Address(address) => ServerName::from(*address),
    };
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| error.to_string())
}
