//! The rounds of the upkeep.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use orwd_hub_store::deployments::{owners_of_versions, remove_old};
use orwd_hub_store::environments::generations;
use orwd_hub_store::files::UnusedContent;
use orwd_hub_store::sessions::{forget_older, versions_of_sessions};
use orwd_hub_store::usage::{self, Kept};
use orwd_hub_store::{HubStoreError, time_before};

use super::blobs;
use super::directories::{Needed, look};
use super::marks::Marks;
use super::measure::{measure, remove};
use crate::http::state::{HubState, Shared};

/// The time between two rounds.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// The time for which nothing has needed a thing before it is removed. Upload
/// addresses and sessions that are being created live less long.
const GRACE: Duration = Duration::from_secs(20 * 60);

/// The time after which a session that was not used is forgotten.
const SESSION_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// The time for which the journals of ended sessions stay.
const JOURNAL_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// The state between two rounds.
#[derive(Default)]
pub(crate) struct Upkeep {
    contents: Marks<UnusedContent>,
    paths: Marks<PathBuf>,
    has_measured_repositories: bool,
}

/// Does the rounds, while polled.
pub(crate) async fn run(state: Shared) {
    let mut upkeep = Upkeep::default();
    loop {
        let round = state.clone();
        let done = tokio::task::spawn_blocking(move || {
            if let Err(error) = upkeep.round(&round, GRACE) {
                tracing::error!(error, "upkeep not done");
            }
            upkeep
        });
        upkeep = match done.await {
            Ok(upkeep) => upkeep,
            Err(error) => {
                tracing::error!(%error, "upkeep failed");
                Upkeep::default()
            }
        };
        tokio::time::sleep(PAUSE).await;
    }
}

impl Upkeep {
    /// Does one round. Blocks.
    fn round(&mut self, state: &HubState, grace: Duration) -> Result<(), String> {
        let text = |error: HubStoreError| error.to_string();
        let io = |error: std::io::Error| error.to_string();
        let database = &state.database;
        let before = time_before(SESSION_RETENTION);
        let forgotten = database.run_blocking(move |t| forget_older(t, &before));
        let forgotten = forgotten.map_err(text)?;
        let mut deployments = 0;
        loop {
            match database.run_blocking(remove_old).map_err(text)? {
                0 => break,
                removed => deployments += removed,
            }
        }
        let needed = needed(state).map_err(text)?;
        let found = look(&state.layout, &needed, JOURNAL_RETENTION).map_err(io)?;
        let unneeded = self.paths.unneeded_for(grace, found.unneeded);
        for path in &unneeded {
            remove(path).map_err(io)?;
        }
        let held = &found.with_generations;
        blobs::free_unused(database, &mut self.contents, held, grace).map_err(text)?;
        let contents = blobs::collect(&state.layout, database, grace)?;
        let sessions = found.sessions;
        database
            .run_blocking(move |transaction| {
                usage::count_versions(transaction, None)?;
                usage::set_all(transaction, Kept::Sessions, &sessions)
            })
            .map_err(text)?;
        if !self.has_measured_repositories {
            for environment in needed.generations.into_keys() {
                let repository = measure(&state.layout.repository(&environment)).map_err(io)?;
                database
                    .run_blocking(move |transaction| {
                        usage::set(
                            transaction,
                            &environment,
                            Kept::Repository,
                            repository.bytes,
                        )
                    })
                    .map_err(text)?;
            }
            self.has_measured_repositories = true;
        }
        let directories = unneeded.len();
        if forgotten > 0 || deployments > 0 || directories > 0 || contents > 0 {
            tracing::info!(
                sessions = forgotten,
                deployments,
                directories,
                contents,
                "unneeded data removed"
            );
        }
        Ok(())
    }
}

/// Returns what is needed now. What runs is read last: what begins to run later
/// uses the current generation.
fn needed(state: &HubState) -> Result<Needed, HubStoreError> {
    let (versions, generations, sessions) = state.database.run_blocking(|transaction| {
        Ok((
            owners_of_versions(transaction)?,
            generations(transaction)?,
            versions_of_sessions(transaction)?,
        ))
    })?;
    let sessions: HashSet<_> = sessions
        .into_iter()
        .chain(state.pending.versions())
        .collect();
    Ok(Needed {
        versions: versions.into_iter().collect(),
        generations: generations.into_iter().collect(),
        sessions,
        running: state.instances.names(),
    })
}
