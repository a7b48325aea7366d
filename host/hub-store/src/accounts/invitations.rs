//! Links by which users choose a password: those of new users, and those in place of
//! a forgotten one. The database has only hashes of their secrets.

use super::browser_sessions::end_browser_sessions;
use super::caller::NamespaceKind;
use super::namespaces::{add_namespace, set_password};
use crate::clock::unix_seconds;
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Separates these hashes from all others that use BLAKE3.
const CONTEXT: &str = "orwd 2026-11 hash of the secret of an invitation";

/// The time in which a link has to be used.
const LIFETIME_SECONDS: i64 = 7 * 86_400;

/// The hash of the secret of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationHash(String);

impl InvitationHash {
    /// Returns the hash of a secret.
    pub fn of(secret: &str) -> InvitationHash {
        let hash = blake3::derive_key(CONTEXT, secret.as_bytes());
        InvitationHash(blake3::Hash::from_bytes(hash).to_hex().to_string())
    }
}

/// A user as an administrator sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// The name.
    pub name: String,
    /// Whether the user administers the platform.
    pub is_admin: bool,
    /// Whether the user has a password.
    pub has_password: bool,
    /// When the user was created.
    pub created_at: String,
}

/// Returns whether a user administers the platform.
pub fn is_administrator(
    transaction: &mut dyn Transaction,
    name: &str,
) -> Result<bool, HubStoreError> {
    let row = transaction.first(
        "SELECT is_admin FROM namespaces WHERE name = ?1 AND kind = 'user'",
        params![name],
    )?;
    row.map_or(Ok(false), |row| row.flag(0))
}

fn check_administrator(transaction: &mut dyn Transaction, name: &str) -> Result<(), HubStoreError> {
    if is_administrator(transaction, name)? {
        return Ok(());
    }
    Err(HubStoreError::Forbidden(
        "only an administrator of the platform manages its users".to_owned(),
    ))
}

/// Returns the first users in the order of their names, for an administrator.
pub fn users(
    transaction: &mut dyn Transaction,
    administrator: &str,
    limit: i64,
) -> Result<Vec<UserRecord>, HubStoreError> {
    check_administrator(transaction, administrator)?;
    let rows = transaction.query(
        "SELECT name, is_admin, password, created_at FROM namespaces WHERE kind = 'user' \
         ORDER BY name_key LIMIT ?1",
        params![limit],
    )?;
    rows.iter()
        .map(|row| {
            Ok(UserRecord {
                name: row.text(0)?,
                is_admin: row.flag(1)?,
                has_password: row.optional_text(2)?.is_some(),
                created_at: row.text(3)?,
            })
        })
        .collect()
}

/// Creates a user, who chooses a password by a link with this secret.
pub fn invite(
    transaction: &mut dyn Transaction,
    administrator: &str,
    name: &str,
    hash: &InvitationHash,
) -> Result<(), HubStoreError> {
    check_administrator(transaction, administrator)?;
    add_namespace(transaction, name, NamespaceKind::User, None, false)?;
    put(transaction, name, hash)
}

/// Replaces the link of a user, who may have forgotten the password. The password
/// stays until the link is used.
pub fn invite_again(
    transaction: &mut dyn Transaction,
    administrator: &str,
    name: &str,
    hash: &InvitationHash,
) -> Result<(), HubStoreError> {
    check_administrator(transaction, administrator)?;
    let known = transaction.first(
        "SELECT name FROM namespaces WHERE name = ?1 AND kind = 'user'",
        params![name],
    )?;
    if known.is_none() {
        return Err(HubStoreError::Missing(format!("there is no user {name:?}")));
    }
    put(transaction, name, hash)
}

fn put(
    transaction: &mut dyn Transaction,
    name: &str,
    hash: &InvitationHash,
) -> Result<(), HubStoreError> {
    transaction.execute("DELETE FROM invitations WHERE member = ?1", params![name])?;
    transaction.execute(
        "INSERT INTO invitations (member, hash, expires) VALUES (?1, ?2, ?3)",
        params![name, &hash.0, unix_seconds() + LIFETIME_SECONDS],
    )?;
    Ok(())
}

/// Returns whom a link is for, unless it was used, replaced, or is too old.
pub fn invited(
    transaction: &mut dyn Transaction,
    hash: &InvitationHash,
) -> Result<Option<String>, HubStoreError> {
    let row = transaction.first(
        "SELECT member FROM invitations WHERE hash = ?1 AND expires > ?2",
        params![&hash.0, unix_seconds()],
    )?;
    row.map(|row| row.text(0)).transpose()
}

/// Uses a link: sets the password, of which this is the hash, and ends the user's
/// browser sessions. Returns whom the link was for.
pub fn accept_invitation(
    transaction: &mut dyn Transaction,
    hash: &InvitationHash,
    password: &str,
) -> Result<Option<String>, HubStoreError> {
    let Some(name) = invited(transaction, hash)? else {
        return Ok(None);
    };
    transaction.execute("DELETE FROM invitations WHERE hash = ?1", params![&hash.0])?;
    set_password(transaction, &name, password)?;
    end_browser_sessions(transaction, &name)?;
    Ok(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Bootstrap, BootstrapUser, apply_bootstrap, password_of};
    use crate::database::Database;

    #[test]
    fn a_link_is_made_by_an_administrator_and_used_once() {
        let dir = tempfile::TempDir::new().unwrap();
        let database = Database::open(&dir.path().join("hub.sqlite")).unwrap();
        let user = |name: &str, admin: bool| BootstrapUser {
            name: name.to_owned(),
            password: None,
            admin,
            keys: Vec::new(),
        };
        let users_of_file = vec![user("root", true), user("alice", false)];
        database
            .run_blocking(move |transaction| {
                let bootstrap = Bootstrap {
                    users: users_of_file,
                    organisations: Vec::new(),
                };
                apply_bootstrap(transaction, &bootstrap)?;
                let [one, two] = ["one", "two"].map(InvitationHash::of);
                for by in ["alice", "nobody"] {
                    let refused = invite(transaction, by, "carol", &one);
                    assert!(matches!(refused, Err(HubStoreError::Forbidden(_))), "{by}");
                    let refused = users(transaction, by, 10);
                    assert!(matches!(refused, Err(HubStoreError::Forbidden(_))), "{by}");
                }
                invite(transaction, "root", "carol", &one)?;
                assert!(
                    invite(transaction, "root", "Carol", &two).is_err(),
                    "a taken name"
                );
                assert_eq!(invited(transaction, &one)?.as_deref(), Some("carol"));
                assert_eq!(users(transaction, "root", 10)?.len(), 3);
                invite_again(transaction, "root", "carol", &two)?;
                assert_eq!(invited(transaction, &one)?, None);
                let used = accept_invitation(transaction, &two, "hash")?;
                assert_eq!(used.as_deref(), Some("carol"));
                assert_eq!(password_of(transaction, "carol")?.as_deref(), Some("hash"));
                assert_eq!(accept_invitation(transaction, &two, "other")?, None);
                assert!(invite_again(transaction, "root", "dave", &one).is_err());
                invite_again(transaction, "root", "carol", &one)?;
                transaction.execute("UPDATE invitations SET expires = 0", &[])?;
                assert_eq!(accept_invitation(transaction, &one, "late")?, None);
                Ok(())
            })
            .unwrap();
    }
}
