//! As many file descriptors as the machine allows, and some of them kept back.
//!
//! A connection takes one, a session that wrote much one for its temporary file,
//! and a file of the data directory one for all who read it; the usual soft
//! limit of 1,024 is for programs that call `select`, which this one does not.
//! If connections could take all, whoever opens enough of them would have the
//! sessions fail at opening files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, and gives how many connections there
/// may be: as many as asked for, if that leaves a quarter of the descriptors
/// for everything else.
pub(super) fn share(connections: usize) -> usize {
    raise_limit();
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return connections;
    };
    let most = most(limit);
    if connections > most {
        tracing::warn!(
            "no more than {most} connections are taken at once, since there are {limit} file \
             descriptors and the rest is for files; the limit on open files may be raised"
        );
    }
    connections.min(most)
}

/// Three quarters, and at least one.
fn most(limit: u64) -> usize {
    let most = limit.saturating_sub(limit.div_ceil(4)).max(1);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// If that is refused, the server runs with what it has, and waits for a
/// descriptor when it is out of them.
fn raise_limit() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_kept_back() {
        for (limit, expected) in [(1024, 768), (1, 1), (0, 1), (1_048_576, 786_432), (10, 7)] {
            assert_eq!(most(limit), expected, "{limit}");
        }
    }
}
