//! `X-Deployment`: the name under which a client asks for an environment
//! (`docs/src/reference/wire-contract.md#section-3`).
//!
//! A client writes the name that its user gave it, with or without an owner:
//! `me/wordle` or `wordle`. The last segment is the name of the environment, in
//! the spelling of `/list_environments`. It is compared byte by byte: it is
//! neither decoded nor folded.

use hyper::header::{HeaderMap, HeaderName};

const DEPLOYMENT: HeaderName = HeaderName::from_static("x-deployment");

/// The name of a deployment, as the client wrote it and without white space
/// around it. It is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeploymentName<'h>(&'h [u8]);

impl<'h> DeploymentName<'h> {
    /// Returns the name in a request; none if the header is absent or blank. Of
    /// repeated headers the first that is not blank counts.
    pub(crate) fn read(headers: &'h HeaderMap) -> Option<DeploymentName<'h>> {
        let values = headers.get_all(DEPLOYMENT).iter();
        let mut names = values.map(|value| value.as_bytes().trim_ascii());
        names.find(|name| !name.is_empty()).map(DeploymentName)
    }

    /// Returns the first two names of a request that are those of different
    /// environments. Which of them the client means cannot be known.
    pub(crate) fn conflict(
        headers: &'h HeaderMap,
    ) -> Option<(DeploymentName<'h>, DeploymentName<'h>)> {
        let values = headers.get_all(DEPLOYMENT).iter();
        let mut names = values
            .map(|value| DeploymentName(value.as_bytes().trim_ascii()))
            .filter(|name| !name.0.is_empty());
        let first = names.next()?;
        let other = names.find(|name| name.last() != first.last())?;
        Some((first, other))
    }

    /// Returns whether the name is that of this environment.
    pub(crate) fn names(self, environment: &str) -> bool {
        self.last() == environment.as_bytes()
    }

    fn last(self) -> &'h [u8] {
        let last = self.0.rsplit(|byte| *byte == b'/').next();
        last.unwrap_or_default()
    }

    /// Returns the name as text for the log.
    pub(crate) fn to_text(self) -> String {
        String::from_utf8_lossy(self.0).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_last_segment_names_the_environment() {
        for (value, expected) in [
            ("wordle", true),
            ("me/wordle", true),
            (" me/wordle\t", true),
            ("a/b/wordle", true),
            ("//wordle", true),
            ("/wordle", true),
            ("Wordle", false),
            ("wordle/", false),
            ("wordle/me", false),
            ("me%2Fwordle", false),
            ("me/wordl%65", false),
            ("me\\wordle", false),
            ("wordle2", false),
            ("wordle, wordle", false),
            ("wordle,", false),
            ("me/ wordle", false),
            ("wordl\u{e9}", false),
            ("/", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                DEPLOYMENT,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
            let name = DeploymentName::read(&headers).unwrap();
            assert_eq!(name.names("wordle"), expected, "{value}");
        }
    }

    #[test]
    fn a_blank_header_is_absent_and_the_first_of_several_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(DeploymentName::read(&headers), None);
        for blank in ["", " ", "\t "] {
            headers.insert(DEPLOYMENT, HeaderValue::from_static(blank));
            assert_eq!(DeploymentName::read(&headers), None, "{blank:?}");
        }
        headers.insert(DEPLOYMENT, HeaderValue::from_static("one"));
        headers.append(DEPLOYMENT, HeaderValue::from_static("two"));
        let name = DeploymentName::read(&headers).unwrap();
        assert!(name.names("one") && !name.names("two"));
        let (first, other) = DeploymentName::conflict(&headers).unwrap();
        assert!(first.names("one") && other.names("two"));
    }

    #[test]
    fn names_of_one_environment_are_no_conflict() {
        let mut headers = HeaderMap::new();
        for value in ["me/one", "one", " "] {
            headers.append(DEPLOYMENT, HeaderValue::from_static(value));
            assert_eq!(DeploymentName::conflict(&headers), None, "{value:?}");
        }
    }
}
