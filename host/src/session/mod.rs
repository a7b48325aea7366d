//! Sessions: one task owns one instance, and the table maps ids to handles.
//!
//! A session begins as a reserved id, becomes an owner task with a guest
//! ([`owner`], [`guest`]), is known to others by a [`handle`], and ends by
//! `/delete`, by the reaper, or with the host. Whatever is asked of the guest
//! is an [`ask`]; its results linger in [`runs`].

mod ask;
mod guest;
mod handle;
mod owner;
mod reaper;
mod run;
mod runs;
mod service;
mod state;
mod table;

pub use handle::Handle;
pub use run::{Go, Promise, Run};
pub use service::{
    CatalogError, Conversation, CreateError, Created, NewSession, Principal, Service, Session,
    SessionError,
};
pub use table::{SessionSettings, Sessions};
