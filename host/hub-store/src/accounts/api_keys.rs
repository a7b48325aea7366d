//! API keys, of which the database has only hashes.

use uuid::Uuid;

use super::caller::Caller;
use super::namespaces::caller_named;
use crate::clock::now;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Separates these hashes from all others that use BLAKE3.
const CONTEXT: &str = "orwd 2026-11 hash of an API key of the platform";

/// The hash of an API key. Generated keys are random, and those of a bootstrap
/// file are long, so they need no slow hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHash(String);

impl KeyHash {
    /// Returns the hash of a key.
    pub fn of(key: &str) -> KeyHash {
        let hash = blake3::derive_key(CONTEXT, key.as_bytes());
        KeyHash(blake3::Hash::from_bytes(hash).to_hex().to_string())
    }
}

/// Returns a new random key.
pub fn generate_key() -> String {
    let secret = blake3::Hash::from_bytes(rand::random()).to_hex();
    format!("orwd_{secret}")
}

/// Adds a key of a namespace.
pub fn add_key(
    transaction: &mut dyn Transaction,
    namespace: &str,
    name: &str,
    hash: &KeyHash,
) -> Result<(), HubStoreError> {
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        return Err(HubStoreError::Invalid(
            "the name of a key has 1 to 64 characters, and none of them is a control character"
                .to_owned(),
        ));
    }
    let taken = transaction.first(
        "SELECT id FROM api_keys WHERE (namespace = ?1 AND name = ?2) OR hash = ?3",
        params![namespace, name, &hash.0],
    )?;
    if taken.is_some() {
        return Err(HubStoreError::Conflict(format!(
            "{namespace} has a key named {name:?}, or the key itself is in use"
        )));
    }
    transaction.execute(
        "INSERT INTO api_keys (hash, id, namespace, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![&hash.0, Uuid::new_v4().to_string(), namespace, name, now()],
    )?;
    Ok(())
}

/// Returns the holder of a key.
pub fn caller_of_key(
    transaction: &mut dyn Transaction,
    hash: &KeyHash,
) -> Result<Option<Caller>, HubStoreError> {
    let row = transaction.first(
        "SELECT namespace FROM api_keys WHERE hash = ?1",
        params![&hash.0],
    )?;
    match row {
        Some(row) => caller_named(transaction, &row.text(0)?),
        None => Ok(None),
    }
}

/// An API key as its holder sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created_at: String,
}

/// Returns the keys of a namespace, newest first.
pub fn keys_of(
    transaction: &mut dyn Transaction,
    namespace: &str,
) -> Result<Vec<KeyRecord>, HubStoreError> {
    let rows = transaction.query(
        "SELECT id, name, created_at FROM api_keys WHERE namespace = ?1 \
         ORDER BY created_at DESC, name",
        params![namespace],
    )?;
    rows.iter()
        .map(|row| {
            Ok(KeyRecord {
                id: row.text(0)?,
                name: row.text(1)?,
                created_at: row.text(2)?,
            })
        })
        .collect()
}

/// Revokes a key of a namespace. Returns whether there was one with this id.
pub fn revoke_key(
    transaction: &mut dyn Transaction,
    namespace: &str,
    id: &str,
) -> Result<bool, HubStoreError> {
    let removed = transaction.execute(
        "DELETE FROM api_keys WHERE namespace = ?1 AND id = ?2",
        params![namespace, id],
    )?;
    Ok(removed > 0)
}
