//! The thread that owns the connection.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::error::HubStoreError;
use crate::sql::backend::{Backend, Transaction};
use crate::sql::sqlite::SqliteBackend;

/// Pieces of work that may wait; a further one fails.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(&mut dyn Backend) + Send>;

/// Handle of the database.
#[derive(Clone)]
pub struct Database(mpsc::SyncSender<Job>);

impl Database {
    /// Opens the SQLite database in a file, creates it if it is absent, and
    /// migrates its tables.
    pub fn open(file: &Path) -> Result<Database, HubStoreError> {
        Database::of(SqliteBackend::open(file)?)
    }

    /// Starts the thread of a connection.
    fn of(mut backend: impl Backend + 'static) -> Result<Database, HubStoreError> {
        let (sender, jobs) = mpsc::sync_channel::<Job>(QUEUE);
        thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || {
                for job in jobs {
                    job(&mut backend);
                }
            })
            .map_err(|error| HubStoreError::Failed(error.to_string()))?;
        Ok(Database(sender))
    }

    /// Runs work in one transaction, which is committed if it succeeds.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Transaction) -> Result<T, HubStoreError> + Send + 'static,
    ) -> Result<T, HubStoreError> {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move |backend| {
            // The caller may have gone.
            let _ = reply.send(in_transaction(backend, work));
        });
        if let Err(error) = self.0.try_send(job) {
            return Err(match error {
                mpsc::TrySendError::Full(_) => {
                    HubStoreError::Failed("too many queries wait for the database".to_owned())
                }
                mpsc::TrySendError::Disconnected(_) => stopped(),
            });
        }
        result.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Runs work in one transaction, from a thread that may block.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Transaction) -> Result<T, HubStoreError> + Send + 'static,
    ) -> Result<T, HubStoreError> {
        let (reply, result) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |backend| {
            let _ = reply.send(in_transaction(backend, work));
        });
        self.0.send(job).map_err(|_| stopped())?;
        result.recv().unwrap_or_else(|_| Err(stopped()))
    }
}

fn in_transaction<T>(
    backend: &mut dyn Backend,
    work: impl FnOnce(&mut dyn Transaction) -> Result<T, HubStoreError>,
) -> Result<T, HubStoreError> {
    let mut work = Some(work);
    let mut value = None;
    backend.transaction(&mut |transaction| {
        if let Some(work) = work.take() {
            value = Some(work(transaction)?);
        }
        Ok(())
    })?;
    value.ok_or_else(|| HubStoreError::Failed("the transaction did not run".to_owned()))
}

fn stopped() -> HubStoreError {
    HubStoreError::Failed("the thread of the database has stopped".to_owned())
}
