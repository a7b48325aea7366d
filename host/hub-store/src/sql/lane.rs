//! Threads that each own a connection and share a queue of work.

use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use super::backend::Backend;
use super::sqlite::SqliteBackend;
use crate::error::HubStoreError;

/// Pieces of work that may wait; a further one fails.
const QUEUE: usize = 1024;

/// The time between two looks at what runs.
const WATCH: Duration = Duration::from_millis(200);

type Job = Box<dyn FnOnce(&mut dyn Backend) + Send>;

/// A queue of work, and the threads that do it.
#[derive(Clone)]
pub(crate) struct Lane(SyncSender<Job>);

/// The work of one thread that must end in time.
struct Watched {
    interrupt: InterruptHandle,
    since: Arc<Mutex<Option<Instant>>>,
}

impl Lane {
    /// Starts a thread for each connection. With a limit, work that takes longer
    /// is interrupted.
    pub(crate) fn start(
        name: &str,
        backends: Vec<SqliteBackend>,
        limit: Option<Duration>,
    ) -> Result<Lane, HubStoreError> {
        let (sender, jobs) = mpsc::sync_channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut watched = Vec::new();
        for backend in backends {
            let (jobs, since) = (jobs.clone(), Arc::new(Mutex::new(None)));
            watched.push(Watched {
                interrupt: backend.interrupt_handle(),
                since: since.clone(),
            });
            spawn(name, move || work(backend, &jobs, &since))?;
        }
        if let Some(limit) = limit {
            let jobs = Arc::downgrade(&jobs);
            spawn(name, move || watch(&jobs, &watched, limit))?;
        }
        Ok(Lane(sender))
    }

    /// Adds work, or fails if too much waits.
    pub(crate) fn try_add(&self, job: Job) -> Result<(), HubStoreError> {
        self.0.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                HubStoreError::Busy("too many queries wait for the database".to_owned())
            }
            TrySendError::Disconnected(_) => stopped(),
        })
    }

    /// Adds work when there is space for it.
    pub(crate) fn add(&self, job: Job) -> Result<(), HubStoreError> {
        self.0.send(job).map_err(|_| stopped())
    }
}

/// Returns the error of work that no thread does.
pub(crate) fn stopped() -> HubStoreError {
    HubStoreError::Failed("the thread of the database has stopped".to_owned())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), HubStoreError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread
        .map(drop)
        .map_err(|error| HubStoreError::Failed(error.to_string()))
}

fn work(mut backend: SqliteBackend, jobs: &Mutex<Receiver<Job>>, since: &Mutex<Option<Instant>>) {
    loop {
        let next = lock(jobs).recv();
        let Ok(job) = next else { return };
        *lock(since) = Some(Instant::now());
        job(&mut backend);
        *lock(since) = None;
    }
}

/// Interrupts what runs for too long, until the threads have ended.
fn watch(jobs: &Weak<Mutex<Receiver<Job>>>, watched: &[Watched], limit: Duration) {
    while jobs.strong_count() > 0 {
        thread::sleep(WATCH);
        for thread in watched {
            // Held, so that the next piece of work is not interrupted instead.
            let since = lock(&thread.since);
            if since.is_some_and(|since| since.elapsed() > limit) {
                thread.interrupt.interrupt();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
