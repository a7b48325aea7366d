//! Rebuilds the guest of a session from its journal.
//!
//! The journal is read and verified, the guest is opened as it was, and its
//! history is read again, a page at a time, and replayed. So memory for a page and
//! for the results that clients may still ask for is enough for any session. If a result differs the session is lost: a wrong
//! response is worse than none. If the guest has seen other data, the session
//! waits until its data is as it was. A last request without a response is left to
//! the caller, which performs it as if it had just arrived.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use orwd_catalog::DataDigestError;
use orwd_engine::SessionPermit;
use orwd_journal::{
    EpisodeHistory, EpisodeStep, GuestOutcome, GuestRequest, JournalError, RunIdentity,
};
use orwd_model::{ClockMode, Fault, SleepMode};

use crate::actor::data_wait::DataMismatch;
use crate::actor::state::{RuntimeInfo, SharedState};
use crate::api::create::Resumability;
use crate::api::principal::Principal;
use crate::api::request::RunRequest;
use crate::context::SessionContext;
use crate::episode::episode_log::EpisodeLog;
use crate::episode::journal_steps::{JournalSteps, PAGE_BYTES};
use crate::episode::live_guest::{LiveGuest, PendingEntry};
use crate::episode::replay::{self, GuestBudgets, Replay};
use crate::episode::typed_request::{Setup, Teardown};
use crate::limits::guest_memory::GUESTS_TOO_LARGE;
use crate::runs::recorded_runs::{self, ReplayContent};
use crate::versions::{VersionError, VersionKey};

/// The time between two attempts to get a session permit.
const PERMIT_INTERVAL: Duration = Duration::from_millis(50);

/// What a replay holds of the history, about: a page as it is read, and decoded.
const REPLAY_BYTES: usize = 4 * PAGE_BYTES;

/// Why a session is not resumed at the moment.
const HISTORIES_BUSY: &str = "too many sessions are read from the journal";

/// A session that is in memory again.
pub(crate) struct Restored {
    pub(crate) live: LiveGuest,
    pub(crate) runtime: RuntimeInfo,
    /// What is left to do after the history.
    pub(crate) next: NextAction,
    /// The number of steps that were replayed.
    pub(crate) steps: usize,
}

/// Why a session cannot be rebuilt.
pub(crate) enum RestoreError {
    /// Not now: there is no permit, or the journal cannot be read.
    Temporary(String),
    /// Not while its data exceeds a limit.
    DataOutgrown {
        /// The limit, and what exceeds it.
        reason: String,
        /// What clients may know of it.
        for_clients: String,
    },
    /// Not while its data differs from what it has seen.
    DataDiffers(Box<DataMismatch>),
    /// Never.
    Lost(String),
    /// A recorded fault has ended it.
    Faulted(Fault),
    /// Its end is journaled.
    Ended,
}

impl From<JournalError> for RestoreError {
    fn from(error: JournalError) -> RestoreError {
        match error {
            JournalError::Damaged { .. } | JournalError::Unknown(_) | JournalError::Seal(_) => {
                RestoreError::Lost(error.to_string())
            }
            _ => RestoreError::Temporary(error.to_string()),
        }
    }
}

impl From<VersionError> for RestoreError {
    fn from(error: VersionError) -> RestoreError {
        match error {
            VersionError::Gone(reason) => RestoreError::Lost(reason),
            VersionError::Unavailable(reason) => RestoreError::Temporary(reason),
        }
    }
}

/// What is left to do after the history of a session is replayed.
pub(crate) enum NextAction {
    /// Wait for requests.
    Wait,
    /// Run the setup, which was never requested.
    SetUp,
    /// Run the setup, which has no response.
    FinishSetup(PendingEntry<Setup>),
    /// Report that the setup failed; the environment's own message.
    ReportSetupFailure(String),
    /// Execute a run that has no response.
    FinishRun(Box<PendingEntry<RunRequest>>, RunIdentity),
    /// Perform another request that has no response; its client is gone.
    FinishRequest(Box<PendingEntry<GuestRequest>>),
    /// Run a teardown that has no response, then end.
    FinishTeardown(PendingEntry<Teardown>),
    /// End: the teardown is done.
    End,
}

/// Rebuilds a session. Restores its runs even if the rest fails.
pub(crate) async fn restore(
    context: &SessionContext,
    shared: &Arc<SharedState>,
) -> Result<Restored, RestoreError> {
    let identity = &shared.identity;
    let setup_wait = context.settings.setup_wait;
    let memory = context
        .guest_memory
        .wait_for_share(&identity.owner, setup_wait);
    if !memory.await {
        return Err(RestoreError::Temporary(GUESTS_TOO_LARGE.to_owned()));
    }
    // Taken before the permit to resume, which a session that must be evicted
    // for this one may be waiting for.
    let permit = wait_for_permit(context, &identity.owner).await?;
    let _resume_permit = context.resume_limiter.acquire(&identity.owner).await;
    let reading = context.histories.scan(&identity.owner).await;
    let reading = reading.map_err(|_| RestoreError::Temporary(HISTORIES_BUSY.to_owned()))?;
    let reading = Arc::new(Mutex::new(reading));
    let result_ttl = context.settings.result_ttl;
    let mut content = ReplayContent::new(result_ttl);
    let held = reading.clone();
    let episode = identity.episode;
    let (keys, run_ids) = (shared.clone(), context.run_ids.clone());
    let history = context.journal.history_with(episode, move |record, steps| {
        // Kept until the history has been read.
        let _ = &held;
        content.keep(record, steps, &mut |mark| {
            recorded_runs::restore_key(&keys, episode, mark, &run_ids);
        });
        true
    });
    let mut history = history.await?;
    if history.ended().is_some() {
        return Err(RestoreError::Ended);
    }
    let secrets = context.journal.unseal(&history);
    recorded_runs::restore(
        shared,
        &history,
        &context.run_ids,
        &context.results,
        result_ttl,
    );
    let mut responses = history
        .steps()
        .iter()
        .filter_map(|step| step.outcome.as_ref());
    if let Some(fault) = responses.find_map(|answer| replay::recorded_fault(answer)) {
        return Err(RestoreError::Faulted(fault.clone()));
    }
    let next = next_action(&history);
    // The replay takes long, and holds a page.
    history.forget_steps();
    reading
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .shrink_to(REPLAY_BYTES);
    let created = history.created();
    if created.clock == ClockMode::Real {
        let reason = "its environment sees the real clock, so it cannot be replayed";
        return Err(RestoreError::Lost(reason.to_owned()));
    }
    let environment = context
        .versions
        .find(&VersionKey::of(created, identity.import.as_ref()))
        .await?;
    let data = environment.data_digest().await;
    let data = data.map_err(|error| {
        let reason = format!("its data cannot be read: {error}");
        match error {
            DataDigestError::Outgrown { for_clients, .. } => RestoreError::DataOutgrown {
                reason,
                for_clients,
            },
            DataDigestError::Io(_) => RestoreError::Temporary(reason),
        }
    })?;
    let changed = replay::data_mismatch(created, data);
    // Another outcome over other data is that data's.
    let differs = |saw_same: bool, reason: String| {
        if saw_same && changed.is_none() {
            return RestoreError::Lost(reason);
        }
        RestoreError::DataDiffers(Box::new(DataMismatch {
            environment: environment.clone(),
            digest: data,
            reason: changed.clone().unwrap_or(reason),
        }))
    };
    // An older record does not hold what the guest saw.
    let is_bound_to_all = created.observed.is_none() || data.is_none();
    if let Some(reason) = changed.clone().filter(|_| is_bound_to_all) {
        return Err(differs(false, reason));
    }
    let pages = context.journal.pages(episode).await?;
    let steps = JournalSteps::new(context.journal.clone(), pages);
    let budgets = GuestBudgets {
        disk: context.disk_quota.temporary_files(identity.owner.name()),
        memory: Some(context.guest_memory.of_session(&identity.owner, episode)),
    };
    let opened = Replay::open(&environment, &history, steps, secrets?, permit, budgets).await;
    let mut replay = opened.map_err(|error| {
        let reason = replay::describe(&error);
        if error.is_host_fault() {
            RestoreError::Temporary(reason)
        } else {
            // It was opened once, so that its data may have been different for
            // a moment.
            differs(created.observed.is_none(), reason)
        }
    })?;
    if !replay.saw_same() {
        let reason = "its data differed when it was opened again".to_owned();
        return Err(differs(false, reason));
    }
    let mut steps = 0;
    while let Some(replayed) = replay.next().await? {
        steps += 1;
        if let Some(GuestOutcome::Faulted(fault)) = &replayed.outcome
            && fault.code.is_host_fault()
        {
            return Err(RestoreError::Temporary(fault.to_string()));
        }
        let (seq, request) = (replayed.step.seq, replayed.step.record.request.as_str());
        if !replayed.saw_same {
            let reason = format!("its data differed when record {seq} ({request}) was replayed");
            return Err(differs(false, reason));
        }
        if !replayed.is_same() {
            let reason =
                format!("record {seq} ({request}) gave a different result when it was replayed");
            return Err(differs(true, reason));
        }
    }
    let mut guest = replay.guest;
    guest.set_sleep_mode(SleepMode::RealTime);
    let limits = replay::limits(&history, &environment);
    let sends = environment.network().sends();
    let runtime = RuntimeInfo {
        resumability: Resumability::new(
            context.is_journaled(),
            replay::determinism(created).clock,
            &created.mode,
            &created.secrets,
        ),
        publishes: created.mode.within(environment.mode()).publishes(),
        environment,
        first_task_tools: replay.tools,
        toolset: created.toolset.clone(),
        json_depth: limits.json_depth,
    };
    let writer = context.journal.resume(&history);
    let log = EpisodeLog::new(writer, limits.journal, guest.observed(), sends);
    Ok(Restored {
        live: LiveGuest { guest, log },
        runtime,
        next,
        steps,
    })
}

/// Waits for a session permit, as long as requests wait.
async fn wait_for_permit(
    context: &SessionContext,
    owner: &Principal,
) -> Result<SessionPermit, RestoreError> {
    if let Some(permit) = context.acquire_permit(owner).await {
        return Ok(permit);
    }
    let waiting = async {
        // One session of an owner asks at a time: each time, all sessions in memory
        // are looked at.
        let turns = context.permit_turns.of(owner);
        let _turn = turns.acquire().await;
        loop {
            if let Some(permit) = context.acquire_permit(owner).await {
                return permit;
            }
            tokio::time::sleep(PERMIT_INTERVAL).await;
        }
    };
    let waited = tokio::time::timeout(context.settings.setup_wait, waiting).await;
    waited.map_err(|_| {
        let reason = "all session permits are taken, or memory is short";
        RestoreError::Temporary(reason.to_owned())
    })
}

/// Returns what is left to do after this history.
fn next_action(history: &EpisodeHistory) -> NextAction {
    let setup = history.steps().first();
    let setup = setup.filter(|step| step.record.request == GuestRequest::Setup);
    let setup = setup.and_then(|step| step.outcome.as_ref());
    let setup = setup.and_then(|answer| answer.record.outcome.as_ref());
    match history.steps().last() {
        None => NextAction::SetUp,
        Some(step) if step.record.request == GuestRequest::Teardown => match step.outcome {
            None => NextAction::FinishTeardown(pending(step, Teardown)),
            Some(_) => NextAction::End,
        },
        _ if let Some(GuestOutcome::Failed(message)) = setup => {
            NextAction::ReportSetupFailure(message.clone())
        }
        Some(step) if step.outcome.is_none() => finish(step),
        Some(_) => NextAction::Wait,
    }
}

/// Returns how to perform a request that has no response.
fn finish(step: &EpisodeStep) -> NextAction {
    let run = |request, mark: &RunIdentity| {
        NextAction::FinishRun(Box::new(pending(step, request)), mark.clone())
    };
    match (step.record.request.clone(), &step.record.run) {
        (GuestRequest::Setup, _) => NextAction::FinishSetup(pending(step, Setup)),
        (GuestRequest::Call { tool, input }, Some(mark)) => {
            run(RunRequest::Call { tool, input }, mark)
        }
        (GuestRequest::Score { candidates }, Some(mark)) => {
            run(RunRequest::Score(candidates), mark)
        }
        (ask, _) => NextAction::FinishRequest(Box::new(pending(step, ask))),
    }
}

fn pending<R>(step: &EpisodeStep, request: R) -> PendingEntry<R> {
    PendingEntry {
        seq: step.seq,
        at: step.record.at,
        request,
        made: Some(step.recorded_exchanges().unwrap_or_default()),
    }
}
