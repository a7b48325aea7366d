//! Finding and listing environments, within what the caller sees.

use super::former_names;
use super::record::{COLUMNS, EnvironmentRecord, TABLES};
use crate::accounts::Caller;
use crate::error::HubStoreError;
use crate::sql::backend::{RowBound, Transaction};
use crate::sql::escape_like;
use crate::sql::params;
use crate::sql::value::SqlValue;

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Only environments of this namespace.
    pub owner: Option<String>,
    /// Only environments with this text in their name or description, in any
    /// case.
    pub search: Option<String>,
    /// Rows of the page.
    pub limit: i64,
    /// Rows before the page.
    pub offset: i64,
}

/// Returns an environment by its id, for work of the platform itself. One that was
/// deleted is missing everywhere.
pub(crate) fn get(
    transaction: &mut dyn Transaction,
    id: &str,
) -> Result<EnvironmentRecord, HubStoreError> {
    let missing = || HubStoreError::Missing(format!("there is no environment {id}"));
    found(transaction, id)?.ok_or_else(missing)
}

fn found(
    transaction: &mut dyn Transaction,
    id: &str,
) -> Result<Option<EnvironmentRecord>, HubStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE e.id = ?1 AND e.deleted_at IS NULL");
    let row = transaction.first(&sql, params![id])?;
    row.as_ref().map(EnvironmentRecord::of).transpose()
}

/// Returns an environment by its id, for work of the platform itself. What a
/// caller asks for is found by [`by_id`] and [`find`].
pub fn of_platform(
    transaction: &mut dyn Transaction,
    id: &str,
) -> Result<EnvironmentRecord, HubStoreError> {
    get(transaction, id)
}

/// Returns an environment by its id, if the caller sees it.
pub fn by_id(
    transaction: &mut dyn Transaction,
    id: &str,
    caller: Option<&Caller>,
) -> Result<EnvironmentRecord, HubStoreError> {
    let missing =
        || HubStoreError::Missing(format!("there is no environment {id}, or it is private"));
    match get(transaction, id) {
        Ok(found) if found.is_visible_to(caller) => Ok(found),
        Ok(_) | Err(HubStoreError::Missing(_)) => Err(missing()),
        Err(error) => Err(error),
    }
}

/// Returns an environment by its id, if the caller may change it.
pub fn by_id_to_change(
    transaction: &mut dyn Transaction,
    id: &str,
    caller: &Caller,
) -> Result<EnvironmentRecord, HubStoreError> {
    may_change(by_id(transaction, id, Some(caller))?, caller)
}

/// Returns an environment by its name, or by one that it had before, if the caller
/// sees it.
pub fn find(
    transaction: &mut dyn Transaction,
    owner: &str,
    name: &str,
    caller: Option<&Caller>,
) -> Result<EnvironmentRecord, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {TABLES} WHERE e.owner = ?1 AND e.name = ?2 AND e.deleted_at IS NULL"
    );
    let row = transaction.first(&sql, params![owner, name])?;
    let found = match row {
        Some(row) => Some(EnvironmentRecord::of(&row)?),
        None => match former_names::find(transaction, owner, name)? {
            Some(id) => found(transaction, &id)?,
            None => None,
        },
    };
    found
        .filter(|found| found.is_visible_to(caller))
        .ok_or_else(|| {
            HubStoreError::Missing(format!(
                "there is no environment {owner}/{name}, or it is private; names are case-sensitive"
            ))
        })
}

/// Returns the name of the environment that had this name, if the caller sees it.
pub fn renamed(
    transaction: &mut dyn Transaction,
    owner: &str,
    name: &str,
    caller: Option<&Caller>,
) -> Result<Option<String>, HubStoreError> {
    match find(transaction, owner, name, caller) {
        Ok(found) if found.name != name => Ok(Some(found.name)),
        Ok(_) | Err(HubStoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns an environment by its name, if the caller may change it.
pub fn find_to_change(
    transaction: &mut dyn Transaction,
    owner: &str,
    name: &str,
    caller: &Caller,
) -> Result<EnvironmentRecord, HubStoreError> {
    may_change(find(transaction, owner, name, Some(caller))?, caller)
}

fn may_change(
    found: EnvironmentRecord,
    caller: &Caller,
) -> Result<EnvironmentRecord, HubStoreError> {
    if caller.may_change(&found.owner) {
        return Ok(found);
    }
    Err(HubStoreError::Forbidden(format!(
        "you may not change {}; only members of {} may",
        found.full_name(),
        found.owner
    )))
}

/// Returns a page of the environments that the caller sees, newest first, and
/// how many there are on all pages.
pub fn list(
    transaction: &mut dyn Transaction,
    caller: Option<&Caller>,
    query: &ListQuery,
) -> Result<(Vec<EnvironmentRecord>, i64), HubStoreError> {
    let mut parameters: Vec<SqlValue> = Vec::new();
    let mut place = |value: SqlValue| {
        parameters.push(value);
        format!("?{}", parameters.len())
    };
    let mut condition = "e.deleted_at IS NULL AND e.is_private = 0".to_owned();
    if let Some(caller) = caller {
        let own: Vec<String> = caller
            .readable()
            .into_iter()
            .map(|name| place(name.into()))
            .collect();
        condition = format!(
            "e.deleted_at IS NULL AND (e.is_private = 0 OR e.owner IN ({}))",
            own.join(", ")
        );
    }
    if let Some(owner) = &query.owner {
        condition.push_str(&format!(" AND e.owner = {}", place(owner.into())));
    }
    if let Some(search) = query.search.as_deref().filter(|text| !text.is_empty()) {
        let pattern = format!("%{}%", escape_like(&search.to_lowercase()));
        let place = place(pattern.into());
        condition.push_str(&format!(" AND e.search_key LIKE {place} ESCAPE '\\'"));
    }
    let sql = format!("SELECT COUNT(*) FROM environments e WHERE {condition}");
    let total = transaction.first(&sql, &parameters)?;
    let total = total.map_or(Ok(0), |row| row.integer(0))?;
    let (limit, offset) = (query.limit, query.offset);
    let sql = format!(
        "SELECT {COLUMNS} FROM {TABLES} WHERE {condition} ORDER BY e.number DESC LIMIT {limit} \
         OFFSET {offset}"
    );
    let rows = transaction.query_within(&sql, &parameters, RowBound::PAGE)?;
    let found = rows
        .iter()
        .map(EnvironmentRecord::of)
        .collect::<Result<_, _>>()?;
    Ok((found, total))
}

/// Returns the environments whose repositories the caller may deploy from.
pub fn repositories(
    transaction: &mut dyn Transaction,
    caller: &Caller,
) -> Result<Vec<EnvironmentRecord>, HubStoreError> {
    let mut found = Vec::new();
    for owner in caller.changeable() {
        let sql = format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE e.owner = ?1 AND e.deleted_at IS NULL \
             ORDER BY e.name"
        );
        for row in transaction.query(&sql, params![owner])? {
            found.push(EnvironmentRecord::of(&row)?);
        }
    }
    Ok(found)
}

/// Returns the ids of all environments, also of deleted ones, each with the generation of its files.
pub fn generations(transaction: &mut dyn Transaction) -> Result<Vec<(String, i64)>, HubStoreError> {
    let rows = transaction.query("SELECT id, generation FROM environments", &[])?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, row.integer(1)?)))
        .collect()
}

/// Returns the environments that are deployed from a repository of the platform,
/// or from any of them.
pub fn linked_to(
    transaction: &mut dyn Transaction,
    repository: Option<&str>,
) -> Result<Vec<EnvironmentRecord>, HubStoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {TABLES} WHERE e.repository IS NOT NULL AND m.url IS NULL \
         AND e.deleted_at IS NULL AND (?1 IS NULL OR e.repository = ?1)"
    );
    let rows = transaction.query(&sql, params![repository])?;
    rows.iter().map(EnvironmentRecord::of).collect()
}
