//! A session service in memory, with two environments.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orwd_model::{
    Block, Candidate, EnvName, Fault, FaultCode, Json, Message, MessageBlock, Reward, Role, RunId,
    RunOutcome, Score, Secrets, Seed, SessionId, Split, SplitKind, TOOLSETS, TaskSource,
    ToolListing, ToolOutput, ToolSpec,
};
use orwd_session::{
    AdminApi, AdminError, CatalogError, Charged, Conversation, CreateError, CreatedSession,
    DeliveryFlag, EndedPage, NewSession, Principal, Readiness, RequestFingerprint, Resumability,
    Run, RunRequest, Session, SessionDetail, SessionError, SessionList, SessionPage,
    SessionService, StepCursor, StepPage, StepRange, TaskList,
};

/// A service with two environments: `alpha` has a prompt, `chat` messages and
/// scoring.
#[derive(Clone)]
pub(super) struct MemoryService {
    environments: Arc<[EnvName]>,
    sessions: Arc<Mutex<HashMap<(Principal, SessionId), MemorySession>>>,
}

#[derive(Clone)]
pub(super) struct MemorySession {
    env: EnvName,
    spec: Json,
    secrets: Arc<Secrets>,
    runs: Arc<Mutex<HashMap<String, Run>>>,
}

fn json(text: &str) -> Json {
    Json::object(text.to_owned()).unwrap()
}

fn text(text: impl Into<String>) -> Block {
    Block::Text {
        text: text.into(),
        detail: None,
    }
}

impl MemoryService {
    pub(super) fn new() -> MemoryService {
        MemoryService::with(&["alpha", "chat"])
    }

    /// Creates a service with some of the environments.
    pub(super) fn with(names: &[&str]) -> MemoryService {
        let names = names.iter().map(|name| EnvName::new(name).unwrap());
        MemoryService {
            environments: names.collect(),
            sessions: Arc::default(),
        }
    }

    fn train(split: &str) -> Result<Vec<Json>, CatalogError> {
        match split {
            "train" => Ok((0..5)
                .map(|i| json(&format!("{{\"id\":\"train-{i}\",\"n\":{i}}}")))
                .collect()),
            "panic" => panic!("a bug"),
            "boom" => Err(CatalogError::Failed("boom\nline".to_owned())),
            _ => Err(CatalogError::InvalidSplit),
        }
    }
}

impl AdminApi for MemoryService {
    async fn summaries(&self, _: &Principal, _: SessionPage) -> Result<SessionList, AdminError> {
        Ok(SessionList {
            sessions: Vec::new(),
            next: None,
        })
    }

    async fn ended(&self, _: &Principal, _: Option<&str>) -> Result<EndedPage, AdminError> {
        Err(AdminError::NoJournal)
    }

    async fn steps(
        &self,
        _: &Principal,
        _: &SessionId,
        _: StepCursor,
    ) -> Result<StepPage, AdminError> {
        Err(AdminError::NoJournal)
    }

    async fn detail(
        &self,
        _: &Principal,
        _: &SessionId,
        _: StepRange,
    ) -> Result<SessionDetail, AdminError> {
        Err(AdminError::NoJournal)
    }

    async fn receipt(&self, _: &Principal, _: &SessionId) -> Result<String, AdminError> {
        Err(AdminError::NoJournal)
    }

    async fn fork(
        &self,
        _: &Principal,
        _: &SessionId,
        _: Option<u64>,
        _: u32,
    ) -> Result<Vec<SessionId>, AdminError> {
        Err(AdminError::NoJournal)
    }
}

impl SessionService for MemoryService {
    type Session = MemorySession;

    fn environments(&self) -> &[EnvName] {
        &self.environments
    }

    fn environment(&self, name: &str) -> Option<EnvName> {
        let name = EnvName::new(name).ok()?;
        self.environments.contains(&name).then_some(name)
    }

    async fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn engine(&self) -> &'static str {
        "memory 1.0"
    }

    fn network(&self, env: &EnvName) -> Vec<String> {
        match env.as_str() {
            "alpha" => vec!["https://api.example.com".to_owned()],
            _ => Vec::new(),
        }
    }

    fn limits(&self, env: &EnvName) -> Vec<(&'static str, String)> {
        match env.as_str() {
            "alpha" => vec![("memory", "64MiB".to_owned()), ("files", "7".to_owned())],
            _ => Vec::new(),
        }
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

    async fn num_tasks(
        &self,
        _: &Principal,
        _: &EnvName,
        split: &str,
    ) -> Result<u64, CatalogError> {
        Ok(MemoryService::train(split)?.len() as u64)
    }

    async fn tasks(
        &self,
        _: &Principal,
        _: &EnvName,
        split: &str,
    ) -> Result<TaskList, CatalogError> {
        Ok(TaskList::uncharged(&MemoryService::train(split)?))
    }

    async fn task(
        &self,
        _: &Principal,
        _: &EnvName,
        split: &str,
        index: Option<i64>,
    ) -> Result<Json, CatalogError> {
        let tasks = MemoryService::train(split)?;
        let index = index.ok_or(CatalogError::InvalidIndex)?;
        let index = if index < 0 { index + 5 } else { index };
        let index = usize::try_from(index).map_err(|_| CatalogError::InvalidIndex)?;
        tasks.get(index).cloned().ok_or(CatalogError::InvalidIndex)
    }

    async fn task_range(
        &self,
        _: &Principal,
        _: &EnvName,
        split: &str,
        (start, stop): (Option<i64>, Option<i64>),
    ) -> Result<TaskList, CatalogError> {
        let tasks = MemoryService::train(split)?;
        let clamp = |bound: i64| {
            let bound = if bound < 0 {
                bound.saturating_add(5)
            } else {
                bound
            };
            usize::try_from(bound.clamp(0, 5)).unwrap()
        };
        let (start, stop) = (clamp(start.unwrap_or(0)), clamp(stop.unwrap_or(5)));
        let tasks = tasks.get(start..stop).unwrap_or_default();
        Ok(TaskList::uncharged(tasks))
    }

    async fn create(
        &self,
        owner: &Principal,
        id: SessionId,
        new: NewSession,
    ) -> Result<CreatedSession, CreateError> {
        let key = (owner.clone(), id);
        let name = new.environment.unwrap_or("alpha".to_owned());
        let env = self
            .environment(&name)
            .ok_or(CreateError::UnknownEnvironment(name))?;
        let spec = match new.source {
            TaskSource::Spec(spec) => spec,
            TaskSource::Index { split, index } => self.task(owner, &env, &split, index).await?,
        };
        let secrets = Arc::new(new.secrets.map_err(CreateError::Secrets)?);
        match new.toolset {
            Some(name) if TOOLSETS.contains(&&*name) => return Err(CreateError::NoSandbox(name)),
            Some(name) => return Err(CreateError::UnknownToolset(name)),
            None => {}
        }
        let mut sessions = self.sessions.lock().unwrap();
        if sessions.contains_key(&key) {
            return Err(CreateError::Exists);
        }
        let session = MemorySession {
            env,
            spec,
            secrets,
            runs: Arc::default(),
        };
        sessions.insert(key, session);
        Ok(CreatedSession {
            seed: new.seed.unwrap_or(Seed::new(4)),
            resumability: Resumability::Yes,
            delivery: DeliveryFlag::default(),
        })
    }

    fn session(&self, owner: &Principal, id: &SessionId) -> Option<MemorySession> {
        let key = (owner.clone(), id.clone());
        self.sessions.lock().unwrap().get(&key).cloned()
    }

    async fn delete(&self, owner: &Principal, id: &SessionId) {
        let key = (owner.clone(), id.clone());
        self.sessions.lock().unwrap().remove(&key);
    }
}

impl MemorySession {
    fn new_run(&self, result: impl Future<Output = RunOutcome> + Send + 'static) -> Run {
        let id = RunId::random();
        let run = Run::new(id, |_, outcome, start| {
            tokio::spawn(async move {
                let _ = start.await;
                outcome.send(result.await);
            });
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
        Ok(MemoryService::new().tools(&self.env))
    }

    async fn prompt(&self) -> Result<Charged<Conversation>, SessionError> {
        self.messages().await
    }

    async fn messages(&self) -> Result<Charged<Conversation>, SessionError> {
        let begin = match self.env.as_str() {
            "alpha" => {
                #[derive(serde::Deserialize, Default)]
                struct Spec {
                    prompt: Option<usize>,
                }
                let spec: Spec = self.spec.read().unwrap_or_default();
                let long = spec.prompt.map(|length| "x".repeat(length));
                Conversation::Prompt(vec![text(long.unwrap_or("begin".to_owned()))])
            }
            _ => Conversation::Messages(vec![Message {
                role: Role::System,
                blocks: vec![MessageBlock::Plain(text("be brief"))],
                detail: None,
            }]),
        };
        Ok(begin.into())
    }

    /// `echo` returns its input, `big` returns `n` spaces, `wait` waits `n`
    /// milliseconds, `win` has a reward, and `fail` and `broken` fail.
    async fn begin_run(
        &self,
        run_request: RunRequest,
        _: RequestFingerprint,
    ) -> Result<Run, SessionError> {
        Ok(match run_request {
            RunRequest::Call { tool, input } => self.call(tool, input),
            RunRequest::Score(candidates) => self.score(&candidates),
        })
    }

    fn supports_score_group(&self) -> bool {
        self.env.as_str() == "chat"
    }

    async fn resume_run(
        &self,
        task_id: &str,
        _: RunRequest,
        _: RequestFingerprint,
    ) -> Result<Option<Run>, SessionError> {
        Ok(self.runs.lock().unwrap().get(task_id).cloned())
    }
}

impl MemorySession {
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
            let reward = (tool == "win").then(|| Reward::new(0.5).unwrap());
            RunOutcome::Output(ToolOutput {
                blocks: vec![block],
                metadata: None,
                reward,
                finished: false,
            })
        })
    }

    fn score(&self, candidates: &[Candidate]) -> Run {
        let score = |candidate: &Candidate| Score {
            reward: Reward::new(candidate.messages.len() as f64).unwrap(),
            metadata: candidate.metadata.clone(),
        };
        let scores = candidates.iter().map(score).collect();
        self.new_run(async { RunOutcome::Scores(scores) })
    }
}
