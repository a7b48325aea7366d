//! Signed-in browsers, of whose secrets the database has only hashes.

use super::caller::Caller;
use super::namespaces::caller_named;
use crate::clock::{now, unix_seconds};
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Separates these hashes from all others that use BLAKE3.
const CONTEXT: &str = "orwd 2026-11 hash of the secret of a browser session";

/// The time after which a browser has to sign in again.
const LIFETIME_SECONDS: i64 = 30 * 86_400;

/// The hash of the secret that a browser keeps in its cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSecretHash(String);

impl BrowserSecretHash {
    /// Returns the hash of a secret.
    pub fn of(secret: &str) -> BrowserSecretHash {
        let hash = blake3::derive_key(CONTEXT, secret.as_bytes());
        BrowserSecretHash(blake3::Hash::from_bytes(hash).to_hex().to_string())
    }
}

/// Begins a browser session of a user, and forgets those that have expired.
pub fn begin_browser_session(
    transaction: &mut dyn Transaction,
    user: &str,
    hash: &BrowserSecretHash,
) -> Result<(), HubStoreError> {
    let at = unix_seconds();
    transaction.execute(
        "DELETE FROM browser_sessions WHERE expires <= ?1",
        params![at],
    )?;
    transaction.execute(
        "INSERT INTO browser_sessions (hash, namespace, created_at, expires) \
         VALUES (?1, ?2, ?3, ?4)",
        params![&hash.0, user, now(), at + LIFETIME_SECONDS],
    )?;
    Ok(())
}

/// Returns who signed in with a browser, unless the session has ended.
pub fn caller_of_browser(
    transaction: &mut dyn Transaction,
    hash: &BrowserSecretHash,
) -> Result<Option<Caller>, HubStoreError> {
    let row = transaction.first(
        "SELECT namespace FROM browser_sessions WHERE hash = ?1 AND expires > ?2",
        params![&hash.0, unix_seconds()],
    )?;
    match row {
        Some(row) => caller_named(transaction, &row.text(0)?),
        None => Ok(None),
    }
}

/// Ends one browser session.
pub fn end_browser_session(
    transaction: &mut dyn Transaction,
    hash: &BrowserSecretHash,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "DELETE FROM browser_sessions WHERE hash = ?1",
        params![&hash.0],
    )?;
    Ok(())
}

/// Ends all browser sessions of a user.
pub fn end_browser_sessions(
    transaction: &mut dyn Transaction,
    user: &str,
) -> Result<(), HubStoreError> {
    transaction.execute(
        "DELETE FROM browser_sessions WHERE namespace = ?1",
        params![user],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Bootstrap, BootstrapUser, apply_bootstrap};
    use crate::database::Database;

    #[test]
    fn a_browser_is_signed_in_until_its_session_ends() {
        let dir = tempfile::TempDir::new().unwrap();
        let database = Database::open(&dir.path().join("hub.sqlite")).unwrap();
        let user = |name: &str| BootstrapUser {
            name: name.to_owned(),
            password: None,
            admin: false,
            keys: Vec::new(),
        };
        database
            .run_blocking(move |transaction| {
                let users = vec![user("alice"), user("bob")];
                let bootstrap = Bootstrap {
                    users,
                    organisations: Vec::new(),
                };
                apply_bootstrap(transaction, &bootstrap)?;
                let [one, two, other] = ["one", "two", "other"].map(BrowserSecretHash::of);
                begin_browser_session(transaction, "alice", &one)?;
                begin_browser_session(transaction, "alice", &two)?;
                begin_browser_session(transaction, "bob", &other)?;
                let found = |transaction: &mut dyn Transaction, hash: &BrowserSecretHash| {
                    let caller = caller_of_browser(transaction, hash)?;
                    Ok::<_, HubStoreError>(caller.map(|caller| caller.name.to_string()))
                };
                let alice = Some("alice".to_owned());
                assert_eq!(found(transaction, &one)?, alice);
                end_browser_session(transaction, &one)?;
                assert_eq!(found(transaction, &one)?, None);
                assert_eq!(found(transaction, &two)?, alice);
                end_browser_sessions(transaction, "alice")?;
                assert_eq!(found(transaction, &two)?, None);
                assert_eq!(found(transaction, &other)?, Some("bob".to_owned()));
                transaction.execute("UPDATE browser_sessions SET expires = 0", &[])?;
                assert_eq!(found(transaction, &other)?, None);
                Ok(())
            })
            .unwrap();
    }
}
