//! One execution of a tool call or a scoring.
//!
//! A run is created before anything happens. It is announced when its id is
//! sent to the client, and started once the id is on its way. A client whose
//! connection broke can therefore always fetch the result, and never has to
//! call again. Runs of a session are queued in the order of announcement.
//! Disconnecting never cancels a run. A run that is never announced exists only
//! in its handles.

use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use orwd_limiter::BytePermit;
use orwd_model::{Fault, FaultCode, RunId, RunOutcome};
use tokio::sync::{oneshot, watch};

use crate::api::principal::Principal;

/// A handle on a run; clones share it.
#[derive(Clone)]
pub struct Run {
    id: RunId,
    stage: Arc<Mutex<Stage>>,
    outcome: watch::Receiver<Option<Arc<HeldOutcome>>>,
    readers: Arc<Mutex<Readers>>,
    id_order: IdOrder,
}

/// What must have become of the id before the run starts, so that a client whose
/// connection breaks does not call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdOrder {
    /// It is on its way: what the kernel holds may be lost.
    Sent,
    /// The kernel has it, and sends it even if this process is killed.
    Held,
    /// Nothing: no run outlives this process, which knows what it has sent.
    Any,
}

/// An outcome in memory, with its charge.
#[derive(Debug)]
pub struct HeldOutcome {
    outcome: RunOutcome,
    memory: Option<BytePermit<Principal>>,
}

impl HeldOutcome {
    pub(crate) fn charged(outcome: RunOutcome, memory: BytePermit<Principal>) -> HeldOutcome {
        HeldOutcome {
            outcome,
            memory: Some(memory),
        }
    }

    /// Returns the bytes that are charged.
    pub(crate) fn bytes(&self) -> usize {
        self.memory.as_ref().map_or(0, BytePermit::bytes)
    }
}

/// An outcome that is charged to nobody.
impl From<RunOutcome> for HeldOutcome {
    fn from(outcome: RunOutcome) -> HeldOutcome {
        HeldOutcome {
            outcome,
            memory: None,
        }
    }
}

impl Deref for HeldOutcome {
    type Target = RunOutcome;

    fn deref(&self) -> &RunOutcome {
        &self.outcome
    }
}

/// Whether a client has the outcome of a run; a part of it that does not hold
/// the outcome.
#[derive(Clone)]
pub(crate) struct Delivery(Arc<Mutex<Readers>>);

impl Delivery {
    /// Returns whether a reader got all of the outcome.
    pub(crate) fn is_delivered(&self) -> bool {
        lock(&self.0).delivered
    }

    /// Returns when the last reader left without all of the outcome. None if
    /// there was no reader yet, one is still reading, or one got all of it.
    pub(crate) fn abandoned_at(&self) -> Option<Instant> {
        let readers = lock(&self.0);
        readers.abandoned_at.filter(|_| !readers.delivered)
    }
}

/// Who is reading the outcome, and whether a client has all of it.
#[derive(Default)]
struct Readers {
    open: usize,
    delivered: bool,
    /// When the last reader left without having read all of it.
    abandoned_at: Option<Instant>,
}

/// One reader of an outcome; dropped when it leaves.
pub struct OutcomeReader(Arc<Mutex<Readers>>);

impl OutcomeReader {
    /// Notes that the whole outcome is on its way to the client.
    pub fn mark_delivered(&mut self) {
        lock(&self.0).delivered = true;
    }
}

impl Drop for OutcomeReader {
    fn drop(&mut self) {
        let mut readers = lock(&self.0);
        readers.open = readers.open.saturating_sub(1);
        if readers.open == 0 && !readers.delivered {
            readers.abandoned_at = Some(Instant::now());
        }
    }
}

fn lock(readers: &Mutex<Readers>) -> MutexGuard<'_, Readers> {
    readers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far a run is.
enum Stage {
    Created(Announce),
    Announced(oneshot::Sender<()>),
    /// With the encoded outcome, while somebody reads it.
    Started(Option<SharedText>),
}

type SharedText = Weak<dyn Any + Send + Sync>;

/// Makes the run known to others and queues it.
type Announce = Box<dyn FnOnce(&Run, StartSignal) + Send>;

/// Resolves when the run may start.
pub type StartSignal = oneshot::Receiver<()>;

/// Where the outcome of a run is sent. If it is dropped unused, readers get
/// the outcome "interrupted" and do not wait forever.
#[derive(Debug)]
pub struct OutcomeSender(watch::Sender<Option<Arc<HeldOutcome>>>);

impl OutcomeSender {
    /// Sends the outcome to all present and later readers.
    pub fn send(self, outcome: impl Into<HeldOutcome>) {
        self.0.send_replace(Some(Arc::new(outcome.into())));
    }
}

impl Run {
    /// Creates a run. `announce` makes it known and queues it; it gets the run,
    /// the sender for its outcome, and the signal to wait for.
    pub fn new(
        id: RunId,
        announce: impl FnOnce(&Run, OutcomeSender, StartSignal) + Send + 'static,
    ) -> Run {
        let (sender, outcome) = watch::channel(None);
        let announce =
            move |run: &Run, start: StartSignal| announce(run, OutcomeSender(sender), start);
        Run {
            id,
            stage: Arc::new(Mutex::new(Stage::Created(Box::new(announce)))),
            outcome,
            readers: Arc::default(),
            id_order: IdOrder::Held,
        }
    }

    /// Sets when the run may start.
    #[must_use]
    pub(crate) fn with_id_order(self, id_order: IdOrder) -> Run {
        Run { id_order, ..self }
    }

    /// Returns what must have become of the id before the run starts.
    pub fn id_order(&self) -> IdOrder {
        self.id_order
    }

    /// Creates a run that has started, and the sender for its outcome.
    pub(crate) fn started(id: RunId) -> (Run, OutcomeSender) {
        let (sender, outcome) = watch::channel(None);
        let run = Run {
            id,
            stage: Arc::new(Mutex::new(Stage::Started(None))),
            outcome,
            readers: Arc::default(),
            id_order: IdOrder::Held,
        };
        (run, OutcomeSender(sender))
    }

    /// Creates a run that has finished.
    pub(crate) fn finished(id: RunId, outcome: impl Into<HeldOutcome>) -> Run {
        let (run, sender) = Run::started(id);
        sender.send(outcome);
        run
    }

    /// Returns the id, which the wire calls `task_id`.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// Makes the run known and queues it, unless that has happened: from now on
    /// it can be found by its id. The caller must also start it.
    pub fn announce(&self) {
        let (sender, start) = oneshot::channel();
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Started(None)) {
            Stage::Created(announce) => {
                *stage = Stage::Announced(sender);
                drop(stage);
                announce(self, start);
            }
            other => *stage = other,
        }
    }

    /// Starts the run, unless it has started.
    pub fn start(&self) {
        self.announce();
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Started(None)) {
            Stage::Announced(start) => {
                // The receiver is gone if the session is.
                let _ = start.send(());
            }
            other => *stage = other,
        }
    }

    /// Returns the outcome as encoded by `encode`. Concurrent readers share one
    /// text, so that a long result is not held once per reader.
    pub fn shared_text<T: Send + Sync + 'static, E>(
        &self,
        encode: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut stage = self.stage();
        if let Stage::Started(Some(text)) = &*stage
            && let Some(text) = text.upgrade()
            && let Ok(text) = text.downcast::<T>()
        {
            return Ok(text);
        }
        let text = Arc::new(encode()?);
        if let Stage::Started(known) = &mut *stage {
            let shared: Arc<dyn Any + Send + Sync> = text.clone();
            *known = Some(Arc::downgrade(&shared));
        }
        Ok(text)
    }

    /// Adds a reader of the outcome.
    pub fn reader(&self) -> OutcomeReader {
        let mut readers = lock(&self.readers);
        readers.open += 1;
        readers.abandoned_at = None;
        OutcomeReader(self.readers.clone())
    }

    /// Returns whether a reader got all of the outcome.
    pub fn is_delivered(&self) -> bool {
        self.delivery().is_delivered()
    }

    /// Returns when the last reader left without all of the outcome. None if
    /// there was no reader yet, one is still reading, or one got all of it.
    pub fn abandoned_at(&self) -> Option<Instant> {
        self.delivery().abandoned_at()
    }

    /// Returns whether a client has the outcome, without the outcome.
    pub(crate) fn delivery(&self) -> Delivery {
        Delivery(self.readers.clone())
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the outcome if the run has finished.
    pub fn try_outcome(&self) -> Option<Arc<HeldOutcome>> {
        self.outcome.borrow().clone()
    }

    /// Waits for the outcome. Cancel-safe.
    pub async fn outcome(&self) -> Arc<HeldOutcome> {
        let mut outcome = self.outcome.clone();
        let sent = match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        sent.unwrap_or_else(|| {
            let message = "the call ended without a result; its session is gone";
            let fault = Fault::new(FaultCode::Interrupted, message);
            Arc::new(RunOutcome::Faulted(fault).into())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;

    use super::*;

    fn failed(text: &str) -> RunOutcome {
        RunOutcome::Failed(text.to_owned())
    }

    #[tokio::test]
    async fn a_run_is_announced_and_started_once_and_every_reader_gets_its_outcome() {
        let announced = Arc::new(AtomicUsize::new(0));
        let counter = announced.clone();
        let run = Run::new(RunId::random(), move |_, outcome, start| {
            counter.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                start.await.unwrap();
                outcome.send(failed("x"));
            });
        });
        run.announce();
        tokio::task::yield_now().await;
        assert!(run.try_outcome().is_none());
        let reader = run.clone();
        run.start();
        run.start();
        reader.announce();
        assert_eq!(**reader.outcome().await, failed("x"));
        assert_eq!(**run.outcome().await, failed("x"));
        assert_eq!(announced.load(SeqCst), 1);
    }

    #[test]
    fn concurrent_readers_share_one_text() {
        let run = Run::new(RunId::random(), |_, outcome, _| outcome.send(failed("x")));
        run.start();
        let text = |text: &'static str| run.shared_text(|| Ok::<_, ()>(text)).unwrap();
        assert_eq!(
            run.shared_text(|| Err::<&str, _>("no space")),
            Err("no space")
        );
        let first = text("one");
        run.start();
        let second = text("two");
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert_eq!(*text("three"), "three");
    }

    #[tokio::test]
    async fn a_run_without_an_outcome_was_interrupted() {
        let run = Run::new(RunId::random(), |_, outcome, _| drop(outcome));
        run.start();
        let outcome = run.outcome().await;
        let RunOutcome::Faulted(fault) = &**outcome else {
            panic!("not a fault");
        };
        assert_eq!(fault.code, FaultCode::Interrupted);
    }
}
