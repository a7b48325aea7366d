//! An environment in its own words, checked.

use super::{Split, TerminalTool, ToolListing, ToolSpec};

/// Which calls of a session a tool may overlap with. orwd runs the calls of a
/// session one after another, which every kind allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolAccess {
    /// Not with another call of the same tool.
    Serial,
    /// With any call.
    Concurrent,
    /// With no call.
    Exclusive,
}

impl ToolAccess {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            ToolAccess::Serial => "serial",
            ToolAccess::Concurrent => "concurrent",
            ToolAccess::Exclusive => "exclusive",
        }
    }
}

/// Who learns of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Every client.
    Listed,
    /// Nobody, but it can be called.
    Unlisted,
    /// Described apart from the listing, with the argument that takes the
    /// agent's final message.
    Terminal(Option<String>),
}

/// A tool that can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// As listings show it.
    pub spec: ToolSpec,
    /// What it may overlap with.
    pub access: ToolAccess,
    /// Who learns of it.
    pub visibility: Visibility,
    /// The toolset that brought it, if it is not the environment's own.
    pub toolset: Option<String>,
}

/// What an environment can do beyond the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support {
    /// It gives a prompt.
    pub prompts: bool,
    /// It gives messages.
    pub messages: bool,
    /// Tasks may add tools to the listing.
    pub task_tools: bool,
    /// Groups of candidates can be scored.
    pub score_group: bool,
    /// All tasks of a split can be listed.
    pub listing: bool,
}

/// An environment in its own words.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// For people.
    pub name: String,
    /// For people.
    pub version: String,
    /// At least one, each name once.
    pub splits: Vec<Split>,
    /// At least one, and at most one of them terminal.
    pub tools: Vec<Tool>,
    /// What it can do.
    pub supports: Support,
}

/// What a name comes to when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// One tool.
    Tool,
    /// No tool.
    Nothing,
    /// A tool of the environment and one of this toolset.
    Collision(&'a str),
}

impl Description {
    /// Whether there is a split of this name.
    pub fn has_split(&self, name: &str) -> bool {
        self.splits.iter().any(|split| split.name == name)
    }

    /// What a call of this name reaches. Only described tools can be called.
    pub fn named(&self, name: &str) -> Named<'_> {
        let mut found = self.tools.iter().filter(|tool| tool.spec.name == name);
        match (found.next(), found.next()) {
            (None, _) => Named::Nothing,
            (Some(_), None) => Named::Tool,
            (Some(one), Some(two)) => {
                let toolset = two.toolset.as_deref().or(one.toolset.as_deref());
                Named::Collision(toolset.unwrap_or_default())
            }
        }
    }

    /// The tool listing (wire contract section 6): the environment's tools by
    /// name, then those of toolsets by name, then those of the task as given.
    pub fn listing(&self, task_tools: Vec<ToolSpec>) -> ToolListing {
        let listed = |of_toolset: bool| {
            let mut tools: Vec<ToolSpec> = self
                .tools
                .iter()
                .filter(|tool| tool.visibility == Visibility::Listed)
                .filter(|tool| tool.toolset.is_some() == of_toolset)
                .map(|tool| tool.spec.clone())
                .collect();
            tools.sort_by(|a, b| a.name.cmp(&b.name));
            tools
        };
        let mut tools = listed(false);
        tools.extend(listed(true));
        tools.extend(task_tools);
        ToolListing {
            tools,
            terminal: self.terminal(),
            supports_score_group: self.supports.score_group,
        }
    }

    fn terminal(&self) -> Option<TerminalTool> {
        self.tools.iter().find_map(|tool| match &tool.visibility {
            Visibility::Terminal(arg) => Some(TerminalTool {
                name: tool.spec.name.clone(),
                arg: arg.clone(),
                description: tool.spec.description.clone(),
            }),
            Visibility::Listed | Visibility::Unlisted => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitKind;

    fn tool(name: &str, visibility: Visibility, toolset: Option<&str>) -> Tool {
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

    fn kit() -> Description {
        Description {
            name: "kit".to_owned(),
            version: "1".to_owned(),
            splits: vec![Split {
                name: "train".to_owned(),
                kind: SplitKind::Train,
            }],
            tools: vec![
                tool("shout", Visibility::Listed, Some("Extras")),
                tool("dup", Visibility::Listed, Some("Extras")),
                tool("dup", Visibility::Unlisted, None),
                tool("look", Visibility::Listed, None),
                tool("able", Visibility::Listed, None),
                tool("end", Visibility::Terminal(None), None),
            ],
            supports: Support {
                prompts: true,
                messages: false,
                task_tools: true,
                score_group: false,
                listing: true,
            },
        }
    }

    #[test]
    fn the_listing_puts_own_tools_before_toolsets_before_the_task() {
        let extra = tool("aaa", Visibility::Listed, None).spec;
        let listing = kit().listing(vec![extra]);
        let names: Vec<_> = listing.tools.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["able", "look", "dup", "shout", "aaa"]);
        assert_eq!(listing.terminal.unwrap().name, "end");
    }

    #[test]
    fn what_a_name_reaches() {
        let kit = kit();
        assert_eq!(kit.named("look"), Named::Tool);
        assert_eq!(kit.named("LOOK"), Named::Nothing);
        assert_eq!(kit.named("dup"), Named::Collision("Extras"));
    }
}
