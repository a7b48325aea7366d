//! Secrets that guests do not get: their values are put into requests here, and
//! removed from responses.

use hyper::header::{CONTENT_ENCODING, HeaderMap};
use orwd_model::{HttpError, HttpErrorCode, PLACEHOLDER_END, Secret, Secrets};
use orwd_redaction::{Redactor, SecretPatterns};
use zeroize::Zeroizing;

use crate::rules::grant::Allowed;
use crate::rules::url::{Host, Scheme, Url};

/// Puts the values of secrets in place of placeholders in one header. Other texts,
/// also placeholders of other sessions, stay as they are. The value is not a part
/// of an error.
pub(crate) fn insert(
    secrets: &Secrets,
    text: &str,
    url: &Url,
    allowed: Allowed,
) -> Result<Zeroizing<String>, HttpError> {
    let mut filled = Zeroizing::new(String::with_capacity(text.len() + longest(secrets)));
    let mut rest = text;
    if let Some(start) = secrets.placeholder_start() {
        while let Some((before, after)) = rest.split_once(&*start) {
            filled.push_str(before);
            match named(secrets, after) {
                Some((secret, after)) => {
                    check(secret, url, allowed)?;
                    // White space around a value is that of its file.
                    filled.push_str(secret.expose().trim());
                    rest = after;
                }
                None => {
                    filled.push_str(&start);
                    rest = after;
                }
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Returns whether a text has a placeholder of this session.
pub(crate) fn has_placeholder(secrets: &Secrets, text: &str) -> bool {
    let start = secrets.placeholder_start();
    start.is_some_and(|start| text.contains(&start))
}

/// Returns the secret whose name the text begins with, and what follows.
fn named<'s, 't>(secrets: &'s Secrets, text: &'t str) -> Option<(&'s Secret, &'t str)> {
    let found = secrets.iter().filter_map(|secret| {
        let after = text.strip_prefix(secret.name.as_str())?;
        Some((secret, after.strip_prefix(PLACEHOLDER_END)?))
    });
    // A name can begin with another one and its end.
    found.max_by_key(|(secret, _)| secret.name.len())
}

/// Checks that a secret may be sent to this URL.
fn check(secret: &Secret, url: &Url, allowed: Allowed) -> Result<(), HttpError> {
    let shown = secret.name.escape_debug();
    let refused = |reason: String| Err(HttpError::new(HttpErrorCode::NotGranted, reason));
    let host = match &url.host {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    };
    if !secret.may_go_to(&host) {
        return refused(format!(
            "the secret \"{shown}\" may not be sent to {host}: the client's allowed_domains of it \
             do not name that host"
        ));
    }
    let stays_here = match &url.host {
        Host::Address(address) => address.is_loopback() && allowed == Allowed::NamedAddress,
        Host::Name(_) => false,
    };
    if url.scheme == Scheme::Http && !stays_here {
        return refused(format!(
            "the secret \"{shown}\" is sent over https only, or to a loopback address that the \
             operator names"
        ));
    }
    Ok(())
}

/// Returns how many bytes the longest value has. Room for more is made by a
/// reallocation, which leaves a copy that is not wiped.
fn longest(secrets: &Secrets) -> usize {
    let lengths = secrets.iter().map(|secret| secret.expose().len());
    lengths.max().unwrap_or(0)
}

/// What a response may not contain.
pub(crate) struct ResponseFilter {
    patterns: Option<SecretPatterns>,
    hides: bool,
}

impl ResponseFilter {
    pub(crate) fn new(secrets: &Secrets) -> ResponseFilter {
        let hides = secrets.hidden_as().is_some();
        ResponseFilter {
            patterns: hides.then(|| SecretPatterns::new(secrets)).flatten(),
            hides,
        }
    }

    /// Refuses a response that cannot be searched.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), HttpError> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if self.hides
            && encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            return Err(HttpError::new(
                HttpErrorCode::Refused,
                "the response is compressed, so it cannot be searched for the session's secrets",
            ));
        }
        Ok(())
    }

    /// Removes secrets from the value of a header.
    pub(crate) fn header(&self, value: String) -> String {
        match &self.patterns {
            Some(patterns) => {
                let redacted = Redactor::redact(patterns, value.as_bytes());
                String::from_utf8_lossy(&redacted).into_owned()
            }
            None => value,
        }
    }

    /// Begins a body.
    pub(crate) fn body(&self) -> BodyFilter {
        BodyFilter(self.patterns.clone().map(Redactor::new))
    }
}

/// Removes secrets from a body.
pub(crate) struct BodyFilter(Option<Redactor>);

impl BodyFilter {
    /// Takes a part of the body, and appends what is decided.
    pub(crate) fn feed(&mut self, part: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            Some(redactor) => redactor.feed(part, out),
            None => out.extend_from_slice(part),
        }
    }

    /// Ends the body.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(redactor) = &mut self.0 {
            redactor.finish(false, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let secret = |name: &str, value: &str, domains: &[&str]| {
            let value = Zeroizing::new(value.to_owned());
            let mut secret = Secret::new(name.to_owned(), value);
            secret.allowed_domains = Some(domains.iter().map(|name| (*name).to_owned()).collect());
            secret
        };
        let mut secrets = Secrets::new(vec![
            secret("A", "one\n", &["a.com", "127.0.0.1"]),
            // Its value looks like a placeholder, and its name like a longer one.
            secret("A__B", "__SECRET:s:A__", &["a.com"]),
        ]);
        secrets.hide_as("s".to_owned());
        secrets
    }

    fn inserted(text: &str, url: &str, allowed: Allowed) -> Result<String, HttpErrorCode> {
        insert(&secrets(), text, &Url::parse(url).unwrap(), allowed)
            .map(|filled| filled.to_string())
            .map_err(|error| {
                assert!(!error.message.contains("one"), "{error}");
                error.code
            })
    }

    #[test]
    fn a_value_replaces_its_placeholder_and_nothing_else() {
        for (text, expected) in [
            ("plain", "plain"),
            ("Bearer __SECRET:s:A__", "Bearer one"),
            ("__SECRET:s:A__,__SECRET:s:A__!", "one,one!"),
            ("__SECRET:s:A__B__", "__SECRET:s:A__"),
            ("__SECRET:t:A__", "__SECRET:t:A__"),
            ("__SECRET:s:C__", "__SECRET:s:C__"),
            ("__SECRET:s:A_", "__SECRET:s:A_"),
        ] {
            let filled = inserted(text, "https://a.com/", Allowed::Public);
            assert_eq!(filled.as_deref(), Ok(expected), "{text}");
        }
        let mut open = secrets();
        open = Secrets::new(open.into_inner());
        let url = Url::parse("https://a.com/").unwrap();
        let same = insert(&open, "__SECRET:s:A__", &url, Allowed::Public).unwrap();
        assert_eq!(&**same, "__SECRET:s:A__", "the guest has the values");
    }

    #[test]
    fn a_value_goes_to_the_hosts_of_its_owner_over_tls_only() {
        use Allowed::{NamedAddress, Public};
        for (url, allowed, goes) in [
            ("https://a.com/", Public, true),
            ("https://b.com/", Public, false),
            ("https://x.a.com/", Public, false),
            ("http://a.com/", Public, false),
            ("http://127.0.0.1:9/", NamedAddress, true),
            ("http://127.0.0.1:9/", Public, false),
            ("http://127.0.0.2:9/", NamedAddress, false),
        ] {
            let filled = inserted("__SECRET:s:A__", url, allowed);
            let expected = goes
                .then(|| "one".to_owned())
                .ok_or(HttpErrorCode::NotGranted);
            assert_eq!(filled, expected, "{url}");
        }
    }
}
