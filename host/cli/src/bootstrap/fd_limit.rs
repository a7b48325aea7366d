//! The limit on file descriptors, and the shares of connections and sessions.
//!
//! A connection takes one descriptor, a session that writes much takes one for
//! its temporary file, and an open file of a data directory takes one. The usual
//! soft limit of 1,024 exists for programs that call `select`, which this one
//! does not. Without shares, clients that open enough connections would make
//! sessions fail to open files, and sessions each other.

use orwd_config::ServerLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything but connections and sessions: data files, the
/// journal, the log.
const OTHER: u64 = 64;

/// Raises the soft limit to the hard limit, then lowers the limits of
/// connections and of sessions in memory to what the descriptors suffice for.
pub(crate) fn fit(limits: &mut ServerLimits) {
    raise_limit();
    let Some(descriptors) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let connections = share(descriptors);
    if limits.max_connections > connections {
        tracing::warn!(
            limit = connections,
            descriptors,
            "connection limit lowered; raise the limit on open files to keep --max-connections"
        );
        limits.max_connections = connections;
    }
    let sessions = sessions(descriptors, limits.max_connections);
    if limits.max_sessions > sessions {
        tracing::warn!(
            limit = sessions,
            descriptors,
            "session limit lowered; raise the limit on open files to keep --max-sessions"
        );
        limits.max_sessions = sessions;
    }
    tracing::info!(
        descriptors,
        connections = limits.max_connections,
        sessions = limits.max_sessions,
        "descriptors shared"
    );
}

/// Returns three quarters, and at least one.
fn share(descriptors: u64) -> usize {
    let share = descriptors.saturating_sub(descriptors.div_ceil(4)).max(1);
    usize::try_from(share).unwrap_or(usize::MAX)
}

/// Returns for how many sessions the other descriptors suffice, at least one.
fn sessions(descriptors: u64, connections: usize) -> u32 {
    let left = descriptors
        .saturating_sub(connections as u64)
        .saturating_sub(OTHER);
    u32::try_from(left.max(1)).unwrap_or(u32::MAX)
}

/// Raises the soft limit. If that fails, the server runs with the limit that it
/// has, and waits for a free descriptor when all are in use.
fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(from = current, to = maximum, "descriptor limit raised"),
        Err(error) => {
            tracing::warn!(limit = current, reason = %error, "descriptor limit not raised")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_reserved() {
        for (limit, expected) in [(1024, 768), (1, 1), (0, 1), (1_048_576, 786_432), (10, 7)] {
            assert_eq!(share(limit), expected, "{limit}");
        }
    }

    #[test]
    fn each_session_may_need_a_descriptor() {
        for (descriptors, connections, expected) in [
            (1024, 768, 192),
            (1_048_576, 10_000, 1_038_512),
            (10, 7, 1),
            (u64::MAX, 1, u32::MAX),
        ] {
            assert_eq!(sessions(descriptors, connections), expected);
        }
    }
}
