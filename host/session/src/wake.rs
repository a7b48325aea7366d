//! How a session comes back into memory.
//!
//! Its journal is read and checked, its guest opened as it was, and everything
//! done again. Where something else comes of it the session is lost, and says
//! so: a wrong answer is worse than none. What was asked last and never
//! answered is done now, for the first time as far as anybody knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::house::House;
use super::open;
use super::owner::{Holding, Owner};
use super::record::{Awake, Book, Pending};
use super::replay::{self, Replay};
use super::run::{Promise, Run};
use super::service::{Imprint, SessionError};
use super::state::{Busy, Ground, Phase};
use orwd_journal::{
    EndReason, EpisodeHistory, EpisodeId, EpisodeStep, GuestOutcome, GuestRequest, JournalError,
    RunIdentity,
};
use orwd_model::{ClockMode, EncodedSize, Fault, RunId, Timestamp};

/// The time between two looks for a place.
const LOOK: Duration = Duration::from_millis(50);

/// The longest time between two tries to write an end.
const LONGEST: Duration = Duration::from_secs(2);

/// How often the end of an episode is tried where it does not fit.
const ATTEMPTS: u32 = 3;

/// What the journal says of a run.
pub(super) enum Recalled {
    /// It came to this.
    Over(Run),
    /// It is not there.
    Never,
    /// It is there, and what it came to is not.
    Forgotten,
}

/// Why a session does not come back.
enum Failure {
    /// For now: there is no room, or the journal cannot be read.
    NotNow(String),
    /// For good.
    Lost(String),
    /// Its guest was gone before.
    Faulted(Fault),
    /// It has ended, by whoever wrote that.
    Ended,
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Failure {
        match error {
            JournalError::Damaged { .. } | JournalError::Unknown(_) | JournalError::Seal(_) => {
                Failure::Lost(error.to_string())
            }
            _ => Failure::NotNow(error.to_string()),
        }
    }
}

/// What is left to do once the past is done again.
enum Rest {
    /// Nothing.
    Nothing,
    /// The setup, which was never asked for.
    SetUp,
    /// Nothing: its setup failed, in these words.
    SetupFailed(String),
    /// What was asked last.
    Last(Box<EpisodeStep>),
    /// To end: it was being torn down, which is left to be done if it was not
    /// answered.
    End(Option<Box<EpisodeStep>>),
}

impl Owner {
    /// Brings the guest into memory, if the journal has it.
    pub(super) async fn wake(&mut self) -> Result<(), SessionError> {
        if !matches!(self.holding, Holding::Asleep) {
            return Ok(());
        }
        if let Phase::SetupFailed(message) = &*self.shared.phase.borrow() {
            return Err(SessionError::SetupFailed(message.clone()));
        }
        let begin = Instant::now();
        self.shared.advance(Phase::Waking);
        let identity = &self.shared.identity;
        let (session, episode) = (identity.id.clone(), identity.episode);
        match self.rebuild().await {
            Ok((rest, steps)) => {
                let milliseconds = begin.elapsed().as_millis() as u64;
                tracing::debug!(%session, %episode, steps, milliseconds, "a session is back");
                self.go_on(rest).await;
                Ok(())
            }
            Err(Failure::NotNow(why)) => {
                tracing::warn!(%session, %episode, "a session cannot come back yet: {why}");
                self.shared.advance(Phase::Asleep);
                Err(SessionError::Starting)
            }
            Err(Failure::Lost(why)) => {
                tracing::error!(%session, %episode, "a session is lost: {why}");
                self.holding = Holding::Gone;
                self.shared.advance(Phase::Lost(why.clone()));
                Err(SessionError::Lost(why))
            }
            Err(Failure::Faulted(fault)) => {
                self.holding = Holding::Gone;
                self.shared.advance(Phase::Faulted(fault.clone()));
                Err(SessionError::Gone(fault))
            }
            Err(Failure::Ended) => {
                self.holding = Holding::Gone;
                self.shared.advance(Phase::Deleted);
                Err(SessionError::Deleted)
            }
        }
    }

    /// Does the past again, and holds the guest.
    async fn rebuild(&mut self) -> Result<(Rest, usize), Failure> {
        let house = self.house.clone();
        // Before the turn, which others need who may make room.
        let slot = self.place().await?;
        let _turn = house.waking.turn(&self.shared.identity.owner).await;
        let history = house.journal.history(self.shared.identity.episode).await?;
        if history.ended().is_some() {
            return Err(Failure::Ended);
        }
        let created = history.created();
        let unsealed = house.journal.unseal(&created.secrets, history.episode());
        self.remember(&history);
        let answered = history
            .steps()
            .iter()
            .filter_map(|step| step.outcome.as_ref());
        if let Some(fault) = answered
            .map(|answer| &answer.record)
            .find_map(replay::fault)
        {
            return Err(Failure::Faulted(fault.clone()));
        }
        if created.clock == ClockMode::Real {
            let why = "its environment sees the real clock, so that it cannot be done again";
            return Err(Failure::Lost(why.to_owned()));
        }
        let environment = house.versions.of(created).await.map_err(Failure::Lost)?;
        let data = environment.data_digest().await;
        let data = data.map_err(|error| Failure::NotNow(format!("its data: {error}")))?;
        if let Some(why) = replay::other_data(created, data) {
            return Err(Failure::Lost(why));
        }
        let mut replay = Replay::open(&environment, &history, unsealed?, slot)
            .await
            .map_err(|error| {
                let why = replay::why_not(&error);
                if error.is_host_fault() {
                    Failure::NotNow(why)
                } else {
                    Failure::Lost(why)
                }
            })?;
        while let Some(done) = replay.next().await {
            if let Some(GuestOutcome::Faulted(fault)) = &done.seen
                && fault.code.is_host_fault()
            {
                return Err(Failure::NotNow(fault.to_string()));
            }
            if !done.is_same() {
                return Err(Failure::Lost(format!(
                    "record {} ({}) came to something else when it was done again",
                    done.step.seq,
                    done.step.record.request.as_str()
                )));
            }
        }
        let mut guest = replay.guest;
        guest.set_sleep_mode(orwd_model::SleepMode::RealTime);
        self.shared.stand_on(Ground {
            environment: environment.clone(),
            first_task_tools: replay.tools,
            resumable: open::resumable(
                &house,
                replay::determinism(created).clock,
                &created.mode,
                &created.secrets,
            ),
            publishes: created.mode.within(environment.mode()).publishes(),
            json_depth: created.limits.json_depth,
        });
        let book = Book::kept(house.journal.resume(&history), created.limits.journal);
        self.holding = Holding::Awake(Box::new(Awake { guest, book }));
        let steps = history.steps().len();
        Ok((rest(&history), steps))
    }

    /// A place for the guest, waited for as long as requests wait.
    async fn place(&mut self) -> Result<OwnedSemaphorePermit, Failure> {
        let begin = Instant::now();
        loop {
            if let Some(slot) = self.house.slot().await {
                return Ok(slot);
            }
            if begin.elapsed() >= self.house.settings.setup_wait {
                return Err(Failure::NotNow("every place is taken".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Does what is left.
    async fn go_on(&mut self, rest: Rest) {
        let step = match rest {
            Rest::Nothing => return self.ready(),
            Rest::SetupFailed(message) => {
                self.may_sleep();
                return self.shared.advance(Phase::SetupFailed(message));
            }
            Rest::End(step) => return self.go_on_ending(step).await,
            Rest::SetUp => None,
            Rest::Last(step) => Some(*step),
        };
        let Holding::Awake(awake) = &mut self.holding else {
            return;
        };
        let Some(EpisodeStep {
            seq, record: asked, ..
        }) = step
        else {
            let pending = awake.ask(GuestRequest::Setup, None);
            self.shared.advance(Phase::Starting);
            return self.set_up(&pending).await;
        };
        let mark = asked.run.clone();
        let pending = Pending::written(seq, asked);
        if pending.ask == GuestRequest::Setup {
            self.shared.advance(Phase::Starting);
            return self.set_up(&pending).await;
        }
        // Whoever asked for it finds it while it runs.
        let run = mark.map(|mark| self.begin_again(&mark));
        self.ready();
        let Holding::Awake(awake) = &mut self.holding else {
            return;
        };
        let share = self.house.calls.take_anyway(&self.shared.identity.owner);
        let outcome = awake.perform(&pending).await;
        let outcome = self.settle(outcome);
        if let Some((id, promise)) = run {
            self.keep(id, outcome, promise, (Busy::new(&self.shared), share));
        }
    }

    /// Ends what the host was about to end when it ended itself.
    async fn go_on_ending(&mut self, step: Option<Box<EpisodeStep>>) {
        let Holding::Awake(awake) = std::mem::replace(&mut self.holding, Holding::Gone) else {
            return;
        };
        let mut awake = *awake;
        let reason = EndReason::Deleted;
        let written = match step {
            Some(step) => {
                let EpisodeStep {
                    seq, record: asked, ..
                } = *step;
                awake.finish(&Pending::written(seq, asked), reason).await.1
            }
            None => awake.book.end(reason).await,
        };
        if let Err(error) = written {
            let identity = &self.shared.identity;
            tracing::error!(
                session = %identity.id, episode = %identity.episode,
                "the end of a session is not in the journal: {error}"
            );
        }
        self.shared.advance(Phase::Deleted);
    }

    /// A run that was begun before and is to be done now.
    fn begin_again(&self, mark: &RunIdentity) -> (RunId, Promise) {
        let (run, promise) = Run::under_way(mark.id);
        // The connection that it came by is gone.
        drop(run.reader());
        self.shared.runs().begin(run.clone());
        self.shared.resends().note(&run, &imprint(mark));
        (mark.id, promise)
    }

    /// Knows again what clients may ask for: the results of a while, keys.
    fn remember(&self, history: &EpisodeHistory) {
        let linger = self.house.settings.result_ttl;
        let now = Timestamp::now();
        // In this order everywhere.
        let mut resends = self.shared.resends();
        let mut runs = self.shared.runs();
        let last = history
            .steps()
            .iter()
            .rposition(|step| step.record.run.is_some());
        for (place, step) in history.steps().iter().enumerate() {
            let (Some(mark), Some(answer)) = (&step.record.run, &step.outcome) else {
                continue;
            };
            if !self.house.mint.drew(history.episode(), mark.id) {
                continue;
            }
            resends.note_key(mark.id, &imprint(mark));
            let lingers = step.record.at.saturating_add(linger) >= now;
            if !(lingers || Some(place) == last) || runs.knows(mark.id) {
                continue;
            }
            if let Some(outcome) = answer
                .record
                .outcome
                .clone()
                .and_then(GuestOutcome::into_run)
            {
                let bytes = outcome.encoded_size();
                runs.begin(Run::over(mark.id, outcome));
                runs.finish(mark.id, bytes, Instant::now());
            }
        }
    }

    /// Looks a run up in the journal.
    pub(super) async fn recall(&mut self, id: RunId) -> Result<Recalled, SessionError> {
        if !self.house.is_kept() {
            return Ok(Recalled::Forgotten);
        }
        let episode = self.shared.identity.episode;
        let history = self.house.journal.history(episode).await;
        let history = history.map_err(|error| {
            tracing::error!(%episode, "a run cannot be looked up: {error}");
            SessionError::Starting
        })?;
        let step = history
            .steps()
            .iter()
            .find(|step| step.record.run.as_ref().is_some_and(|run| run.id == id));
        Ok(match step {
            None => Recalled::Never,
            Some(step) => step
                .outcome
                .as_ref()
                .and_then(|answer| answer.record.outcome.clone())
                .and_then(GuestOutcome::into_run)
                .map_or(Recalled::Forgotten, |outcome| {
                    Recalled::Over(Run::over(id, outcome))
                }),
        })
    }
}

/// Writes the end of an episode that is not in memory.
pub(super) async fn write_end(
    house: &House,
    episode: EpisodeId,
    reason: EndReason,
) -> Result<(), JournalError> {
    let journal = &house.journal;
    if !house.is_kept() {
        return Ok(());
    }
    let mut attempts = 0..ATTEMPTS;
    loop {
        let history = journal.history(episode).await?;
        if history.ended().is_some() {
            return Ok(());
        }
        match Book::kept(journal.resume(&history), u64::MAX)
            .end(reason)
            .await
        {
            // A record of ours was still on its way.
            Err(JournalError::Fenced { .. }) if attempts.next().is_some() => {}
            written => return written,
        }
    }
}

/// Writes an end that could not be written, when it can be: for as long as it
/// is not there, the id is taken, and a host that starts again takes the
/// session for one that goes on.
pub(super) async fn write_end_later(house: Arc<House>, episode: EpisodeId, reason: EndReason) {
    let mut pause = LOOK;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
        match write_end(&house, episode, reason).await {
            Err(error) if error.is_transient() => {}
            Ok(()) => return tracing::info!(%episode, "the end of a session is in the journal now"),
            // The host ends, or there is nothing that could be gone on with.
            Err(_) => return,
        }
    }
}

/// What is left to do after this past.
fn rest(history: &EpisodeHistory) -> Rest {
    let set_up = history
        .steps()
        .first()
        .and_then(|step| step.outcome.as_ref());
    let set_up = set_up.and_then(|answer| answer.record.outcome.as_ref());
    match history.steps().last() {
        None => Rest::SetUp,
        Some(step) if step.record.request == GuestRequest::Teardown => {
            let unanswered = step.outcome.is_none();
            Rest::End(unanswered.then(|| Box::new(step.clone())))
        }
        _ if let Some(GuestOutcome::Failed(message)) = set_up => Rest::SetupFailed(message.clone()),
        Some(step) if step.outcome.is_none() => Rest::Last(Box::new(step.clone())),
        Some(_) => Rest::Nothing,
    }
}

fn imprint(mark: &RunIdentity) -> Imprint {
    Imprint {
        body: *mark.body.as_bytes(),
        key: mark.idempotency_key.clone(),
    }
}
