//! Routes of a session (`docs/src/reference/wire-contract.md`, sections 7 to 9).
//!
//! They act on the session of the header, whatever environment the path names.

use orwd_model::{Block, Message, MessageBlock, Role};
use orwd_session::{Conversation, RequestFingerprint, RunRequest, Session, SessionService};

use super::context::RequestContext;
use super::router::TargetEnv;
use crate::connection::body::BodyKind;
use crate::decode::requests::{CallRequest, ScoreRequest};
use crate::encode::flatten::flatten;
use crate::encode::response::{self, RouteResponse};
use crate::encode::sse::event;
use crate::encode::wire::Wire;
use crate::error::request_error::RequestError;
use crate::headers::idempotency;

impl<S: SessionService> RequestContext<'_, S> {
    pub(super) async fn task_tools(&mut self) -> Result<RouteResponse, RequestError> {
        let listing = self.session()?.task_tools().await?;
        Ok(response::json(&Wire(&listing)))
    }

    pub(super) async fn prompt(&mut self) -> Result<RouteResponse, RequestError> {
        let session = self.ready_session().await?;
        // Kept until it is encoded.
        let (prompt, _memory) = session.prompt().await?.into_parts();
        let blocks = match prompt {
            Conversation::Prompt(blocks) => blocks,
            Conversation::Messages(messages) => flatten(messages),
        };
        Ok(response::json(&Wire(&*blocks)))
    }

    pub(super) async fn messages(&mut self) -> Result<RouteResponse, RequestError> {
        let session = self.ready_session().await?;
        let (messages, _memory) = session.messages().await?.into_parts();
        let messages = match messages {
            Conversation::Messages(messages) => messages,
            Conversation::Prompt(blocks) => vec![user_message(blocks)],
        };
        Ok(response::json(&Wire(&*messages)))
    }

    pub(super) async fn call(&mut self) -> Result<RouteResponse, RequestError> {
        let body = self.read_body_as(BodyKind::Call).await?;
        let decoded = self.decode(body, |json| {
            (idempotency::run_fingerprint(&json), CallRequest::read(json))
        });
        let ((fingerprint, request), _body) = decoded.await?;
        if let Ok(request) = &request {
            self.log_entry.set_tool(&request.name);
        }
        let session = self.ready_session().await?;
        let request = request?;
        let run_request = RunRequest::Call {
            tool: request.name,
            input: request.input,
        };
        self.run(&session, request.task_id, run_request, fingerprint)
            .await
    }

    pub(super) async fn score_group(
        &mut self,
        target: TargetEnv<'_>,
    ) -> Result<RouteResponse, RequestError> {
        let body = self.read_body_as(BodyKind::Group).await?;
        let decoded = self.decode(body, |json| {
            (
                idempotency::run_fingerprint(&json),
                ScoreRequest::read(json),
            )
        });
        let ((fingerprint, request), _body) = decoded.await?;
        let session = self.ready_session().await?;
        let request = request?;
        if !session.supports_score_group() {
            let name = target.name(session.environment());
            return Err(RequestError::NoScoring(name.to_owned()));
        }
        let run_request = RunRequest::Score(request.candidates);
        self.run(&session, request.task_id, run_request, fingerprint)
            .await
    }

    /// Returns the event stream of a run. The stream itself reports an unknown
    /// run.
    async fn run(
        &self,
        session: &S::Session,
        task_id: Option<String>,
        run_request: RunRequest,
        body_fingerprint: [u8; 32],
    ) -> Result<RouteResponse, RequestError> {
        let fingerprint = RequestFingerprint {
            body: body_fingerprint,
            key: idempotency::key(&self.head.headers)?,
        };
        let run = match task_id {
            Some(id) => session.resume_run(&id, run_request, fingerprint).await?,
            None => Some(session.begin_run(run_request, fingerprint).await?),
        };
        Ok(match run {
            Some(run) => response::run(run, self.memory, self.client()),
            None => response::events(event("error", "unknown task_id")),
        })
    }
}

/// Returns the message that a prompt is in a conversation.
fn user_message(prompt: Vec<Block>) -> Message {
    Message {
        role: Role::User,
        blocks: prompt.into_iter().map(MessageBlock::Plain).collect(),
        detail: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::json::append_json;

    #[test]
    fn a_prompt_is_a_message_by_the_user() {
        let prompt = vec![Block::Text {
            text: "a".to_owned(),
            detail: None,
        }];
        let mut out = String::new();
        append_json(&mut out, &Wire(&[user_message(prompt)][..]));
        assert_eq!(
            out,
            r#"[{"role":"user","blocks":[{"text":"a","detail":null,"type":"text"}],"detail":null}]"#
        );
    }
}
