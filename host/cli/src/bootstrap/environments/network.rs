//! The HTTP requests of guests: who may reach what, and the process that sends
//! them.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use orwd_catalog::EnvironmentNetwork;
use orwd_catalog::source::Discovered;
use orwd_config::{NetworkMapping, Paths};
use orwd_hardening::{Policy, Workload};
use orwd_model::HttpLimits;
use orwd_network::{Broker, BrokerConfig, NetworkGrant, OperatorRules, Rule};
use orwd_sandbox::NetworkAccess;

use crate::bootstrap::compiler::own_program;
use crate::console::{CommandError, CommandStatus};

/// The name of the command of the process.
const COMMAND: &str = "__broker";

/// The flag of the process that sends requests.
const WORKER: &str = "--worker";

/// The word for all that a manifest asks for.
pub(crate) const MANIFEST: &str = "manifest";

/// Send HTTP requests for the process that started this one
#[derive(Args, Debug)]
#[command(after_help = "`orwd serve` starts this process; it is not for users.")]
pub(crate) struct NetworkBroker {
    /// Send the requests; without it, keep a process with this flag running
    #[arg(long)]
    worker: bool,
}

impl NetworkBroker {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let socket = || -> io::Result<UnixStream> {
            // It is to end with the process that started it.
            let signal = Some(rustix::process::Signal::KILL);
            rustix::process::set_parent_process_death_signal(signal)?;
            Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
        };
        let socket = socket().map_err(|error| CommandError::usage(error.to_string()))?;
        if !self.worker {
            orwd_network::keep(socket, &own_program()?, &[COMMAND, WORKER])
                .map_err(|error| CommandError::new(error.to_string()))?;
            return Ok(CommandStatus::Success);
        }
        orwd_network::serve(socket, |ports| {
            let policy = Policy::of(Workload::Connect);
            let policy = ports.iter().copied().fold(policy, Policy::and_port);
            let report = orwd_hardening::apply(&policy).map_err(|error| error.to_string())?;
            let missing = report.missing().iter();
            let missing: Vec<String> = missing
                .map(|missing| format!("; no protection of {}", missing.protection()))
                .collect();
            Ok(format!("{report}{}", missing.concat()))
        })
        .map_err(|error| CommandError::new(error.to_string()))?;
        Ok(CommandStatus::Success)
    }
}

/// What environments may reach, in the order of their sources.
pub(crate) struct Networks {
    pub(crate) environments: Vec<EnvironmentNetwork>,
    pub(crate) broker: Option<Arc<Broker>>,
}

/// Decides what each environment may reach, and starts the broker if one may
/// reach something.
pub(crate) fn networks(
    discovered: &Discovered,
    paths: &Paths,
    limits: &HttpLimits,
) -> Result<Networks, CommandError> {
    let sources = &discovered.sources;
    for mapping in &paths.network.allow_network {
        let is_known = sources.iter().any(|source| source.name == mapping.name);
        // One that has a problem is not known either.
        if !is_known && discovered.problems.is_empty() {
            return Err(CommandError::usage(format!(
                "--allow-network {mapping}: there is no environment {:?}",
                mapping.name.as_str()
            )));
        }
    }
    for name in &paths.network.secrets_in_guest {
        let source = sources.iter().find(|source| source.name == *name);
        let reason = match source {
            Some(source) if source.manifest.network.secrets_in_guest => continue,
            Some(_) => "its manifest does not ask for that with `secrets-in-guest = true`",
            None if discovered.problems.is_empty() => "there is no such environment",
            None => continue,
        };
        let name = name.as_str();
        return Err(CommandError::usage(format!(
            "--secrets-in-guest {name}: {reason}"
        )));
    }
    let mut grants = Vec::new();
    let mut environments = Vec::new();
    for source in sources {
        let requested = &source.manifest.network.rules;
        // The check above has found that the manifest asks for it.
        let secrets_in_guest = paths.network.secrets_in_guest.contains(&source.name);
        let named = paths.network.allow_network.iter();
        let named = named.filter(|mapping| mapping.name == source.name);
        let grant = NetworkGrant::new(requested, &operator_rules(named)?);
        let access = match (requested.is_empty(), grant.is_empty()) {
            (true, _) => NetworkAccess::NotRequested,
            (false, true) => NetworkAccess::NotAllowed,
            (false, false) => {
                grants.push(grant.clone());
                // Replaced when the broker runs.
                NetworkAccess::NotAllowed
            }
        };
        environments.push(EnvironmentNetwork {
            requested: requested.iter().map(Rule::to_string).collect(),
            granted: grant.in_words(),
            secrets_in_guest,
            retry_safe: source.manifest.network.retry_safe,
            access,
        });
    }
    let broker = start(grants, paths.network.network_ca.as_deref(), limits)?;
    if let Some(broker) = &broker {
        let granted = environments
            .iter_mut()
            .filter(|network| !network.granted.is_empty());
        for (place, network) in granted.enumerate() {
            network.access = NetworkAccess::Granted {
                port: Arc::new(broker.port(place).retry_safe(network.retry_safe)),
                secrets_in_guest: network.secrets_in_guest,
                retry_safe: network.retry_safe,
            };
        }
    }
    Ok(Networks {
        environments,
        broker,
    })
}

/// Returns what the flags for one environment allow.
fn operator_rules<'m>(
    mappings: impl Iterator<Item = &'m NetworkMapping>,
) -> Result<OperatorRules, CommandError> {
    let mut rules = Vec::new();
    let mut all = false;
    for mapping in mappings {
        if mapping.rule == MANIFEST {
            all = true;
            continue;
        }
        let rule = Rule::parse(&mapping.rule)
            .map_err(|error| CommandError::usage(format!("--allow-network {mapping}: {error}")))?;
        rules.push(rule);
    }
    Ok(match (all, rules.is_empty()) {
        (true, true) => OperatorRules::Manifest,
        (false, _) => OperatorRules::Rules(rules),
        (true, false) => OperatorRules::ManifestAnd(rules),
    })
}

/// Starts the broker, if one of the grants allows something.
pub(crate) fn start(
    grants: Vec<NetworkGrant>,
    network_ca: Option<&Path>,
    limits: &HttpLimits,
) -> Result<Option<Arc<Broker>>, CommandError> {
    if grants.is_empty() {
        return Ok(None);
    }
    let config = BrokerConfig::read(grants, network_ca, limits)
        .map_err(|error| CommandError::usage(format!("--network-ca: {error}")))?;
    let (broker, hardening) = Broker::start(&own_program()?, &[COMMAND], &config, limits)
        .map_err(|error| CommandError::new(error.to_string()))?;
    tracing::info!(hardening, "network broker started");
    Ok(Some(broker))
}
