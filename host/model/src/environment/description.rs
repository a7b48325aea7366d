//! The description that an environment returns of itself, validated.

use std::borrow::Cow;

use super::names::TOOLSETS;
use super::task::Split;
use super::tool::{TerminalTool, ToolListing, ToolSpec};

named_enum! {
    /// The calls of a session that a tool may overlap with. orwd runs the calls
    /// of a session in sequence, which every kind allows.
    ToolAccess;
    /// Any call, except of the same tool.
    Serial = "serial",
    /// Any call.
    Concurrent = "concurrent",
    /// No call.
    Exclusive = "exclusive",
}

/// How a tool is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolVisibility {
    /// In the listing.
    Listed,
    /// Not at all, but it can be called.
    Unlisted,
    /// Beside the listing, with the argument that takes the agent's final
    /// message.
    Terminal(Option<String>),
}

/// A tool that can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// The entry in listings.
    pub spec: ToolSpec,
    /// The calls that it may overlap with.
    pub access: ToolAccess,
    /// How it is announced.
    pub visibility: ToolVisibility,
    /// The toolset that contributed it; `None` for the environment's own tools.
    pub toolset: Option<String>,
}

impl Tool {
    /// Returns the toolset that a client must request to get the tool; none if every
    /// session has it.
    pub fn requested_toolset(&self) -> Option<&str> {
        let toolset = self.toolset.as_deref();
        toolset.filter(|name| TOOLSETS.contains(name))
    }
}

/// The optional capabilities of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It has a prompt.
    pub prompts: bool,
    /// It has messages.
    pub messages: bool,
    /// Tasks may add tools to the listing.
    pub task_tools: bool,
    /// Groups of candidates can be scored.
    pub score_group: bool,
    /// All tasks of a split can be listed.
    pub listing: bool,
}

/// The description of an environment.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvironmentDescription {
    /// The name, for people.
    pub name: String,
    /// The version, for people.
    pub version: String,
    /// At least one split; names are unique.
    pub splits: Vec<Split>,
    /// At least one tool, at most one of them terminal.
    pub tools: Vec<Tool>,
    /// The optional capabilities.
    pub supports: Capabilities,
}

/// The result of looking up a tool by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolLookup<'a> {
    /// There is one such tool.
    Found,
    /// There is no such tool.
    NotFound,
    /// A tool of the environment and a tool of this toolset share the name.
    Collision(&'a str),
}

impl EnvironmentDescription {
    /// Whether there is a split with this name.
    pub fn has_split(&self, name: &str) -> bool {
        self.splits.iter().any(|split| split.name == name)
    }

    /// Whether there is a toolset of this name that clients can request.
    pub fn has_toolset(&self, name: &str) -> bool {
        self.requestable(Some(name)).next().is_some()
    }

    /// Returns the tools of a requested toolset.
    fn requestable<'a>(&'a self, toolset: Option<&'a str>) -> impl Iterator<Item = &'a Tool> {
        let tools = self.tools.iter();
        tools.filter(move |tool| toolset.is_some() && tool.requested_toolset() == toolset)
    }

    /// Returns the tools that every session has.
    fn common(&self) -> impl Iterator<Item = &Tool> {
        let tools = self.tools.iter();
        tools.filter(|tool| tool.requested_toolset().is_none())
    }

    /// Returns the name by which the guest knows the tool that a call reaches: one of
    /// the requested toolset takes precedence, and has the toolset before its name.
    pub fn guest_name<'a>(&self, name: &'a str, toolset: Option<&str>) -> Cow<'a, str> {
        let is_requested = self.requestable(toolset).any(|tool| tool.spec.name == name);
        match toolset {
            Some(toolset) if is_requested => format!("{toolset}/{name}").into(),
            _ => name.into(),
        }
    }

    /// Looks up the tool that a call reaches in a session with this toolset. Only
    /// described tools can be called.
    pub fn find_tool(&self, name: &str, toolset: Option<&str>) -> ToolLookup<'_> {
        if self.requestable(toolset).any(|tool| tool.spec.name == name) {
            return ToolLookup::Found;
        }
        let mut found = self.common().filter(|tool| tool.spec.name == name);
        match (found.next(), found.next()) {
            (None, _) => ToolLookup::NotFound,
            (Some(_), None) => ToolLookup::Found,
            (Some(one), Some(two)) => {
                let toolset = two.toolset.as_deref().or(one.toolset.as_deref());
                ToolLookup::Collision(toolset.unwrap_or_default())
            }
        }
    }

    /// Returns the tool listing (wire contract section 6): the environment's tools
    /// by name, then those of toolsets by name, then those of the task in order. The
    /// tools of the requested toolset are last, and replace those of the same name.
    pub fn listing(&self, task_tools: Vec<ToolSpec>, toolset: Option<&str>) -> ToolListing {
        let listed = |of_toolset: bool| {
            let mut tools: Vec<ToolSpec> = self
                .common()
                .filter(|tool| tool.visibility == ToolVisibility::Listed)
                .filter(|tool| tool.toolset.is_some() == of_toolset)
                .map(|tool| tool.spec.clone())
                .collect();
            tools.sort_by(|a, b| a.name.cmp(&b.name));
            tools
        };
        let mut tools = listed(false);
        tools.extend(listed(true));
        tools.extend(task_tools);
        let mut requested: Vec<ToolSpec> = self
            .requestable(toolset)
            .map(|tool| tool.spec.clone())
            .collect();
        requested.sort_by(|a, b| a.name.cmp(&b.name));
        tools.retain(|tool| !requested.iter().any(|other| other.name == tool.name));
        tools.extend(requested);
        ToolListing {
            tools,
            terminal: self.terminal(),
            supports_score_group: self.supports.score_group,
        }
    }

    fn terminal(&self) -> Option<TerminalTool> {
        self.tools.iter().find_map(|tool| match &tool.visibility {
            ToolVisibility::Terminal(arg) => Some(TerminalTool {
                name: tool.spec.name.clone(),
                arg: arg.clone(),
                description: tool.spec.description.clone(),
            }),
            ToolVisibility::Listed | ToolVisibility::Unlisted => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::SplitKind;

    fn tool(name: &str, visibility: ToolVisibility, toolset: Option<&str>) -> Tool {
        Tool {
            spec: ToolSpec {
                name: name.to_owned(),
                description: String::new(),
                input_schema: None,
            },
            access: ToolAccess::Serial,
            visibility,
            toolset: toolset.map(str::to_owned),
        }
    }

    fn kit() -> EnvironmentDescription {
        EnvironmentDescription {
            name: "kit".to_owned(),
            version: "1".to_owned(),
            splits: vec![Split {
                name: "train".to_owned(),
                kind: SplitKind::Train,
            }],
            tools: vec![
                tool("shout", ToolVisibility::Listed, Some("Extras")),
                tool("dup", ToolVisibility::Listed, Some("Extras")),
                tool("dup", ToolVisibility::Unlisted, None),
                tool("look", ToolVisibility::Listed, None),
                tool("able", ToolVisibility::Listed, None),
                tool("end", ToolVisibility::Terminal(None), None),
            ],
            supports: Capabilities {
                prompts: true,
                messages: false,
                task_tools: true,
                score_group: false,
                listing: true,
            },
        }
    }

    #[test]
    fn lists_own_tools_then_toolsets_then_the_task() {
        let extra = tool("aaa", ToolVisibility::Listed, None).spec;
        let listing = kit().listing(vec![extra], None);
        let names: Vec<_> = listing.tools.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["able", "look", "dup", "shout", "aaa"]);
        assert_eq!(listing.terminal.unwrap().name, "end");
    }

    #[test]
    fn finds_a_tool_by_name() {
        let kit = kit();
        assert_eq!(kit.find_tool("look", None), ToolLookup::Found);
        assert_eq!(kit.find_tool("LOOK", None), ToolLookup::NotFound);
        assert_eq!(kit.find_tool("dup", None), ToolLookup::Collision("Extras"));
    }
}
