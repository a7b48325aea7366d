//! `deployments`, `logs` and `rollback`.

use std::fmt::Write;

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::api::{Api, reference, rows, segment, text};
use super::output::OutputFlags;
use crate::console::{CommandError, terminal};

const NONE: &str = "No deployments found. Push to the linked repository, or run `orwd deploy`.\n";

/// Returns the first eight characters.
fn short(id: &str) -> String {
    cut(id, 8)
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

async fn list(api: &Api, name: &str) -> Result<Vec<Value>, CommandError> {
    let id = api.id(name).await?;
    let path = format!("/v1/github/environments/{}/deployments", segment(&id));
    let found = api.get(&path).await?;
    Ok(found.as_array().cloned().unwrap_or_default())
}

/// List the deployments of an environment, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd deployments alice/my-env")]
pub(crate) struct Deployments {
    /// Environment: owner/name
    environment: String,

    #[command(flatten)]
    output: OutputFlags,
}

impl Deployments {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let found = Value::Array(list(&Api::open()?, &self.environment).await?);
        self.output.print(&found, || {
            let rows = found.as_array().map(Vec::as_slice).unwrap_or_default();
            if rows.is_empty() {
                return NONE.to_owned();
            }
            let mut out = format!(
                "{:<10} {:<12} {:<20} {:<10} CREATED\n",
                "ID", "STATUS", "BRANCH", "COMMIT"
            );
            for row in rows {
                writeln!(
                    out,
                    "{:<10} {:<12} {:<20} {:<10} {}",
                    short(&text(row, "id")),
                    text(row, "status"),
                    cut(&text(row, "gitBranch"), 20),
                    short(&text(row, "commitSha")),
                    text(row, "created_at")
                )
                .ok();
            }
            out
        })
    }
}

/// Show the log of a deployment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd logs alice/my-env --build
  orwd logs alice/my-env --deployment-id 918bebe4 --limit 10")]
pub(crate) struct Logs {
    /// Environment: owner/name
    environment: String,

    /// The log of the build instead of that of the operation
    #[arg(long)]
    build: bool,

    /// Deployment, by eight characters of its id or more [default: the newest]
    #[arg(long, value_name = "ID")]
    deployment_id: Option<String>,

    /// Entries at most
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 50,
        allow_negative_numbers = true
    )]
    limit: i64,

    #[command(flatten)]
    output: OutputFlags,
}

impl Logs {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let id = match &self.deployment_id {
            Some(id) => id.clone(),
            None => {
                let found = list(&api, &self.environment).await?;
                let Some(latest) = found.first() else {
                    return self.output.print(&json!([]), || NONE.to_owned());
                };
                let id = text(latest, "id");
                if self.output.is_table() {
                    let status = text(latest, "status");
                    terminal::print(&format!(
                        "Using latest deployment: {} ({status})\n\n",
                        short(&id)
                    ))?;
                }
                id
            }
        };
        let (id, limit) = (segment(&id), self.limit);
        let path = match self.build {
            true => format!("/v1/github/deployments/{id}/logs"),
            false => format!("/v1/github/deployments/{id}/runtime-logs?limit={limit}"),
        };
        let reply = api.get(&path).await?;
        let entries = rows(&reply, "entries");
        let shown = match self.build {
            true => reply.clone(),
            false => Value::Array(entries.clone()),
        };
        self.output.print(&shown, || {
            let status = text(&reply, "status");
            if self.build {
                return match text(&reply, "logs") {
                    log if log.is_empty() => {
                        format!("No build logs available (status: {status})\n")
                    }
                    log => format!("{log}\n"),
                };
            }
            if entries.is_empty() {
                return format!("No runtime logs available (status: {status})\n");
            }
            let line = |entry: &Value| {
                let (at, severity) = (text(entry, "timestamp"), text(entry, "severity"));
                format!("[{at}] [{severity}] {}\n", text(entry, "message"))
            };
            entries.iter().map(line).collect()
        })
    }
}

/// Serve an earlier deployment again
///
/// Sessions stay on the version that they began with.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd rollback alice/my-env 918bebe4")]
pub(crate) struct Rollback {
    /// Environment: owner/name
    environment: String,

    /// Deployment, by eight characters of its id or more
    deployment: String,

    #[command(flatten)]
    output: OutputFlags,
}

impl Rollback {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let (owner, name) = reference(&self.environment)?;
        let path = format!(
            "/v1/orwd/environments/{}/{}/rollback",
            segment(owner),
            segment(name)
        );
        let body = json!({ "deployment": self.deployment });
        let reply = Api::open()?.send(Method::POST, &path, Some(&body)).await?;
        self.output.print(&reply, || {
            format!(
                "{} serves the deployment {}\n",
                self.environment, self.deployment
            )
        })
    }
}
