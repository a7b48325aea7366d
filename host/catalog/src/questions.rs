//! Questions about tasks, answered by an instance that no session shares.
//!
//! One task owns that instance and answers one question after another. A guest
//! that fails a question so badly that its instance is gone gets a new one for
//! the next; the sessions on the environment never notice.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};

use super::environment::{self, Blueprint};
use orwd_engine::{Component, Engine, EntryError, Instance, TaskLookupError};
use orwd_model::{Fault, FaultCode, Json};

/// Questions that may wait; more are told that the host is overloaded.
const WAITING: usize = 4096;

/// Tasks asked for at once: a listing of any length crosses in pieces, none
/// of which should come near the limit on results.
const PAGE: u64 = 64;

/// A cheap handle on the task that answers.
pub(super) struct Questions(mpsc::Sender<Question>);

type Answer<T> = oneshot::Sender<Result<T, TaskLookupError>>;

enum Question {
    NumTasks(Box<str>, Answer<u64>),
    Task(Box<str>, i64, Answer<Json>),
    Tasks(Box<str>, u64, u64, Answer<Vec<Json>>),
}

impl Questions {
    /// Starts the task. It ends when the handle is dropped.
    pub(super) fn begin(
        engine: Engine,
        component: Component,
        blueprint: Blueprint,
        instance: Instance,
    ) -> Questions {
        let (sender, receiver) = mpsc::channel(WAITING);
        let desk = Desk {
            engine: engine.clone(),
            component,
            blueprint,
            instance: Some(instance),
            counts: HashMap::new(),
        };
        engine.spawn(desk.answer_all(receiver));
        Questions(sender)
    }

    pub(super) async fn num_tasks(&self, split: &str) -> Result<u64, TaskLookupError> {
        self.ask(|answer| Question::NumTasks(split.into(), answer))
            .await
    }

    pub(super) async fn task(&self, split: &str, index: i64) -> Result<Json, TaskLookupError> {
        self.ask(|answer| Question::Task(split.into(), index, answer))
            .await
    }

    pub(super) async fn tasks(
        &self,
        split: &str,
        start: u64,
        stop: u64,
    ) -> Result<Vec<Json>, TaskLookupError> {
        let mut tasks = Vec::new();
        let mut from = start;
        while from < stop {
            let to = stop.min(from.saturating_add(PAGE));
            let page = self
                .ask(|answer| Question::Tasks(split.into(), from, to, answer))
                .await?;
            if page.len() as u64 != to - from {
                let message = format!(
                    "asked for the tasks {from} to {to} of {split:?}, the environment gave {}",
                    page.len()
                );
                return Err(EntryError::Failed(message).into());
            }
            tasks.extend(page);
            from = to;
        }
        Ok(tasks)
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(Answer<T>) -> Question,
    ) -> Result<T, TaskLookupError> {
        let (answer, answered) = oneshot::channel();
        let overloaded = || {
            let message = "too many questions about tasks are waiting";
            TaskLookupError::from(EntryError::from(Fault::new(FaultCode::Overloaded, message)))
        };
        self.0
            .try_send(question(answer))
            .map_err(|_| overloaded())?;
        answered.await.map_err(|_| overloaded())?
    }
}

/// What the answering task owns.
struct Desk {
    engine: Engine,
    component: Component,
    blueprint: Blueprint,
    instance: Option<Instance>,
    /// A split's count is the same for as long as the environment is served.
    counts: HashMap<Box<str>, u64>,
}

impl Desk {
    async fn answer_all(mut self, mut questions: mpsc::Receiver<Question>) {
        while let Some(question) = questions.recv().await {
            // Whoever asked may be gone; the answer is then nobody's.
            match question {
                Question::NumTasks(split, answer) => {
                    let _ = answer.send(self.num_tasks(split).await);
                }
                Question::Task(split, index, answer) => {
                    let found = match self.instance().await {
                        Ok(instance) => instance.task(&split, index).await,
                        Err(fault) => Err(fault),
                    };
                    let _ = answer.send(self.checked(found));
                }
                Question::Tasks(split, start, stop, answer) => {
                    let found = match self.instance().await {
                        Ok(instance) => instance.tasks(&split, start, stop).await,
                        Err(fault) => Err(fault),
                    };
                    let _ = answer.send(self.checked(found));
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

    /// The instance, or a new one if the last is gone.
    async fn instance(&mut self) -> Result<&mut Instance, TaskLookupError> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => environment::on_trial(&self.engine, &self.component, &self.blueprint)
                .await
                .map_err(EntryError::from)?,
        };
        Ok(self.instance.insert(instance))
    }

    /// Gives up an instance that is no more.
    fn checked<T>(&mut self, found: Result<T, TaskLookupError>) -> Result<T, TaskLookupError> {
        if let Err(TaskLookupError::Entry(EntryError::Fault(fault))) = &found {
            tracing::warn!(
                environment = %self.blueprint.name,
                code = fault.code.as_str(),
                "a question about tasks ended its instance: {}", fault.message
            );
            self.instance = None;
        }
        found
    }
}
