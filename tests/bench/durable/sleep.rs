//! Sessions that hibernate and wake: more of them than the host has places,
//! called in turn, so that each call brings one into memory and puts another
//! to sleep.

use serde::Serialize;

use super::host::Host;
use crate::request::{create, each};
use crate::sessions::{Bumps, Times};

/// Places for instances.
const PLACES: usize = 64;

/// Connections that call.
const CONNECTIONS: usize = 8;

/// How often each session is called.
const TURNS: usize = 4;

/// What was seen.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    sessions: usize,
    places: usize,
    /// Each of them woke one and put one to sleep.
    calls: Times,
}

/// Measures.
pub(super) fn run(sessions: usize, say: &mut dyn FnMut(&str)) -> Result<Figures, String> {
    let mut host = Host::new().set("--max-sessions", PLACES);
    let (_server, address) = host.alpha()?;
    let ids: Vec<String> = (0..sessions).map(|_| orwd_tests::ors::fresh_id()).collect();
    each(address, CONNECTIONS, &ids, create)?;
    let order = (0..TURNS).flat_map(|_| 0..sessions).collect();
    let calls = Times::of(&Bumps::new(address, &ids).run(CONNECTIONS, order)?);
    say(&format!(
        "\n{sessions} sessions on a host with {PLACES} places, called in turn:"
    ));
    say(&calls.shown("woken, another put to sleep"));
    Ok(Figures {
        sessions,
        places: PLACES,
        calls,
    })
}
