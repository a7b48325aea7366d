//! The builders: each takes a deployment from the queue and ends it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use orwd_hub_store::deployments::{
    DeployedVersion, DeploymentRecord, DeploymentStatus, Severity, add_entry, append_log, finish,
    set_status, take_next,
};
use orwd_hub_store::environments::EnvironmentRecord;
use orwd_hub_store::{HubStoreError, usage};

use super::admit::admit;
use super::sources::fetch;
use crate::http::state::{HubState, Shared};
use crate::sessions::versions;

/// Builders at work at once.
const BUILDERS: usize = 2;

/// The time after which the queue is looked at, also if nothing was added.
const PAUSE: Duration = Duration::from_secs(5);

/// Starts the builders.
pub(crate) fn start(state: &Shared) {
    for _ in 0..BUILDERS {
        let state = state.clone();
        tokio::spawn(async move {
            loop {
                let queued = state.queued.notified();
                match state.database.run(take_next).await {
                    Ok(Some(deployment)) => {
                        deploy(&state, deployment).await;
                        // The environment's next one may wait for this builder.
                        state.queued.notify_waiters();
                    }
                    Ok(None) => {
                        let _ = tokio::time::timeout(PAUSE, queued).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, "queue of deployments not read");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        });
    }
}

/// Builds, starts and ends a deployment.
async fn deploy(state: &Shared, deployment: DeploymentRecord) {
    tracing::info!(deployment = deployment.id, "deployment started");
    let (builder, build_of) = (state.clone(), deployment.clone());
    let built = tokio::task::spawn_blocking(move || build(&builder, &build_of)).await;
    let mut result = built.unwrap_or_else(|error| {
        tracing::error!(%error, "builder failed");
        Err("the platform failed; its log has the reason".to_owned())
    });
    if let Ok(version) = &result
        && let Err(error) = try_start(state, &deployment, version).await
    {
        result = Err(error);
    }
    match &result {
        Ok(version) => {
            let digest = &version.digest;
            tracing::info!(deployment = deployment.id, digest, "deployment ended");
        }
        Err(reason) => tracing::info!(deployment = deployment.id, reason, "deployment failed"),
    }
    let ended = state
        .database
        .run(move |transaction| {
            finish(transaction, &deployment, &result)?;
            if result.is_ok() {
                let message = format!("serving {}", deployment.commit);
                add_entry(transaction, &deployment.id, Severity::Info, &message)?;
            }
            Ok(())
        })
        .await;
    if let Err(error) = ended {
        tracing::error!(%error, "end of a deployment not stored; it begins again after a restart");
    }
}

/// Fetches and admits the sources. Blocks.
fn build(state: &HubState, deployment: &DeploymentRecord) -> Result<DeployedVersion, String> {
    let id = &deployment.id;
    let log = |text: &str| {
        let (id, text) = (id.clone(), text.to_owned());
        let appended = state
            .database
            .run_blocking(move |transaction| append_log(transaction, &id, &text));
        if let Err(error) = appended {
            tracing::error!(%error, "build log not written");
        }
    };
    let failed = |error: std::io::Error| {
        tracing::error!(%error, deployment = id, "builder failed");
        "the platform failed; its log has the reason".to_owned()
    };
    log(&format!(
        "fetching {} of {}\n",
        deployment.commit, deployment.branch
    ));
    let directory = tempfile::TempDir::new_in(state.layout.temp()).map_err(failed)?;
    let (environment, quota) = (deployment.environment.clone(), state.owner_quota());
    let left = state.database.run_blocking(move |transaction| {
        let environment = versions::environment_of(transaction, &environment)?;
        usage::remaining(transaction, &environment.owner, quota)
    });
    let left = left.map_err(|error: HubStoreError| error.to_string())?;
    let left = u64::try_from(left).unwrap_or_default();
    let paths = fetch(state, deployment, directory.path(), left)?;
    let is_build = state.config.allow_native_builds;
    let (version, about) = admit(&state.layout, directory.path(), &paths, is_build, &log)?;
    let place = state.layout.version(id);
    // What an interrupted deployment left.
    if place.exists() {
        fs::remove_dir_all(&place).map_err(failed)?;
    }
    fs::rename(directory.keep(), &place).map_err(failed)?;
    let about = serde_json::to_vec(&about).map_err(|error| failed(error.into()))?;
    crate::layout::write_private(&state.layout.about(id), &about, 0o600).map_err(failed)?;
    write_paths(&place, &paths).map_err(failed)?;
    Ok(version)
}

/// Notes the paths of the environments beside the version, in the order of their
/// names in the database.
fn write_paths(place: &Path, paths: &[String]) -> std::io::Result<()> {
    let text = serde_json::to_vec(paths)?;
    crate::layout::write_private(&place.with_extension("json"), &text, 0o600)
}

/// Starts a host process of the version, and waits until it serves.
async fn try_start(
    state: &Shared,
    deployment: &DeploymentRecord,
    version: &DeployedVersion,
) -> Result<(), String> {
    let (id, environment) = (deployment.id.clone(), deployment.environment.clone());
    let environment: EnvironmentRecord = state
        .database
        .run(move |transaction| {
            set_status(transaction, &id, DeploymentStatus::Deploying)?;
            versions::environment_of(transaction, &environment)
        })
        .await
        .map_err(|error: HubStoreError| error.to_string())?;
    let target = versions::prepare(state, &environment, deployment, &version.variants)
        .await
        .map_err(|error| error.message().to_owned())?;
    state.instances.wait_until_ready(&target).await
}
