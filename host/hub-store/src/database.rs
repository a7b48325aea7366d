//! The connections: one that writes, and those that read beside it.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::now;
use crate::error::HubStoreError;
use crate::sql::backend::{Backend, Transaction};
use crate::sql::lane::{Lane, stopped};
use crate::sql::params;
use crate::sql::sqlite::SqliteBackend;

/// Connections for short queries.
const READERS: usize = 2;

/// Connections for queries over many rows.
const REPORTERS: usize = 2;

/// The time of a query that only reads. A longer one is interrupted.
const READ_LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// Handle of the database.
#[derive(Clone)]
pub struct Database {
    writer: Lane,
    readers: Lane,
    reporters: Lane,
}

impl Database {
    /// Opens the SQLite database in a file, creates it if it is absent, and
    /// migrates its tables.
    pub fn open(file: &Path) -> Result<Database, HubStoreError> {
        let writer = vec![SqliteBackend::open(file)?];
        let readers = |count: usize| {
            let connections = (0..count).map(|_| SqliteBackend::open_reader(file));
            connections.collect::<Result<Vec<_>, _>>()
        };
        Ok(Database {
            writer: Lane::start("database", writer, None)?,
            readers: Lane::start("database-read", readers(READERS)?, Some(READ_LIMIT))?,
            reporters: Lane::start("database-report", readers(REPORTERS)?, Some(READ_LIMIT))?,
        })
    }

    /// Runs work in one transaction, which is committed if it succeeds.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Transaction) -> Result<T, HubStoreError> + Send + 'static,
    ) -> Result<T, HubStoreError> {
        run_in(&self.writer, work).await
    }

    /// Runs work that only reads, beside changes and other reads. It sees what was
    /// committed before it began.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Transaction) -> Result<T, HubStoreError> + Send + 'static,
    ) -> Result<T, HubStoreError> {
        run_in(&self.readers, work).await
    }

    /// Runs work that reads many rows. Only other work of this kind waits for it.
    pub async fn report<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Transaction) -> Result<T, HubStoreError> + Send + 'static,
    ) -> Result<T, HubStoreError> {
        run_in(&self.reporters, work).await
    }

    /// Runs work in one transaction, from a thread that may block.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Transaction) -> Result<T, HubStoreError> + Send + 'static,
    ) -> Result<T, HubStoreError> {
        let (reply, result) = mpsc::sync_channel(1);
        self.writer.add(Box::new(move |backend| {
            let _ = reply.send(in_transaction(backend, work));
        }))?;
        result.recv().unwrap_or_else(|_| Err(stopped()))
    }
}

async fn run_in<T: Send + 'static>(
    lane: &Lane,
    work: impl FnOnce(&mut dyn Transaction) -> Result<T, HubStoreError> + Send + 'static,
) -> Result<T, HubStoreError> {
    let (reply, result) = oneshot::channel();
    lane.try_add(Box::new(move |backend| {
        // Nobody waits for the result of a request that has ended.
        if !reply.is_closed() {
            let _ = reply.send(in_transaction(backend, work));
        }
    }))?;
    result.await.unwrap_or_else(|_| Err(stopped()))
}

/// Writes to the database, so that an error tells if it cannot be written.
pub fn check_writable(transaction: &mut dyn Transaction) -> Result<(), HubStoreError> {
    transaction.execute(
        "INSERT INTO checks (name, checked_at) VALUES ('ready', ?1) \
         ON CONFLICT (name) DO UPDATE SET checked_at = excluded.checked_at",
        params![now()],
    )?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const ENDLESS: &str = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) \
                           SELECT COUNT(*) FROM numbers";

    #[test]
    fn a_slow_query_delays_no_other_and_is_interrupted() {
        let folder = tempfile::TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("hub.sqlite")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let slow = (0..REPORTERS).map(|_| {
                let database = database.clone();
                tokio::spawn(async move { database.report(|t| t.query(ENDLESS, &[])).await })
            });
            let slow: Vec<_> = slow.collect();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let start = Instant::now();
            for _ in 0..20 {
                let sql = "SELECT COUNT(*) FROM runs";
                assert_eq!(database.read(|t| t.query(sql, &[])).await.unwrap().len(), 1);
                let change = "UPDATE runs SET name = name";
                database.run(|t| t.execute(change, &[])).await.unwrap();
            }
            assert!(start.elapsed() < READ_LIMIT / 2, "{:?}", start.elapsed());
            for query in slow {
                let ended = query.await.unwrap();
                assert!(matches!(ended, Err(HubStoreError::Busy(_))), "{ended:?}");
            }
            let after = database.report(|t| t.query("SELECT 1", &[])).await;
            assert_eq!(after.unwrap().len(), 1, "the connection can be used again");
        });
    }

    #[test]
    fn a_read_changes_nothing_and_sees_what_was_committed() {
        let folder = tempfile::TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("hub.sqlite")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let insert = "INSERT INTO migrations (version) VALUES (1000)";
            assert!(database.read(|t| t.execute(insert, &[])).await.is_err());
            database.run(|t| t.execute(insert, &[])).await.unwrap();
            let sql = "SELECT version FROM migrations WHERE version = 1000";
            assert_eq!(database.read(|t| t.query(sql, &[])).await.unwrap().len(), 1);
        });
    }
}
