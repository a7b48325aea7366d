//! Sessions: one task owns one instance, and the table maps ids to handles.

mod run;
mod service;

pub use run::{Promise, Run};
pub use service::{
    CatalogError, Conversation, CreateError, NewSession, Service, Session, SessionError,
};
