//! What sessions and calls take on the disk, once the server has ended and its
//! journal is one file.

use serde::Serialize;

use super::counted::Counted;
use super::host::{Host, stop};
use crate::request::{create, each};

/// Sessions.
const SESSIONS: usize = 500;

/// Calls of each.
const CALLS: u64 = 20;

/// What was seen, in bytes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    empty: u64,
    /// A session that was created and set up.
    per_session: f64,
    /// A call of `bump`, whose answer is a number.
    per_call: f64,
}

/// Measures.
pub(super) fn run(say: &mut dyn FnMut(&str)) -> Result<Figures, String> {
    let mut host = Host::new();
    let (server, _) = host.alpha()?;
    stop(server)?;
    let empty = host.bytes().0;

    let (server, address) = host.alpha()?;
    let ids: Vec<String> = (0..SESSIONS).map(|_| orwd_tests::ors::fresh_id()).collect();
    each(address, 4, &ids, create)?;
    stop(server)?;
    let created = host.bytes().0;

    // All of them come back for it.
    let (server, address) = host.alpha()?;
    let mut counted = Counted::new(ids);
    counted.call_all(address, CALLS)?;
    stop(server)?;
    let called = host.bytes().0;

    #[allow(clippy::cast_precision_loss, reason = "sizes of files")]
    let per = |bytes: u64, number: f64| bytes as f64 / number;
    let sessions = SESSIONS as f64;
    let figures = Figures {
        empty,
        per_session: per(created.saturating_sub(empty), sessions),
        per_call: per(called.saturating_sub(created), sessions * CALLS as f64),
    };
    say(&format!(
        "\non the disk: {:.0} bytes a session, {:.0} bytes a call of `bump`, {:.1} KB for a journal \
         without any",
        figures.per_session,
        figures.per_call,
        empty as f64 / 1e3,
    ));
    Ok(figures)
}
