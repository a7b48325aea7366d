//! Checks a request of a guest, and makes the request that is sent of it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue,
    USER_AGENT,
};
use orwd_model::{HttpError, HttpErrorCode, HttpRequest, Secrets};

use crate::http::limits::SendLimits;
use crate::http::secrets;
use crate::rules::grant::{Allowed, NetworkGrant};
use crate::rules::url::Url;

/// Bytes of a body.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// Headers of a request.
const MAX_HEADERS: usize = 64;

/// Headers that frame the request, choose its destination or identify somebody
/// to a proxy; the broker sets what is needed of them.
const REFUSED: &[&str] = &[
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Beginnings of names that are refused.
const REFUSED_PREFIXES: &[&str] = &["proxy-", "x-forwarded-"];

/// A request that may be sent.
#[derive(Debug)]
pub(crate) struct CheckedRequest {
    pub(crate) url: Url,
    pub(crate) allowed: Allowed,
    pub(crate) request: hyper::Request<Full<Bytes>>,
}

/// Checks a request against the rules, and against what a request may be.
pub(crate) fn check(
    grant: &NetworkGrant,
    request: HttpRequest,
    hidden: &Secrets,
    limits: &SendLimits,
) -> Result<CheckedRequest, HttpError> {
    let url = Url::parse(&request.url).map_err(|error| refused(error.to_string()))?;
    let Some(allowed) = grant.allows(&request.method, &url) else {
        // The query may hold what nobody is to read in a log.
        let shown = format!("{}://{}{}", url.scheme.as_str(), url.authority(), url.path);
        let message = format!(
            "no rule allows {:?} {shown}; the rules that both the manifest and the operator \
             allow are: {}",
            request.method,
            grant.in_words().join(", ")
        );
        return Err(HttpError::new(HttpErrorCode::NotGranted, message));
    };
    if secrets::has_placeholder(hidden, &request.url) {
        return Err(refused(
            "the URL has the placeholder of a secret; secrets are sent in headers only",
        ));
    }
    if request.body.len() > MAX_BODY {
        let message = format!(
            "the body has {} bytes; at most {MAX_BODY} are sent",
            request.body.len()
        );
        return Err(HttpError::new(HttpErrorCode::Limit, message));
    }
    let headers = headers(&request, &url, allowed, hidden, limits)?;
    let mut built = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(format!("{}{}", url.path, url.query))
        .body(Full::new(Bytes::from(request.body)))
        .map_err(|_| refused("the URL or the method is not valid"))?;
    *built.headers_mut() = headers;
    Ok(CheckedRequest {
        url,
        allowed,
        request: built,
    })
}

fn headers(
    request: &HttpRequest,
    url: &Url,
    allowed: Allowed,
    hidden: &Secrets,
    limits: &SendLimits,
) -> Result<HeaderMap, HttpError> {
    let bytes: usize = request
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if request.headers.len() > MAX_HEADERS || bytes > limits.request_headers {
        let message = format!(
            "the request has {} headers of {bytes} bytes; at most {MAX_HEADERS} of \
             {} bytes are sent (--http-request-headers)",
            request.headers.len(),
            limits.request_headers
        );
        return Err(HttpError::new(HttpErrorCode::Limit, message));
    }
    let mut filled = 0;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let shown = name.escape_debug();
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refused(format!("\"{shown}\" is not a valid name of a header")))?;
        let is_refused = REFUSED.contains(&name.as_str())
            || REFUSED_PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix));
        if is_refused {
            return Err(refused(format!("the header {name} cannot be set")));
        }
        let value = secrets::insert(hidden, value, url, allowed)?;
        filled += value.len();
        if filled > limits.filled_headers() {
            let message = format!(
                "the headers with their secrets have more than {} bytes",
                limits.filled_headers()
            );
            return Err(HttpError::new(HttpErrorCode::Limit, message));
        }
        // Refuses line breaks and other control characters.
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| refused(format!("the value of the header {name} is not valid")))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    let set = |text: String| {
        HeaderValue::from_str(&text).map_err(|_| refused("the host of the URL is not valid"))
    };
    headers.insert(HOST, set(url.authority())?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let sends_body =
        !request.body.is_empty() || matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
    if sends_body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    }
    // The broker unpacks nothing, so that a small response stays small.
    // What is compressed cannot be searched for secrets.
    if !headers.contains_key(ACCEPT_ENCODING) || hidden.hidden_as().is_some() {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, HeaderValue::from_static("orwd"));
    }
    Ok(headers)
}

fn refused(message: impl Into<String>) -> HttpError {
    HttpError::new(HttpErrorCode::Refused, message)
}

#[cfg(test)]
mod tests {
    use orwd_model::HttpLimits;

    use super::*;
    use crate::rules::grant::OperatorRules;
    use crate::rules::rule::Rule;

    fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        HttpRequest {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: headers.iter().map(header).collect(),
            body: Vec::new(),
        }
    }

    fn check_one(request: HttpRequest) -> Result<CheckedRequest, HttpError> {
        let rules = [Rule::parse("https://a.com/v1").unwrap()];
        check(
            &NetworkGrant::new(&rules, &OperatorRules::Manifest),
            request,
            &Secrets::default(),
            &HttpLimits::default().into(),
        )
    }

    #[test]
    fn the_host_is_that_of_the_url_and_there_is_one() {
        let checked =
            check_one(request("POST", "https://A.com/v1/x?q", &[("X-Key", "1")])).unwrap();
        let headers = checked.request.headers();
        assert_eq!(headers["host"], "a.com");
        assert_eq!(headers["x-key"], "1");
        assert_eq!(headers["content-length"], "0");
        assert_eq!(headers["connection"], "close");
        assert_eq!(checked.request.uri(), "/v1/x?q");
    }

    #[test]
    fn a_request_outside_of_the_rules_is_refused_with_the_rules() {
        let error = check_one(request("GET", "https://a.com/v2?secret", &[])).unwrap_err();
        assert_eq!(error.code, HttpErrorCode::NotGranted);
        assert!(error.message.contains("https://a.com/v1"), "{error}");
        assert!(!error.message.contains("secret"), "{error}");
    }

    #[test]
    fn headers_that_frame_route_or_break_lines_are_refused() {
        for (name, value) in [
            ("Host", "evil.com"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "x-key"),
            ("Upgrade", "websocket"),
            ("Proxy-Authorization", "x"),
            ("Cookie", "a=b"),
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-A", "b\r\nHost: evil.com"),
            ("X-A", "b\nc"),
            ("X-A", "b\0c"),
            ("X-A: b\r\nX-B", "c"),
            ("", "c"),
            ("X A", "c"),
        ] {
            let error = check_one(request("GET", "https://a.com/v1", &[(name, value)]));
            let error = error.unwrap_err();
            assert_eq!(error.code, HttpErrorCode::Refused, "{name:?} {value:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let mut large = request("POST", "https://a.com/v1", &[]);
        large.body = vec![0; MAX_BODY + 1];
        assert_eq!(check_one(large).unwrap_err().code, HttpErrorCode::Limit);
        let many = vec![("x", "y"); MAX_HEADERS + 1];
        let many = request("GET", "https://a.com/v1", &many);
        assert_eq!(check_one(many).unwrap_err().code, HttpErrorCode::Limit);
        let long = "x".repeat(HttpLimits::default().request_headers);
        let long = request("GET", "https://a.com/v1", &[("x", &long)]);
        assert_eq!(check_one(long).unwrap_err().code, HttpErrorCode::Limit);
    }
}
