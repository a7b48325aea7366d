//! One execution of a call, kept so that its result can be fetched again.
//!
//! A run is made before anything happens, announced when its id goes out to
//! the client, and started once the id is on its way: a client that lost the
//! connection can then always ask for the result, and never has to call again.
//! Its place among the calls of its session is that of its announcement.
//! Disconnecting never cancels a run. One that was never announced is nothing
//! but its handles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use orwd_model::{Fault, FaultCode, RunId, RunOutcome};

/// A handle on a run; clones share it.
#[derive(Clone)]
pub struct Run {
    id: RunId,
    stage: Arc<Mutex<Stage>>,
    outcome: watch::Receiver<Option<Arc<RunOutcome>>>,
    readers: Arc<Mutex<Readers>>,
}

/// Who reads the outcome, and whether anybody has it all.
#[derive(Default)]
struct Readers {
    open: usize,
    delivered: bool,
    /// When the last reader left without all of it.
    doubted: Option<Instant>,
}

/// One reader of an outcome; dropped when it leaves.
pub struct Reader(Arc<Mutex<Readers>>);

impl Reader {
    /// The whole outcome is on its way to the client.
    pub fn delivered(&mut self) {
        readers(&self.0).delivered = true;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut readers = readers(&self.0);
        readers.open = readers.open.saturating_sub(1);
        if readers.open == 0 && !readers.delivered {
            readers.doubted = Some(Instant::now());
        }
    }
}

fn readers(readers: &Mutex<Readers>) -> MutexGuard<'_, Readers> {
    readers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is still to be done before the run is under way.
enum Stage {
    Made(Announce),
    Announced(oneshot::Sender<()>),
    /// With the text of the outcome, while somebody reads it.
    Started(Weak<String>),
}

/// Makes the run known to others and queues it.
type Announce = Box<dyn FnOnce(&Run, Go) + Send>;

/// Resolves when the run may begin.
pub type Go = oneshot::Receiver<()>;

/// Where a run's outcome is put. Dropped without one, its readers learn that
/// the run was interrupted: nobody waits for ever.
#[derive(Debug)]
pub struct Promise(watch::Sender<Option<Arc<RunOutcome>>>);

impl Promise {
    /// Tells every reader, now and later.
    pub fn keep(self, outcome: RunOutcome) {
        self.0.send_replace(Some(Arc::new(outcome)));
    }
}

impl Run {
    /// A run that `announce` makes known and queues, given the run itself, the
    /// promise to keep, and what to wait for before anything is done.
    pub fn new(id: RunId, announce: impl FnOnce(&Run, Promise, Go) + Send + 'static) -> Run {
        let (sender, outcome) = watch::channel(None);
        let announce = move |run: &Run, go: Go| announce(run, Promise(sender), go);
        Run {
            id,
            stage: Arc::new(Mutex::new(Stage::Made(Box::new(announce)))),
            outcome,
            readers: Arc::default(),
        }
    }

    /// A run that goes on already, and the promise to keep.
    pub fn under_way(id: RunId) -> (Run, Promise) {
        let (sender, outcome) = watch::channel(None);
        let run = Run {
            id,
            stage: Arc::new(Mutex::new(Stage::Started(Weak::new()))),
            outcome,
            readers: Arc::default(),
        };
        (run, Promise(sender))
    }

    /// A run that is over already.
    pub fn over(id: RunId, outcome: RunOutcome) -> Run {
        let run = Run::new(id, |_, promise, _| promise.keep(outcome));
        run.start();
        run
    }

    /// The id that the wire calls `task_id`.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// Makes the run known, if nobody has yet: from here on it can be asked
    /// for by its id. Whoever announces a run also starts it.
    pub fn announce(&self) {
        let (sender, go) = oneshot::channel();
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Started(Weak::new())) {
            Stage::Made(announce) => {
                *stage = Stage::Announced(sender);
                drop(stage);
                announce(self, go);
            }
            other => *stage = other,
        }
    }

    /// Sets the run going, if nobody has yet.
    pub fn start(&self) {
        self.announce();
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Started(Weak::new())) {
            Stage::Announced(go) => {
                // Nobody waits for it if its session is gone.
                let _ = go.send(());
            }
            other => *stage = other,
        }
    }

    /// The outcome as the text that `write` makes of it. All who read it at
    /// the same time share one, or many readers of one long result would hold
    /// as many copies of it.
    pub fn text(&self, write: impl FnOnce() -> String) -> Arc<String> {
        let mut stage = self.stage();
        if let Stage::Started(text) = &*stage
            && let Some(text) = text.upgrade()
        {
            return text;
        }
        let text = Arc::new(write());
        if let Stage::Started(known) = &mut *stage {
            *known = Arc::downgrade(&text);
        }
        text
    }

    /// Somebody begins to read the outcome.
    pub fn reader(&self) -> Reader {
        let mut readers = readers(&self.readers);
        readers.open += 1;
        readers.doubted = None;
        Reader(self.readers.clone())
    }

    /// Whether a reader was given all of the outcome.
    pub fn is_delivered(&self) -> bool {
        readers(&self.readers).delivered
    }

    /// When the last reader left without all of the outcome; none if one is
    /// still reading, has it all, or there was none yet.
    pub fn doubted(&self) -> Option<Instant> {
        let readers = readers(&self.readers);
        readers.doubted.filter(|_| !readers.delivered)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome, if it is there already.
    pub fn peek(&self) -> Option<Arc<RunOutcome>> {
        self.outcome.borrow().clone()
    }

    /// Waits for the outcome. Cancel-safe.
    pub async fn outcome(&self) -> Arc<RunOutcome> {
        let mut outcome = self.outcome.clone();
        let done = match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        done.unwrap_or_else(|| {
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
    async fn a_run_is_announced_and_started_once_and_tells_every_reader() {
        let announced = Arc::new(AtomicUsize::new(0));
        let counter = announced.clone();
        let run = Run::new(RunId::random(), move |_, promise, go| {
            counter.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                go.await.unwrap();
                promise.keep(failed("x"));
            });
        });
        run.announce();
        tokio::task::yield_now().await;
        assert!(run.peek().is_none());
        let reader = run.clone();
        run.start();
        run.start();
        reader.announce();
        assert_eq!(*reader.outcome().await, failed("x"));
        assert_eq!(*run.outcome().await, failed("x"));
        assert_eq!(announced.load(SeqCst), 1);
    }

    #[test]
    fn readers_at_the_same_time_share_one_text() {
        let run = Run::new(RunId::random(), |_, promise, _| promise.keep(failed("x")));
        run.start();
        let first = run.text(|| "one".to_owned());
        run.start();
        let second = run.clone().text(|| "two".to_owned());
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert_eq!(*run.text(|| "three".to_owned()), "three");
    }

    #[tokio::test]
    async fn a_broken_promise_is_an_interruption() {
        let run = Run::new(RunId::random(), |_, promise, _| drop(promise));
        run.start();
        let RunOutcome::Faulted(fault) = &*run.outcome().await else {
            panic!("not a fault");
        };
        assert_eq!(fault.code, FaultCode::Interrupted);
    }
}
