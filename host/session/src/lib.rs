//! Sessions: one task owns one guest, and the table maps ids to handles.
//!
//! A session begins as a reserved id ([`table`], [`open`]), becomes an owner
//! task with a guest ([`owner`], [`guest`]), is known to others by a
//! [`handle`], and ends by `/delete`, by the reaper, or with the host. Its
//! results linger in [`runs`].
//!
//! What is asked of the guest and what comes of it goes into the journal
//! ([`record`]), and from there a session comes back into memory ([`wake`],
//! [`replay`]): after a restart, after it was put to sleep, or after the
//! journal could not be written.

mod ask;
mod beyond;
mod fork;
mod guest;
mod handle;
mod house;
mod mint;
mod open;
mod overview;
mod owner;
mod pressure;
mod prune;
mod reaper;
mod record;
mod rehearse;
mod replay;
mod resend;
mod residents;
mod run;
mod runs;
mod service;
mod sessions;
mod shares;
mod state;
mod table;
mod turns;
mod versions;
mod wake;

pub use handle::Handle;
pub use house::SessionSettings;
pub use overview::{Detail, Entry, Origin, Overview};
pub use pressure::Gauge;
pub use rehearse::{Rehearsed, Rerun, rehearse};
pub use run::{Go, Promise, Reader, Run};
pub use service::{
    Beyond, BeyondError, CatalogError, Conversation, CreateError, Created, Errand, Imprint,
    NewSession, Principal, Resumable, Service, Session, SessionError, Told,
};
pub use sessions::Sessions;
pub use shares::PerKey;
pub use versions::Older;
