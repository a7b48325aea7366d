//! Lifts values of the guest into values of the model, and checks them.
//!
//! Every JSON text is parsed, every reward must be finite, and each error names
//! the place, so that the author can find it.

use orwd_bindings::orwd::environment::types as wit;

use crate::convert::{schema, surrogates};
use orwd_model::{
    Block, Capabilities, EnvironmentDescription, Json, JsonDepth, Message, MessageBlock, Reward,
    Role, Score, Split, SplitKind, TOOLSETS, Tool, ToolAccess, ToolOutput, ToolSpec,
    ToolVisibility,
};

/// A guest value that fails a check: what is wrong, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct InvalidOutput(String);

type Lifted<T> = Result<T, InvalidOutput>;

/// Splits of a description. Clients query each by name and receive the whole
/// list.
const MAX_SPLITS: usize = 64;

/// Tools of a description, and tools that a task may add. Every agent reads all
/// of them.
const MAX_TOOLS: usize = 256;

fn object(place: &str, text: String) -> Lifted<Json> {
    let json = Json::object(text).map_err(|error| InvalidOutput(format!("{place}: {error}")))?;
    if !surrogates::are_paired(json.as_str()) {
        let problem = format!("{place}: an escape that is no character: half of a surrogate pair");
        return Err(InvalidOutput(problem));
    }
    Ok(json)
}

/// Returns the value if its JSON is nested no deeper than `most`.
pub(crate) fn check_depth<T: JsonDepth>(value: T, most: usize) -> Lifted<T> {
    let levels = value.json_depth();
    if levels <= most {
        return Ok(value);
    }
    Err(InvalidOutput(format!(
        "JSON of {levels} levels, and {most} are allowed"
    )))
}

fn optional_object(place: &str, text: Option<String>) -> Lifted<Option<Json>> {
    text.map(|text| object(place, text)).transpose()
}

fn reward(place: &str, value: f64) -> Lifted<Reward> {
    Reward::new(value).map_err(|error| InvalidOutput(format!("{place}: {error}")))
}

pub(crate) fn blocks(blocks: Vec<wit::Block>) -> Lifted<Vec<Block>> {
    blocks.into_iter().map(block).collect()
}

fn block(block: wit::Block) -> Lifted<Block> {
    Ok(match block {
        wit::Block::Text(wit::TextBlock { text, detail }) => Block::Text {
            text,
            detail: optional_object("detail of a text block", detail)?,
        },
        wit::Block::Image(wit::ImageBlock {
            data,
            mime_type,
            detail,
        }) => Block::Image {
            data,
            mime_type,
            detail: optional_object("detail of an image block", detail)?,
        },
    })
}

pub(crate) fn messages(messages: Vec<wit::Message>) -> Lifted<Vec<Message>> {
    messages.into_iter().map(message).collect()
}

fn message(message: wit::Message) -> Lifted<Message> {
    let role = match message.role {
        wit::Role::System => Role::System,
        wit::Role::User => Role::User,
        wit::Role::Assistant => Role::Assistant,
    };
    let blocks: Vec<MessageBlock> = message
        .blocks
        .into_iter()
        .map(message_block)
        .collect::<Lifted<_>>()?;
    if !blocks.iter().all(|block| role.allows(block)) {
        let role = role.as_str();
        let problem = format!("a {role} message holds a block that such a message may not hold");
        return Err(InvalidOutput(problem));
    }
    Ok(Message {
        role,
        blocks,
        detail: optional_object("detail of a message", message.detail)?,
    })
}

fn message_block(part: wit::MessageBlock) -> Lifted<MessageBlock> {
    Ok(match part {
        wit::MessageBlock::Text(text) => MessageBlock::Plain(block(wit::Block::Text(text))?),
        wit::MessageBlock::Image(image) => MessageBlock::Plain(block(wit::Block::Image(image))?),
        wit::MessageBlock::Reasoning(reasoning) => MessageBlock::Reasoning {
            text: reasoning.text,
            signature: reasoning.signature,
            detail: optional_object("detail of a reasoning block", reasoning.detail)?,
        },
        wit::MessageBlock::ToolCall(call) => MessageBlock::ToolCall {
            id: call.id,
            name: call.name,
            input: object("input of a tool call block", call.input)?,
            detail: optional_object("detail of a tool call block", call.detail)?,
        },
        wit::MessageBlock::ToolResult(result) => MessageBlock::ToolResult {
            tool_call_id: result.tool_call_id,
            blocks: blocks(result.blocks)?,
            is_error: result.is_error,
            detail: optional_object("detail of a tool result block", result.detail)?,
        },
    })
}

pub(crate) fn output(output: wit::ToolOutput) -> Lifted<ToolOutput> {
    Ok(ToolOutput {
        blocks: blocks(output.blocks)?,
        metadata: optional_object("metadata", output.metadata)?,
        reward: output
            .reward
            .map(|value| reward("reward", value))
            .transpose()?,
        finished: output.finished,
    })
}

pub(crate) fn scores(scores: Vec<wit::Score>) -> Lifted<Vec<Score>> {
    let lift = |(place, score): (usize, wit::Score)| {
        Ok(Score {
            reward: reward(&format!("score {place}"), score.reward)?,
            metadata: optional_object(&format!("metadata of score {place}"), score.metadata)?,
        })
    };
    scores.into_iter().enumerate().map(lift).collect()
}

pub(crate) fn tasks(tasks: Vec<String>) -> Lifted<Vec<Json>> {
    tasks.into_iter().map(|text| object("task", text)).collect()
}

pub(crate) fn task(task: String) -> Lifted<Json> {
    object("task", task)
}

pub(crate) fn task_tools(tools: Vec<wit::TaskTool>) -> Lifted<Vec<ToolSpec>> {
    at_most("tools", tools.len(), MAX_TOOLS)?;
    tools
        .into_iter()
        .map(|tool| spec(tool.name, tool.description, tool.input_schema))
        .collect()
}

fn spec(name: String, description: String, schema: Option<String>) -> Lifted<ToolSpec> {
    let place = format!("input schema of the tool {name:?}");
    let input_schema = optional_object(&place, schema)?;
    if let Some(schema) = &input_schema {
        schema::check(schema).map_err(|problem| InvalidOutput(format!("{place}: {problem}")))?;
    }
    Ok(ToolSpec {
        name,
        description,
        input_schema,
    })
}

/// Lifts a description and checks what every host relies on: at least one
/// split, one tool, and a prompt or messages; names that are unique and not
/// empty.
pub(crate) fn description(description: wit::Description) -> Lifted<EnvironmentDescription> {
    at_most("splits", description.splits.len(), MAX_SPLITS)?;
    at_most("tools", description.tools.len(), MAX_TOOLS)?;
    let splits: Vec<Split> = description.splits.into_iter().map(split).collect();
    let tools: Vec<Tool> = description
        .tools
        .into_iter()
        .map(tool)
        .collect::<Lifted<_>>()?;
    let has = |flag| description.supports.contains(flag);
    let supports = Capabilities {
        prompts: has(wit::Support::PROMPTS),
        messages: has(wit::Support::MESSAGES),
        task_tools: has(wit::Support::TASK_TOOLS),
        score_group: has(wit::Support::SCORE_GROUP),
        listing: has(wit::Support::LISTING),
    };
    let invalid = |problem: String| Err(InvalidOutput(problem));
    if splits.is_empty() {
        return invalid("it describes no split".to_owned());
    }
    if tools.is_empty() {
        return invalid("it describes no tool".to_owned());
    }
    if !(supports.prompts || supports.messages) {
        return invalid("it gives neither a prompt nor messages".to_owned());
    }
    if let Some(name) = first_duplicate(splits.iter().map(|split| split.name.as_str())) {
        return invalid(format!("it describes the split {name:?} twice"));
    }
    if splits.iter().any(|split| split.name.is_empty()) {
        return invalid("it describes a split without a name".to_owned());
    }
    // A client requests one toolset at most, so two of them may share a name.
    let mut groups = vec![(false, None), (true, None)];
    groups.extend(TOOLSETS.iter().map(|toolset| (true, Some(*toolset))));
    for (of_toolset, requested) in groups {
        let of = |tool: &&Tool| {
            tool.toolset.is_some() == of_toolset && tool.requested_toolset() == requested
        };
        let names = tools.iter().filter(of).map(|tool| tool.spec.name.as_str());
        if let Some(name) = first_duplicate(names) {
            return invalid(format!("it describes the tool {name:?} twice"));
        }
    }
    let terminal = |tool: &&Tool| matches!(tool.visibility, ToolVisibility::Terminal(_));
    if tools.iter().filter(terminal).count() > 1 {
        return invalid("it describes more than one terminal tool".to_owned());
    }
    Ok(EnvironmentDescription {
        name: description.name,
        version: description.version,
        splits,
        tools,
        supports,
    })
}

fn at_most(what: &str, count: usize, most: usize) -> Lifted<()> {
    if count <= most {
        return Ok(());
    }
    Err(InvalidOutput(format!(
        "it describes {count} {what}, and at most {most} are taken"
    )))
}

fn first_duplicate<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

fn split(split: wit::Split) -> Split {
    Split {
        name: split.name,
        kind: match split.kind {
            wit::SplitKind::Train => SplitKind::Train,
            wit::SplitKind::Validation => SplitKind::Validation,
            wit::SplitKind::Test => SplitKind::Test,
        },
    }
}

fn tool(tool: wit::Tool) -> Lifted<Tool> {
    Ok(Tool {
        spec: spec(tool.name, tool.description, tool.input_schema)?,
        access: match tool.access {
            wit::Access::Serial => ToolAccess::Serial,
            wit::Access::Concurrent => ToolAccess::Concurrent,
            wit::Access::Exclusive => ToolAccess::Exclusive,
        },
        visibility: match tool.visibility {
            wit::Visibility::Listed => ToolVisibility::Listed,
            wit::Visibility::Unlisted => ToolVisibility::Unlisted,
            wit::Visibility::Terminal(arg) => ToolVisibility::Terminal(arg),
        },
        toolset: tool.toolset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(tools: &[&str], splits: &[&str], supports: wit::Support) -> wit::Description {
        wit::Description {
            name: "e".to_owned(),
            version: "1".to_owned(),
            splits: splits
                .iter()
                .map(|name| wit::Split {
                    name: (*name).to_owned(),
                    kind: wit::SplitKind::Train,
                })
                .collect(),
            tools: tools
                .iter()
                .map(|name| wit::Tool {
                    name: (*name).to_owned(),
                    description: String::new(),
                    input_schema: None,
                    access: wit::Access::Serial,
                    visibility: wit::Visibility::Listed,
                    toolset: None,
                })
                .collect(),
            supports,
        }
    }

    #[test]
    fn a_description_must_give_a_client_something_to_do() {
        let prompts = wit::Support::PROMPTS;
        for (tools, splits, supports, expected) in [
            (&["a"][..], &["s"][..], prompts, ""),
            (&[], &["s"], prompts, "it describes no tool"),
            (&["a"], &[], prompts, "it describes no split"),
            (
                &["a"],
                &["s"],
                wit::Support::LISTING,
                "it gives neither a prompt nor messages",
            ),
            (
                &["a", "a"],
                &["s"],
                prompts,
                "it describes the tool \"a\" twice",
            ),
            (
                &["a"],
                &["s", "s"],
                prompts,
                "it describes the split \"s\" twice",
            ),
        ] {
            let problem = description(described(tools, splits, supports))
                .err()
                .map_or(String::new(), |error| error.to_string());
            assert_eq!(problem, expected);
        }
    }

    #[test]
    fn a_description_is_bounded() {
        let names = |count: usize| -> Vec<String> { (0..count).map(|n| n.to_string()).collect() };
        for (tools, splits, expected) in [
            (MAX_TOOLS, MAX_SPLITS, ""),
            (
                MAX_TOOLS + 1,
                1,
                "it describes 257 tools, and at most 256 are taken",
            ),
            (
                1,
                MAX_SPLITS + 1,
                "it describes 65 splits, and at most 64 are taken",
            ),
        ] {
            let (tools, splits) = (names(tools), names(splits));
            let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
            let splits: Vec<&str> = splits.iter().map(String::as_str).collect();
            let problem = description(described(&tools, &splits, wit::Support::PROMPTS))
                .err()
                .map_or(String::new(), |error| error.to_string());
            assert_eq!(problem, expected);
        }
    }

    #[test]
    fn a_schema_that_is_refused_names_its_tool_and_the_place() {
        let problem = task_tools(vec![wit::TaskTool {
            name: "look".to_owned(),
            description: String::new(),
            input_schema: Some("{\"items\": {\"$ref\": \"http://[::1]/\"}}".to_owned()),
        }])
        .unwrap_err();
        assert_eq!(
            problem.to_string(),
            "input schema of the tool \"look\": at \"/items/$ref\": it refers to something \
             outside of the schema; a reference begins with #/"
        );
    }

    #[test]
    fn a_reward_is_finite_and_metadata_an_object() {
        let result = |reward, metadata: Option<&str>| {
            output(wit::ToolOutput {
                blocks: vec![],
                metadata: metadata.map(str::to_owned),
                reward,
                finished: false,
            })
            .err()
            .map_or(String::new(), |error| error.to_string())
        };
        assert_eq!(result(Some(-0.0), Some("{}")), "");
        assert!(result(Some(f64::NAN), None).starts_with("reward: "));
        assert!(result(Some(f64::INFINITY), None).starts_with("reward: "));
        assert!(result(None, Some("[]")).starts_with("metadata: "));
        assert!(result(None, Some("{\"a\":}")).starts_with("metadata: "));
    }
}
