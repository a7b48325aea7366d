//! `whoami`, `login`, `create`, `list`, `get` and `update`.

use std::fmt::Write;
use std::io::Read;

use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::api::{Api, ApiFailure, reference, rows, segment, text};
use super::links::settings;
use super::output::OutputFlags;
use crate::console::{CommandError, terminal};

/// Rows that one request asks for.
const PAGE: usize = 100;

/// Show to whom the API key belongs
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd whoami")]
pub(crate) struct Whoami {
    #[command(flatten)]
    output: OutputFlags,
}

impl Whoami {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let found = match api.get("/v1/namespace/current?type=org").await {
            Err(ApiFailure::Refused(_)) => api.get("/v1/namespace/current?type=user").await?,
            other => other?,
        };
        self.output.print(&found, || {
            let mut out = format!("Namespace: {}\n", text(&found, "name"));
            for (label, key) in [("ID:        ", "id"), ("Type:      ", "type")] {
                let value = text(&found, key);
                if !value.is_empty() {
                    writeln!(out, "{label}{value}").ok();
                }
            }
            out
        })
    }
}

/// Get an API key by name and password
///
/// Reads the password from standard input and prints the new key, which the
/// platform shows never again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd login alice --key-name laptop < password-file")]
pub(crate) struct Login {
    /// Name of the user
    name: String,

    /// Name of the new key
    #[arg(long, value_name = "NAME", default_value = "orwd")]
    key_name: String,
}

impl Login {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let mut password = String::new();
        std::io::stdin().take(4096).read_to_string(&mut password)?;
        let body = json!({
            "name": self.name,
            "password": password.trim_end_matches(['\r', '\n']),
            "key_name": self.key_name,
        });
        let api = Api::open_without_key()?;
        let reply = api
            .send(Method::POST, "/v1/orwd/login", Some(&body))
            .await?;
        terminal::print(&format!("{}\n", text(&reply, "key")))
    }
}

/// Create an environment on the platform
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd create my-env --description \"Count to ten\"
  orwd create my-env --description \"Count to ten\" --namespace acme --private")]
pub(crate) struct Create {
    /// Name: 3 to 64 letters, digits, '-' and '_'
    name: String,

    /// Namespace: a user or an organisation [default: your own]
    #[arg(long)]
    namespace: Option<String>,

    /// What it is, in a sentence
    #[arg(long)]
    description: String,

    /// Only members of the namespace see it
    #[arg(long)]
    private: bool,

    /// Make it a Harbor environment, if the platform has a container builder
    #[arg(long)]
    harbor: bool,

    #[command(flatten)]
    output: OutputFlags,
}

impl Create {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let namespace = match self.namespace {
            Some(namespace) => namespace,
            None => api.namespace().await?,
        };
        let mut body = json!({
            "name": self.name,
            "namespace": namespace,
            "description": self.description,
            "isPrivate": self.private,
        });
        if let (true, Some(body)) = (self.harbor, body.as_object_mut()) {
            body.insert("isHarbor".to_owned(), true.into());
        }
        let created = api
            .send(Method::POST, "/v1/environments", Some(&body))
            .await?;
        self.output.print(&created, || {
            let (owner, name) = (text(&created, "owner"), text(&created, "name"));
            format!(
                "Created environment: {owner}/{name} (id: {})\n",
                text(&created, "id")
            )
        })
    }
}

/// List environments
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd list --mine
  orwd list --search counter --limit 10")]
pub(crate) struct List {
    /// Only those of this namespace
    #[arg(long)]
    owner: Option<String>,

    /// Only your own
    #[arg(long)]
    mine: bool,

    /// Only those with this text in their name or description
    #[arg(long)]
    search: Option<String>,

    /// Rows at most [default: all]
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,

    /// Rows to skip
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    offset: usize,

    #[command(flatten)]
    output: OutputFlags,
}

impl List {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let owner = match (self.owner, self.mine) {
            (Some(owner), _) => Some(owner),
            (None, true) => Some(api.namespace().await?),
            (None, false) => None,
        };
        let wanted = self.limit.unwrap_or(usize::MAX);
        let (mut found, mut total) = (Vec::new(), 0);
        while found.len() < wanted {
            let page = PAGE.min(wanted - found.len());
            let mut path = format!(
                "/v1/environments?limit={page}&offset={}",
                self.offset + found.len()
            );
            for (name, value) in [("owner", &owner), ("search", &self.search)] {
                if let Some(value) = value {
                    write!(path, "&{name}={}", segment(value)).ok();
                }
            }
            let reply = api.get(&path).await?;
            let rows = rows(&reply, "environments");
            total = reply
                .get("total")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            let is_last = rows.len() < page;
            found.extend(rows);
            if is_last {
                break;
            }
        }
        let count = found.len();
        let found = Value::Array(found);
        self.output.print(&found, || {
            if count == 0 {
                return "No environments found.\n".to_owned();
            }
            let mut out = format!("{:<40} {:<12} DESCRIPTION\n", "OWNER/NAME", "CONNECTED");
            for row in found.as_array().into_iter().flatten() {
                let name = format!("{}/{}", text(row, "owner"), text(row, "name"));
                let linked = row.get("has_github_connection") == Some(&Value::Bool(true));
                let linked = if linked { "yes" } else { "no" };
                let description: String = text(row, "description").chars().take(60).collect();
                writeln!(out, "{name:<40} {linked:<12} {description}").ok();
            }
            writeln!(out, "\nShowing {count} of {total} environments").ok();
            out
        })
    }
}

/// Show an environment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd get alice/my-env")]
pub(crate) struct Get {
    /// Environment: owner/name
    environment: String,

    #[command(flatten)]
    output: OutputFlags,
}

impl Get {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let found = Api::open()?.environment(&self.environment).await?;
        self.output.print(&found, || describe(&found))
    }
}

fn describe(found: &Value) -> String {
    let is = |key: &str| found.get(key) == Some(&Value::Bool(true));
    let number = |key: &str| {
        let size = found.get("compute_config").and_then(|size| size.get(key));
        size.and_then(Value::as_f64).unwrap_or_default()
    };
    let linked = if is("has_github_connection") {
        "connected"
    } else {
        "not connected"
    };
    let mut lines = vec![
        (
            "Name",
            format!("{}/{}", text(found, "owner"), text(found, "name")),
        ),
        ("ID", text(found, "id")),
        ("Description", text(found, "description")),
        (
            "Private",
            if is("is_private") { "True" } else { "False" }.to_owned(),
        ),
        ("GitHub", linked.to_owned()),
        ("Repo", text(found, "original_github_url")),
        (
            "Compute",
            format!("{:?} CPU, {:?} GB", number("cpu_count"), number("mem_gb")),
        ),
        ("Concurrency", text(found, "max_concurrency")),
        ("Max Scale", text(found, "max_scale")),
        ("Created", text(found, "created_at")),
        ("Updated", text(found, "updated_at")),
    ];
    lines.retain(|(label, value)| *label != "Repo" || !value.is_empty());
    lines
        .into_iter()
        .map(|(label, value)| format!("{:<13}{value}\n", format!("{label}:")))
        .collect()
}

/// Change details or settings of an environment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd update alice/my-env --description \"Count to twenty\"
  orwd update alice/my-env --max-scale 4")]
pub(crate) struct Update {
    /// Environment: owner/name
    environment: String,

    /// New name
    #[arg(long)]
    name: Option<String>,

    /// New description
    #[arg(long)]
    description: Option<String>,

    /// Only members of the namespace see it
    #[arg(long, conflicts_with = "public")]
    private: bool,

    /// Everyone sees it
    #[arg(long)]
    public: bool,

    /// Make it a Harbor environment
    #[arg(long, conflicts_with = "no_harbor")]
    harbor: bool,

    /// Make it no Harbor environment
    #[arg(long)]
    no_harbor: bool,

    /// Page of a paper about it; empty to remove
    #[arg(long, value_name = "URL")]
    arxiv_url: Option<String>,

    /// Page of its sources; empty to remove
    #[arg(long, value_name = "URL")]
    github_url: Option<String>,

    /// Page of its data; empty to remove
    #[arg(long, value_name = "URL")]
    hf_url: Option<String>,

    /// Sessions of one instance, 1 to 10000
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    max_concurrency: Option<i64>,

    /// Instances at most, 0 to 100; 0 pauses it
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    max_scale: Option<i64>,

    #[command(flatten)]
    output: OutputFlags,
}

impl Update {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let mut details = Map::new();
        let address = |value: &Option<String>| {
            value.as_ref().map(|text| match text.as_str() {
                "" => Value::Null,
                text => text.into(),
            })
        };
        let flag = |on: bool, off: bool| (on || off).then_some(Value::Bool(on));
        for (key, value) in [
            ("new_name", self.name.clone().map(Value::from)),
            ("new_description", self.description.clone().map(Value::from)),
            ("new_is_private", flag(self.private, self.public)),
            ("new_is_harbor", flag(self.harbor, self.no_harbor)),
            ("new_arxiv_url", address(&self.arxiv_url)),
            ("new_external_github_url", address(&self.github_url)),
            ("new_external_hf_url", address(&self.hf_url)),
        ] {
            if let Some(value) = value {
                details.insert(key.to_owned(), value);
            }
        }
        let has_settings = self.max_concurrency.is_some() || self.max_scale.is_some();
        if details.is_empty() && !has_settings {
            return Err(CommandError::usage(
                "nothing to change; pass at least one flag",
            ));
        }
        let mut name = self.environment.clone();
        if !details.is_empty() {
            let (owner, old) = reference(&name)?;
            let path = format!(
                "/v1/environments/{}/{}/details",
                segment(owner),
                segment(old)
            );
            let changed = api.send(Method::PUT, &path, Some(&details.into())).await?;
            name = format!("{owner}/{}", text(&changed, "name"));
            self.output
                .print(&changed, || format!("Updated environment: {name}\n"))?;
        }
        if has_settings {
            let body = settings(None, self.max_concurrency, self.max_scale);
            let changed = super::links::change(&api, &name, &json!({ "settings": body })).await?;
            self.output.print(&changed, || {
                format!("Updated deployment settings for {name}.\n")
            })?;
        }
        Ok(())
    }
}
