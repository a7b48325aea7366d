//! `orwd play`: plays one episode, by hand or from a script.
//!
//! A server is played over its protocol; a path is served in this process on a
//! port of its own and then played like any server, so that both show the
//! same.

mod drive;
mod episode;
mod http;
mod input;
mod script;
mod show;
mod sse;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use hyper::header::HeaderValue;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::keep::Kept;
use super::{Ending, Failure, host, runtime, terminal};
use drive::Wish;
use episode::Client;
use http::Server;
use orwd_catalog::source;
use orwd_config::{AdmissionFlags, EnvironmentFlags, Listen, ServerFlags, SessionFlags};
use script::Script;
use show::Show;

/// The environment variable that holds the key for a server.
const KEY_VARIABLE: &str = "ORWD_API_KEY";

/// Sessions of a server that only this process uses: one is played.
const SESSIONS: u32 = 2;

/// Play one episode, in the terminal or from a script
///
/// Shows the prompt and the tools, calls what you type, and tells reward and
/// end. Exit code: 0 if the episode finished and all was as the script expects,
/// 1 for an error or a mismatch, 3 if it ended without finishing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd play examples/counter
  orwd play examples/counter --split train --task 2
  orwd play examples/counter --script examples/counter/transcript.jsonl
  orwd play http://127.0.0.1:8080/counter --spec '{\"id\": \"mine\", \"target\": 3}'

A script is JSON lines: first what to play, then a call a line, perhaps with
what is expected of it:
  {\"split\": \"train\", \"index\": 0}
  {\"tool\": \"add\", \"input\": {\"by\": 2}, \"expect\": {\"text\": \"2\", \"reward\": null, \"finished\": false}}
`expect` may hold text, text_contains, reward, finished, and error for a call
that is refused (its reason) or fails (\"failed\").")]
pub(super) struct Play {
    /// An environment, as for `orwd serve`, or the URL of a server
    #[arg(value_name = "PATH|URL")]
    target: String,

    /// Which environment, if there are several [default: the first]
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,

    /// Which split [default: the first]
    #[arg(long, value_name = "SPLIT", conflicts_with = "spec")]
    split: Option<String>,

    /// Which task of the split, from 0 [default: 0]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        conflicts_with = "spec"
    )]
    task: Option<i64>,

    /// A task of your own, in place of one of the environment's
    #[arg(long, value_name = "JSON", value_parser = spec)]
    spec: Option<Box<RawValue>>,

    /// A secret for the session; without a value, that of the environment
    /// variable of this name
    #[arg(long = "secret", value_name = "NAME[=VALUE]", value_parser = secret)]
    secrets: Vec<(String, String)>,

    /// File that holds the API key for the server; without it, the key is that
    /// of the environment variable ORWD_API_KEY, if there is one
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// Calls to make, with what is expected of them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "task", "spec"])]
    script: Option<PathBuf>,

    /// Tell everything as JSON lines
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    environments: EnvironmentFlags,

    #[command(flatten)]
    admission: AdmissionFlags,

    #[command(flatten)]
    session: SessionFlags,
}

impl Play {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        let script = self.read_script()?;
        let wish = self.wish();
        let show = if self.json { Show::Json } else { Show::text() };
        let runtime = runtime(host::threads())?;
        let ended = if self.target.contains("://") {
            Server::parse(&self.target)
                .map_err(|error| Failure::usage(error.to_string()))
                .and_then(|server| {
                    let server = server.with_key(self.api_key()?);
                    runtime.block_on(play(server, wish, script, show))
                })
        } else if self.api_key_file.is_some() {
            let message = "--api-key-file is for the URL of a server, and this is a path";
            Err(Failure::usage(message.to_owned()))
        } else {
            self.play_path(&runtime, wish, script, show)
        };
        runtime.shutdown_background();
        ended
    }

    /// Serves the path on a port of its own, and plays there.
    fn play_path(
        &self,
        runtime: &Runtime,
        wish: Wish,
        script: Option<Script>,
        show: Show,
    ) -> Result<Ending, Failure> {
        let places = self.environments.resolve()?;
        let path = PathBuf::from(&self.target);
        let gathered = source::gather(&[path], &places, &terminal::note).map_err(host::one_data)?;
        let limits = ServerFlags::usual()?.resolve();
        let session = self.session.resolve();
        runtime.block_on(async {
            let loaded = host::prepare(
                gathered,
                &places,
                self.admission.resolve(),
                session,
                host::settings(session, SESSIONS),
            )?
            .open()
            .await?;
            if !loaded.problems.is_empty() {
                return Err(Failure::new(host::all(&loaded.problems)));
            }
            let address = Listen::private();
            let listener = host::open_door(address, host::claim(address)?)?;
            let server = Server::local(listener.local_addr()?);
            let (stop, stopped) = oneshot::channel::<()>();
            let stopped = async move {
                // Dropping the other end stops the server as well.
                let _ = stopped.await;
            };
            let serving = tokio::spawn(host::serve(
                listener,
                loaded,
                limits,
                Kept::nothing(),
                host::Door::private(),
                stopped,
            ));
            let ended = play(server, wish, script, show).await;
            drop(stop);
            match serving.await {
                Ok(served) => served.and(ended),
                Err(error) => Err(Failure::new(format!("the server ended badly: {error}"))),
            }
        })
    }

    /// The key, which is never said on the command line: there every user of
    /// the machine can read it.
    fn api_key(&self) -> Result<Option<HeaderValue>, Failure> {
        let (key, place) = match &self.api_key_file {
            Some(path) => {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::new(format!("{place}: {error}")))?;
                (Zeroizing::new(text), place)
            }
            None => match std::env::var(KEY_VARIABLE) {
                Ok(text) if !text.is_empty() => (Zeroizing::new(text), KEY_VARIABLE.to_owned()),
                _ => return Ok(None),
            },
        };
        let value = Some(key.trim()).filter(|key| !key.is_empty());
        let mut value = value
            .and_then(|key| HeaderValue::from_str(key).ok())
            .ok_or_else(|| Failure::new(format!("{place} holds no API key: a key is one line")))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn read_script(&self) -> Result<Option<Script>, Failure> {
        let Some(path) = &self.script else {
            return Ok(None);
        };
        let wrong = |reason: String| Failure::new(format!("{}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let script = Script::parse(&text).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(script))
    }

    fn wish(&self) -> Wish {
        Wish {
            environment: self.environment.clone(),
            split: self.split.clone(),
            index: self.task,
            spec: self.spec.clone(),
            secrets: self.secrets.iter().cloned().collect::<BTreeMap<_, _>>(),
        }
    }
}

/// Plays on a server, from the choice of the task to the end of the session.
async fn play(
    server: Server,
    mut wish: Wish,
    script: Option<Script>,
    show: Show,
) -> Result<Ending, Failure> {
    if wish.environment.is_none() && !server.path.is_empty() {
        wish.environment = Some(server.path.clone());
    }
    let client = Client::new(server);
    match script {
        Some(script) => drive::script(&client, wish, script, show).await,
        None => drive::terminal(&client, wish, show).await,
    }
}

fn spec(text: &str) -> Result<Box<RawValue>, String> {
    let value: Box<RawValue> =
        serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
    if value.get().starts_with('{') {
        Ok(value)
    } else {
        Err("a task is a JSON object".to_owned())
    }
}

fn secret(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => match std::env::var(text) {
            Ok(value) => Ok((text.to_owned(), value)),
            Err(_) => Err(format!("there is no environment variable {text}")),
        },
    }
}
