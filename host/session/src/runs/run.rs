//! One execution of a tool call or a scoring.
//!
//! A run is created before anything happens. It is announced when its id is
//! sent to the client, and started once the id is on its way. A client whose
//! connection broke can therefore always fetch the result, and never has to
//! call again. Runs of a session are queued in the order of announcement.
//! Disconnecting never cancels a run. A run that is never announced exists only
//! in its handles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use orwd_model::{Fault, FaultCode, RunId, RunOutcome};
use tokio::sync::{oneshot, watch};

/// A handle on a run; clones share it.
#[derive(Clone)]
pub struct Run {
    id: RunId,
    stage: Arc<Mutex<Stage>>,
    outcome: watch::Receiver<Option<Arc<RunOutcome>>>,
    readers: Arc<Mutex<Readers>>,
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
    Started(Weak<String>),
}

/// Makes the run known to others and queues it.
type Announce = Box<dyn FnOnce(&Run, StartSignal) + Send>;

/// Resolves when the run may start.
pub type StartSignal = oneshot::Receiver<()>;

/// Where the outcome of a run is sent. If it is dropped unused, readers get
/// the outcome "interrupted" and do not wait forever.
#[derive(Debug)]
pub struct OutcomeSender(watch::Sender<Option<Arc<RunOutcome>>>);

impl OutcomeSender {
    /// Sends the outcome to all present and later readers.
    pub fn send(self, outcome: RunOutcome) {
        self.0.send_replace(Some(Arc::new(outcome)));
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
        }
    }

    /// Creates a run that has started, and the sender for its outcome.
    pub(crate) fn started(id: RunId) -> (Run, OutcomeSender) {
        let (sender, outcome) = watch::channel(None);
        let run = Run {
            id,
            stage: Arc::new(Mutex::new(Stage::Started(Weak::new()))),
            outcome,
            readers: Arc::default(),
        };
        (run, OutcomeSender(sender))
    }

    /// Creates a run that has finished.
    pub(crate) fn finished(id: RunId, outcome: RunOutcome) -> Run {
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
        match std::mem::replace(&mut *stage, Stage::Started(Weak::new())) {
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
        match std::mem::replace(&mut *stage, Stage::Started(Weak::new())) {
            Stage::Announced(start) => {
                // The receiver is gone if the session is.
                let _ = start.send(());
            }
            other => *stage = other,
        }
    }

    /// Returns the outcome as encoded by `encode`. Concurrent readers share one
    /// text, so that a long result is not held once per reader.
    pub fn shared_text(&self, encode: impl FnOnce() -> String) -> Arc<String> {
        let mut stage = self.stage();
        if let Stage::Started(text) = &*stage
            && let Some(text) = text.upgrade()
        {
            return text;
        }
        let text = Arc::new(encode());
        if let Stage::Started(known) = &mut *stage {
            *known = Arc::downgrade(&text);
        }
        text
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
        lock(&self.readers).delivered
    }

    /// Returns when the last reader left without all of the outcome. None if
    /// there was no reader yet, one is still reading, or one got all of it.
    pub fn abandoned_at(&self) -> Option<Instant> {
        let readers = lock(&self.readers);
        readers.abandoned_at.filter(|_| !readers.delivered)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the outcome if the run has finished.
    pub fn try_outcome(&self) -> Option<Arc<RunOutcome>> {
        self.outcome.borrow().clone()
    }

    /// Waits for the outcome. Cancel-safe.
    pub async fn outcome(&self) -> Arc<RunOutcome> {
        let mut outcome = self.outcome.clone();
        let sent = match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        sent.unwrap_or_else(|| {
            let message = "the call ended without a result; its session is gone";
            Arc::new(RunOutcome::Faulted(Fault::new(
                FaultCode::Interrupted,
                message,
            )))
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
        assert_eq!(*reader.outcome().await, failed("x"));
        assert_eq!(*run.outcome().await, failed("x"));
        assert_eq!(announced.load(SeqCst), 1);
    }

    #[test]
    fn concurrent_readers_share_one_text() {
        let run = Run::new(RunId::random(), |_, outcome, _| outcome.send(failed("x")));
        run.start();
        let first = run.shared_text(|| "one".to_owned());
        run.start();
        let second = run.clone().shared_text(|| "two".to_owned());
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert_eq!(*run.shared_text(|| "three".to_owned()), "three");
    }

    #[tokio::test]
    async fn a_run_without_an_outcome_was_interrupted() {
        let run = Run::new(RunId::random(), |_, outcome, _| drop(outcome));
        run.start();
        let RunOutcome::Faulted(fault) = &*run.outcome().await else {
            panic!("not a fault");
        };
        assert_eq!(fault.code, FaultCode::Interrupted);
    }
}
