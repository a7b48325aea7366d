//! Write environments for orwd in Rust.
//!
//! An environment is tasks, and episodes on them that an agent plays by calling
//! tools. Here it is a type: the value is one episode, [`Environment`] says
//! what there is to play, and the methods marked with `#[tool]` are what the
//! agent can do. It is compiled to a WebAssembly component, of which orwd gives
//! each session an instance of its own.
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
//!     fn open(task: Task, _session: &Opening) -> Result<Self> {
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
//! The crate needs this in its `Cargo.toml`, and nothing else; the component
//! is what `cargo build --release --target wasm32-wasip2` leaves:
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
//! argument, a struct that derives `Deserialize` and `JsonSchema`. What the
//! agent sends is checked against its schema before the method runs, and a
//! refusal says which fields are wrong, what was expected, and what came. The
//! method gives what [`IntoOutput`] takes. An error is shown to the client as it
//! is, and the episode goes on. Doc comments are the descriptions that the
//! agent reads, of the method as of the fields.
//!
//! | attribute | means |
//! |---|---|
//! | `#[tool]` | listed; not run beside another call of the same tool |
//! | `#[tool(unlisted)]` | can be called, but is in no listing |
//! | `#[tool(terminal = "answer")]` | grades the agent's final message, given as the string `answer` |
//! | `#[tool(terminal)]` | grades from state alone |
//! | `#[tool(concurrent)]` | may be run beside any call |
//! | `#[tool(exclusive)]` | is run beside no call |
//! | `#[tool(name = "other")]` | is called by another name than the method's |
//!
//! A struct with an `impl` block marked `#[tools]` can also be part of an
//! environment, as a toolset with state of its own:
//! `#[tools(toolsets(extras: Extras))]` on the environment's block adds the
//! tools of its field `extras`, a struct of type `Extras`.
//!
//! # Determinism
//!
//! An episode can be replayed: what it does depends on its task, its seed, its
//! input and the moments at which it is called. The host sees to it, whatever
//! an environment asks of the system. Best draw random numbers from
//! [`Opening::rng`] all the same, and let nothing depend on the order of a
//! `HashMap`: then a test of your own, without a host, gives the same too.
//!
//! Clocks move by what an episode does. A look takes a microsecond, a sleep its
//! time, and computing none; `SystemTime` moves forward to each call, while
//! `Instant` stands still between calls.

extern crate self as orwd_sdk;

#[cfg(target_arch = "wasm32")]
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#[doc(hidden)]
#[rustfmt::skip]
pub mod bindings;
mod blocks;
mod catalog;
#[cfg(target_arch = "wasm32")]
mod component;
mod environment;
mod episode;
mod error;
mod harness;
mod input;
mod json;
mod messages;
mod output;
mod rng;
mod tools;

pub use blocks::{Block, Image, Text, text};
pub use catalog::TaskError;
pub use environment::{Environment, Opening, Split, SplitKind, Supports};
pub use error::{Context, Error, Result};
pub use harness::{Builder, Harness};
pub use input::ToolInput;
pub use json::{Json, Object};
pub use messages::{
    Candidate, Message, MessageBlock, Reasoning, Role, Score, ToolCall, ToolResult,
};
pub use orwd_sdk_macros::{environment, tools};
pub use output::{IntoOutput, Output, ToolError};
pub use rng::Rng;
pub use tools::{Access, TaskTool, ToolDescription, Tools, Visibility};

/// All that an environment usually needs.
pub mod prelude {
    pub use crate::{
        Block, Candidate, Context, Environment, Error, Harness, Image, Json, Message, MessageBlock,
        Object, Opening, Output, Reasoning, Result, Rng, Role, Score, Split, SplitKind, TaskError,
        TaskTool, Text, ToolCall, ToolError, ToolResult, bail, environment, export, text, tools,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};
}

/// Makes a type that is an [`Environment`] the environment of this component.
///
/// Written once, at the end of the crate. On other targets than WebAssembly it
/// exports nothing, so that the crate can be tested.
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

/// What the macros write; nothing of it is promised.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::{bindings, component::Component};
    pub use crate::{
        environment::About,
        tools::{Dispatch, Tool, Toolset, check, read, schema, toolset},
    };
    #[cfg(target_arch = "wasm32")]
    pub use wit_bindgen::rt::{self, bitflags};
}
