//! The first accounts.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use orwd_hub_store::Database;
use orwd_hub_store::accounts::{
    Bootstrap, BootstrapKey, BootstrapUser, apply_bootstrap, generate_key, has_namespaces,
};

use crate::config::HubConfig;
use crate::error::HubError;

/// Creates the accounts of the bootstrap file, or an administrator, if there are
/// none yet.
pub(super) fn bootstrap(database: &Database, config: &HubConfig) -> Result<(), HubError> {
    if database.run_blocking(has_namespaces)? {
        return Ok(());
    }
    let accounts = match &config.bootstrap {
        Some(path) => {
            let name = path.display();
            let text = std::fs::read_to_string(path).map_err(HubError::io(format!(
                "cannot read the bootstrap file {name}"
            )))?;
            let mut accounts: Bootstrap = toml::from_str(&text).map_err(|error| {
                HubError::Other(format!("the bootstrap file {name} is not valid: {error}"))
            })?;
            for user in &mut accounts.users {
                user.password = user.password.as_deref().map(hash).transpose()?;
            }
            accounts
        }
        None => administrator(),
    };
    let printed = match &config.bootstrap {
        Some(_) => None,
        None => accounts.users.iter().flat_map(|user| &user.keys).next(),
    };
    let printed = printed.map(|key| key.key.clone());
    let (users, organisations) = (accounts.users.len(), accounts.organisations.len());
    database.run_blocking(move |transaction| apply_bootstrap(transaction, &accounts))?;
    tracing::info!(users, organisations, "first accounts created");
    if let Some(key) = printed {
        let file = config.state.join("admin-key");
        crate::layout::write_private(&file, format!("{key}\n").as_bytes(), 0o600)
            .map_err(HubError::io("cannot write the key of the administrator"))?;
        tracing::info!(
            user = "admin",
            file = %file.display(),
            "administrator created; the file has the API key, remove it once you have stored it"
        );
    }
    Ok(())
}

fn administrator() -> Bootstrap {
    let key = BootstrapKey {
        name: "first".to_owned(),
        key: generate_key(),
    };
    Bootstrap {
        users: vec![BootstrapUser {
            name: "admin".to_owned(),
            password: None,
            admin: true,
            keys: vec![key],
        }],
        organisations: Vec::new(),
    }
}

/// Returns the hash of a password.
pub(crate) fn hash(password: &str) -> Result<String, HubError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(|error| HubError::Other(format!("cannot hash a password: {error}")))
}
