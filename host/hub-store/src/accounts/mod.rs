//! Users, organisations, and their API keys.

mod api_keys;
mod bootstrap;
mod caller;
mod namespaces;

pub use api_keys::{KeyHash, add_key, caller_of_key, generate_key};
pub use bootstrap::{
    Bootstrap, BootstrapKey, BootstrapOrganisation, BootstrapUser, apply_bootstrap,
};
pub use caller::{Caller, NamespaceKind, Role};
pub use namespaces::{check_namespace, has_namespaces, password_of};
