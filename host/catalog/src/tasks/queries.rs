//! Task queries, answered by an instance that no session shares.
//!
//! One task owns that instance and answers the queries in sequence. A query that
//! faults ends the instance, and the next query gets a new one. Sessions of the
//! environment are not affected.

use std::collections::HashMap;

use orwd_engine::{Component, Engine, EntryError, Instance, TaskLookupError};
use orwd_model::{Fault, FaultCode, Json};
use tokio::sync::{mpsc, oneshot};

use crate::probe;
use crate::spec::EnvironmentSpec;
use crate::tasks::list::{ListingError, TaskListBuilder};

/// Queries in the queue; further ones fail with `overloaded`.
const QUEUE: usize = 4096;

/// Tasks of one guest call. A listing is split into such pages, each far below
/// the limit on results.
const PAGE: u64 = 64;

/// Handle of the task that answers queries.
pub(crate) struct TaskQueries(mpsc::Sender<TaskQuery>);

type ReplySender<T> = oneshot::Sender<Result<T, TaskLookupError>>;

enum TaskQuery {
    NumTasks(Box<str>, ReplySender<u64>),
    Task(Box<str>, i64, ReplySender<Json>),
    Tasks(Box<str>, u64, u64, ReplySender<Vec<Json>>),
}

impl TaskQueries {
    /// Starts the task, which ends when the handle is dropped.
    pub(crate) fn start(
        engine: Engine,
        component: Component,
        spec: EnvironmentSpec,
        instance: Instance,
    ) -> TaskQueries {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let worker = TaskQueryWorker {
            engine: engine.clone(),
            component,
            spec,
            instance: Some(instance),
            counts: HashMap::new(),
        };
        engine.spawn(worker.run(receiver));
        TaskQueries(sender)
    }

    pub(crate) async fn num_tasks(&self, split: &str) -> Result<u64, TaskLookupError> {
        self.query(|reply| TaskQuery::NumTasks(split.into(), reply))
            .await
    }

    pub(crate) async fn task(&self, split: &str, index: i64) -> Result<Json, TaskLookupError> {
        self.query(|reply| TaskQuery::Task(split.into(), index, reply))
            .await
    }

    /// Adds the tasks from `start` to before `stop` to a list. At most one page
    /// is held in addition to the list.
    pub(crate) async fn list(
        &self,
        split: &str,
        start: u64,
        stop: u64,
        list: &mut TaskListBuilder,
    ) -> Result<(), ListingError> {
        let mut from = start;
        while from < stop {
            let to = stop.min(from.saturating_add(PAGE));
            let page = self
                .query(|reply| TaskQuery::Tasks(split.into(), from, to, reply))
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
        query: impl FnOnce(ReplySender<T>) -> TaskQuery,
    ) -> Result<T, TaskLookupError> {
        let (reply, replied) = oneshot::channel();
        let overloaded = || {
            let message = "too many questions about tasks are waiting";
            TaskLookupError::from(EntryError::from(Fault::new(FaultCode::Overloaded, message)))
        };
        self.0.try_send(query(reply)).map_err(|_| overloaded())?;
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
    async fn run(mut self, mut queries: mpsc::Receiver<TaskQuery>) {
        while let Some(query) = queries.recv().await {
            // The sender of a query may be gone; the reply is then dropped.
            match query {
                TaskQuery::NumTasks(split, reply) => {
                    let _ = reply.send(self.num_tasks(split).await);
                }
                TaskQuery::Task(split, index, reply) => {
                    let found = match self.instance().await {
                        Ok(instance) => instance.task(&split, index).await,
                        Err(fault) => Err(fault),
                    };
                    let _ = reply.send(self.checked(found));
                }
                TaskQuery::Tasks(split, start, stop, reply) => {
                    let found = match self.instance().await {
                        Ok(instance) => instance.tasks(&split, start, stop).await,
                        Err(fault) => Err(fault),
                    };
                    let _ = reply.send(self.checked(found));
                }
            }
        }
    }

    async fn num_tasks(&mut self, split: Box<str>) -> Result<u64, TaskLookupError> {
        if let Some(&count) = self.counts.get(&split) {
            return Ok(count);
        }
        let found = match self.instance().await {
            Ok(instance) => instance.num_tasks(&split).await,
            Err(fault) => Err(fault),
        };
        let count = self.checked(found)?;
        self.counts.insert(split, count);
        Ok(count)
    }

    /// Returns the instance, or a new one if the last faulted.
    async fn instance(&mut self) -> Result<&mut Instance, TaskLookupError> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => probe::probe(&self.engine, &self.component, &self.spec)
                .await
                .map_err(EntryError::from)?,
        };
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
