//! `rename`, `delete`, `deleted`, `restore` and `audit`.

use std::fmt::Write;

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::api::{Api, reference, rows, segment, text};
use super::output::OutputFlags;
use crate::console::CommandError;

/// Give an environment another name
///
/// Its id stays. Git, the API, sessions and pages reach it by the former name as well,
/// until another environment takes that name.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd rename alice/my-env count-to-ten")]
pub(crate) struct Rename {
    /// Environment: owner/name
    environment: String,

    /// New name, without the owner
    name: String,

    #[command(flatten)]
    output: OutputFlags,
}

impl Rename {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let (owner, old) = reference(&self.environment)?;
        let path = format!(
            "/v1/environments/{}/{}/details",
            segment(owner),
            segment(old)
        );
        let body = json!({ "new_name": self.name });
        let changed = Api::open()?.send(Method::PUT, &path, Some(&body)).await?;
        self.output.print(&changed, || {
            let (old, new) = (&self.environment, text(&changed, "name"));
            format!("Renamed {old} to {owner}/{new}\n")
        })
    }
}

/// Delete an environment; it can be restored for a time
///
/// It is hidden at once, with its sessions, and its name stays taken. `orwd restore`
/// brings it back as it was, until the time that is printed. Then it is removed with its
/// repository, versions and files.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd delete alice/my-env
  orwd delete alice/my-env --for-good")]
pub(crate) struct Delete {
    /// Environment: owner/name. With --for-good also one that was deleted before
    environment: String,

    /// Remove it now. It cannot be restored
    #[arg(long)]
    for_good: bool,

    #[command(flatten)]
    output: OutputFlags,
}

impl Delete {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let (api, name) = (Api::open()?, &self.environment);
        if self.for_good
            && let Some(deleted) = find(&api, name).await?
        {
            return self.remove(&api, &text(&deleted, "id")).await;
        }
        let (owner, bare) = reference(name)?;
        let path = format!("/v1/orwd/environments/{}/{}", segment(owner), segment(bare));
        let deleted = api.send(Method::DELETE, &path, None).await?;
        if self.for_good {
            return self.remove(&api, &text(&deleted, "id")).await;
        }
        self.output.print(&deleted, || {
            let name = full_name(&deleted);
            let until = text(&deleted, "remove_at");
            format!("Deleted {name}. Until {until} it comes back with: orwd restore {name}\n")
        })
    }

    async fn remove(&self, api: &Api, id: &str) -> Result<(), CommandError> {
        let path = format!("/v1/orwd/deleted/{}", segment(id));
        let removed = api.send(Method::DELETE, &path, None).await?;
        self.output
            .print(&removed, || format!("Removed {}.\n", full_name(&removed)))
    }
}

fn full_name(environment: &Value) -> String {
    format!(
        "{}/{}",
        text(environment, "owner"),
        text(environment, "name")
    )
}

async fn list(api: &Api) -> Result<Vec<Value>, CommandError> {
    Ok(rows(&api.get("/v1/orwd/deleted").await?, "environments"))
}

/// Returns a deleted environment by its name, without regard to case, or by its id.
async fn find(api: &Api, name: &str) -> Result<Option<Value>, CommandError> {
    let is_meant = |row: &Value| {
        text(row, "id") == name || full_name(row).to_lowercase() == name.to_lowercase()
    };
    Ok(list(api).await?.into_iter().find(is_meant))
}

/// List the deleted environments that you can restore, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd deleted")]
pub(crate) struct Deleted {
    #[command(flatten)]
    output: OutputFlags,
}

impl Deleted {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let found = Value::Array(list(&Api::open()?).await?);
        self.output.print(&found, || {
            let rows = found.as_array().map(Vec::as_slice).unwrap_or_default();
            if rows.is_empty() {
                return "No deleted environments found.\n".to_owned();
            }
            let mut out = format!("{:<50} {:<24} Removed\n", "Environment", "Deleted");
            for row in rows {
                let (name, at) = (full_name(row), text(row, "deleted_at"));
                writeln!(out, "{name:<50} {at:<24} {}", text(row, "remove_at")).ok();
            }
            out
        })
    }
}

/// Restore a deleted environment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd restore alice/my-env")]
pub(crate) struct Restore {
    /// Environment: owner/name, or its id
    environment: String,

    #[command(flatten)]
    output: OutputFlags,
}

impl Restore {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let (api, name) = (Api::open()?, &self.environment);
        let Some(deleted) = find(&api, name).await? else {
            return Err(CommandError::new(format!(
                "there is no deleted environment {name} that you may restore; `orwd deleted` lists \
                 those that there are"
            )));
        };
        let path = format!(
            "/v1/orwd/deleted/{}/restore",
            segment(&text(&deleted, "id"))
        );
        let body = json!({});
        let restored = api.send(Method::POST, &path, Some(&body)).await?;
        self.output.print(&restored, || {
            format!("Restored {}.\n", full_name(&restored))
        })
    }
}

/// Show who created, linked, renamed, published, deleted and restored environments
///
/// Shows the newest changes of the namespaces that you may change, the newest first.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd audit --limit 10")]
pub(crate) struct Audit {
    /// Changes at most
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 50,
        allow_negative_numbers = true
    )]
    limit: i64,

    /// Only changes with this text in the user, the action or the environment
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    #[command(flatten)]
    output: OutputFlags,
}

impl Audit {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let mut path = format!("/v1/orwd/audit?limit={}", self.limit);
        if let Some(search) = &self.search {
            write!(path, "&search={}", segment(search)).ok();
        }
        let found = Value::Array(rows(&Api::open()?.get(&path).await?, "entries"));
        self.output.print(&found, || {
            let rows = found.as_array().map(Vec::as_slice).unwrap_or_default();
            if rows.is_empty() {
                return "No changes found.\n".to_owned();
            }
            let mut out = format!("{:<24} {:<20} {:<40} Action\n", "Time", "By", "Environment");
            for row in rows {
                let (at, by) = (text(row, "created_at"), text(row, "actor"));
                let (subject, action) = (text(row, "subject"), text(row, "action"));
                writeln!(out, "{at:<24} {by:<20} {subject:<40} {action}").ok();
            }
            out
        })
    }
}
