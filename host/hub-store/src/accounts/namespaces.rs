//! Names of users and organisations.

use uuid::Uuid;

use super::caller::{Caller, NamespaceKind, Role};
use crate::clock::now;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// First segments of paths, which cannot be the name of a namespace: a request
/// for one of its pages would reach another route.
const RESERVED: [&str; 27] = [
    "v1",
    "git",
    "orwd",
    "health",
    "ready",
    "version",
    "ping",
    "list_environments",
    "create",
    "delete",
    "create_session",
    "delete_session",
    "create_sandbox",
    "run",
    "stat_file",
    "read_file",
    "write_file",
    "set_network",
    "rollout",
    "settings",
    "static",
    "new",
    "setup",
    "docs",
    "redoc",
    "login",
    "logout",
];

/// Checks the name of a namespace: 1 to 64 letters, digits, `-` and `_`.
pub fn check_namespace(name: &str) -> Result<(), HubStoreError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(HubStoreError::Invalid(format!(
            "{name:?} is not a valid name of a user or organisation: use 1 to 64 letters, digits, \
             '-' and '_'"
        )));
    }
    if RESERVED.contains(&name.to_lowercase().as_str()) {
        return Err(HubStoreError::Invalid(format!(
            "{name:?} cannot be the name of a user or organisation, since it is a route of the server"
        )));
    }
    Ok(())
}

/// Creates a namespace.
pub(super) fn add_namespace(
    transaction: &mut dyn Transaction,
    name: &str,
    kind: NamespaceKind,
    password: Option<&str>,
    is_admin: bool,
) -> Result<(), HubStoreError> {
    check_namespace(name)?;
    let taken = transaction.first(
        "SELECT name FROM namespaces WHERE name_key = ?1",
        params![name.to_lowercase()],
    )?;
    if taken.is_some() {
        return Err(HubStoreError::Conflict(format!(
            "there is a user or an organisation named {name:?}"
        )));
    }
    transaction.execute(
        "INSERT INTO namespaces (name, name_key, id, kind, password, is_admin, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            name,
            name.to_lowercase(),
            Uuid::new_v4().to_string(),
            kind.as_str(),
            password,
            is_admin,
            now()
        ],
    )?;
    Ok(())
}

/// Returns whether there are any users.
pub fn has_namespaces(transaction: &mut dyn Transaction) -> Result<bool, HubStoreError> {
    let row = transaction.first("SELECT name FROM namespaces LIMIT 1", &[])?;
    Ok(row.is_some())
}

/// Returns the hash of a user's password, if the user exists and has one.
pub fn password_of(
    transaction: &mut dyn Transaction,
    name: &str,
) -> Result<Option<String>, HubStoreError> {
    let row = transaction.first(
        "SELECT password FROM namespaces WHERE name = ?1 AND kind = 'user'",
        params![name],
    )?;
    row.map_or(Ok(None), |row| row.optional_text(0))
}

/// Sets the password of a user, of which this is the hash.
pub fn set_password(
    transaction: &mut dyn Transaction,
    name: &str,
    hash: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "UPDATE namespaces SET password = ?2 WHERE name = ?1 AND kind = 'user'",
        params![name, hash],
    )?;
    Ok(())
}

/// Returns the administrator who has no password yet, if there is one.
pub fn administrator_without_password(
    transaction: &mut dyn Transaction,
) -> Result<Option<String>, HubStoreError> {
    let row = transaction.first(
        "SELECT name FROM namespaces WHERE kind = 'user' AND is_admin = 1 AND password IS NULL \
         ORDER BY created_at LIMIT 1",
        &[],
    )?;
    row.map_or(Ok(None), |row| row.text(0).map(Some))
}

/// Returns a user or an organisation as the sender of a request.
pub(super) fn caller_named(
    transaction: &mut dyn Transaction,
    name: &str,
) -> Result<Option<Caller>, HubStoreError> {
    let row = transaction.first(
        "SELECT id, kind FROM namespaces WHERE name = ?1",
        params![name],
    )?;
    let Some(row) = row else {
        return Ok(None);
    };
    let members = transaction.query(
        "SELECT organisation, role FROM members WHERE member = ?1 ORDER BY organisation",
        params![name],
    )?;
    let memberships = members
        .iter()
        .map(|row| Ok((row.text(0)?, Role::of(&row.text(1)?))))
        .collect::<Result<Vec<_>, HubStoreError>>()?;
    Ok(Some(Caller {
        name: name.into(),
        id: row.text(0)?.into(),
        kind: NamespaceKind::of(&row.text(1)?),
        memberships: memberships.into(),
    }))
}
