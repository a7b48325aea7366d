//! Results of operations on the overlay.

use std::io;

use rustix::io::Errno;

pub(crate) use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// The result of an operation on the overlay.
pub(crate) type Result<T, E = ErrorCode> = std::result::Result<T, E>;

/// The code for a failure of the host: it lacks a resource, or its disk fails. A
/// guest never sees it: what it does must not depend on the machine, so the call is
/// a trap instead.
pub(crate) const HOST_FAILED: ErrorCode = ErrorCode::InsufficientMemory;

/// Errors that a path in the data causes on every machine.
const OF_THE_DATA: [Errno; 9] = [
    Errno::NOENT,
    Errno::NOTDIR,
    Errno::ISDIR,
    Errno::LOOP,
    Errno::NAMETOOLONG,
    Errno::INVAL,
    // The owner of the data denies access, or a link leads out of the directory.
    Errno::ACCESS,
    Errno::PERM,
    Errno::XDEV,
];

/// Returns [`HOST_FAILED`] unless the data is the reason of an error.
pub(crate) fn host_failure(error: &io::Error) -> Option<ErrorCode> {
    let errno = Errno::from_io_error(error)?;
    (!OF_THE_DATA.contains(&errno)).then_some(HOST_FAILED)
}

/// Returns the error of a trap if this code is one.
pub(crate) fn trap_of(code: ErrorCode) -> Option<wasmtime::Error> {
    let error = || io::Error::other("the host failed to read or write a file of the session");
    (code == HOST_FAILED).then(|| error().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_host_is_a_trap_and_no_error_of_the_file() {
        for (errno, failed) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOMEM, true),
            (Errno::NOSPC, true),
            (Errno::DQUOT, true),
            (Errno::IO, true),
            (Errno::STALE, true),
            (Errno::TIMEDOUT, true),
            (Errno::NXIO, true),
            (Errno::NOENT, false),
            (Errno::ACCESS, false),
            (Errno::LOOP, false),
        ] {
            let code = host_failure(&errno.into());
            assert_eq!(code.is_some(), failed, "{errno:?}");
        }
        assert_eq!(
            host_failure(&io::Error::other("a reason without a number")),
            None
        );
        let trap = trap_of(HOST_FAILED).unwrap();
        assert!(trap.is::<io::Error>());
        for code in [
            ErrorCode::Io,
            ErrorCode::InsufficientSpace,
            ErrorCode::Quota,
        ] {
            assert!(trap_of(code).is_none());
        }
    }
}
