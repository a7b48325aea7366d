//! Which commits are deployed: the heads of the default branches of linked
//! repositories.

use std::time::Duration;

use orwd_hub_store::HubStoreError;
use orwd_hub_store::deployments::enqueue_head;
use orwd_hub_store::environments::{EnvironmentRecord, linked_to};

use crate::git::repository::head;
use crate::http::error::ApiError;
use crate::http::state::{HubState, Shared};

/// Queues deployments of the environments that are linked to a repository, after
/// a push. Blocks.
pub(crate) fn deploy_heads_of(
    state: &HubState,
    repository: &str,
    author: &str,
) -> Result<(), String> {
    let id = repository.to_owned();
    let linked = state
        .database
        .run_blocking(move |transaction| linked_to(transaction, Some(&id)))
        .map_err(|error| error.to_string())?;
    for environment in linked {
        deploy_head_blocking(state, environment, author)?;
    }
    Ok(())
}

/// Queues a deployment of an environment, unless the head was deployed last.
pub(crate) async fn deploy_head(
    state: &Shared,
    environment: EnvironmentRecord,
    author: String,
) -> Result<(), ApiError> {
    let state = state.clone();
    tokio::task::spawn_blocking(move || deploy_head_blocking(&state, environment, &author))
        .await
        .map_err(|error| ApiError::internal("head not deployed", error))?
        .map_err(|error| ApiError::internal("head not deployed", error))
}

fn deploy_head_blocking(
    state: &HubState,
    environment: EnvironmentRecord,
    author: &str,
) -> Result<(), String> {
    let Some(link) = &environment.link else {
        return Ok(());
    };
    let Some(head) = head(&state.layout, &link.repository)? else {
        return Ok(());
    };
    let (name, author) = (environment.full_name(), author.to_owned());
    let queued = state
        .database
        .run_blocking(move |transaction| {
            enqueue_head(
                transaction,
                &environment,
                &head.branch,
                &head.commit,
                &author,
            )
        })
        .map_err(|error: HubStoreError| error.to_string())?;
    if let Some(deployment) = queued {
        tracing::info!(
            environment = name,
            deployment = deployment.id,
            commit = deployment.commit,
            "deployment queued"
        );
        state.queued.notify_waiters();
    }
    Ok(())
}

/// Queues the deployments that a stopped process has not: a push may have been
/// complete.
pub(crate) async fn deploy_all_heads(state: Shared) {
    let linked = state
        .database
        .run(|transaction| linked_to(transaction, None))
        .await;
    let linked = match linked {
        Ok(linked) => linked,
        Err(error) => return tracing::error!(%error, "repositories not compared"),
    };
    for environment in linked {
        let author = environment.owner.clone();
        // The error is in the log.
        let _ = deploy_head(&state, environment, author).await;
        // Requests come first.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
