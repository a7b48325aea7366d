//! Sealing of secrets, and of the content of episodes with secrets.

mod content;
mod key;

pub use key::SealKey;

pub(crate) use content::{
    ContentPolicy, unseal_created, unseal_exchange, unseal_outcome, unseal_request,
};
