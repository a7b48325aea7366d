//! The manifest `orwd.toml` of an environment's folder.
//!
//! Parsing is strict. An ignored key would show only later, as a limit without
//! effect or missing data, so an unknown key is an error that names the most
//! similar known key. Each error has a line and column. serde's derived readers
//! lose the position of a value and stop at a table's name, so the TOML crate
//! checks the syntax and this module reads the keys.

mod build;
mod error;
mod network;
mod session;
mod table;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use orwd_config::LimitOverrides;
use orwd_model::{ClockMode, DataMode, EnvName, RESERVED_PATHS, Seed};
use table::Table;

use crate::files::AuthorFolder;

pub use build::{BuildRule, PythonRule};
pub use error::{FILE_NAME, ManifestError};
pub use network::NetworkRequest;

/// Bytes of a manifest.
const MAX_SIZE: u64 = 1 << 20;

/// A valid manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Name that clients use.
    pub name: EnvName,
    /// Description for people.
    pub description: Option<String>,
    /// Version for people.
    pub version: Option<String>,
    /// How the component is built.
    pub build: BuildRule,
    /// Data directory, relative to the folder.
    pub data: Option<PathBuf>,
    /// What happens to files that its sessions write, if the operator permits
    /// it.
    pub mode: DataMode,
    /// Limits that it tightens.
    pub limits: LimitOverrides,
    /// Secrets that it declares, in order. It gets no others.
    pub secrets: Vec<String>,
    /// What its sessions ask to reach by HTTP.
    pub network: NetworkRequest,
    /// Toolsets that clients can request.
    pub toolsets: Vec<String>,
    /// Clock of its sessions.
    pub clock: ClockMode,
    /// Seed of sessions whose client sets none.
    pub seed: Option<Seed>,
}

/// Checks that a text can be an environment's name on this server.
pub fn check_name(text: &str) -> Result<EnvName, String> {
    let name = EnvName::new(text).map_err(|error| error.to_string())?;
    if RESERVED_PATHS.contains(&name.as_str()) {
        return Err(format!(
            "{text:?} is a route of the protocol and cannot be the name of an environment"
        ));
    }
    Ok(name)
}

impl Manifest {
    /// Returns the manifest of a component without one.
    pub fn bare(name: EnvName) -> Manifest {
        Manifest {
            name,
            description: None,
            version: None,
            build: BuildRule::Cargo,
            data: None,
            mode: DataMode::default(),
            limits: LimitOverrides::default(),
            secrets: Vec::new(),
            network: NetworkRequest::default(),
            toolsets: Vec::new(),
            clock: ClockMode::default(),
            seed: None,
        }
    }

    /// Parses the text of a manifest.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let document = DeTable::parse(text).map_err(|error| match error.span() {
            Some(span) => ManifestError::at(text, span.start, error.message()),
            None => ManifestError::whole_file(error.message()),
        })?;
        let root = Table::root(text, document.get_ref());
        root.only(&[
            "name",
            "description",
            "version",
            "build",
            "data",
            "data-mode",
            "shared",
            "clock",
            "seed",
            "limits",
            "secrets",
            "network",
            "toolsets",
        ])?;
        let Some(name) = root.text("name")? else {
            return Err(ManifestError::whole_file(
                "`name` is missing; add name = \"…\", the name that clients use",
            ));
        };
        Ok(Manifest {
            name: check_name(name.value).map_err(|error| name.error(&error))?,
            description: root.text("description")?.map(|text| text.value.to_owned()),
            version: root.text("version")?.map(|text| text.value.to_owned()),
            build: build::build(&root)?,
            data: root.path(
                "data",
                "a directory",
                "the operator can map another one with --data NAME=DIR",
            )?,
            mode: session::mode(&root)?,
            limits: session::limits(&root)?,
            secrets: session::secrets(&root)?,
            network: network::network(&root)?,
            toolsets: session::toolsets(&root)?,
            clock: session::clock(&root)?,
            seed: session::seed(&root)?,
        })
    }

    /// Reads the manifest in a folder.
    pub fn read(folder: &AuthorFolder) -> Result<Manifest, ManifestError> {
        Manifest::parse(&Manifest::text(folder)?)
    }

    /// Reads the text of the manifest in a folder.
    pub fn text(folder: &AuthorFolder) -> Result<String, ManifestError> {
        let bytes = folder
            .read(Path::new(FILE_NAME), MAX_SIZE)
            .map_err(|error| ManifestError::whole_file(format!("cannot be read: {error}")))?;
        String::from_utf8(bytes).map_err(|_| ManifestError::whole_file("not UTF-8 text"))
    }
}

#[cfg(test)]
mod tests;
