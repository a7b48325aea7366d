//! Write environments for orwd in Rust.
//!
//! An environment has tasks, and an agent plays an episode on a task by calling
//! tools. Here an environment is a type. Its value is one episode, the trait
//! [`Environment`] defines the tasks and the prompt, and the methods marked with
//! `#[tool]` are the tools. The crate is compiled to a WebAssembly component;
//! orwd gives each session its own instance.
//!
//! ```
//! use orwd_sdk::prelude::*;
//!
//! /// What an episode starts from.
//! #[derive(Serialize, Deserialize)]
//! struct Task {
//!     id: String,
//!     target: i64,
//! }
//!
//! /// Count to a number, no further.
//! struct Counter {
//!     task: Task,
//!     value: i64,
//! }
//!
//! #[environment]
//! impl Environment for Counter {
//!     type Task = Task;
//!
//!     fn splits() -> Vec<Split> {
//!         vec![Split::train("train")]
//!     }
//!
//!     fn tasks(_split: &str) -> Result<Vec<Task>> {
//!         Ok((1..=3).map(|n| Task { id: format!("to-{n}"), target: n }).collect())
//!     }
//!
//!     fn open(task: Task, _session: &SessionParams) -> Result<Self> {
//!         Ok(Self { task, value: 0 })
//!     }
//!
//!     fn prompt(&mut self) -> Result<Vec<Block>> {
//!         Ok(vec![text(format!("Count to {}.", self.task.target))])
//!     }
//! }
//!
//! /// Input of `add`.
//! #[derive(Deserialize, JsonSchema)]
//! struct Add {
//!     /// How much to add.
//!     by: i64,
//! }
//!
//! #[tools]
//! impl Counter {
//!     /// Adds to the counter.
//!     #[tool]
//!     fn add(&mut self, input: Add) -> Result<Output> {
//!         self.value += input.by;
//!         if self.value > self.task.target {
//!             bail!("{} is too far", self.value);
//!         }
//!         let done = self.value == self.task.target;
//!         Ok(Output::text(self.value.to_string())
//!             .reward(if done { 1.0 } else { 0.0 })
//!             .finish_if(done))
//!     }
//! }
//!
//! export!(Counter);
//!
//! // In a unit test, natively:
//! let mut episode = Harness::<Counter>::open(json!({"id": "to-3", "target": 3})).unwrap();
//! assert_eq!(episode.prompt().unwrap(), [text("Count to 3.")]);
//! let output = episode.call("add", json!({"by": 3})).unwrap();
//! assert_eq!((output.plain().as_str(), output.reward, output.finished), ("3", Some(1.0), true));
//! ```
//!
//! The crate needs only this in its `Cargo.toml`. The command
//! `cargo build --release --target wasm32-wasip2` builds the component:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! orwd-sdk = { path = "…/guest-sdk/rust" }   # not on crates.io yet
//! serde = { version = "1", features = ["derive"] }
//! schemars = "1"
//! ```
//!
//! # Tools
//!
//! A tool is a method that takes `&self` or `&mut self` and at most one
//! argument, a struct that derives `Deserialize` and `JsonSchema`. The input is
//! validated against the schema of that struct before the method runs. A
//! validation error names each wrong field, the expected type and the received
//! value. The method returns a type that implements [`IntoOutput`]. An error is
//! sent to the client unchanged, and the episode continues. The doc comments of
//! the method and of the fields are the descriptions that the agent reads.
//!
//! | attribute | means |
//! |---|---|
//! | `#[tool]` | listed; does not run in parallel with another call of the same tool |
//! | `#[tool(unlisted)]` | can be called, but is not in the tool listing |
//! | `#[tool(terminal = "answer")]` | grades the agent's final message, passed as the string `answer` |
//! | `#[tool(terminal)]` | grades the state of the episode |
//! | `#[tool(concurrent)]` | may run in parallel with any call |
//! | `#[tool(exclusive)]` | does not run in parallel with any call |
//! | `#[tool(name = "other")]` | has a name that differs from the method's |
//!
//! A struct with an `impl` block marked `#[tools]` can also be part of an
//! environment, as a toolset with its own state:
//! `#[tools(toolsets(extras: Extras))]` on the environment's block adds the
//! tools of its field `extras`, a struct of type `Extras`. Two are ready:
//! [`files::FileTools`] reads, edits and searches files, and with the feature
//! `shell` `shell::BashTool` runs bash on them.
//!
//! A toolset that is named as a client can request it, such as `#[tools(name =
//! "claude-code")]`, is not among the tools of every session: clients request it
//! with `toolset_name` if `toolsets` in `orwd.toml` offers it.
//!
//! # Requests
//!
//! [`http`] makes HTTP requests, such as to a model that grades, if the manifest asks
//! for them and the operator allows them.
//!
//! # Determinism
//!
//! An episode can be replayed: it depends only on its task, its seed, its
//! inputs and the times of its calls. The host ensures this for all clocks and
//! random numbers of the system. Still, draw random numbers from
//! [`SessionParams::rng`], and do not depend on the iteration order of a
//! `HashMap`. A native unit test is then deterministic too.
//!
//! Clocks are virtual. Each clock read advances them by 1 µs and a sleep by its
//! duration; computation does not advance them. At the start of a call,
//! `SystemTime` is set to the time of the call. `Instant` does not advance
//! between calls.

extern crate self as orwd_sdk;

#[cfg(target_arch = "wasm32")]
mod component;
mod content;
mod data;
mod environment;
mod error;
pub mod files;
mod harness;
pub mod http;
mod input;
mod json;
pub mod llm;
mod rng;
#[cfg(feature = "shell")]
pub mod shell;
mod tools;

pub use content::{
    Block, Candidate, Image, IntoOutput, Message, MessageBlock, Output, Reasoning, Role, Score,
    Text, ToolCall, ToolError, ToolResult, text,
};
pub use data::{Folder, JsonLines, data_dir};
#[allow(deprecated, reason = "the earlier name is exported for its users")]
pub use environment::Opening;
pub use environment::{Capabilities, Environment, SessionParams, Split, SplitKind, TaskError};
pub use error::{Context, Error, Result};
pub use harness::{Builder, Harness};
pub use input::ToolInput;
pub use json::{Json, Object};
pub use orwd_sdk_macros::{environment, tools};
pub use rng::Rng;
pub use tools::{Access, TaskTool, ToolDescription, Tools, Visibility};

/// The items that most environments use.
pub mod prelude {
    #[allow(deprecated, reason = "the earlier name is exported for its users")]
    pub use crate::Opening;
    pub use crate::{
        Block, Candidate, Context, Environment, Error, Folder, Harness, Image, Json, JsonLines,
        Message, MessageBlock, Object, Output, Reasoning, Result, Rng, Role, Score, SessionParams,
        Split, SplitKind, TaskError, TaskTool, Text, ToolCall, ToolError, ToolResult, bail,
        data_dir, environment, export, text, tools,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};
}

/// Exports a type that implements [`Environment`] from this component.
///
/// Call it once, at the end of the crate. It exports nothing on targets other
/// than WebAssembly, so that the crate can be tested natively.
#[macro_export]
macro_rules! export {
    ($environment:ty $(,)?) => {
        const _: () = $crate::__private::check::<$environment>();
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::__private::Component<$environment>;
            $crate::__private::bindings::__export_component!(
                Exported with_types_in $crate::__private::bindings
            );
        };
    };
}

/// Items that the macros expand to; not part of the stable API.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::component::{Component, bindings, network_bindings};
    pub use crate::{
        environment::EnvironmentInfo,
        tools::{Dispatch, Tool, Toolset, check, read, schema, toolset},
    };
    #[cfg(target_arch = "wasm32")]
    pub use wit_bindgen::rt::{self, bitflags};
}
