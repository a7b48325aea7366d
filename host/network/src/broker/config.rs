//! What the broker needs of the machine, which its parent reads for it: it
//! opens no file itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use orwd_model::HttpLimits;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::http::limits::SendLimits;
use crate::http::resolver::Resolver;
use crate::rules::grant::NetworkGrant;

/// The configuration of a broker.
#[derive(Debug, Serialize, Deserialize)]
pub struct BrokerConfig {
    grants: Vec<NetworkGrant>,
    pub(crate) resolver: Resolver,
    authorities: Vec<ByteBuf>,
    pub(crate) limits: SendLimits,
}

/// A file of certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the certificate authorities in {}: {reason}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    reason: String,
}

impl BrokerConfig {
    /// Reads the name servers, the host names and the certificate authorities of
    /// the system, and those in `authorities`, a file in PEM.
    pub fn read(
        grants: Vec<NetworkGrant>,
        authorities: Option<&Path>,
        limits: &HttpLimits,
    ) -> Result<BrokerConfig, ConfigError> {
        // A system without such a file has its names from elsewhere.
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let resolver = Resolver::parse(&text("/etc/resolv.conf"), &text("/etc/hosts"));
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "cannot read a certificate authority");
        }
        let mut all: Vec<ByteBuf> = system
            .certs
            .iter()
            .map(|der| ByteBuf::from(der.to_vec()))
            .collect();
        if let Some(path) = authorities {
            all.extend(read_authorities(path)?);
        }
        Ok(BrokerConfig {
            grants,
            resolver,
            authorities: all,
            limits: (*limits).into(),
        })
    }

    /// Returns the TCP ports that the broker connects to, in order.
    pub fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = self.grants.iter().flat_map(NetworkGrant::ports).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    pub(crate) fn grant(&self, place: usize) -> Option<&NetworkGrant> {
        self.grants.get(place)
    }

    pub(crate) fn authorities(&self) -> Vec<Vec<u8>> {
        self.authorities.iter().map(|der| der.to_vec()).collect()
    }
}

fn read_authorities(path: &Path) -> Result<Vec<ByteBuf>, ConfigError> {
    let error = |reason: String| ConfigError {
        path: path.to_owned(),
        reason,
    };
    let text = fs::read(path).map_err(|reason: io::Error| error(reason.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|reason| error(reason.to_string()))?;
    if found.is_empty() {
        return Err(error("there is no certificate in PEM".to_owned()));
    }
    Ok(found
        .iter()
        .map(|der| ByteBuf::from(der.to_vec()))
        .collect())
}

#[cfg(test)]
impl BrokerConfig {
    pub(crate) fn of(grants: Vec<NetworkGrant>) -> BrokerConfig {
        BrokerConfig {
            grants,
            resolver: Resolver::parse("", ""),
            authorities: Vec::new(),
            limits: HttpLimits::default().into(),
        }
    }
}
