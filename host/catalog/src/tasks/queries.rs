//! Task queries, answered by an instance that no session shares.
//!
//! One task owns that instance and answers the queries in sequence. Owners take
//! turns, and a query takes the CPU share of its owner, as a session does. A query
//! that faults ends the instance, and the next query gets a new one. Sessions of
//! the environment are not affected.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use orwd_engine::{Component, Engine, EntryError, Instance, Owner, TaskLookupError};
use orwd_limiter::FairQueue;
use orwd_model::{Fault, FaultCode, Json};
use tokio::sync::{mpsc, oneshot};

use crate::probe;
use crate::spec::EnvironmentSpec;
use crate::tasks::list::{ListingError, TaskListBuilder};

/// Queries that wait, half as many of one owner; further ones fail with
/// `overloaded`.
const QUEUE: usize = 4096;

/// How long a query waits for its turn; then it fails with `overloaded`.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Tasks of one guest call. A listing is split into such pages, each far below
/// the limit on results.
const PAGE: u64 = 64;

/// Handle of the task that answers queries.
pub(crate) struct TaskQueries {
    worker: mpsc::Sender<OwnedQuery>,
    /// One turn, which owners take one after the other.
    turns: Arc<FairQueue<Owner>>,
}

type ReplySender<T> = oneshot::Sender<Result<T, TaskLookupError>>;

struct OwnedQuery {
    owner: Owner,
    query: TaskQuery,
}

enum TaskQuery {
    NumTasks(Box<str>, ReplySender<u64>),
    Task(Box<str>, i64, ReplySender<Json>),
    Tasks(Box<str>, u64, u64, ReplySender<Vec<Json>>),
}

impl TaskQuery {
    /// Returns whether nobody waits for the answer.
    fn is_abandoned(&self) -> bool {
        match self {
            TaskQuery::NumTasks(_, reply) => reply.is_closed(),
            TaskQuery::Task(_, _, reply) => reply.is_closed(),
            TaskQuery::Tasks(_, _, _, reply) => reply.is_closed(),
        }
    }
}

impl TaskQueries {
    /// Starts the task, which ends when the handle is dropped.
    pub(crate) fn start(
        engine: Engine,
        component: Component,
        spec: EnvironmentSpec,
        instance: Instance,
    ) -> TaskQueries {
        // More than the one that has its turn: its client may have left.
        let (sender, receiver) = mpsc::channel(QUEUE);
        let worker = TaskQueryWorker {
            engine: engine.clone(),
            component,
            spec,
            instance: Some(instance),
            counts: HashMap::new(),
        };
        engine.spawn(worker.run(receiver));
        TaskQueries {
            worker: sender,
            turns: FairQueue::new(1, 1, QUEUE),
        }
    }

    pub(crate) async fn num_tasks(
        &self,
        owner: &Owner,
        split: &str,
    ) -> Result<u64, TaskLookupError> {
        self.query(owner, |reply| TaskQuery::NumTasks(split.into(), reply))
            .await
    }

    pub(crate) async fn task(
        &self,
        owner: &Owner,
        split: &str,
        index: i64,
    ) -> Result<Json, TaskLookupError> {
        self.query(owner, |reply| TaskQuery::Task(split.into(), index, reply))
            .await
    }

    /// Adds the tasks from `start` to before `stop` to a list. At most one page
    /// is held in addition to the list.
    pub(crate) async fn list(
        &self,
        owner: &Owner,
        split: &str,
        (start, stop): (u64, u64),
        list: &mut TaskListBuilder,
    ) -> Result<(), ListingError> {
        let mut from = start;
        while from < stop {
            let to = stop.min(from.saturating_add(PAGE));
            let page = self
                .query(owner, |reply| {
                    TaskQuery::Tasks(split.into(), from, to, reply)
                })
                .await?;
            if page.len() as u64 != to - from {
                let message = format!(
                    "asked for the tasks {from} to {to} of {split:?}, the environment gave {}",
                    page.len()
                );
                return Err(TaskLookupError::from(EntryError::Failed(message)).into());
            }
            page.iter().try_for_each(|task| list.push(task))?;
            from = to;
        }
        Ok(())
    }

    async fn query<T>(
        &self,
        owner: &Owner,
        query: impl FnOnce(ReplySender<T>) -> TaskQuery,
    ) -> Result<T, TaskLookupError> {
        let (reply, replied) = oneshot::channel();
        let overloaded = || {
            let message = "too many questions about tasks are waiting";
            TaskLookupError::from(EntryError::from(Fault::new(FaultCode::Overloaded, message)))
        };
        let turn = tokio::time::timeout(MAX_WAIT, self.turns.acquire(owner, 1)).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(overloaded());
        };
        let query = OwnedQuery {
            owner: owner.clone(),
            query: query(reply),
        };
        self.worker.try_send(query).map_err(|_| overloaded())?;
        replied.await.map_err(|_| overloaded())?
    }
}

/// State of the task that answers queries.
struct TaskQueryWorker {
    engine: Engine,
    component: Component,
    spec: EnvironmentSpec,
    instance: Option<Instance>,
    /// Number of tasks by split, which is fixed while the environment is served.
    counts: HashMap<Box<str>, u64>,
}

impl TaskQueryWorker {
    async fn run(mut self, mut queries: mpsc::Receiver<OwnedQuery>) {
        while let Some(OwnedQuery { owner, query }) = queries.recv().await {
            // The sender of a query may be gone; then it needs no answer.
            if query.is_abandoned() {
                continue;
            }
            match query {
                TaskQuery::NumTasks(split, reply) => {
                    let _ = reply.send(self.num_tasks(&owner, split).await);
                }
                TaskQuery::Task(split, index, reply) => {
                    let found = match self.instance(&owner).await {
                        Ok(instance) => instance.task(&split, index).await,
                        Err(fault) => Err(fault),
                    };
                    let _ = reply.send(self.checked(found));
                }
                TaskQuery::Tasks(split, start, stop, reply) => {
                    let found = match self.instance(&owner).await {
                        Ok(instance) => instance.tasks(&split, start, stop).await,
                        Err(fault) => Err(fault),
                    };
                    let _ = reply.send(self.checked(found));
                }
            }
        }
    }

    async fn num_tasks(&mut self, owner: &Owner, split: Box<str>) -> Result<u64, TaskLookupError> {
        if let Some(&count) = self.counts.get(&split) {
            return Ok(count);
        }
        let found = match self.instance(owner).await {
            Ok(instance) => instance.num_tasks(&split).await,
            Err(fault) => Err(fault),
        };
        let count = self.checked(found)?;
        self.counts.insert(split, count);
        Ok(count)
    }

    /// Returns the instance, or a new one if the last faulted, on behalf of this
    /// owner.
    async fn instance(&mut self, owner: &Owner) -> Result<&mut Instance, TaskLookupError> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => probe::probe(&self.engine, &self.component, &self.spec)
                .await
                .map_err(EntryError::from)?,
        };
        instance.run_for(owner);
        Ok(self.instance.insert(instance))
    }

    /// Drops the instance if the query faulted.
    fn checked<T>(&mut self, found: Result<T, TaskLookupError>) -> Result<T, TaskLookupError> {
        if let Err(TaskLookupError::Entry(EntryError::Fault(fault))) = &found {
            tracing::warn!(
                environment = %self.spec.name,
                code = fault.code.as_str(),
                reason = fault.message,
                "task query faulted"
            );
            self.instance = None;
        }
        found
    }
}
