//! The table `network`: what an environment asks to reach by HTTP.

use orwd_network::Rule;

use super::error::ManifestError;
use super::table::{MAX_LIST, Table};

/// What an environment asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkRequest {
    /// What it asks to reach.
    pub rules: Vec<Rule>,
    /// It asks for the values of secrets.
    pub secrets_in_guest: bool,
    /// Its requests may be sent twice, with an idempotency key of the host.
    pub retry_safe: bool,
}

/// Reads the table.
pub(super) fn network(root: &Table<'_>) -> Result<NetworkRequest, ManifestError> {
    let Some(table) = root.table("network")? else {
        return Ok(NetworkRequest::default());
    };
    table.only(&["allow", "secrets-in-guest", "retry"])?;
    let mut rules = Vec::new();
    for text in table.texts("allow")?.unwrap_or_default() {
        if rules.len() >= MAX_LIST {
            return Err(text.error(&format!("more than {MAX_LIST} rules")));
        }
        rules.push(Rule::parse(text.value).map_err(|error| text.error(&error.to_string()))?);
    }
    if rules.is_empty() {
        return Err(table.error(
            table.value("allow"),
            "`network.allow` is empty; list what the environment requests, such as [\"https://api.example.com\"]",
        ));
    }
    Ok(NetworkRequest {
        rules,
        secrets_in_guest: table.flag("secrets-in-guest")?.unwrap_or(false),
        retry_safe: match table.text("retry")? {
            None => false,
            Some(text) if text.value == "safe" => true,
            Some(text) => return Err(text.error("expected \"safe\", or no key")),
        },
    })
}
