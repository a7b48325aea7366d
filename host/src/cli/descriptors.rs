//! As many file descriptors as the machine allows.
//!
//! A connection takes one, and so does the data directory of a session; the
//! usual soft limit of 1,024 is for programs that call `select`, which this one
//! does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. If that is refused, the server runs
/// with what it has, and waits for a descriptor when it is out of them.
pub(super) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(from = current, to = maximum, "descriptor limit raised"),
        Err(error) => tracing::warn!("the limit on open files stays at {current:?}: {error}"),
    }
}
