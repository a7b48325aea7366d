//! Looking for new commits in repositories elsewhere: in intervals, and when a
//! webhook says so.

use std::collections::HashMap;
use std::time::Duration;

use orwd_hub_store::deployments::enqueue_head;
use orwd_hub_store::environments::{
    Checked, RemoteRecord, check_all_remotes, checked_remote, of_platform, take_due,
};
use orwd_hub_store::{HubStoreError, usage};
use tokio::task::{Id, JoinSet};

use super::address::RemoteAddress;
use crate::git::maintenance::note_push;
use crate::git::remote::RemoteRepository;
use crate::git::repository::count;
use crate::http::state::{HubState, Shared};

/// Repositories that are read at once: of all, and of one owner.
const CHECKS: (usize, usize) = (8, 2);

/// The time after which the list is looked at, also if no webhook came.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks for new commits, while polled.
pub(crate) async fn run(state: Shared) {
    if let Err(error) = state.database.run(check_all_remotes).await {
        tracing::error!(%error, "repositories elsewhere not compared");
    }
    let mut running: JoinSet<()> = JoinSet::new();
    let mut busy: HashMap<Id, (String, String)> = HashMap::new();
    loop {
        while running.len() < CHECKS.0 {
            let at_work: Vec<(String, String)> = busy.values().cloned().collect();
            let interval = state.config.repository_poll;
            let due = move |t: &mut dyn orwd_hub_store::Transaction| {
                take_due(t, interval, &at_work, CHECKS.1)
            };
            match state.database.run(due).await {
                Ok(Some(remote)) => {
                    let place = (remote.environment.clone(), remote.owner.clone());
                    let task = running.spawn(check(state.clone(), remote));
                    busy.insert(task.id(), place);
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "list of repositories elsewhere not read");
                    break;
                }
            }
        }
        tokio::select! {
            Some(ended) = running.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => {
                        tracing::error!(%error, "check of a repository failed");
                        error.id()
                    }
                };
                busy.remove(&id);
            }
            () = state.remotes.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Reads a repository, and deploys its head if it is new.
async fn check(state: Shared, remote: RemoteRecord) {
    let result = look(&state, &remote).await;
    match &result {
        Ok(found) => tracing::debug!(
            environment = remote.environment,
            commit = found.commit,
            "repository read"
        ),
        Err(problem) => tracing::info!(
            environment = remote.environment,
            url = remote.url,
            problem,
            "repository not read"
        ),
    }
    let interval = state.config.repository_poll;
    let queued = state
        .database
        .run(move |transaction| {
            let current = checked_remote(transaction, &remote, interval, &result)?;
            match (current, result) {
                (Some(environment), Ok(found)) => {
                    let (branch, commit) = (&found.branch, &found.commit);
                    enqueue_head(transaction, &environment, branch, commit, &remote.owner)
                }
                _ => Ok(None),
            }
        })
        .await;
    match queued {
        Ok(Some(deployment)) => {
            tracing::info!(
                environment = deployment.environment,
                deployment = deployment.id,
                commit = deployment.commit,
                "deployment queued"
            );
            state.queued.notify_waiters();
        }
        // It was unlinked or deleted meanwhile.
        Ok(None) | Err(HubStoreError::Missing(_)) => {}
        Err(error) => tracing::error!(%error, "check of a repository not stored"),
    }
}

/// Returns the head of a repository, which is then also in that of the environment.
async fn look(state: &Shared, remote: &RemoteRecord) -> Result<Checked, String> {
    // The operator may have withdrawn an allowance, and a name may lead elsewhere.
    let allowed = &state.config.repository_hosts;
    let address = RemoteAddress::parse(&remote.url, allowed)?;
    let resolved = address.resolve(allowed).await?;
    let repository = RemoteRepository {
        url: address.to_string(),
        protocol: address.protocol(),
        resolved: resolved.entry,
    };
    let shared = state.repositories.shared(&remote.environment).await;
    let (state, remote) = (state.clone(), remote.clone());
    let read = tokio::task::spawn_blocking(move || {
        let found = read(&state, &remote, &repository);
        drop(shared);
        found
    });
    read.await.unwrap_or_else(|error| {
        tracing::error!(%error, "check of a repository failed");
        Err("the platform failed; its log has the reason".to_owned())
    })
}

/// Reads a repository. Blocks.
fn read(
    state: &HubState,
    remote: &RemoteRecord,
    repository: &RemoteRepository,
) -> Result<Checked, String> {
    let head = repository.head(&state.layout)?;
    let (id, owner, quota) = (
        remote.environment.clone(),
        remote.owner.clone(),
        state.owner_quota(),
    );
    let (deployed, left) = state
        .database
        .run_blocking(move |transaction| {
            let link = of_platform(transaction, &id)?.link;
            let deployed = link.and_then(|link| link.deployed_commit);
            Ok((deployed, usage::remaining(transaction, &owner, quota)?))
        })
        .map_err(|error: HubStoreError| error.to_string())?;
    if deployed.as_ref() == Some(&head.commit) {
        return Ok(Checked {
            branch: head.branch,
            commit: head.commit,
        });
    }
    let left = u64::try_from(left).unwrap_or_default();
    if left == 0 {
        return Err(
            "disk quota exceeded: the owner of the environment may keep no more".to_owned(),
        );
    }
    let environment = &remote.environment;
    let fetched = repository.fetch(&state.layout, environment, &head.branch, left);
    // Also what a failed one has left is charged and removed later.
    if let Err(error) = note_push(&state.layout, environment) {
        tracing::error!(%error, "fetch not noted");
    }
    if let Err(error) = count(state, environment) {
        tracing::error!(error, "repository not measured");
    }
    Ok(Checked {
        branch: head.branch,
        commit: fetched?,
    })
}
