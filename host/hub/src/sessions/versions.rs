//! From a name or a session to a version that a host process can serve.

use orwd_hub_store::accounts::Caller;
use orwd_hub_store::deployments::{self, DeploymentRecord};
use orwd_hub_store::environments::{self, EnvironmentRecord, find};
use orwd_hub_store::files::{self, FileRecord};
use orwd_hub_store::sessions::SessionVersion;
use orwd_hub_store::{HubStoreError, Transaction};

use super::target::Target;
use crate::http::error::ApiError;
use crate::http::state::{HubState, Shared};
use crate::layout::instance_name;
use crate::storage::data_directory;
use crate::supervisor::protocol::{DataSpec, HostSpec};

/// The name in `X-Deployment`: `owner/name`, `name`, or either with `@version`.
struct DeploymentName<'h> {
    owner: Option<&'h str>,
    name: &'h str,
    version: Option<&'h str>,
}

impl<'h> DeploymentName<'h> {
    fn parse(text: &'h str) -> DeploymentName<'h> {
        let (text, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        match text.split_once('/') {
            Some((owner, name)) => DeploymentName {
                owner: Some(owner),
                name,
                version,
            },
            None => DeploymentName {
                owner: None,
                name: text,
                version,
            },
        }
    }
}

/// Returns the version that a name stands for now.
pub(crate) async fn by_name(
    state: &Shared,
    caller: &Caller,
    name: &str,
) -> Result<Target, ApiError> {
    let (caller, text) = (caller.clone(), name.to_owned());
    let found = state
        .database
        .read(move |transaction| {
            let name = DeploymentName::parse(&text);
            let owner = name.owner.unwrap_or(&caller.name);
            let environment = find(transaction, owner, name.name, Some(&caller))?;
            let deployment = deployments::version_of(transaction, &environment, name.version)?;
            Ok((environment, deployment))
        })
        .await;
    let (environment, deployment) = match found {
        Ok(found) => found,
        Err(HubStoreError::Missing(_)) => return Err(ApiError::no_deployment()),
        Err(error) => return Err(error.into()),
    };
    check_not_paused(&environment)?;
    prepare(state, &environment, &deployment, &deployment.variants).await
}

fn check_not_paused(environment: &EnvironmentRecord) -> Result<(), ApiError> {
    if environment.settings.max_scale == 0 {
        return Err(ApiError::paused(format!(
            "{} is paused: its largest number of instances is 0",
            environment.full_name()
        )));
    }
    Ok(())
}

/// Returns a deployment at the current generation of the environment's files.
pub(crate) async fn prepare(
    state: &Shared,
    environment: &EnvironmentRecord,
    deployment: &DeploymentRecord,
    variants: &[String],
) -> Result<Target, ApiError> {
    let (store, id) = (state.clone(), environment.id.clone());
    // Both in one transaction, since an upload may come between.
    let (environment, files): (EnvironmentRecord, Option<Vec<FileRecord>>) = state
        .database
        .read(move |transaction| {
            let environment = environment_of(transaction, &id)?;
            // A generation never changes.
            let directory = store.layout.data(&id, environment.generation);
            let files = match directory.exists() {
                true => None,
                false => Some(files::all(transaction, &id)?),
            };
            Ok((environment, files))
        })
        .await?;
    let generation = match files {
        None => environment.generation,
        Some(files) if files.is_empty() => 0,
        Some(files) => {
            let (state, id) = (state.clone(), environment.id.clone());
            let generation = environment.generation;
            tokio::task::spawn_blocking(move || {
                data_directory::create(&state.layout, &state.blobs, &id, generation, &files)
            })
            .await
            .map_err(|error| ApiError::internal("files not prepared", error))?
            .map_err(|error| ApiError::internal("files not prepared", error))?;
            generation
        }
    };
    let version = SessionVersion {
        deployment: deployment.id.clone(),
        generation,
    };
    target(state, &environment, deployment, variants, version)
}

/// Returns the version of a session.
pub(crate) async fn of_session(
    state: &Shared,
    version: SessionVersion,
) -> Result<Target, ApiError> {
    let id = version.deployment.clone();
    let (environment, deployment) = state
        .database
        .read(move |transaction| {
            let deployment = deployments::get(transaction, &id)?;
            let environment = environment_of(transaction, &deployment.environment)?;
            Ok((environment, deployment))
        })
        .await?;
    let variants = deployment.variants.clone();
    target(state, &environment, &deployment, &variants, version)
}

/// Returns an environment, for work of the platform itself.
pub(crate) fn environment_of(
    transaction: &mut dyn Transaction,
    id: &str,
) -> Result<EnvironmentRecord, HubStoreError> {
    environments::of_platform(transaction, id)
}

fn target(
    state: &HubState,
    environment: &EnvironmentRecord,
    deployment: &DeploymentRecord,
    variants: &[String],
    version: SessionVersion,
) -> Result<Target, ApiError> {
    let place = state.layout.version(&deployment.id).with_extension("json");
    let paths = std::fs::read(place).map_err(|error| ApiError::internal("no version", error))?;
    let paths: Vec<String> = serde_json::from_slice(&paths)
        .map_err(|error| ApiError::internal("paths of a version not read", error))?;
    let data = (version.generation > 0).then(|| DataSpec {
        environment: environment.id.clone(),
        generation: version.generation,
        variants: variants.to_vec(),
    });
    // A paused environment keeps the sessions that it has.
    let sessions = environment.settings.max_sessions().max(1);
    Ok(Target {
        host: HostSpec {
            name: instance_name(&version),
            deployment: deployment.id.clone(),
            paths,
            data,
            max_sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        },
        is_kept: environment.settings.min_scale > 0
            && environment.served.as_ref() == Some(&deployment.id),
        environment: environment.id.clone(),
        commit: deployment.commit.clone(),
        default_variant: variants.first().cloned().unwrap_or_default(),
        version,
    })
}
