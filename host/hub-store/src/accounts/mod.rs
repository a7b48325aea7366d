//! Users, organisations, their API keys and their browsers.

mod api_keys;
mod bootstrap;
mod browser_sessions;
mod caller;
mod invitations;
mod namespaces;

pub use api_keys::{KeyHash, KeyRecord, add_key, caller_of_key, generate_key, keys_of, revoke_key};
pub use bootstrap::{
    Bootstrap, BootstrapKey, BootstrapOrganisation, BootstrapUser, apply_bootstrap,
};
pub use browser_sessions::{
    BrowserSecretHash, begin_browser_session, caller_of_browser, end_browser_session,
    end_browser_sessions,
};
pub use caller::{Caller, NamespaceKind, Role};
pub use invitations::{
    InvitationHash, UserRecord, accept_invitation, invite, invite_again, invited, is_administrator,
    users,
};
pub use namespaces::{
    administrator_without_password, check_namespace, has_namespaces, password_of, set_password,
};
