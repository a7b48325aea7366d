//! The limit on file descriptors, and the share of connections.
//!
//! A connection takes one descriptor, a session that writes much takes one for
//! its temporary file, and an open file of a data directory takes one. The usual
//! soft limit of 1,024 exists for programs that call `select`, which this one
//! does not. Without a share, clients that open enough connections would make
//! sessions fail to open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit. Returns the permitted number of
/// connections: the given one, or what leaves a quarter of the descriptors for
/// other uses.
pub(crate) fn connection_limit(connections: usize) -> usize {
    raise_limit();
    let Some(descriptors) = getrlimit(Resource::Nofile).current else {
        return connections;
    };
    let limit = share(descriptors);
    if connections > limit {
        tracing::warn!(
            limit,
            descriptors,
            "connection limit lowered; raise the limit on open files to keep --max-connections"
        );
    }
    connections.min(limit)
}

/// Returns three quarters, and at least one.
fn share(descriptors: u64) -> usize {
    let share = descriptors.saturating_sub(descriptors.div_ceil(4)).max(1);
    usize::try_from(share).unwrap_or(usize::MAX)
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
}
