//! `link`, `unlink` and `update-link`.

use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::api::{Api, reference, rows, segment, text};
use super::output::OutputFlags;
use crate::console::{CommandError, terminal};

/// Link an environment to the repository that it is deployed from
///
/// The head of the repository's default branch is deployed at once, and later each
/// push to that branch. A repository elsewhere is named by its address. The platform
/// looks at it in intervals, and at once when its forge sends the webhook whose address
/// and secret are printed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd link alice/my-env alice/my-env
  orwd link alice/my-env https://github.com/alice/my-env.git
  orwd link alice/my-env alice/environments --subdirectory counter")]
pub(crate) struct Link {
    /// Environment: owner/name
    environment: String,

    /// Repository: owner/name, or the https:// address of a public one elsewhere
    repository: String,

    /// CPUs and GiB of memory of an instance, such as 1:4
    #[arg(long, value_name = "C:M", default_value = "1:4")]
    cpu_memory: String,

    /// Sessions of one instance, 1 to 10000
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 500,
        allow_negative_numbers = true
    )]
    concurrency: i64,

    /// Instances at most; 0 pauses it
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10,
        allow_negative_numbers = true
    )]
    max_scale: i64,

    /// Folder of the repository
    #[arg(long, value_name = "PATH")]
    subdirectory: Option<String>,

    #[command(flatten)]
    output: OutputFlags,
}

impl Link {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let api = Api::open()?;
        let (owner, name) = reference(&self.environment)?;
        let is_elsewhere = self.repository.contains("://");
        let known = match is_elsewhere {
            // The platform learns it from the address.
            true => vec![json!({ "id": self.repository, "fullName": self.repository })],
            false => rows(&api.get("/v1/github/repos").await?, "repos"),
        };
        let wanted = self.repository.to_lowercase();
        let found = known
            .iter()
            .find(|row| text(row, "fullName").to_lowercase() == wanted);
        let Some(found) = found else {
            let names: Vec<String> = known
                .iter()
                .take(20)
                .map(|row| text(row, "fullName"))
                .collect();
            terminal::print(&format!(
                "repo '{}' not found; the repositories that you may deploy from are: {}\n",
                self.repository,
                names.join(", ")
            ))?;
            return Err(CommandError::new("the environment was not linked"));
        };
        let (concurrency, scale) = (Some(self.concurrency), Some(self.max_scale));
        let mut body = json!({
            "githubRepoId": found.get("id"),
            "githubInstallationId": found.get("installationId"),
            "settings": settings(Some(&self.cpu_memory), concurrency, scale),
        });
        if let (Some(path), Some(body)) = (self.subdirectory, body.as_object_mut()) {
            body.insert("subdirectory".to_owned(), path.into());
        }
        let path = format!(
            "/v1/github/environments/{}/{}/connect",
            segment(owner),
            segment(name)
        );
        let linked = api.send(Method::POST, &path, Some(&body)).await?;
        self.output.print(&linked, || {
            let webhook = linked.get("webhook").map(webhook_lines).unwrap_or_default();
            format!(
                "Linked {name} to {} (environment id: {})\nA deployment has been triggered. Run `orwd \
                 deployments {name}` to check status.\n{webhook}",
                text(found, "fullName"),
                text(&linked, "environmentId"),
                name = self.environment,
            )
        })
    }
}

/// Says how a forge sends webhooks.
fn webhook_lines(webhook: &Value) -> String {
    let secret = match text(webhook, "secret") {
        secret if secret.is_empty() => "shown when it was made; --renew makes another".to_owned(),
        secret => format!("{secret} (not shown again)"),
    };
    format!(
        "Webhook:     {}\nSecret:      {secret}\nGitHub, Gitea: content type application/json. \
         GitLab: the secret is the secret token.\n",
        text(webhook, "url")
    )
}

/// Show the repository elsewhere of an environment and its webhook
///
/// Tells how the last look at the repository ended. The secret of the webhook is shown
/// when the environment is linked, and when it is renewed; the former one then ends.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd webhook alice/my-env
  orwd webhook alice/my-env --renew")]
pub(crate) struct Webhook {
    /// Environment: owner/name
    environment: String,

    /// Make a new secret
    #[arg(long)]
    renew: bool,

    #[command(flatten)]
    output: OutputFlags,
}

impl Webhook {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let (owner, name) = reference(&self.environment)?;
        let path = format!(
            "/v1/orwd/environments/{}/{}/webhook",
            segment(owner),
            segment(name)
        );
        let method = if self.renew {
            Method::POST
        } else {
            Method::GET
        };
        let found = Api::open()?.send(method, &path, None).await?;
        self.output.print(&found, || {
            let checked = match text(&found, "checked_at") {
                at if at.is_empty() => "not yet".to_owned(),
                at => at,
            };
            let mut out = format!("Repository:  {}\n", text(&found, "repository"));
            for (label, value) in [
                ("Branch:", text(&found, "branch")),
                ("Commit:", text(&found, "commit")),
                ("Looked at:", checked),
                ("Problem:", text(&found, "problem")),
            ] {
                if !value.is_empty() {
                    out.push_str(&format!("{label:<13}{value}\n"));
                }
            }
            out + &webhook_lines(&found)
        })
    }
}

/// Returns the settings that are set.
pub(super) fn settings(
    cpu_memory: Option<&str>,
    concurrency: Option<i64>,
    max_scale: Option<i64>,
) -> Map<String, Value> {
    let mut settings = Map::new();
    for (key, value) in [
        (
            "cpuMemory",
            cpu_memory.map(|text| text.replace(':', "-").into()),
        ),
        ("concurrency", concurrency.map(Value::from)),
        ("maxScale", max_scale.map(Value::from)),
    ] {
        if let Some(value) = value {
            settings.insert(key.to_owned(), value);
        }
    }
    settings
}

/// Changes the settings of a linked environment.
pub(super) async fn change(api: &Api, name: &str, body: &Value) -> Result<Value, CommandError> {
    let found = api.environment(name).await?;
    if !is_linked(&found) {
        return Err(CommandError::new(format!(
            "{name} is not linked to GitHub; link it with `orwd link {name} {name}`"
        )));
    }
    let path = format!("/v1/github/environments/{}", segment(&text(&found, "id")));
    Ok(api.send(Method::PUT, &path, Some(body)).await?)
}

fn is_linked(environment: &Value) -> bool {
    environment.get("has_github_connection") == Some(&Value::Bool(true))
}

/// Remove the link of an environment; its served version stays
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd unlink alice/my-env")]
pub(crate) struct Unlink {
    /// Environment: owner/name
    environment: String,

    #[command(flatten)]
    output: OutputFlags,
}

impl Unlink {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let (api, name) = (Api::open()?, &self.environment);
        let found = api.environment(name).await?;
        if !is_linked(&found) {
            return terminal::print(&format!("{name} is not linked to GitHub.\n"));
        }
        let path = format!("/v1/github/environments/{}", segment(&text(&found, "id")));
        let reply = api.send(Method::DELETE, &path, None).await?;
        self.output
            .print(&reply, || format!("Unlinked {name} from GitHub.\n"))
    }
}

/// Change the settings of a linked environment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd update-link alice/my-env --concurrency 100
  orwd update-link alice/my-env --subdirectory \"\"")]
pub(crate) struct UpdateLink {
    /// Environment: owner/name
    environment: String,

    /// CPUs and GiB of memory of an instance, such as 1:4
    #[arg(long, value_name = "C:M")]
    cpu_memory: Option<String>,

    /// Sessions of one instance, 1 to 10000
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    concurrency: Option<i64>,

    /// Instances at most, 0 to 100; 0 pauses it
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    max_scale: Option<i64>,

    /// Folder of the repository; empty for its root
    #[arg(long, value_name = "PATH")]
    subdirectory: Option<String>,

    #[command(flatten)]
    output: OutputFlags,
}

impl UpdateLink {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let (api, name) = (Api::open()?, &self.environment);
        let mut body = Map::new();
        let settings = settings(self.cpu_memory.as_deref(), self.concurrency, self.max_scale);
        if !settings.is_empty() {
            body.insert("settings".to_owned(), settings.into());
        }
        if let Some(path) = self.subdirectory {
            let path = Some(path).filter(|path| !path.is_empty());
            body.insert("subdirectory".to_owned(), path.into());
        }
        if body.is_empty() {
            return Err(CommandError::usage(
                "nothing to change; pass at least one flag",
            ));
        }
        let changed = change(&api, name, &body.into()).await?;
        self.output
            .print(&changed, || format!("Updated link settings for {name}.\n"))
    }
}
