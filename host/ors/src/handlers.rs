//! What each route does (wire contract sections 4 to 9 and 11).
//!
//! One function a route. The order of the steps in each is the order in which
//! a client is to learn of its mistakes.

use std::net::IpAddr;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use uuid::Uuid;

use super::again;
use super::answer::{self, Answer};
use super::beyond;
use super::body::RequestBody;
use super::document::{Document, Unreadable, claims_json};
use super::error::Failure;
use super::flatten::flatten;
use super::rates::Rates;
use super::render;
use super::requests::{
    CallRequest, CreateRequest, RangeRequest, ScoreRequest, SplitRequest, TaskRequest,
};
use super::route::{self, Decision, Route, Tail, decide, decoded};
use super::secrets;
use super::seed;
use super::sse::event;
use super::text::{json_list, json_string, string_or_null};
use super::trace::Record;
use orwd_model::{EnvName, SessionId};
use orwd_session::{Conversation, Errand, Imprint, NewSession, Principal, Service, Session};

/// A request, and what it is answered from.
pub(super) struct Exchange<'x, S: Service> {
    pub(super) service: &'x S,
    pub(super) head: &'x Parts,
    pub(super) body: RequestBody,
    pub(super) record: &'x mut Record,
    pub(super) principal: Principal,
    /// Where it comes from.
    pub(super) from: IpAddr,
    pub(super) rates: &'x Rates,
}

impl<S: Service> Exchange<'_, S> {
    /// The answer to the request.
    pub(super) async fn answer(&mut self) -> Result<Answer, Failure> {
        let head = self.head;
        let path = decoded(head.uri.path());
        let service = self.service;
        let is_environment = |name: &str| service.environment(name).is_some();
        let route = match decide(head.method.as_str(), &path, is_environment) {
            Decision::Take(route) => route,
            elsewhere => {
                self.body.discard().await;
                return self.elsewhere(elsewhere);
            }
        };
        if head.method == Method::GET {
            self.body.discard().await;
        }
        match route {
            Route::Health => {
                self.record.quiet();
                Ok(status_ok())
            }
            Route::Version => Ok(self.version()),
            Route::ListEnvironments => Ok(self.list_environments()),
            Route::RequiredSecrets { name } => Ok(self.required_secrets(name)),
            Route::CreateSession => self.create_session().await,
            Route::Create => self.create().await,
            Route::Ping => self.ping().await,
            Route::Delete => self.delete().await,
            Route::DeleteSession => self.delete_session().await,
            Route::Beyond(route) => self.beyond(route).await,
            Route::Env { name, tail } => match tail {
                Tail::Tools => self.tools(name),
                Tail::Splits => self.splits(name),
                Tail::Tasks => self.tasks(name).await,
                Tail::NumTasks => self.num_tasks(name).await,
                Tail::Task => self.task(name).await,
                Tail::TaskRange => self.task_range(name).await,
                Tail::TaskTools => self.task_tools().await,
                Tail::Prompt => self.prompt().await,
                Tail::Messages => self.messages().await,
                Tail::Call => self.call().await,
                Tail::ScoreGroup => self.score_group(name).await,
            },
        }
    }

    /// Whether the connection can be used again: nothing of the body is left.
    pub(super) fn is_through(&self) -> bool {
        self.body.ended()
    }

    fn elsewhere(&self, decision: Decision<'_>) -> Result<Answer, Failure> {
        let uri = &self.head.uri;
        let query = uri.query().map(|query| format!("?{query}"));
        let query = query.unwrap_or_default();
        match decision {
            Decision::ToDefault => {
                let default = self.service.environments().first();
                let default = default.map_or("", EnvName::as_str);
                let slash = if uri.path().starts_with('/') { "" } else { "/" };
                let location = format!("/{default}{slash}{}{query}", uri.path());
                answer::redirect(StatusCode::PERMANENT_REDIRECT, &location).ok_or(Failure::NotFound)
            }
            Decision::WithoutSlash => {
                let path = uri.path().trim_end_matches('/');
                let host = self.head.headers.get(HOST).and_then(|h| h.to_str().ok());
                let base = host.map(|host| format!("http://{host}"));
                let location = format!("{}{path}{query}", base.unwrap_or_default());
                answer::redirect(StatusCode::TEMPORARY_REDIRECT, &location).ok_or(Failure::NotFound)
            }
            Decision::Only(method) => Err(Failure::Only(method)),
            Decision::NotFound | Decision::Take(_) => Err(Failure::NotFound),
        }
    }

    // The server.

    /// The protocol asks for the first two members; the others are ours. They
    /// say what a client may count on, and nothing of where things are.
    fn version(&self) -> Answer {
        let service = self.service;
        answer::written(|out| {
            out.push_str("{\"version\":");
            json_string(out, env!("CARGO_PKG_VERSION"));
            out.push_str(",\"build_sha\":");
            string_or_null(out, option_env!("ORWD_BUILD_SHA"));
            out.push_str(",\"name\":\"orwd\",\"engine\":");
            json_string(out, service.engine());
            out.push_str(",\"environments\":");
            json_list(out, service.environments(), |out, env| {
                render::environment(out, env, &service.limits(env));
            });
            out.push('}');
        })
    }

    fn list_environments(&self) -> Answer {
        let names = self.service.environments().iter().map(EnvName::as_str);
        answer::written(|out| render::strings(out, names))
    }

    /// A deployment's name may be none of an environment's: its secrets are
    /// then those of all.
    fn required_secrets(&mut self, name: &str) -> Answer {
        self.record.environment = self.service.environment(name);
        let environments = match &self.record.environment {
            Some(env) => std::slice::from_ref(env),
            None => self.service.environments(),
        };
        let mut names: Vec<String> = Vec::new();
        for env in environments {
            for name in self.service.required_secrets(env) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        answer::written(|out| {
            out.push_str("{\"secrets\":");
            render::strings(out, names.iter().map(String::as_str));
            out.push('}');
        })
    }

    async fn create_session(&mut self) -> Result<Answer, Failure> {
        self.body.discard().await;
        // All 128 bits are random; the form alone is that of a UUID.
        let id = Uuid::from_u128(rand::random()).hyphenated().to_string();
        let mut events = event("task_id", &id);
        events.push_str(&event("end", ""));
        Ok(answer::events(events))
    }

    // Sessions.

    async fn create(&mut self) -> Result<Answer, Failure> {
        let body = self.body.read().await?;
        let document = self.document(&body)?;
        let id = self.session_id()?;
        let request = CreateRequest::read(document)?;
        let seed = seed::read(&self.head.headers)?;
        self.rates.create(&self.principal, self.from)?;
        let secrets = match self.head.headers.get(secrets::HEADER) {
            Some(header) => secrets::read(header.as_bytes()),
            None => Ok(Default::default()),
        };
        self.record.environment = match &request.env_name {
            Some(name) => self.service.environment(name),
            None => self.service.environments().first().cloned(),
        };
        let new = NewSession {
            environment: request.env_name,
            source: request.source,
            secrets,
            toolset: request.toolset_name,
            imprint: again::imprint(&self.head.headers, &body),
            seed,
        };
        let created = self
            .service
            .create(&self.principal, id.clone(), new)
            .await?;
        self.record.seed = Some(created.seed);
        let mut answer = sid(&id);
        seed::tell(&mut answer, created.seed);
        again::tell(&mut answer, created.resumable);
        created.told.note();
        Ok(answer)
    }

    async fn ping(&mut self) -> Result<Answer, Failure> {
        self.record.quiet();
        self.body.discard().await;
        self.session()?;
        Ok(status_ok())
    }

    async fn delete(&mut self) -> Result<Answer, Failure> {
        self.body.discard().await;
        let id = self.session_id()?;
        self.service.delete(&self.principal, &id).await;
        Ok(sid(&id))
    }

    /// Clients end every session with this, after `/delete`; nothing is left
    /// to do then.
    async fn delete_session(&mut self) -> Result<Answer, Failure> {
        self.body.discard().await;
        Ok(sid(&self.session_id()?))
    }

    // Environments.

    fn tools(&mut self, name: &str) -> Result<Answer, Failure> {
        let listing = self.service.tools(&self.environment(name)?);
        Ok(answer::written(|out| render::listing(out, &listing)))
    }

    fn splits(&mut self, name: &str) -> Result<Answer, Failure> {
        let splits = self.service.splits(&self.environment(name)?);
        Ok(answer::written(|out| render::splits(out, &splits)))
    }

    async fn tasks(&mut self, name: &str) -> Result<Answer, Failure> {
        let body = self.body.read().await?;
        let request = SplitRequest::read(self.document(&body)?)?;
        let env = self.environment(name)?;
        let tasks = self.service.tasks(&env, &request.split).await?;
        Ok(answer::written(|out| render::tasks(out, &tasks, name)))
    }

    async fn num_tasks(&mut self, name: &str) -> Result<Answer, Failure> {
        let body = self.body.read().await?;
        let request = SplitRequest::read(self.document(&body)?)?;
        let env = self.environment(name)?;
        let count = self.service.num_tasks(&env, &request.split).await?;
        Ok(answer::json(
            StatusCode::OK,
            format!("{{\"num_tasks\":{count}}}"),
        ))
    }

    async fn task(&mut self, name: &str) -> Result<Answer, Failure> {
        let body = self.body.read().await?;
        let request = TaskRequest::read(self.document(&body)?)?;
        let env = self.environment(name)?;
        let (split, index) = (&request.split, request.index);
        let task = self.service.task(&env, split, index).await?;
        Ok(answer::written(|out| render::task(out, &task, name)))
    }

    async fn task_range(&mut self, name: &str) -> Result<Answer, Failure> {
        let body = self.body.read().await?;
        let request = RangeRequest::read(self.document(&body)?)?;
        let env = self.environment(name)?;
        let RangeRequest { split, start, stop } = request;
        let tasks = self.service.task_range(&env, &split, start, stop).await?;
        Ok(answer::written(|out| render::tasks(out, &tasks, name)))
    }

    // A session's own routes: whatever environment the path names, they act on
    // the session of the header.

    async fn task_tools(&mut self) -> Result<Answer, Failure> {
        let listing = self.session()?.task_tools().await?;
        Ok(answer::written(|out| render::listing(out, &listing)))
    }

    async fn prompt(&mut self) -> Result<Answer, Failure> {
        let session = self.ready_session().await?;
        let blocks = match session.prompt().await? {
            Conversation::Prompt(blocks) => blocks,
            Conversation::Messages(messages) => flatten(messages),
        };
        Ok(answer::written(|out| render::blocks(out, &blocks)))
    }

    async fn messages(&mut self) -> Result<Answer, Failure> {
        let session = self.ready_session().await?;
        let conversation = session.messages().await?;
        Ok(answer::written(|out| match &conversation {
            Conversation::Prompt(blocks) => render::prompt_as_messages(out, blocks),
            Conversation::Messages(messages) => render::messages(out, messages),
        }))
    }

    async fn call(&mut self) -> Result<Answer, Failure> {
        let body = self.body.read().await?;
        let document = self.document(&body)?;
        let session = self.ready_session().await?;
        let asked = again::of_request(&document);
        let request = CallRequest::read(document)?;
        let errand = Errand::Call {
            tool: request.name,
            input: request.input,
        };
        self.run(&session, request.task_id, errand, asked).await
    }

    async fn score_group(&mut self, name: &str) -> Result<Answer, Failure> {
        let body = self.body.read().await?;
        let document = self.document(&body)?;
        let session = self.ready_session().await?;
        let asked = again::of_request(&document);
        let request = ScoreRequest::read(document)?;
        if !session.supports_score_group() {
            return Err(Failure::NoScoring(name.to_owned()));
        }
        let errand = Errand::Score(request.candidates);
        self.run(&session, request.task_id, errand, asked).await
    }

    // Beyond the contract.

    async fn beyond(&mut self, route: route::Beyond<'_>) -> Result<Answer, Failure> {
        let body = if self.head.method == Method::POST {
            self.body.read().await?
        } else {
            Bytes::new()
        };
        beyond::answer(self.service, &self.principal, route, &body).await
    }

    // Steps.

    /// The stream of a run; one that is not there is told in the stream.
    async fn run(
        &self,
        session: &S::Session,
        task_id: Option<String>,
        errand: Errand,
        asked: [u8; 32],
    ) -> Result<Answer, Failure> {
        let imprint = Imprint {
            body: asked,
            key: again::key(&self.head.headers)?,
        };
        let run = match task_id {
            Some(id) => session.resume(&id, errand, imprint).await?,
            None => Some(session.begin(errand, imprint).await?),
        };
        Ok(match run {
            Some(run) => answer::run(run),
            None => answer::events(event("error", "unknown task_id")),
        })
    }

    fn document<'b>(&self, body: &'b Bytes) -> Result<Document<'b>, Unreadable> {
        let content_type = self.head.headers.get(CONTENT_TYPE);
        let json = content_type.is_some_and(|value| claims_json(value.as_bytes()));
        Document::parse(body, json)
    }

    fn session_id(&mut self) -> Result<SessionId, Failure> {
        let header = self.head.headers.get("x-session-id");
        let id = header.and_then(|value| match value.to_str() {
            Ok(text) => SessionId::new(text),
            // Header bytes beyond ASCII are Latin-1.
            Err(_) => SessionId::new(
                &value
                    .as_bytes()
                    .iter()
                    .map(|b| char::from(*b))
                    .collect::<String>(),
            ),
        });
        self.record.session.clone_from(&id);
        id.ok_or(Failure::NoSessionHeader)
    }

    fn session(&mut self) -> Result<S::Session, Failure> {
        let id = self.session_id()?;
        let session = self.service.session(&self.principal, &id);
        let session = session.ok_or(Failure::NoSession)?;
        self.record.environment = Some(session.environment().clone());
        Ok(session)
    }

    async fn ready_session(&mut self) -> Result<S::Session, Failure> {
        let session = self.session()?;
        session.ready().await?;
        Ok(session)
    }

    fn environment(&mut self, name: &str) -> Result<EnvName, Failure> {
        let env = self.service.environment(name);
        self.record.environment.clone_from(&env);
        env.ok_or_else(|| Failure::UnknownEnvironment(name.to_owned()))
    }
}

fn status_ok() -> Answer {
    answer::json(StatusCode::OK, "{\"status\":\"ok\"}".to_owned())
}

fn sid(id: &SessionId) -> Answer {
    answer::written(|out| render::single(out, "sid", id.as_str()))
}
