//! What an environment is loaded from, and what each instance gets.

use std::path::PathBuf;

use orwd_engine::{ComponentError, EntryError};
use orwd_model::DataMode;
use orwd_model::{ClockMode, DeterminismConfig, EnvName, Fault, Seed, SessionLimits, SleepMode};
use orwd_sandbox::{DataDir, InstanceConfig, InstanceLabel, NetworkAccess};

use crate::files::ComponentFile;

/// What an environment is loaded from. All of it is checked, except the
/// component.
#[derive(Clone, Debug)]
pub struct EnvironmentSpec {
    /// Name that clients use.
    pub name: EnvName,
    /// File of the component.
    pub component: ComponentFile,
    /// Directory that its sessions see as `/orwd_data`.
    pub data: Option<DataDir>,
    /// What happens to files that its sessions write.
    pub mode: DataMode,
    /// Limits of each session.
    pub limits: SessionLimits,
    /// Secrets that it declares; it gets no others.
    pub secrets: Vec<String>,
    /// What its sessions may reach by HTTP.
    pub network: EnvironmentNetwork,
    /// Toolsets that clients can request.
    pub toolsets: Vec<String>,
    /// Clock of its sessions.
    pub clock: ClockMode,
    /// Seed of sessions whose client sets none; random if unset.
    pub seed: Option<Seed>,
}

/// What the sessions of an environment may reach by HTTP.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentNetwork {
    /// The rules that its manifest asks for.
    pub requested: Vec<String>,
    /// The rules that both its manifest and the operator allow.
    pub granted: Vec<String>,
    /// Its guests get the values of secrets, not placeholders, as both its manifest
    /// and the operator permit.
    pub secrets_in_guest: bool,
    /// Requests may be sent twice, with an idempotency key of the host.
    pub retry_safe: bool,
    /// How requests are made.
    pub access: NetworkAccess,
}

impl EnvironmentNetwork {
    /// Returns whether its guests get placeholders in place of secrets. Those of an
    /// environment that makes no requests would be of no use.
    pub fn hides_secrets(&self) -> bool {
        !self.requested.is_empty() && !self.secrets_in_guest
    }

    /// Returns whether its guests may send requests.
    pub fn sends(&self) -> bool {
        !self.granted.is_empty()
    }
}

impl EnvironmentSpec {
    /// Returns the configuration of a new instance; `session` identifies it in
    /// the log.
    pub(crate) fn instance_config(
        &self,
        session: &str,
        determinism: DeterminismConfig,
    ) -> InstanceConfig {
        InstanceConfig {
            label: InstanceLabel {
                environment: self.name.as_str().into(),
                session: session.into(),
                owner: "".into(),
            },
            determinism,
            sleep_mode: SleepMode::RealTime,
            data: self.data.clone(),
            mode: self.mode.clone(),
            limits: self.limits,
            observe: false,
            disk: None,
            memory: None,
            network: self.network.access.clone(),
        }
    }
}

/// Why an environment cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: std::io::Error,
    },
    /// The file is not a valid environment.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// It cannot be instantiated within its limits.
    #[error("cannot create an instance: {0}")]
    Start(Fault),
    /// Its manifest offers a toolset of which the component has no tool.
    #[error("orwd.toml offers the toolset {0:?}, but the component has no tools of it")]
    Toolset(String),
    /// Its description fails or is invalid.
    #[error("it failed to describe itself: {0}")]
    Describe(EntryError),
}

impl LoadError {
    /// Whether the host is the cause and not the component, so that a later
    /// attempt may succeed: its disk, its memory, or its compiler within the limits
    /// of today.
    pub fn is_host_fault(&self) -> bool {
        match self {
            LoadError::Read { .. } => true,
            LoadError::Component(error) => error.is_host_fault(),
            LoadError::Start(fault) | LoadError::Describe(EntryError::Fault(fault)) => {
                fault.code.is_host_fault()
            }
            LoadError::Toolset(_) | LoadError::Describe(EntryError::Failed(_)) => false,
        }
    }
}
