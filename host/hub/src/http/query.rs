//! The parameters of a request's query.

use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::error::ApiError;

/// The decoded parameters of a query. Of repeated ones the last counts.
pub(crate) struct QueryParameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for QueryParameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(QueryParameters::parse(parts.uri.query().unwrap_or("")))
    }
}

impl QueryParameters {
    /// Parses a query, or the body of a form.
    pub(crate) fn parse(query: &str) -> QueryParameters {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        QueryParameters(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// Returns a parameter; none if it is absent or empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let mut named = self.0.iter().rev().filter(|(given, _)| given == name);
        let value = named.next().map(|(_, value)| value.clone());
        value.filter(|value| !value.is_empty())
    }

    /// Returns a number; none if it is absent or empty.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| ApiError::invalid(format!("{name} is {text:?}; it must be a number")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = QueryParameters::parse("a=x+y%2Bz&b=%C3%BC&limit=-1&limit=5&empty=&flag");
        assert_eq!(query.text("a").as_deref(), Some("x y+z"));
        assert_eq!(query.text("b").as_deref(), Some("ü"));
        assert_eq!(query.text("empty"), None);
        assert_eq!(query.text("flag"), None);
        assert_eq!(query.text("c"), None);
        assert_eq!(query.number::<i64>("limit").unwrap(), Some(5));
        assert!(query.number::<i64>("b").is_err());
    }
}
