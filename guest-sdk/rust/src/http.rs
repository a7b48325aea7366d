//! HTTP requests, for environments that call a model or a web service.
//!
//! An environment reaches what `[network] allow` in its `orwd.toml` names *and* the
//! operator allows with `--allow-network`; every other request fails with
//! [`ErrorKind::NotGranted`]. A request blocks the call that makes it. Its response
//! is recorded with the session, so a resumed or replayed session gets the same
//! response, and nothing is sent again.
//!
//! Redirects of GET and HEAD requests are followed, as are those with status 303.
//! Each is a request of its own, which the rules must allow, and which is recorded.
//! Only headers that name accepted formats go to another server, so a key does not.
//!
//! Requests can be made in `setup` and later, not while the tasks are read or the
//! session is opened.
//!
//! ```no_run
//! use orwd_sdk::http::Request;
//! use orwd_sdk::prelude::*;
//!
//! fn grade(answer: &str, key: &str) -> Result<f64> {
//!     let response = Request::post("https://judge.example/v1/grade")
//!         .header("Authorization", format!("Bearer {key}"))
//!         .json(&json!({"answer": answer}))?
//!         .send()?
//!         .error_for_status()?;
//!     let verdict: Value = response.json()?;
//!     verdict["score"].as_f64().context("the judge gave no score")
//! }
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

mod redirect;

/// How many redirects are followed, unless [`Request::redirects`] says otherwise.
const REDIRECTS: u32 = 5;

/// A request that is being built.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    redirects: u32,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// Names in lower case and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    kind: ErrorKind,
    message: String,
}

/// A kind of error of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The manifest or the operator does not grant it.
    NotGranted,
    /// The request is not valid, or its destination is refused.
    Refused,
    /// A limit of size or number is exceeded.
    Limit,
    /// The server was too slow.
    Timeout,
    /// The server cannot be reached, or its response is not valid.
    Failed,
    /// The host stopped while the request may have been sent, so it was not sent
    /// again.
    InDoubt,
    /// The host cannot send requests.
    Unavailable,
    /// The response has a status that reports an error.
    Status,
}

impl Request {
    /// Begins a request with this method, such as `PUT`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Request {
        Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            redirects: REDIRECTS,
        }
    }

    /// Begins a GET request.
    pub fn get(url: impl Into<String>) -> Request {
        Request::new("GET", url)
    }

    /// Begins a POST request.
    pub fn post(url: impl Into<String>) -> Request {
        Request::new("POST", url)
    }

    /// Adds a header. The host sets `Host` and `Content-Length`, and refuses
    /// headers that concern the connection.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// Sets the body to a value as JSON, and the header `Content-Type`.
    ///
    /// # Errors
    ///
    /// The value cannot be JSON.
    pub fn json(self, value: &impl Serialize) -> crate::Result<Request> {
        let body = serde_json::to_vec(value)?;
        Ok(self.header("Content-Type", "application/json").body(body))
    }

    /// Sets how many redirects are followed. With 0, a redirect is the response. The
    /// default is 5.
    pub fn redirects(mut self, most: u32) -> Request {
        self.redirects = most;
        self
    }

    /// Sends the request and waits for the whole response.
    ///
    /// # Errors
    ///
    /// There is no response; the kind of error says why. In a native test, no
    /// request can be sent.
    pub fn send(self) -> Result<Response, HttpError> {
        self.send_by(send)
    }

    fn send_by(
        mut self,
        mut send: impl FnMut(Request) -> Result<Response, HttpError>,
    ) -> Result<Response, HttpError> {
        let most = self.redirects;
        let mut followed = 0;
        loop {
            let response = send(self.clone())?;
            let location = response.header("location");
            let target = redirect::target(&self.method, &self.url, response.status, location);
            let Some(target) = target else {
                return Ok(response);
            };
            if most == 0 {
                return Ok(response);
            }
            if followed == most {
                return Err(HttpError {
                    kind: ErrorKind::Failed,
                    message: format!("the server redirects more than {most} times"),
                });
            }
            followed += 1;
            if self.method != "HEAD" {
                self.method = "GET".to_owned();
            }
            self.body.clear();
            let is_same = redirect::origin(&target) == redirect::origin(&self.url);
            self.headers
                .retain(|(name, _)| redirect::keeps(name, is_same));
            self.url = target;
        }
    }
}

impl Response {
    /// Returns whether the status reports success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// The body is not JSON of this type.
    pub fn json<T: DeserializeOwned>(&self) -> crate::Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            crate::Error::msg(format!("the response is not the expected JSON: {error}"))
        })
    }

    /// Returns the response if its status reports success.
    ///
    /// # Errors
    ///
    /// The status is another one. A failed judge is an error, never a reward of 0.
    pub fn error_for_status(self) -> Result<Response, HttpError> {
        if self.is_success() {
            return Ok(self);
        }
        let shown: String = self.text().chars().take(200).collect();
        Err(HttpError {
            kind: ErrorKind::Status,
            message: format!("the server answered with status {}: {shown}", self.status),
        })
    }
}

impl HttpError {
    /// Returns the kind of error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HttpError {}

#[cfg(target_arch = "wasm32")]
fn send(request: Request) -> Result<Response, HttpError> {
    use crate::component::network_bindings::orwd::network::http;

    let headers = request.headers.into_iter();
    let sent = http::send(&http::Request {
        method: request.method,
        url: request.url,
        headers: headers
            .map(|(name, value)| http::Header { name, value })
            .collect(),
        body: request.body,
    });
    match sent {
        Ok(response) => {
            let headers = response.headers.into_iter();
            Ok(Response {
                status: response.status,
                headers: headers.map(|header| (header.name, header.value)).collect(),
                body: response.body,
            })
        }
        Err(error) => Err(HttpError {
            kind: match error.code {
                http::ErrorCode::NotGranted => ErrorKind::NotGranted,
                http::ErrorCode::Refused => ErrorKind::Refused,
                http::ErrorCode::Limit => ErrorKind::Limit,
                http::ErrorCode::Timeout => ErrorKind::Timeout,
                http::ErrorCode::Failed => ErrorKind::Failed,
                http::ErrorCode::InDoubt => ErrorKind::InDoubt,
                http::ErrorCode::Unavailable => ErrorKind::Unavailable,
            },
            message: error.message,
        }),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn send(request: Request) -> Result<Response, HttpError> {
    let Request { method, url, .. } = request;
    Err(HttpError {
        kind: ErrorKind::Unavailable,
        message: format!("{method} {url} was not sent: a native test makes no requests"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_response_is_read() {
        let found = response(200, r#"{"score": 0.5}"#)
            .error_for_status()
            .unwrap();
        assert_eq!(found.header("Content-Type"), Some("application/json"));
        assert_eq!(found.json::<Value>().unwrap(), json!({"score": 0.5}));
        assert!(found.json::<Vec<u8>>().is_err());
    }

    #[test]
    fn a_status_that_is_no_success_is_an_error() {
        let error = response(503, "busy").error_for_status().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Status);
        assert_eq!(
            error.to_string(),
            "the server answered with status 503: busy"
        );
    }

    fn redirect(status: u16, location: &str) -> Response {
        Response {
            status,
            headers: vec![("location".to_owned(), location.to_owned())],
            body: Vec::new(),
        }
    }

    /// Plays these responses, and returns the result and what was sent.
    fn play(
        request: Request,
        responses: Vec<Response>,
    ) -> (Result<Response, HttpError>, Vec<Request>) {
        let mut sent = Vec::new();
        let mut responses = responses.into_iter();
        let result = request.send_by(|request| {
            sent.push(request);
            Ok(responses.next().expect("no further request"))
        });
        assert!(responses.next().is_none(), "too few requests");
        (result, sent)
    }

    #[test]
    fn a_redirect_is_followed_and_a_key_stays_with_its_server() {
        let request = Request::get("https://a.com/x")
            .header("Authorization", "Bearer k")
            .header("X-Key", "k")
            .header("Accept", "text/html");
        let (result, sent) = play(
            request,
            vec![
                redirect(302, "/y"),
                redirect(307, "https://b.com/z"),
                response(200, "{}"),
            ],
        );
        assert_eq!(result.unwrap().status, 200);
        let urls: Vec<&str> = sent.iter().map(|sent| sent.url.as_str()).collect();
        assert_eq!(
            urls,
            ["https://a.com/x", "https://a.com/y", "https://b.com/z"]
        );
        assert_eq!(sent[1].headers.len(), 3);
        assert_eq!(
            sent[2].headers,
            [("Accept".to_owned(), "text/html".to_owned())]
        );
    }

    #[test]
    fn only_redirects_that_repeat_nothing_are_followed() {
        let post = || Request::post("https://a.com").body("x");
        let (result, sent) = play(post(), vec![redirect(307, "/y")]);
        assert_eq!((result.unwrap().status, sent.len()), (307, 1));
        let (_, sent) = play(post(), vec![redirect(303, "/y"), response(200, "{}")]);
        assert_eq!((sent[1].method.as_str(), sent[1].body.len()), ("GET", 0));
        let get = || Request::get("https://a.com");
        let (result, _) = play(get().redirects(0), vec![redirect(302, "/y")]);
        assert_eq!(result.unwrap().status, 302);
        let (result, sent) = play(get(), vec![redirect(302, "/y"); 6]);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Failed);
        assert_eq!(sent.len(), 6);
    }

    #[test]
    fn a_native_test_sends_nothing() {
        let request = Request::post("https://a.com").json(&json!({})).unwrap();
        assert_eq!(request.send().unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
