//! The command `orwd play`.
//!
//! A URL is played over the protocol. A path is served in this process on a free
//! port and then played like any server, so both behave the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use orwd_config::{
    BuildFlags, BuildMode, EnvironmentFlags, LimitFlags, Listen, NetworkFlags, ServerLimits,
};
use orwd_model::{AdmissionLimits, HttpLimits, SessionLimits};
use orwd_transcript::Script;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::client::Client;
use super::output::OutputMode;
use super::session_loop::{self, TaskSelection};
use crate::bootstrap::{AccessConfig, Persistence, environments, runtime, server};
use crate::client::api_key::ApiKeyFlags;
use crate::client::http::ServerUrl;
use crate::console::{CommandError, CommandStatus, terminal};

/// Sessions in memory of a server that only this process uses.
const SESSIONS: u32 = 2;

/// Play one episode, in the terminal or from a script
///
/// Prints the prompt and the tools, calls the tools that you type, and prints
/// results, rewards and the end. Exit code: 0 if the episode finished and all
/// results match the script, 1 for an error or a mismatch, 3 if the episode did
/// not finish.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd play examples/counter
  orwd play examples/counter --split train --task 2
  orwd play examples/counter --script examples/counter/transcript.jsonl
  orwd play http://127.0.0.1:8080/counter --spec '{\"id\": \"mine\", \"target\": 3}'

A script has JSON lines: first the task and optionally a seed, then one call a
line with the expected result:
  {\"split\": \"train\", \"index\": 0, \"seed\": 7}
  {\"tool\": \"add\", \"input\": {\"by\": 2}, \"expect\": {\"text\": \"2\", \"reward\": null, \"finished\": false}}
`expect` may contain text, text_contains, reward and finished, or error: the
reason of a refused call, or \"failed\".")]
pub(crate) struct Play {
    /// Path of an environment, as for `orwd serve`, or URL of a server
    #[arg(value_name = "PATH|URL")]
    target: String,

    /// Name of the environment [default: the first]
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,

    /// Split of the task [default: the first]
    #[arg(long, value_name = "SPLIT", conflicts_with = "spec")]
    split: Option<String>,

    /// Index of the task in its split, from 0 [default: 0]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        conflicts_with = "spec"
    )]
    task: Option<i64>,

    /// Task as a JSON object, in place of one of the environment's
    #[arg(long, value_name = "JSON", value_parser = spec)]
    spec: Option<Box<RawValue>>,

    /// Secret of the session; may be repeated. Without a value, the environment
    /// variable with this name is used
    #[arg(long = "secret", value_name = "NAME[=VALUE]", value_parser = secret)]
    secrets: Vec<(String, String)>,

    #[command(flatten)]
    key: ApiKeyFlags,

    /// Script with the calls to make and the expected results
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "task", "spec"])]
    script: Option<PathBuf>,

    /// Print JSON lines
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    environments: EnvironmentFlags,

    #[command(flatten)]
    network: NetworkFlags,

    #[command(flatten)]
    build: BuildFlags,

    #[command(flatten)]
    admission: LimitFlags<AdmissionLimits>,

    #[command(flatten)]
    session: LimitFlags<SessionLimits>,
}

impl Play {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let script = self.read_script()?;
        let selection = self.selection();
        let output = if self.json {
            OutputMode::Json
        } else {
            OutputMode::Text
        };
        let runtime = runtime::start(runtime::threads())?;
        let result = if self.target.contains("://") {
            ServerUrl::parse(&self.target)
                .map_err(|error| CommandError::usage(error.to_string()))
                .and_then(|server| {
                    let server = server.with_key(self.key.read()?);
                    runtime.block_on(play(server, selection, script, output))
                })
        } else if self.key.api_key_file.is_some() {
            let message = "--api-key-file requires the URL of a server, but this is a path";
            Err(CommandError::usage(message.to_owned()))
        } else {
            self.play_path(&runtime, selection, script, output)
        };
        runtime.shutdown_background();
        result
    }

    /// Serves the path on a free port, and plays on it.
    fn play_path(
        &self,
        runtime: &Runtime,
        selection: TaskSelection,
        script: Option<Script>,
        output: OutputMode,
    ) -> Result<CommandStatus, CommandError> {
        let mut paths = self.environments.resolve(self.build.or(BuildMode::Own))?;
        paths.network = self.network.clone();
        let path = PathBuf::from(&self.target);
        let admission = self.admission.resolve();
        let discovered = environments::discover(
            &[path],
            &paths,
            self.build.no_build,
            &admission,
            &terminal::note,
        )?;
        let session = self.session.resolve();
        runtime.block_on(async {
            let loaded = environments::prepare(
                discovered,
                &paths,
                admission,
                session,
                &HttpLimits::default(),
                environments::engine_settings(session, SESSIONS),
            )?
            .open()
            .await?;
            if !loaded.problems.is_empty() {
                return Err(CommandError::new(environments::join_problems(
                    &loaded.problems,
                )));
            }
            let address = Listen::private();
            let socket = server::bind(address, "--listen")?;
            let listener = server::listen(address, "--listen", socket)?;
            let url = ServerUrl::local(listener.local_addr()?);
            let (stop, stopped) = oneshot::channel::<()>();
            let shutdown = async move {
                // Dropping the sender stops the server.
                let _ = stopped.await;
            };
            let serving = tokio::spawn(server::serve(
                listener,
                loaded,
                ServerLimits::default(),
                Persistence::disabled(),
                AccessConfig::private(),
                None,
                shutdown,
            ));
            let result = play(url, selection, script, output).await;
            drop(stop);
            match serving.await {
                Ok(served) => served.and(result),
                Err(error) => Err(CommandError::new(format!("the server failed: {error}"))),
            }
        })
    }

    fn read_script(&self) -> Result<Option<Script>, CommandError> {
        let Some(path) = &self.script else {
            return Ok(None);
        };
        let error = |reason: String| CommandError::new(format!("{}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|reason| error(reason.to_string()))?;
        let script = Script::parse(&text).map_err(|reason| error(reason.to_string()))?;
        Ok(Some(script))
    }

    fn selection(&self) -> TaskSelection {
        TaskSelection {
            environment: self.environment.clone(),
            split: self.split.clone(),
            index: self.task,
            spec: self.spec.clone(),
            seed: None,
            secrets: self.secrets.iter().cloned().collect::<BTreeMap<_, _>>(),
        }
    }
}

/// Plays on a server, from the selection of the task to the end of the session.
async fn play(
    server: ServerUrl,
    mut selection: TaskSelection,
    script: Option<Script>,
    output: OutputMode,
) -> Result<CommandStatus, CommandError> {
    if selection.environment.is_none() && !server.path.is_empty() {
        selection.environment = Some(server.path.clone());
    }
    let client = Client::new(server);
    match script {
        Some(script) => session_loop::play_script(&client, selection, script, output).await,
        None => session_loop::play_input(&client, selection, output).await,
    }
}

fn spec(text: &str) -> Result<Box<RawValue>, String> {
    let value: Box<RawValue> =
        serde_json::from_str(text).map_err(|error| format!("invalid JSON: {error}"))?;
    if value.get().starts_with('{') {
        Ok(value)
    } else {
        Err("expected a JSON object".to_owned())
    }
}

fn secret(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => match std::env::var(text) {
            Ok(value) => Ok((text.to_owned(), value)),
            Err(_) => Err(format!(
                "environment variable {text} is not set; pass NAME=VALUE"
            )),
        },
    }
}
