//! Chat with a language model, for environments whose answers a model grades.
//!
//! [`Chat`] calls the `chat/completions` of servers that speak the protocol of
//! OpenAI. It sends a request again a bounded number of times if the server is
//! busy or fails. What remains is an [`LlmError`]: pass it on with `?`, so that the
//! call fails and the client can try again. A judge that fails must never become a
//! reward of 0.
//!
//! ```no_run
//! use orwd_sdk::llm::Chat;
//! use orwd_sdk::prelude::*;
//!
//! fn grade(question: &str, answer: &str, key: &str) -> Result<f64> {
//!     let verdict = Chat::new("https://api.openai.com/v1", "gpt-5-mini")
//!         .key(key)
//!         .system("Answer with a number from 0 to 10 and nothing else.")
//!         .user(format!("Question: {question}\nAnswer: {answer}"))
//!         .send()?;
//!     let score: f64 = verdict.text.trim().parse().context("the judge gave no number")?;
//!     Ok(score / 10.0)
//! }
//! ```

use std::fmt;

use serde_json::{Map, Value, json};

use crate::http::{ErrorKind, HttpError, Request, Response};

/// How often a request is sent, unless [`Chat::attempts`] says otherwise.
const ATTEMPTS: u32 = 3;

/// Characters of a response that an error shows.
const SHOWN: usize = 200;

/// A request to a model that is being built.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Chat {
    url: String,
    key: Option<String>,
    attempts: u32,
    messages: Vec<Value>,
    parameters: Map<String, Value>,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The text of the first choice.
    pub text: String,
    /// Why the model stopped, such as `stop` or `length`.
    pub finish_reason: Option<String>,
    /// The whole response.
    pub json: Value,
}

/// A model gave no answer. That says nothing of what was to be graded.
#[derive(Debug)]
pub struct LlmError {
    message: String,
    attempts: u32,
}

impl Chat {
    /// Begins a request to a model of the server at this URL, to which
    /// `/chat/completions` is added.
    pub fn new(url: &str, model: &str) -> Chat {
        let mut parameters = Map::new();
        parameters.insert("model".to_owned(), json!(model));
        Chat {
            url: format!("{}/chat/completions", url.trim_end_matches('/')),
            key: None,
            attempts: ATTEMPTS,
            messages: Vec::new(),
            parameters,
        }
    }

    /// Sets the API key, which is sent as `Authorization: Bearer`. The placeholder of
    /// a secret is one.
    pub fn key(mut self, key: impl Into<String>) -> Chat {
        self.key = Some(key.into());
        self
    }

    /// Adds a message of the system.
    pub fn system(self, text: impl Into<String>) -> Chat {
        self.message("system", text)
    }

    /// Adds a message of the user.
    pub fn user(self, text: impl Into<String>) -> Chat {
        self.message("user", text)
    }

    /// Adds a message of this role.
    pub fn message(mut self, role: &str, text: impl Into<String>) -> Chat {
        let message = json!({"role": role, "content": text.into()});
        self.messages.push(message);
        self
    }

    /// Sets a parameter of the request, such as `temperature`.
    pub fn parameter(mut self, name: &str, value: impl Into<Value>) -> Chat {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// Sets how often the request is sent at most, while the server is busy (429),
    /// fails (5xx), is too slow or cannot be reached. The default is 3.
    pub fn attempts(mut self, attempts: u32) -> Chat {
        self.attempts = attempts.max(1);
        self
    }

    /// Sends the request, and waits for the answer.
    ///
    /// # Errors
    ///
    /// The model gave no answer: the server refuses the request, fails each time,
    /// or answers with something else than a text.
    pub fn send(self) -> Result<Reply, LlmError> {
        self.send_by(Request::send, std::thread::sleep)
    }

    fn send_by(
        self,
        mut send: impl FnMut(Request) -> Result<Response, HttpError>,
        mut wait: impl FnMut(std::time::Duration),
    ) -> Result<Reply, LlmError> {
        let mut body = self.parameters;
        body.insert("messages".to_owned(), Value::Array(self.messages));
        let mut request = Request::post(self.url)
            .header("Content-Type", "application/json")
            .body(Value::Object(body).to_string());
        if let Some(key) = self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut attempt = 1;
        loop {
            let failure = match send(request.clone()) {
                Ok(response) if response.is_success() => {
                    return reply(&response).map_err(|message| LlmError {
                        message,
                        attempts: attempt,
                    });
                }
                Ok(response) => Failure::of_response(&response),
                Err(error) => Failure::of_error(&error),
            };
            if !failure.may_pass || attempt >= self.attempts {
                return Err(LlmError {
                    message: failure.message,
                    attempts: attempt,
                });
            }
            wait(std::time::Duration::from_secs(
                failure.wait.unwrap_or(1 << attempt.min(5)),
            ));
            attempt += 1;
        }
    }
}

/// An attempt without an answer.
struct Failure {
    message: String,
    /// Another attempt may have an answer.
    may_pass: bool,
    /// The seconds that the server asks to wait.
    wait: Option<u64>,
}

impl Failure {
    fn of_response(response: &Response) -> Failure {
        let status = response.status;
        let shown: String = response.text().chars().take(SHOWN).collect();
        let wait = response.header("retry-after");
        Failure {
            message: format!("the model's server answered with status {status}: {shown}"),
            may_pass: matches!(status, 408 | 429 | 500..=599),
            // A call has a limit of its own, so a long wait is of no use.
            wait: wait
                .and_then(|text| text.trim().parse().ok())
                .map(|seconds: u64| seconds.min(30)),
        }
    }

    fn of_error(error: &HttpError) -> Failure {
        Failure {
            message: error.to_string(),
            may_pass: matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Failed),
            wait: None,
        }
    }
}

/// Reads the first choice.
fn reply(response: &Response) -> Result<Reply, String> {
    let shown = || -> String { response.text().chars().take(SHOWN).collect() };
    let json: Value = serde_json::from_slice(&response.body).map_err(|error| {
        format!(
            "the model's server answered with no JSON ({error}): {}",
            shown()
        )
    })?;
    let text = json
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str)
        .ok_or_else(|| format!("the model's answer has no text: {}", shown()))?;
    let finish_reason = json.pointer("/choices/0/finish_reason");
    Ok(Reply {
        text: text.to_owned(),
        finish_reason: finish_reason.and_then(Value::as_str).map(str::to_owned),
        json,
    })
}

impl LlmError {
    /// Returns how often the request was sent.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

impl fmt::Display for LlmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.attempts == 1 { "time" } else { "times" };
        write!(f, "{} (asked {} {times})", self.message, self.attempts)
    }
}

impl std::error::Error for LlmError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Response {
            status,
            headers: headers.iter().map(header).collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    const ANSWER: &str = r#"{"choices":[{"message":{"content":"7"},"finish_reason":"stop"}]}"#;

    /// Plays these responses, and returns the result and the seconds waited.
    fn play(chat: Chat, responses: Vec<Response>) -> (Result<Reply, LlmError>, Vec<u64>) {
        let mut waited = Vec::new();
        let mut responses = responses.into_iter();
        let result = chat.send_by(
            |_| Ok(responses.next().expect("no further request")),
            |pause| waited.push(pause.as_secs()),
        );
        assert!(responses.next().is_none(), "too few requests");
        (result, waited)
    }

    fn chat() -> Chat {
        Chat::new("https://a.com/v1/", "m")
    }

    #[test]
    fn the_answer_of_a_model_is_returned() {
        let (reply, waited) = play(chat(), vec![response(200, &[], ANSWER)]);
        let reply = reply.unwrap();
        assert_eq!(reply.text, "7");
        assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
        assert!(waited.is_empty());
    }

    #[test]
    fn a_server_that_is_busy_or_fails_is_asked_again_a_few_times() {
        let busy = || response(429, &[("retry-after", "5")], "busy");
        let failing = || response(503, &[], "down");
        let (reply, waited) = play(chat(), vec![busy(), failing(), response(200, &[], ANSWER)]);
        assert_eq!(reply.unwrap().text, "7");
        assert_eq!(waited, [5, 4]);
        let (error, _) = play(chat(), vec![busy(), failing(), failing()]);
        let error = error.unwrap_err();
        assert_eq!(error.attempts(), 3);
        assert!(
            error
                .to_string()
                .contains("status 503: down (asked 3 times)"),
            "{error}"
        );
        let (error, waited) = play(chat().attempts(1), vec![failing()]);
        assert!(error.is_err() && waited.is_empty());
    }

    #[test]
    fn what_no_repetition_mends_is_an_error_at_once() {
        for (status, body) in [
            (401, "no key"),
            (400, "no model"),
            (200, "no JSON"),
            (200, r#"{"choices":[]}"#),
            (200, r#"{"choices":[{"message":{"content":null}}]}"#),
        ] {
            let (error, _) = play(chat(), vec![response(status, &[], body)]);
            assert_eq!(error.unwrap_err().attempts(), 1, "{status} {body}");
        }
        let error = chat().send().unwrap_err();
        assert!(error.to_string().contains("native test"), "{error}");
    }
}
