//! The table `network`: what an environment asks to reach by HTTP.

use orwd_network::Rule;

use super::error::ManifestError;
use super::table::{MAX_LIST, Table};

/// Reads the table.
pub(super) fn network(root: &Table<'_>) -> Result<Vec<Rule>, ManifestError> {
    let Some(table) = root.table("network")? else {
        return Ok(Vec::new());
    };
    table.only(&["allow"])?;
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
    Ok(rules)
}
