//! Tools: how they are declared, found and called.
//!
//! `#[tools]` turns the marked methods of an `impl` block into a table, one
//! row a tool; what is here reads such tables. A name that several owners
//! declare is a collision and cannot be called, rather than quietly meaning
//! one of them.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    Environment, Error, Output, Result, ToolError,
    input::{InputSchema, ToolInput},
    json::Object,
};

/// Which calls of a session a tool may overlap with, were the host to run
/// several at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Not with another call of the same tool.
    Serial,
    /// With any call.
    Concurrent,
    /// With no call at all.
    Exclusive,
}

/// Who learns of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Every client, in the listing.
    Listed,
    /// Nobody, but whoever knows the name may call it.
    Unlisted,
    /// It grades the agent's final message, which the named string argument
    /// takes; none, if it grades from state alone.
    Terminal(Option<&'static str>),
}

/// A tool as an environment describes it.
#[derive(Clone, Debug)]
pub struct ToolDescription {
    /// What it is called.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The schema of its input; none, if it takes none.
    pub input_schema: Option<Value>,
    /// What it may overlap with.
    pub access: Access,
    /// Who learns of it.
    pub visibility: Visibility,
    /// The toolset that brought it, if it is not the environment's own.
    pub toolset: Option<&'static str>,
}

/// A row of the table that `#[tools]` makes.
#[doc(hidden)]
pub struct Tool<T> {
    pub name: &'static str,
    pub description: &'static str,
    pub access: Access,
    pub visibility: Visibility,
    pub schema: Option<fn() -> Rc<InputSchema>>,
    pub run: fn(&mut T, &str) -> Result<Output, ToolError>,
}

/// A toolset as seen without an instance of its owner.
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
    /// The toolset in that place of `TOOLSETS`.
    #[doc(hidden)]
    fn toolset(&mut self, place: usize) -> Option<&mut dyn Dispatch>;
}

/// A toolset whose type is out of sight.
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

/// A row of `TOOLSETS`. A toolset with toolsets of its own is refused when
/// the environment is compiled.
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

/// Refuses, when the environment is compiled, a second terminal tool: one in a
/// toolset, for `#[tools]` sees those of one block.
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

/// Every tool: the environment's own, then those of its toolsets.
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

/// Calls a tool by name.
pub(crate) fn call<T: Tools>(this: &mut T, name: &str, input: &str) -> Result<Output, ToolError> {
    let own = T::TOOLS.iter().find(|tool| tool.name == name);
    let mut owners = T::TOOLSETS
        .iter()
        .enumerate()
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

/// The `schema` of a tool with an argument.
#[doc(hidden)]
pub fn schema<I: ToolInput>() -> Rc<InputSchema> {
    InputSchema::of::<I>()
}

/// What the `run` of a tool with an argument begins with.
#[doc(hidden)]
pub fn read<I: ToolInput>(input: &str) -> Result<I, ToolError> {
    InputSchema::of::<I>()
        .read(input)
        .map_err(ToolError::InvalidInput)
}

/// A tool that one task adds to the listing.
///
/// It must be one that the environment declares, usually `#[tool(unlisted)]`:
/// only its listing depends on the task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskTool {
    /// The name of a declared tool.
    pub name: String,
    /// What the agent reads.
    pub description: String,
    /// The schema of its input; none, if it takes none.
    pub input_schema: Option<Object>,
}

impl TaskTool {
    /// Lists a declared tool as it is declared.
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
    /// #     fn open(_: Json, _: &Opening) -> Result<Self> { Ok(Maze) }
    /// #     fn prompt(&mut self) -> Result<Vec<Block>> { Ok(vec![]) }
    ///
    /// // in the environment
    /// fn task_tools(&mut self) -> Result<Vec<TaskTool>> {
    ///     Ok(vec![TaskTool::declared::<Self>("map")?])
    /// }
    /// # }
    /// # assert_eq!(Maze.task_tools().unwrap()[0].description, "Shows the map.");
    /// ```
    pub fn declared<E: Environment>(name: &str) -> Result<Self> {
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

    /// Lists a declared tool in other words. It takes no input, as far as the
    /// listing says, until it is given a [schema](Self::input_schema).
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
