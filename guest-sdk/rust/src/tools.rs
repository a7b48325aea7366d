//! Tools: declaration, lookup and dispatch.
//!
//! `#[tools]` turns the marked methods of an `impl` block into a table with one
//! row for each tool; this module reads these tables. A name that several owners
//! declare is a collision and cannot be called.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    Error, Output, Result, ToolError,
    input::{InputSchema, ToolInput},
    json::Object,
};

/// The calls of a session that may run in parallel with a tool. A host may
/// always run calls in sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All but calls of the same tool.
    Serial,
    /// All calls.
    Concurrent,
    /// None.
    Exclusive,
}

/// Where a tool is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// In the tool listing.
    Listed,
    /// Nowhere; a client that knows the name can call it.
    Unlisted,
    /// As the terminal tool, which grades the agent's final message. Holds the
    /// name of the string argument for that message; `None` if the tool grades
    /// the state of the episode.
    Terminal(Option<&'static str>),
}

/// A tool as an environment describes it.
#[derive(Clone, Debug)]
pub struct ToolDescription {
    /// The name.
    pub name: &'static str,
    /// The description for the agent.
    pub description: &'static str,
    /// The schema of its input; `None` if it takes no input.
    pub input_schema: Option<Value>,
    /// The calls that may run in parallel with it.
    pub access: Access,
    /// Where it is listed.
    pub visibility: Visibility,
    /// The toolset that declares it; `None` for the environment itself.
    pub toolset: Option<&'static str>,
}

/// A row of the table that `#[tools]` generates.
#[doc(hidden)]
pub struct Tool<T> {
    pub name: &'static str,
    pub description: &'static str,
    pub access: Access,
    pub visibility: Visibility,
    pub schema: Option<fn() -> Rc<InputSchema>>,
    pub run: fn(&mut T, &str) -> Result<Output, ToolError>,
}

/// The description of a toolset.
#[doc(hidden)]
pub struct Toolset {
    pub name: &'static str,
    pub describe: fn() -> Vec<ToolDescription>,
    pub terminals: usize,
}

/// A type with tools: an environment or a toolset. Implemented by
/// [`#[tools]`](macro@crate::tools), never by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no tools",
    label = "no `impl` block of it is marked with `#[tools]`",
    note = "mark one `impl {Self}` block with `#[tools]`, and the methods in it that are tools with `#[tool]`"
)]
pub trait Tools: Sized + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
    #[doc(hidden)]
    const TOOLS: &'static [Tool<Self>];
    #[doc(hidden)]
    const TOOLSETS: &'static [Toolset];
    /// Returns the toolset at this index of `TOOLSETS`.
    #[doc(hidden)]
    fn toolset(&mut self, place: usize) -> Option<&mut dyn Dispatch>;
}

/// A toolset as a trait object.
#[doc(hidden)]
pub trait Dispatch {
    fn own_tool(&mut self, name: &str, input: &str) -> Option<Result<Output, ToolError>>;
}

impl<T: Tools> Dispatch for T {
    fn own_tool(&mut self, name: &str, input: &str) -> Option<Result<Output, ToolError>> {
        let tool = T::TOOLS.iter().find(|tool| tool.name == name)?;
        Some((tool.run)(self, input))
    }
}

/// Returns a row of `TOOLSETS`. A nested toolset is a compile error.
#[doc(hidden)]
pub const fn toolset<T: Tools>() -> Toolset {
    assert!(
        T::TOOLSETS.is_empty(),
        "a toolset cannot have toolsets of its own"
    );
    Toolset {
        name: T::NAME,
        describe: own_tools::<T>,
        terminals: terminals(T::TOOLS),
    }
}

const fn terminals<T>(tools: &[Tool<T>]) -> usize {
    let mut rest = tools;
    let mut count = 0;
    while let [tool, others @ ..] = rest {
        if let Visibility::Terminal(_) = tool.visibility {
            count += 1;
        }
        rest = others;
    }
    count
}

/// Rejects a second terminal tool at compile time. `#[tools]` sees only the
/// tools of one block, but not those of its toolsets.
///
/// ```compile_fail,E0080
/// # use orwd_sdk::prelude::*;
/// # struct House { door: Door }
/// # struct Door;
/// #[tools(toolsets(door: Door))]
/// impl House {
///     #[tool(terminal)]
///     fn leave(&self) -> &str { "" }
/// }
///
/// #[tools]
/// impl Door {
///     #[tool(terminal)]
///     fn shut(&self) -> &str { "" }
/// }
///
/// const _: () = orwd_sdk::__private::check::<House>();
/// ```
#[doc(hidden)]
pub const fn check<T: Tools>() {
    let mut count = terminals(T::TOOLS);
    let mut rest = T::TOOLSETS;
    while let [toolset, others @ ..] = rest {
        count += toolset.terminals;
        rest = others;
    }
    assert!(
        count <= 1,
        "an environment has one terminal tool at most, those of its toolsets included"
    );
}

fn own_tools<T: Tools>() -> Vec<ToolDescription> {
    T::TOOLS
        .iter()
        .map(|tool| ToolDescription {
            name: tool.name,
            description: tool.description,
            input_schema: tool.schema.map(|schema| schema().json().clone()),
            access: tool.access,
            visibility: tool.visibility,
            toolset: None,
        })
        .collect()
}

/// Returns every tool: the environment's own, then those of its toolsets.
pub(crate) fn describe<T: Tools>() -> Vec<ToolDescription> {
    let mut tools = own_tools::<T>();
    for toolset in T::TOOLSETS {
        tools.extend(
            (toolset.describe)()
                .into_iter()
                .map(|tool| ToolDescription {
                    toolset: Some(toolset.name),
                    ..tool
                }),
        );
    }
    tools
}

/// The toolsets that clients can request by name.
const REQUESTABLE: [&str; 8] = [
    "backsearch",
    "claude-code",
    "cli",
    "codex",
    "gemini-cli",
    "hermes",
    "openclaw",
    "web",
];

/// Returns the name of a tool without the toolset before it.
pub(crate) fn plain_name(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, tool)| tool)
}

/// Calls a tool by name. The host calls a tool of a requested toolset as
/// `TOOLSET/TOOL`.
pub(crate) fn call<T: Tools>(this: &mut T, name: &str, input: &str) -> Result<Output, ToolError> {
    if let Some((toolset, tool)) = name.split_once('/') {
        let place = T::TOOLSETS.iter().position(|known| known.name == toolset);
        return place
            .and_then(|place| this.toolset(place))
            .and_then(|toolset| toolset.own_tool(tool, input))
            .unwrap_or(Err(ToolError::NotFound));
    }
    let own = T::TOOLS.iter().find(|tool| tool.name == name);
    let mut owners = T::TOOLSETS
        .iter()
        .enumerate()
        .filter(|(_, toolset)| !REQUESTABLE.contains(&toolset.name))
        .filter(|(_, toolset)| (toolset.describe)().iter().any(|tool| tool.name == name));
    match (own, owners.next(), owners.next()) {
        (None, None, _) => Err(ToolError::NotFound),
        (Some(tool), None, _) => (tool.run)(this, input),
        (None, Some((place, _)), None) => this
            .toolset(place)
            .and_then(|toolset| toolset.own_tool(name, input))
            .unwrap_or(Err(ToolError::NotFound)),
        (Some(_), Some((_, toolset)), _) => {
            Err(collision(name, "the environment and toolset", toolset.name))
        }
        (None, Some((_, one)), Some((_, other))) => Err(collision(
            name,
            &format!("toolset '{}' and toolset", one.name),
            other.name,
        )),
    }
}

fn collision(name: &str, one: &str, other: &str) -> ToolError {
    ToolError::Collision(format!(
        "Tool name collision: '{name}' is defined in both {one} '{other}'. \
         Please rename one of them to avoid conflicts."
    ))
}

/// Returns the `schema` of a tool with an argument.
#[doc(hidden)]
pub fn schema<I: ToolInput>() -> Rc<InputSchema> {
    InputSchema::of::<I>()
}

/// Deserializes the argument of a tool.
#[doc(hidden)]
pub fn read<I: ToolInput>(input: &str) -> Result<I, ToolError> {
    InputSchema::of::<I>()
        .read(input)
        .map_err(ToolError::InvalidInput)
}

/// A tool that one task adds to the listing.
///
/// The environment must declare the tool, usually as `#[tool(unlisted)]`: only
/// its listing depends on the task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskTool {
    /// The name of a declared tool.
    pub name: String,
    /// The description for the agent.
    pub description: String,
    /// The schema of its input; `None` if it takes no input.
    pub input_schema: Option<Object>,
}

impl TaskTool {
    /// Lists a declared tool with its own description and schema.
    ///
    /// ```
    /// # use orwd_sdk::prelude::*;
    /// # struct Maze;
    /// #[tools]
    /// impl Maze {
    ///     /// Shows the map.
    ///     #[tool(unlisted)]
    ///     fn map(&self) -> &str { "#.#" }
    /// }
    /// # #[environment]
    /// # impl Environment for Maze {
    /// #     type Task = Json;
    /// #     fn splits() -> Vec<Split> { vec![Split::named("train")] }
    /// #     fn tasks(_: &str) -> Result<Vec<Json>> { Ok(vec![]) }
    /// #     fn open(_: Json, _: &SessionParams) -> Result<Self> { Ok(Maze) }
    /// #     fn prompt(&mut self) -> Result<Vec<Block>> { Ok(vec![]) }
    ///
    /// // in the environment
    /// fn task_tools(&mut self) -> Result<Vec<TaskTool>> {
    ///     Ok(vec![TaskTool::declared::<Self>("map")?])
    /// }
    /// # }
    /// # assert_eq!(Maze.task_tools().unwrap()[0].description, "Shows the map.");
    /// ```
    pub fn declared<E: Tools>(name: &str) -> Result<Self> {
        let tool = describe::<E>()
            .into_iter()
            .find(|tool| tool.name == name)
            .ok_or_else(|| Error::msg(format_args!("no tool `{name}` is declared")))?;
        Ok(Self {
            name: tool.name.to_owned(),
            description: tool.description.to_owned(),
            input_schema: tool.input_schema.map(Object::new),
        })
    }

    /// Lists a declared tool with another description. Without a
    /// [schema](Self::input_schema) it is listed as a tool that takes no input.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            input_schema: None,
        }
    }

    /// Adds a JSON Schema of type object.
    pub fn input_schema(mut self, schema: impl serde::Serialize) -> Self {
        self.input_schema = Some(Object::new(schema));
        self
    }
}
