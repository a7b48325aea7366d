//! Requests to the management API.

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::client::http::{self, ServerUrl};
use crate::console::CommandError;

/// What is quoted in a segment of a path, a slash included.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The variable with the address of the API.
const API_URL: &str = "OPENREWARD_API_URL";

/// The variable with the address of the web site, below whose host the API is.
const SITE_URL: &str = "OPENREWARD_URL";

/// The variable with the API key.
const API_KEY: &str = "OPENREWARD_API_KEY";

/// The management API of a platform.
pub(super) struct Api {
    server: ServerUrl,
}

/// A response that is no success.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    message: String,
}

/// Why a request has no result.
#[derive(Debug)]
pub(super) enum ApiFailure {
    Refused(Refused),
    Failed(CommandError),
}

impl From<ApiFailure> for CommandError {
    fn from(failure: ApiFailure) -> CommandError {
        match failure {
            ApiFailure::Refused(Refused { status, message }) => {
                CommandError::unlabelled(format!("Error {status}: {message}"))
            }
            ApiFailure::Failed(error) => error,
        }
    }
}

/// Quotes text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Splits `owner/name`.
pub(super) fn reference(text: &str) -> Result<(&str, &str), CommandError> {
    text.split_once('/').ok_or_else(|| {
        CommandError::usage(format!(
            "{text:?} is not the name of an environment; write owner/name"
        ))
    })
}

impl Api {
    /// Uses the platform that the environment variables name.
    pub(super) fn open() -> Result<Api, CommandError> {
        let key = std::env::var(API_KEY).unwrap_or_default();
        if key.is_empty() {
            return Err(CommandError::new(format!(
                "no API key; set {API_KEY} to the key that the platform gave you"
            )));
        }
        let mut key = HeaderValue::from_str(&key)
            .map_err(|_| CommandError::new(format!("{API_KEY} is not a valid API key")))?;
        key.set_sensitive(true);
        let server = ServerUrl::parse(&url()?)?.with_key(Some(key));
        Ok(Api { server })
    }

    /// Uses the platform without a key.
    pub(super) fn open_without_key() -> Result<Api, CommandError> {
        let server = ServerUrl::parse(&url()?)?;
        Ok(Api { server })
    }

    /// Sends a request, and returns the JSON of its response.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiFailure> {
        let failed = |error: CommandError| ApiFailure::Failed(error);
        let body = body.map_or_else(String::new, Value::to_string);
        let prefix = &self.server.path;
        let slash = if prefix.is_empty() { "" } else { "/" };
        let path = format!("{slash}{prefix}{path}");
        let response = self.server.send(method, &path, &[], body).await;
        let response = response.map_err(|error| failed(error.into()))?;
        let (status, text) = http::text(response)
            .await
            .map_err(|error| failed(error.into()))?;
        if !status.is_success() {
            return Err(ApiFailure::Refused(Refused {
                status: status.as_u16(),
                message: http::error_detail(&text),
            }));
        }
        serde_json::from_str(&text).map_err(|error| {
            failed(CommandError::new(format!(
                "the response is not JSON: {error}"
            )))
        })
    }

    /// Sends a GET.
    pub(super) async fn get(&self, path: &str) -> Result<Value, ApiFailure> {
        self.send(Method::GET, path, None).await
    }

    /// Returns an environment by `owner/name`.
    pub(super) async fn environment(&self, name: &str) -> Result<Value, CommandError> {
        let (owner, name) = reference(name)?;
        let path = format!("/v1/environments/{}/{}", segment(owner), segment(name));
        Ok(self.get(&path).await?)
    }

    /// Returns the id of an environment.
    pub(super) async fn id(&self, name: &str) -> Result<String, CommandError> {
        Ok(text(&self.environment(name).await?, "id"))
    }

    /// Returns the name of the user's namespace.
    pub(super) async fn namespace(&self) -> Result<String, CommandError> {
        let found = self.get("/v1/namespace/current?type=user").await?;
        Ok(text(&found, "name"))
    }
}

/// Stores a file at an address that the platform gave, and returns the reply.
pub(super) async fn put(address: &str, content: Vec<u8>) -> Result<Value, String> {
    let server = ServerUrl::parse(address).map_err(|error| error.to_string())?;
    let path = format!("/{}", server.path);
    let sent = server
        .send(Method::PUT, &path, &[], Bytes::from(content))
        .await;
    let response = sent.map_err(|error| error.to_string())?;
    let (status, text) = http::text(response)
        .await
        .map_err(|error| error.to_string())?;
    if status.is_success() {
        return Ok(serde_json::from_str(&text).unwrap_or_default());
    }
    Err(format!(
        "{}: {}",
        status.as_u16(),
        http::error_detail(&text)
    ))
}

/// Returns a text of an object; empty if it has none.
pub(super) fn text(object: &Value, key: &str) -> String {
    match object.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Returns the rows of an object.
pub(super) fn rows(object: &Value, key: &str) -> Vec<Value> {
    let rows = object.get(key).and_then(Value::as_array);
    rows.cloned().unwrap_or_default()
}

/// Returns the address of the web page: that of the site, or else of the API.
pub(super) fn site() -> Result<String, CommandError> {
    let found = set(SITE_URL).or_else(|| set(API_URL));
    found.ok_or_else(|| {
        CommandError::usage(format!(
            "no platform; set {SITE_URL} to its address, such as http://127.0.0.1:8080"
        ))
    })
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn url() -> Result<String, CommandError> {
    if let Some(url) = set(API_URL) {
        return Ok(url);
    }
    match set(SITE_URL) {
        Some(site) => Ok(match site.split_once("://") {
            Some((scheme, host)) => format!("{scheme}://api.{host}"),
            None => site,
        }),
        None => Err(CommandError::usage(format!(
            "no platform; set {API_URL} to its address, such as http://127.0.0.1:8080"
        ))),
    }
}
