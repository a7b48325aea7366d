//! The accounts that a file creates when the platform starts for the first time.

use serde::Deserialize;

use super::api_keys::{KeyHash, add_key};
use super::caller::{NamespaceKind, Role};
use super::namespaces::{add_namespace, has_namespaces};
use crate::error::HubStoreError;
use crate::sql::backend::Transaction;
use crate::sql::params;

/// Characters that a key of a bootstrap file has at least.
const MIN_KEY: usize = 16;

/// The content of a bootstrap file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Users.
    #[serde(default)]
    pub users: Vec<BootstrapUser>,
    /// Organisations.
    #[serde(default)]
    pub organisations: Vec<BootstrapOrganisation>,
}

/// A user of a bootstrap file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootstrapUser {
    /// The name, which is also the namespace.
    pub name: String,
    /// The password; the hash of it once the file is read.
    pub password: Option<String>,
    /// Whether the user administers the platform.
    #[serde(default)]
    pub admin: bool,
    /// API keys.
    #[serde(default)]
    pub keys: Vec<BootstrapKey>,
}

/// An organisation of a bootstrap file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootstrapOrganisation {
    /// The name, which is also the namespace.
    pub name: String,
    /// The role of each member by name.
    #[serde(default)]
    pub members: std::collections::BTreeMap<String, Role>,
    /// API keys of the organisation itself.
    #[serde(default)]
    pub keys: Vec<BootstrapKey>,
}

/// An API key of a bootstrap file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootstrapKey {
    /// What it is for.
    pub name: String,
    /// The key.
    pub key: String,
}

impl std::fmt::Debug for BootstrapKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BootstrapKey({:?})", self.name)
    }
}

/// Creates the accounts of a file, if the database has none yet. Returns whether
/// it did.
pub fn apply_bootstrap(
    transaction: &mut dyn Transaction,
    bootstrap: &Bootstrap,
) -> Result<bool, HubStoreError> {
    if has_namespaces(transaction)? {
        return Ok(false);
    }
    for user in &bootstrap.users {
        let password = user.password.as_deref();
        add_namespace(
            transaction,
            &user.name,
            NamespaceKind::User,
            password,
            user.admin,
        )?;
        add_keys(transaction, &user.name, &user.keys)?;
    }
    for organisation in &bootstrap.organisations {
        let name = &organisation.name;
        add_namespace(transaction, name, NamespaceKind::Organisation, None, false)?;
        add_keys(transaction, name, &organisation.keys)?;
        for (member, role) in &organisation.members {
            if !bootstrap.users.iter().any(|user| user.name == *member) {
                return Err(HubStoreError::Invalid(format!(
                    "the member {member:?} of {name:?} is not among the users"
                )));
            }
            transaction.execute(
                "INSERT INTO members (organisation, member, role) VALUES (?1, ?2, ?3)",
                params![name, member, role.as_str()],
            )?;
        }
    }
    Ok(true)
}

fn add_keys(
    transaction: &mut dyn Transaction,
    namespace: &str,
    keys: &[BootstrapKey],
) -> Result<(), HubStoreError> {
    for key in keys {
        let plain = key.key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.key.len() < MIN_KEY || !plain {
            return Err(HubStoreError::Invalid(format!(
                "the key {:?} of {namespace:?} has less than {MIN_KEY} characters, or a character \
                 that a header cannot have; `openssl rand -hex 32` prints a good one",
                key.name
            )));
        }
        add_key(transaction, namespace, &key.name, &KeyHash::of(&key.key))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::api_keys::caller_of_key;
    use crate::database::Database;

    fn bootstrap(key: &str) -> Bootstrap {
        let key = |name: &str| BootstrapKey {
            name: name.to_owned(),
            key: key.to_owned(),
        };
        Bootstrap {
            users: vec![BootstrapUser {
                name: "alice".to_owned(),
                password: None,
                admin: true,
                keys: vec![key("laptop")],
            }],
            organisations: vec![BootstrapOrganisation {
                name: "acme".to_owned(),
                members: [("alice".to_owned(), Role::Maintainer)].into(),
                keys: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_bootstrap_applies_once() {
        let dir = tempfile::TempDir::new().unwrap();
        let database = Database::open(&dir.path().join("hub.sqlite")).unwrap();
        let apply = |key: &'static str| {
            database.run_blocking(move |transaction| apply_bootstrap(transaction, &bootstrap(key)))
        };
        let short = apply("short").unwrap_err();
        assert!(
            short.to_string().contains("less than 16 characters"),
            "{short}"
        );
        let holder = |key: &'static str| {
            database
                .run_blocking(move |transaction| caller_of_key(transaction, &KeyHash::of(key)))
                .unwrap()
        };
        // What failed has left nothing behind.
        assert_eq!(apply("the-key-of-alice"), Ok(true));
        assert_eq!(apply("another-key-of-alice"), Ok(false));
        let alice = holder("the-key-of-alice").unwrap();
        assert_eq!(&*alice.name, "alice");
        assert!(alice.may_change("acme") && !alice.may_change("other"));
        assert_eq!(holder("another-key-of-alice"), None);
        assert_eq!(holder("the-key-of-alic"), None);
    }
}
