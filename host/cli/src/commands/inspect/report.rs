//! The report on an environment, as text and as JSON.
//!
//! Names and descriptions come from the guest, so the text escapes their control
//! characters.

use std::collections::BTreeSet;
use std::fmt::Write;

use orwd_catalog::Environment;
use orwd_model::DataMode;
use orwd_model::{Json, Tool, ToolVisibility};
use orwd_sandbox::Grant;
use serde::{Serialize, Serializer};

use super::schema_warnings::schema_warnings;
use crate::console::terminal::{BOLD, escape_control, styled};

/// Report on an environment.
#[derive(Debug, Serialize)]
pub(super) struct InspectReport {
    name: String,
    digest: String,
    size: usize,
    calls_itself: String,
    version: String,
    exports: Vec<String>,
    imports: Vec<Import>,
    data: Option<Data>,
    writes: Writes,
    clock: &'static str,
    secrets: Vec<String>,
    network: Network,
    splits: Vec<Split>,
    tools: Vec<ToolReport>,
    supports: Supports,
    #[serde(serialize_with = "as_object")]
    limits: Vec<(&'static str, String)>,
}

fn as_object<S: Serializer>(
    limits: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(limits.iter().map(|(name, amount)| (name, amount)))
}

#[derive(Debug, Serialize)]
struct Import {
    name: String,
    grant: &'static str,
}

#[derive(Debug, Serialize)]
struct Data {
    path: String,
}

/// What its sessions may reach by HTTP.
#[derive(Debug, Serialize)]
struct Network {
    /// What the manifest asks for.
    requested: Vec<String>,
    /// What the operator allows of it.
    granted: Vec<String>,
    /// Whether a guest gets the values of secrets, and not placeholders.
    secrets_in_guest: bool,
}

/// What happens to files that a session writes.
#[derive(Debug, Serialize)]
struct Writes {
    mode: &'static str,
    publish: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Split {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    num_tasks: Option<u64>,
    /// Why the number of tasks is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct ToolReport {
    name: String,
    description: String,
    input_schema: Option<Json>,
    /// What clients lose when they convert the schema for a model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    schema_warnings: Vec<String>,
    access: &'static str,
    visibility: &'static str,
    terminal_argument: Option<String>,
    toolset: Option<String>,
}

#[derive(Debug, Serialize)]
struct Supports {
    prompts: bool,
    messages: bool,
    task_tools: bool,
    score_group: bool,
    listing: bool,
}

impl InspectReport {
    /// Collects the report.
    pub(super) async fn of(environment: &Environment) -> InspectReport {
        let description = environment.description();
        let component = environment.component();
        let mut splits = Vec::new();
        let owner = orwd_engine::Owner::Client(None);
        for split in &description.splits {
            let counted = environment.num_tasks(&owner, &split.name).await;
            splits.push(Split {
                name: split.name.clone(),
                kind: split.kind.as_str(),
                num_tasks: counted.as_ref().ok().copied(),
                error: counted.err().map(|error| error.to_string()),
            });
        }
        let supports = &description.supports;
        InspectReport {
            name: environment.name().to_string(),
            digest: component.digest().to_string(),
            size: component.size(),
            calls_itself: description.name.clone(),
            version: description.version.clone(),
            exports: component.exports().to_vec(),
            imports: component
                .imports()
                .iter()
                .map(|import| Import {
                    name: import.name.clone(),
                    grant: match import.grant {
                        Grant::Granted => "granted",
                        Grant::Denied => "denied",
                        Grant::Refused => "refused",
                    },
                })
                .collect(),
            data: environment.data().map(|data| Data {
                path: data.path().display().to_string(),
            }),
            writes: Writes {
                mode: environment.mode().as_str(),
                publish: match environment.mode() {
                    DataMode::Shared(publish) => publish.folders.clone(),
                    DataMode::ReadOnly | DataMode::Session => Vec::new(),
                },
            },
            clock: environment.clock().as_str(),
            secrets: environment.secrets().to_vec(),
            network: Network {
                requested: environment.network().requested.clone(),
                granted: environment.network().granted.clone(),
                secrets_in_guest: !environment.network().hides_secrets(),
            },
            splits,
            tools: description.tools.iter().map(ToolReport::of).collect(),
            supports: Supports {
                prompts: supports.prompts,
                messages: supports.messages,
                task_tools: supports.task_tools,
                score_group: supports.score_group,
                listing: supports.listing,
            },
            limits: environment.limits_in_words(),
        }
    }

    /// Returns the report for people, with styles.
    pub(super) fn text(&self) -> String {
        let mut out = Text(String::new());
        out.title(&format!(
            "{} ({} {})",
            self.name, self.calls_itself, self.version
        ));
        out.line(&format!("digest   {}", self.digest));
        out.line(&format!("size     {} bytes", self.size));
        if let Some(data) = &self.data {
            out.line(&format!("data     {}", data.path));
        }
        out.line(&format!("writes   {}", self.writes.words()));
        if !self.secrets.is_empty() {
            out.line(&format!("secrets  {}", self.secrets.join(", ")));
        }
        if !self.network.requested.is_empty() {
            out.line(&format!("network  {}", self.network.requested.join(", ")));
            let granted = match self.network.granted.as_slice() {
                [] => "nothing; pass --allow-network NAME=RULE".to_owned(),
                granted => granted.join(", "),
            };
            out.line(&format!("allowed  {granted}"));
            if !self.secrets.is_empty() {
                out.line(match self.network.secrets_in_guest {
                    true => "keeps    values of secrets in the guest",
                    false => "keeps    values of secrets out of the guest, which gets placeholders",
                });
            }
        }
        out.title("\nSplits");
        for split in &self.splits {
            let count = match (split.num_tasks, &split.error) {
                (Some(1), _) => "1 task".to_owned(),
                (Some(count), _) => format!("{count} tasks"),
                (None, error) => error.clone().unwrap_or_default(),
            };
            out.line(&format!("{} ({}): {count}", split.name, split.kind));
        }
        out.title("\nTools");
        for tool in &self.tools {
            tool.write(&mut out);
        }
        out.title("\nSupports");
        out.line(&self.supports.words());
        out.title("\nExports");
        for export in &self.exports {
            out.line(export);
        }
        out.title("\nImports");
        for import in &self.imports {
            out.line(&format!("{:<8} {}", import.grant, import.name));
        }
        out.title("\nCapabilities");
        out.line(&self.capabilities());
        out.title("\nLimits of a session");
        for (limit, amount) in &self.limits {
            out.line(&format!("{limit:<16} {amount}"));
        }
        out.0
    }

    /// Describes what the imports permit.
    fn capabilities(&self) -> String {
        let data = match (&self.data, self.writes.mode) {
            (Some(_), "read-only") => "reading its data directory".to_owned(),
            (Some(_), _) => "its data directory and private files".to_owned(),
            (None, "read-only") => "no files".to_owned(),
            (None, _) => "private files".to_owned(),
        };
        let mut words = BTreeSet::new();
        for import in self.imports.iter().filter(|i| i.grant == "granted") {
            match import.name.split(['/', '@']).next() {
                Some("wasi:filesystem") => words.insert(data.clone()),
                Some("wasi:clocks") if self.clock == "real" => {
                    words.insert("the machine's clock (its sessions cannot be replayed)".to_owned())
                }
                Some("wasi:clocks") => words.insert("a virtual clock".to_owned()),
                Some("wasi:random") => words.insert("randomness".to_owned()),
                Some("wasi:cli") if import.name.contains("/std") => {
                    words.insert("the log".to_owned())
                }
                _ => false,
            };
        }
        let mut capabilities: Vec<String> = words.into_iter().collect();
        if capabilities.is_empty() {
            capabilities.push("nothing".to_owned());
        }
        let denied = self.imports.iter().any(|i| i.grant == "denied");
        let network = if denied {
            "no network (it imports sockets, and every use is refused)"
        } else {
            "no network"
        };
        capabilities.push(network.to_owned());
        capabilities.join("; ")
    }
}

impl ToolReport {
    fn of(tool: &Tool) -> ToolReport {
        let (visibility, terminal_argument) = match &tool.visibility {
            ToolVisibility::Listed => ("listed", None),
            ToolVisibility::Unlisted => ("unlisted", None),
            ToolVisibility::Terminal(argument) => ("terminal", argument.clone()),
        };
        ToolReport {
            name: tool.spec.name.clone(),
            description: tool.spec.description.clone(),
            input_schema: tool.spec.input_schema.clone(),
            schema_warnings: tool
                .spec
                .input_schema
                .as_ref()
                .map(schema_warnings)
                .unwrap_or_default(),
            access: tool.access.as_str(),
            visibility,
            terminal_argument,
            toolset: tool.toolset.clone(),
        }
    }

    fn write(&self, out: &mut Text) {
        let mut marks = vec![self.access.to_owned()];
        if self.visibility != "listed" {
            marks.push(match &self.terminal_argument {
                Some(argument) => format!("{}, grades `{argument}`", self.visibility),
                None => self.visibility.to_owned(),
            });
        }
        if let Some(toolset) = &self.toolset {
            marks.push(format!("toolset {toolset}"));
        }
        out.line(&format!("{} ({})", self.name, marks.join(", ")));
        for line in self.description.lines() {
            out.line(&format!("    {line}"));
        }
        if let Some(schema) = &self.input_schema {
            out.line(&format!("    {}", schema.as_str()));
        }
        for warning in &self.schema_warnings {
            out.line(&format!("    warning: {warning}"));
        }
    }
}

impl Writes {
    fn words(&self) -> String {
        match self.mode {
            "read-only" => "refused".to_owned(),
            "shared" => format!("published from {}", self.publish.join(", ")),
            _ => "discarded with the session".to_owned(),
        }
    }
}

impl Supports {
    fn words(&self) -> String {
        let words: Vec<&str> = [
            (self.prompts, "prompts"),
            (self.messages, "messages"),
            (self.task_tools, "task tools"),
            (self.score_group, "group scores"),
            (self.listing, "task listing"),
        ]
        .into_iter()
        .filter_map(|(has, word)| has.then_some(word))
        .collect();
        words.join(", ")
    }
}

/// Builds the text.
struct Text(String);

impl Text {
    fn title(&mut self, text: &str) {
        let text = escape_control(text);
        writeln!(self.0, "{}", styled(BOLD, &text)).ok();
    }

    fn line(&mut self, text: &str) {
        writeln!(self.0, "  {}", escape_control(text)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> InspectReport {
        let import = |name: &str, grant| Import {
            name: name.to_owned(),
            grant,
        };
        InspectReport {
            name: "counter".to_owned(),
            digest: "sha256:00".to_owned(),
            size: 12,
            calls_itself: "Counter\u{1b}".to_owned(),
            version: "0.1.0".to_owned(),
            exports: vec!["orwd:environment/orwd-catalog@0.1.0".to_owned()],
            imports: vec![
                import("wasi:clocks/monotonic-clock@0.2.6", "granted"),
                import("wasi:cli/stderr@0.2.6", "granted"),
                import("wasi:sockets/tcp@0.2.6", "denied"),
            ],
            data: None,
            writes: Writes {
                mode: "session",
                publish: Vec::new(),
            },
            clock: "virtual",
            secrets: vec!["KEY".to_owned()],
            network: Network {
                requested: Vec::new(),
                granted: Vec::new(),
                secrets_in_guest: true,
            },
            splits: vec![
                Split {
                    name: "train".to_owned(),
                    kind: "train",
                    num_tasks: Some(3),
                    error: None,
                },
                Split {
                    name: "test".to_owned(),
                    kind: "test",
                    num_tasks: None,
                    error: Some("no file".to_owned()),
                },
            ],
            tools: vec![ToolReport {
                name: "submit".to_owned(),
                description: "Grades.".to_owned(),
                input_schema: Some(Json::object("{\"z\":1,\"a\":2}".to_owned()).unwrap()),
                schema_warnings: vec!["the schema: lost".to_owned()],
                access: "exclusive",
                visibility: "terminal",
                terminal_argument: Some("answer".to_owned()),
                toolset: None,
            }],
            supports: Supports {
                prompts: true,
                messages: false,
                task_tools: false,
                score_group: false,
                listing: true,
            },
            limits: vec![("memory", "64MiB".to_owned())],
        }
    }

    #[test]
    fn renders_text() {
        let expected = "counter (Counter\\u{1b} 0.1.0)
  digest   sha256:00
  size     12 bytes
  writes   discarded with the session
  secrets  KEY

Splits
  train (train): 3 tasks
  test (test): no file

Tools
  submit (exclusive, terminal, grades `answer`)
      Grades.
      {\"z\":1,\"a\":2}
      warning: the schema: lost

Supports
  prompts, task listing

Exports
  orwd:environment/orwd-catalog@0.1.0

Imports
  granted  wasi:clocks/monotonic-clock@0.2.6
  granted  wasi:cli/stderr@0.2.6
  denied   wasi:sockets/tcp@0.2.6

Capabilities
  a virtual clock; the log; no network (it imports sockets, and every use is refused)

Limits of a session
  memory           64MiB
";
        let text = report().text();
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }

    #[test]
    fn json_keeps_schemas_as_written() {
        let json = serde_json::to_string(&report()).unwrap();
        assert!(json.contains(r#""input_schema":{"z":1,"a":2}"#), "{json}");
        assert!(json.ends_with(r#""limits":{"memory":"64MiB"}}"#), "{json}");
    }
}
