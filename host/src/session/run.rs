//! One execution of a call, kept so that its result can be fetched again.
//!
//! A run is made before anything happens and started once its id is on its way
//! to the client: a client that lost the connection can then always ask for
//! the result, and never has to call again. Disconnecting never cancels a run.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::{Fault, FaultCode, RunOutcome, TaskId};

/// A handle on a run; clones share it.
#[derive(Clone)]
pub struct Run {
    id: TaskId,
    start: Arc<Mutex<Option<Start>>>,
    outcome: watch::Receiver<Option<Arc<RunOutcome>>>,
}

/// What sets a run going.
type Start = Box<dyn FnOnce(&Run) + Send>;

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
    /// A run that `start` sets going, given the run itself and the promise to
    /// keep. One that is never started is nothing but its handles.
    pub fn new(id: TaskId, start: impl FnOnce(&Run, Promise) + Send + 'static) -> Run {
        let (sender, outcome) = watch::channel(None);
        let start = move |run: &Run| start(run, Promise(sender));
        Run {
            id,
            start: Arc::new(Mutex::new(Some(Box::new(start)))),
            outcome,
        }
    }

    /// The id that the wire calls `task_id`.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Sets the run going, if nobody has yet.
    pub fn start(&self) {
        let start = self
            .start
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(start) = start {
            start(self);
        }
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
    use super::*;

    fn failed(text: &str) -> RunOutcome {
        RunOutcome::Failed(text.to_owned())
    }

    #[tokio::test]
    async fn a_run_starts_once_and_tells_every_reader() {
        let starts = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = starts.clone();
        let run = Run::new(TaskId::random(), move |_, promise| {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            promise.keep(failed("x"));
        });
        assert!(run.peek().is_none());
        let reader = run.clone();
        run.start();
        run.start();
        assert_eq!(*reader.outcome().await, failed("x"));
        assert_eq!(*run.outcome().await, failed("x"));
        assert_eq!(starts.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_broken_promise_is_an_interruption() {
        let run = Run::new(TaskId::random(), |_, promise| drop(promise));
        run.start();
        let RunOutcome::Faulted(fault) = &*run.outcome().await else {
            panic!("not a fault");
        };
        assert_eq!(fault.code, FaultCode::Interrupted);
    }
}
