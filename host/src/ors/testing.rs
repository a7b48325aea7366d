//! A service in memory, and a client that sees every byte, for the tests of
//! this room.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Front, serve};
use crate::model::{
    Block, Candidate, EnvName, Fault, FaultCode, Json, Message, MessageBlock, Reward, Role,
    RunOutcome, Score, Secrets, SessionId, Split, SplitKind, TOOLSETS, TaskId, TaskSource,
    ToolListing, ToolOutput, ToolSpec,
};
use crate::session::{
    CatalogError, Conversation, CreateError, NewSession, Run, Service, Session, SessionError,
};

/// Two environments: `alpha` has a prompt, `chat` messages and scoring.
#[derive(Clone)]
pub(super) struct Memory {
    environments: Arc<[EnvName; 2]>,
    sessions: Arc<Mutex<HashMap<SessionId, MemorySession>>>,
}

#[derive(Clone)]
pub(super) struct MemorySession {
    env: EnvName,
    spec: Json,
    secrets: Arc<Secrets>,
    runs: Arc<Mutex<HashMap<String, Run>>>,
}

pub(super) fn json(text: &str) -> Json {
    Json::object(text.to_owned()).unwrap()
}

fn text(text: impl Into<String>) -> Block {
    Block::Text {
        text: text.into(),
        detail: None,
    }
}

impl Memory {
    pub(super) fn new() -> Memory {
        let names = ["alpha", "chat"].map(|name| EnvName::new(name).unwrap());
        Memory {
            environments: Arc::new(names),
            sessions: Arc::default(),
        }
    }

    fn train(split: &str) -> Result<Vec<Json>, CatalogError> {
        match split {
            "train" => Ok((0..5)
                .map(|i| json(&format!("{{\"id\":\"train-{i}\",\"n\":{i}}}")))
                .collect()),
            "boom" => Err(CatalogError::Failed("boom\nline".to_owned())),
            _ => Err(CatalogError::InvalidSplit),
        }
    }
}

impl Service for Memory {
    type Session = MemorySession;

    fn environments(&self) -> &[EnvName] {
        &*self.environments
    }

    fn environment(&self, name: &str) -> Option<EnvName> {
        let name = EnvName::new(name).ok()?;
        self.environments.contains(&name).then_some(name)
    }

    fn required_secrets(&self, env: &EnvName) -> Vec<String> {
        match env.as_str() {
            "alpha" => vec!["A".to_owned(), "B".to_owned()],
            _ => vec!["B".to_owned(), "C".to_owned()],
        }
    }

    fn splits(&self, _: &EnvName) -> Vec<Split> {
        vec![Split {
            name: "train".to_owned(),
            kind: SplitKind::Train,
        }]
    }

    fn tools(&self, env: &EnvName) -> ToolListing {
        ToolListing {
            tools: vec![ToolSpec {
                name: "echo".to_owned(),
                description: "Returns its input.".to_owned(),
                input_schema: None,
            }],
            terminal: None,
            supports_score_group: env.as_str() == "chat",
        }
    }

    async fn num_tasks(&self, _: &EnvName, split: &str) -> Result<u64, CatalogError> {
        Ok(Memory::train(split)?.len() as u64)
    }

    async fn tasks(&self, _: &EnvName, split: &str) -> Result<Vec<Json>, CatalogError> {
        Memory::train(split)
    }

    async fn task(
        &self,
        _: &EnvName,
        split: &str,
        index: Option<i64>,
    ) -> Result<Json, CatalogError> {
        let tasks = Memory::train(split)?;
        let index = index.ok_or(CatalogError::InvalidIndex)?;
        let index = if index < 0 { index + 5 } else { index };
        let index = usize::try_from(index).map_err(|_| CatalogError::InvalidIndex)?;
        tasks.get(index).cloned().ok_or(CatalogError::InvalidIndex)
    }

    async fn task_range(
        &self,
        _: &EnvName,
        split: &str,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> Result<Vec<Json>, CatalogError> {
        let tasks = Memory::train(split)?;
        let place = |bound: i64| {
            let bound = if bound < 0 {
                bound.saturating_add(5)
            } else {
                bound
            };
            usize::try_from(bound.clamp(0, 5)).unwrap()
        };
        let (start, stop) = (place(start.unwrap_or(0)), place(stop.unwrap_or(5)));
        Ok(tasks.get(start..stop).unwrap_or_default().to_vec())
    }

    async fn create(&self, id: SessionId, new: NewSession) -> Result<(), CreateError> {
        let name = new.environment.unwrap_or("alpha".to_owned());
        let env = self
            .environment(&name)
            .ok_or(CreateError::UnknownEnvironment(name))?;
        let spec = match new.source {
            TaskSource::Spec(spec) => spec,
            TaskSource::Index { split, index } => self.task(&env, &split, index).await?,
        };
        let secrets = Arc::new(new.secrets.map_err(CreateError::Secrets)?);
        match new.toolset {
            Some(name) if TOOLSETS.contains(&&*name) => return Err(CreateError::NoSandbox(name)),
            Some(name) => return Err(CreateError::UnknownToolset(name)),
            None => {}
        }
        let mut sessions = self.sessions.lock().unwrap();
        if sessions.contains_key(&id) {
            return Err(CreateError::Exists);
        }
        let session = MemorySession {
            env,
            spec,
            secrets,
            runs: Arc::default(),
        };
        sessions.insert(id, session);
        Ok(())
    }

    fn session(&self, id: &SessionId) -> Option<MemorySession> {
        self.sessions.lock().unwrap().get(id).cloned()
    }

    async fn delete(&self, id: &SessionId) {
        self.sessions.lock().unwrap().remove(id);
    }
}

impl MemorySession {
    fn new_run(&self, outcome: impl Future<Output = RunOutcome> + Send + 'static) -> Run {
        let id = TaskId::random();
        let run = Run::new(id, |promise| {
            tokio::spawn(async move { promise.keep(outcome.await) });
        });
        self.runs
            .lock()
            .unwrap()
            .insert(id.to_string(), run.clone());
        run
    }
}

impl Session for MemorySession {
    fn environment(&self) -> &EnvName {
        &self.env
    }

    async fn ready(&self) -> Result<(), SessionError> {
        match self.spec.as_str() {
            "{\"starting\":true}" => Err(SessionError::Starting),
            "{\"gone\":true}" => Err(SessionError::Gone(Fault::new(
                FaultCode::LimitMemory,
                "too much",
            ))),
            _ => Ok(()),
        }
    }

    async fn task_tools(&self) -> Result<ToolListing, SessionError> {
        Ok(Memory::new().tools(&self.env))
    }

    async fn prompt(&self) -> Result<Conversation, SessionError> {
        self.messages().await
    }

    async fn messages(&self) -> Result<Conversation, SessionError> {
        Ok(match self.env.as_str() {
            "alpha" => Conversation::Prompt(vec![text("begin")]),
            _ => Conversation::Messages(vec![Message {
                role: Role::System,
                blocks: vec![MessageBlock::Plain(text("be brief"))],
                detail: None,
            }]),
        })
    }

    /// `echo` gives its input, `big` as many spaces as `n` says, `wait` waits
    /// so many milliseconds, and `fail` and `broken` do what they say.
    fn call(&self, tool: String, input: Json) -> Run {
        #[derive(serde::Deserialize, Default)]
        struct Input {
            n: Option<u64>,
        }
        let secrets = self.secrets.clone();
        self.new_run(async move {
            let n = input.read::<Input>().unwrap_or_default().n.unwrap_or(0);
            let block = match tool.as_str() {
                "fail" => return RunOutcome::Failed("line one\n  line two".to_owned()),
                "broken" => {
                    return RunOutcome::Faulted(Fault::new(FaultCode::Internal, "no reason"));
                }
                "big" => text(" ".repeat(n as usize)),
                "wait" => {
                    tokio::time::sleep(Duration::from_millis(n)).await;
                    text("waited")
                }
                "secrets" => text(format!("{secrets:?}")),
                _ => text(input.as_str()),
            };
            RunOutcome::Output(ToolOutput {
                blocks: vec![block],
                metadata: None,
                reward: None,
                finished: false,
            })
        })
    }

    fn supports_score_group(&self) -> bool {
        self.env.as_str() == "chat"
    }

    fn score_group(&self, candidates: Vec<Candidate>) -> Run {
        let score = |candidate: &Candidate| Score {
            reward: Reward::new(candidate.messages.len() as f64).unwrap(),
            metadata: candidate.metadata.clone(),
        };
        let scores = candidates.iter().map(score).collect();
        self.new_run(async { RunOutcome::Scores(scores) })
    }

    fn run(&self, task_id: &str) -> Option<Run> {
        self.runs.lock().unwrap().get(task_id).cloned()
    }
}

/// Limits that no test waits long for.
pub(super) fn front() -> Front {
    Front {
        body_limit: 64 * 1024,
        header_limit: 8 * 1024,
        header_timeout: Duration::from_millis(400),
        body_timeout: Duration::from_millis(600),
        write_timeout: Duration::from_millis(600),
        idle_timeout: Duration::from_millis(1500),
        connections: 100,
    }
}

/// A server that runs until told to stop.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(super) async fn start(front: Front) -> Server {
        Server::start_with_grace(front, Duration::from_secs(5)).await
    }

    pub(super) async fn start_with_grace(front: Front, grace: Duration) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let done = tokio::spawn(serve(listener, Memory::new(), front, stopped, grace));
        Server {
            address,
            stop,
            done,
        }
    }

    /// Tells the server to stop, and gives what it is waited for with.
    pub(super) fn stop(self) -> JoinHandle<std::io::Result<()>> {
        let _ = self.stop.send(());
        self.done
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads all that comes until the server closes.
    pub(super) async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    }

    /// One request on a connection of its own: status, headers and body, whose
    /// chunks are put together.
    pub(super) async fn send(&self, head: &str, body: &str) -> Reply {
        let length = body.len();
        let head = head.trim_end();
        let request = format!(
            "{head}\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Reply::parse(&self.exchange(&request).await)
    }

    /// A JSON body to a path, for the session `s`.
    pub(super) async fn post(&self, path: &str, body: &str) -> Reply {
        let head =
            format!("POST {path} HTTP/1.1\r\nx-session-id: s\r\ncontent-type: application/json");
        self.send(&head, body).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nx-session-id: s"), "")
            .await
    }
}

/// All that comes until the other side closes, or does nothing for long.
pub(super) async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    if let Err(error) = read.expect("the server neither answers nor closes") {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    String::from_utf8(bytes).unwrap()
}

/// A response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
    /// Whether the body came to its end.
    pub(super) complete: bool,
}

impl Reply {
    pub(super) fn parse(wire: &str) -> Reply {
        let (head, rest) = wire.split_once("\r\n\r\n").expect(wire);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers: HashMap<String, String> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let (body, complete) = if headers.contains_key("transfer-encoding") {
            unchunked(rest)
        } else {
            let length = headers.get("content-length").map(|n| n.parse().unwrap());
            (rest.to_owned(), length == Some(rest.len()))
        };
        Reply {
            status,
            headers,
            body,
            complete,
        }
    }
}

fn unchunked(mut wire: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, rest)) = wire.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some(chunk) = rest.get(..size) else {
            return (body, false);
        };
        body.push_str(chunk);
        wire = &rest[size + 2..];
        if size == 0 {
            return (body, wire.is_empty());
        }
    }
    (body, false)
}
