//! The HTTP requests of `orwd replay --live`, which are sent again.
//!
//! A journal has no manifest, so what may be requested is said by flags alone.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use orwd_catalog::EnvironmentNetwork;
use orwd_config::NetworkMapping;
use orwd_journal::EpisodeStep;
use orwd_model::{EnvName, HttpExchange, HttpLimits, HttpResult, python_repr};
use orwd_network::{Broker, NetworkGrant, OperatorRules, Rule};
use orwd_sandbox::NetworkAccess;
use serde::Serialize;

use crate::bootstrap::environments::network::{self, MANIFEST};
use crate::console::CommandError;

/// Flags for sending requests again.
#[derive(Args, Debug)]
pub(super) struct LiveFlags {
    /// Send the HTTP requests again in place of serving them from the journal, and
    /// report which responses have another status or body. Servers get them a second
    /// time: a model is paid again
    #[arg(long, requires = "allow_network")]
    live: bool,

    /// What an environment may request with --live: a rule as for `orwd serve`. May
    /// be repeated
    #[arg(long, value_name = "NAME=RULE", requires = "live")]
    allow_network: Vec<NetworkMapping>,

    /// File of further certificate authorities, in PEM, with --live
    #[arg(long, value_name = "FILE", requires = "live")]
    network_ca: Option<PathBuf>,
}

/// What sends requests again.
pub(super) struct LiveRequests {
    pub(super) broker: Arc<Broker>,
    /// The place of each environment's grant.
    places: HashMap<EnvName, usize>,
}

/// How a request, or its response, differs from the recorded one.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RequestDifference {
    /// Its number in the call, from 1.
    request: usize,
    /// What differs.
    what: String,
}

impl LiveFlags {
    /// Starts what sends requests; none without `--live`.
    pub(super) fn start(&self) -> Result<Option<LiveRequests>, CommandError> {
        if !self.live {
            return Ok(None);
        }
        let mut places = HashMap::new();
        let mut rules: Vec<Vec<Rule>> = Vec::new();
        for mapping in &self.allow_network {
            let invalid =
                |reason: &str| CommandError::usage(format!("--allow-network {mapping}: {reason}"));
            if mapping.rule == MANIFEST {
                return Err(invalid("a journal has no manifest; pass a rule"));
            }
            let rule = Rule::parse(&mapping.rule).map_err(|error| invalid(&error.to_string()))?;
            let place = *places.entry(mapping.name.clone()).or_insert(rules.len());
            match rules.get_mut(place) {
                Some(rules) => rules.push(rule),
                None => rules.push(vec![rule]),
            }
        }
        let grants = rules
            .iter()
            .map(|rules| NetworkGrant::new(rules, &OperatorRules::Rules(rules.clone())))
            .collect();
        let started = network::start(grants, self.network_ca.as_deref(), &HttpLimits::default())?;
        Ok(started.map(|broker| LiveRequests { broker, places }))
    }
}

impl LiveRequests {
    /// Returns what an environment may reach.
    pub(super) fn of(&self, name: &EnvName) -> EnvironmentNetwork {
        let access = match self.places.get(name) {
            Some(place) => NetworkAccess::Granted {
                port: Arc::new(self.broker.port(*place)),
                secrets_in_guest: false,
                retry_safe: false,
            },
            None => NetworkAccess::NotAllowed,
        };
        EnvironmentNetwork {
            access,
            ..EnvironmentNetwork::default()
        }
    }
}

/// Compares the requests of a step with the recorded ones, in the order in which the
/// guest got their responses.
pub(super) fn compare(step: &EpisodeStep, asked: &[HttpExchange]) -> Vec<RequestDifference> {
    let recorded = step.recorded_exchanges().unwrap_or_default();
    let count = recorded.len().max(asked.len());
    let differs = |place: usize| {
        let what = match (recorded.get(place), asked.get(place)) {
            (Some(then), Some(now)) if then.request != now.request => {
                format!("{} was {}", named(now), named(then))
            }
            (Some(then), Some(now)) => {
                let (before, after) = (shown(&then.result), shown(&now.result));
                match is_same(&then.result, &now.result) {
                    true => return None,
                    false if before == after => {
                        format!("{}: {after} with another body", named(now))
                    }
                    false => format!("{}: {before} -> {after}", named(now)),
                }
            }
            (None, Some(now)) => format!("{} is new", named(now)),
            (Some(then), None) => format!("{} is not made any more", named(then)),
            (None, None) => return None,
        };
        Some(RequestDifference {
            request: place + 1,
            what,
        })
    };
    (0..count).filter_map(differs).collect()
}

fn named(exchange: &HttpExchange) -> String {
    let request = &exchange.request;
    format!(
        "{} {}",
        request.method.escape_debug(),
        python_repr(&request.url)
    )
}

fn shown(result: &HttpResult) -> String {
    match result {
        Ok(response) => format!("{}, {} bytes", response.status, response.body.len()),
        Err(error) => python_repr(&error.message),
    }
}

/// Returns whether they are equal, except for headers: such as a date, some always
/// differ.
fn is_same(then: &HttpResult, now: &HttpResult) -> bool {
    match (then, now) {
        (Ok(then), Ok(now)) => then.status == now.status && then.body == now.body,
        (Err(then), Err(now)) => then.code == now.code,
        _ => false,
    }
}

impl RequestDifference {
    /// Returns the line for people.
    pub(super) fn text(&self) -> String {
        format!("        request {}: {}\n", self.request, self.what)
    }
}
