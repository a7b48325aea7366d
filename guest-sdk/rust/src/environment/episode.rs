//! An episode as the host drives it: it takes JSON text and returns typed values.
//!
//! Both the component and the test harness use this module, so a unit test sees
//! the results that a client receives.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::{
    Block, Candidate, Environment, Error, Message, Output, Result, Score, SessionParams, TaskTool,
    ToolError, tools,
};

pub(crate) struct Episode<E> {
    environment: E,
}

impl<E: Environment> Episode<E> {
    pub(crate) fn open(task: &str, secrets: BTreeMap<String, String>, seed: u64) -> Result<Self> {
        let task = serde_json::from_str(task).map_err(|error| misfit::<E::Task>(task, &error))?;
        let environment = E::open(task, &SessionParams::new(secrets, seed))?;
        Ok(Self { environment })
    }

    pub(crate) fn environment(&mut self) -> &mut E {
        &mut self.environment
    }

    pub(crate) fn setup(&mut self) -> Result<()> {
        self.environment.setup()
    }

    pub(crate) fn prompt(&mut self) -> Result<Vec<Block>> {
        self.environment.prompt()
    }

    pub(crate) fn messages(&mut self) -> Result<Vec<Message>> {
        let messages = self.environment.messages()?;
        messages.iter().try_for_each(Message::check)?;
        Ok(messages)
    }

    pub(crate) fn task_tools(&mut self) -> Result<Vec<TaskTool>> {
        self.environment.task_tools()
    }

    pub(crate) fn call(&mut self, tool: &str, input: &str) -> Result<Output, ToolError> {
        let result = tools::call(&mut self.environment, tool, input);
        if matches!(result, Err(ToolError::NotFound | ToolError::Collision(_))) {
            return result;
        }
        self.environment.after_call(tools::plain_name(tool), result)
    }

    pub(crate) fn score_group(&mut self, candidates: &[Candidate]) -> Result<Vec<Score>> {
        self.environment.score_group(candidates)
    }

    pub(crate) fn teardown(&mut self) -> Result<()> {
        self.environment.teardown()
    }
}

/// Returns why a task spec cannot be read, with the place in it. The host knows
/// the beginning of this message, and tells the client that wrote the spec.
fn misfit<T: DeserializeOwned>(task: &str, error: &serde_json::Error) -> Error {
    let mut reader = serde_json::Deserializer::from_str(task);
    let found = serde_path_to_error::deserialize::<_, T>(&mut reader).err();
    let path = found.map(|error| error.path().to_string());
    match path.as_deref() {
        None | Some(".") => Error::msg(format_args!("the task spec does not fit: {error}")),
        Some(path) => Error::msg(format_args!("the task spec does not fit: {path}: {error}")),
    }
}
