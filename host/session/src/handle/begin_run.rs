//! Begins runs, and finds the run that a repeated request belongs to.

use std::time::{Duration, Instant};

use orwd_journal::Durability;
use orwd_model::{
    Fault, FaultCode, JsonDepth, Refusal, RefusalReason, RunId, RunOutcome, ToolLookup, python_repr,
};
use tokio::sync::mpsc::error::TrySendError;

use crate::actor::command::{Command, QueuedRun};
use crate::actor::state::ActivityGuard;
use crate::api::error::SessionError;
use crate::api::request::{RequestFingerprint, RunRequest};
use crate::handle::session_handle::SessionHandle;
use crate::limits::quota::QuotaExceeded;
use crate::runs::idempotency::Match;
use crate::runs::recorded_runs::RunLookup;
use crate::runs::run::{IdOrder, Run};

/// Why a call is not taken at the moment.
const TOO_LARGE_CALLS: &str = "calls that wait take all memory for them; try again \
                               (--request-memory)";
pub(crate) const TOO_LARGE_RESULTS: &str = "results that are read take all memory for them; try again \
                                 (--result-memory)";

const CPU_QUEUE_FULL: &str = "too many sessions of this client wait for the CPUs; try again \
                              (--cpu-queue)";

/// The time between two looks at the guests that wait for the CPUs.
const CPU_QUEUE_INTERVAL: Duration = Duration::from_millis(20);

impl SessionHandle {
    /// Returns a new run of this request, or the run that it repeats.
    pub(super) async fn new_or_known_run(
        &self,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> Result<Run, SessionError> {
        let id = self.context.run_ids.issue(self.shared.identity.episode);
        if let Some(refusal) = self.refusal(&request) {
            self.result_space()?;
            return Ok(self.finished_run(id, refusal));
        }
        let disk = self.disk_space().await;
        let cpu = self.cpu_queue().await;
        let space = self.result_space();
        let known = {
            let mut retries = self.shared.retries();
            let Some(known) = retries.find(&fingerprint, Instant::now()) else {
                disk?;
                cpu?;
                space?;
                let run = self.queued_run(id, request, fingerprint.clone())?;
                retries.record(&run, &fingerprint);
                return Ok(run);
            };
            known
        };
        match known {
            Match::LastRun(run) => {
                tracing::info!(
                    session = %self.shared.identity.id, task_id = %run.id(),
                    "repeated call matched"
                );
                Ok(run)
            }
            Match::Earlier(id) => self.run_of_key(id, request, fingerprint).await,
            Match::Conflict => Err(SessionError::KeyReused),
        }
    }

    /// Returns the run of this id. One that this host issued, but was killed
    /// before it could journal the request, begins now.
    pub(super) async fn run_of_id(
        &self,
        id: RunId,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> Result<Option<Run>, SessionError> {
        if let Some(run) = self.shared.runs().get(id, Instant::now()) {
            return Ok(Some(run));
        }
        let episode = self.shared.identity.episode;
        if !self.context.is_journaled() || !self.context.run_ids.verify(episode, id) {
            return Ok(None);
        }
        let found = self
            .request(|reply, activity| Command::FindRun(id, reply, activity))
            .await?;
        match found {
            RunLookup::NotFound => {
                self.disk_space().await?;
                self.begin_late(id, request, fingerprint).map(Some)
            }
            // It left memory before its time.
            RunLookup::Finished { run, fresh: true } => Ok(Some(run)),
            RunLookup::Finished { fresh: false, .. } | RunLookup::ResultUnavailable => Ok(None),
        }
    }

    /// Returns the run of a known idempotency key. If its client left before it
    /// began, it begins now.
    async fn run_of_key(
        &self,
        id: RunId,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> Result<Run, SessionError> {
        if let Some(run) = self.shared.runs().get(id, Instant::now()) {
            return Ok(run);
        }
        let found = self
            .request(|reply, activity| Command::FindRun(id, reply, activity))
            .await?;
        match found {
            RunLookup::Finished { run, .. } => Ok(run),
            RunLookup::NotFound => {
                self.disk_space().await?;
                self.begin_late(id, request, fingerprint)
            }
            RunLookup::ResultUnavailable => Err(SessionError::KeyReused),
        }
    }

    /// Fails if there is no disk space for another run of the owner.
    async fn disk_space(&self) -> Result<(), SessionError> {
        let owner = self.shared.identity.owner.name();
        let checked = self.context.disk_quota.check(owner).await;
        checked.map_err(SessionError::Disk)
    }

    /// Waits while the owner's guests wait for the CPUs in such numbers that another
    /// one would not get far.
    async fn cpu_queue(&self) -> Result<(), SessionError> {
        let settings = &self.context.settings;
        let owner = self.shared.identity.owner.cpu_owner();
        let start = Instant::now();
        while self.context.engine.waiting_per_cpu(&owner) >= settings.cpu_queue {
            if start.elapsed() >= settings.setup_wait {
                return Err(SessionError::Busy(CPU_QUEUE_FULL));
            }
            tokio::time::sleep(CPU_QUEUE_INTERVAL).await;
        }
        Ok(())
    }

    /// Begins a run whose id was issued before and that is not journaled.
    fn begin_late(
        &self,
        id: RunId,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> Result<Run, SessionError> {
        let refusal = self.refusal(&request);
        self.result_space()?;
        // Charged without a lock, since that may evict results.
        let refused = refusal.map(|refusal| self.finished_run(id, refusal));
        let mut retries = self.shared.retries();
        // A concurrent request may have been faster.
        if let Some(run) = self.shared.runs().get(id, Instant::now()) {
            return Ok(run);
        }
        let run = match refused {
            Some(run) => run,
            None => {
                let run = self.queued_run(id, request, fingerprint.clone())?;
                retries.record(&run, &fingerprint);
                run
            }
        };
        self.shared.runs().insert(run.clone());
        drop(retries);
        // The client knows its id or its key already, so it can start.
        run.start();
        Ok(run)
    }

    /// Returns whether there is memory for another result. It may evict results,
    /// so no lock on runs may be held.
    fn result_space(&self) -> Result<(), SessionError> {
        let owner = &self.shared.identity.owner;
        let has_space = self.context.results.has_space(owner);
        has_space
            .then_some(())
            .ok_or(SessionError::Busy(TOO_LARGE_RESULTS))
    }

    /// Returns a run for the actor, which is queued when it is announced.
    fn queued_run(
        &self,
        id: RunId,
        request: RunRequest,
        fingerprint: RequestFingerprint,
    ) -> Result<Run, SessionError> {
        let owner = &self.shared.identity.owner;
        let quota = self
            .context
            .call_quota
            .try_acquire(owner)
            .map_err(|QuotaExceeded| SessionError::TooManyCalls)?;
        let memory = self.context.requests.try_take(owner, request.memory());
        let memory = memory.map_err(|_| SessionError::Busy(TOO_LARGE_CALLS))?;
        let handle = self.clone();
        let run = Run::new(id, move |run, outcome, start| {
            handle.shared.runs().insert(run.clone());
            let activity = ActivityGuard::new(&handle.shared);
            let (code, message) = match handle.commands.try_reserve() {
                Ok(place) => {
                    let run = QueuedRun {
                        id,
                        request,
                        fingerprint,
                        outcome,
                        start,
                        quota,
                        memory,
                        arrived: Instant::now(),
                    };
                    return place.send(Command::Run(Box::new(run), activity));
                }
                Err(TrySendError::Full(())) => (
                    FaultCode::Overloaded,
                    "too many calls of this session are waiting",
                ),
                Err(TrySendError::Closed(())) => (
                    FaultCode::Interrupted,
                    "the session ended before the call began",
                ),
            };
            handle.shared.counters.not_queued();
            handle.shared.runs().remove(id);
            handle.shared.retries().remove(id);
            outcome.send(RunOutcome::Faulted(Fault::new(code, message)));
        });
        Ok(run.with_id_order(match self.context.journal.durability() {
            // A loss of power takes what the kernel holds, but not the journal.
            Durability::Power => IdOrder::Sent,
            Durability::Process => IdOrder::Held,
            Durability::None => IdOrder::Any,
        }))
    }

    /// Returns a run whose outcome is known before it starts.
    fn finished_run(&self, id: RunId, outcome: RunOutcome) -> Run {
        let handle = self.clone();
        let owner = &self.shared.identity.owner;
        let outcome = self.context.results.hold(owner, outcome);
        Run::new(id, move |run, sender, _start| {
            let shared = &handle.shared;
            shared.counters.refused(&outcome);
            handle.context.results.keep(shared, id, &outcome);
            let mut runs = shared.runs();
            runs.insert(run.clone());
            runs.finish(id, outcome.bytes(), Instant::now());
            drop(runs);
            sender.send(outcome);
            handle.context.results.make_room();
        })
    }

    /// Returns the outcome of a request that is refused without entering the
    /// guest; none if it is not.
    fn refusal(&self, request: &RunRequest) -> Option<RunOutcome> {
        let runtime = self.shared.runtime()?;
        let limit = runtime.json_depth;
        let check_depth = |what, value: &dyn JsonDepth| {
            let levels = value.json_depth();
            (levels > limit).then(|| too_deep(what, levels, limit))
        };
        let (tool, input) = match request {
            RunRequest::Call { tool, input } => (tool, input),
            RunRequest::Score(candidates) => {
                return check_depth("candidates", candidates).map(RunOutcome::Failed);
            }
        };
        let description = runtime.environment.description();
        let refusal = match description.find_tool(tool, runtime.toolset.as_deref()) {
            ToolLookup::Found => Refusal {
                reason: RefusalReason::InputValidation,
                message: check_depth("input", input)
                    .or_else(|| input.non_finite().map(not_finite))?,
            },
            ToolLookup::NotFound => Refusal::not_found(tool),
            ToolLookup::Collision(toolset) => Refusal {
                reason: RefusalReason::NameCollision,
                message: format!(
                    "Tool name collision: {} is defined in both the environment and toolset {}. \
                     Please rename one of them to avoid conflicts.",
                    python_repr(tool),
                    python_repr(toolset)
                ),
            },
        };
        Some(RunOutcome::Refused(refusal))
    }
}

/// Returns the error for a tool input with a number that JSON cannot express.
fn not_finite(place: &str) -> String {
    format!(
        "Tool input validation error: {place}: Input should be a finite number; \
         JSON cannot express NaN or an infinity"
    )
}

/// Returns the error for JSON that is nested too deeply.
pub(crate) fn too_deep(what: &str, levels: usize, limit: usize) -> String {
    format!("{what}: JSON of {levels} levels, and {limit} are allowed")
}
