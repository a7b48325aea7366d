//! Results of operations on the overlay.

use std::io;

use rustix::io::Errno;

pub(crate) use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// The result of an operation on the overlay.
pub(crate) type Result<T, E = ErrorCode> = std::result::Result<T, E>;

/// The code for a resource that the host lacks. A guest never sees it: what it
/// does must not depend on the machine, so the call is a trap instead.
pub(crate) const HOST_LACKS_RESOURCE: ErrorCode = ErrorCode::InsufficientMemory;

/// Returns [`HOST_LACKS_RESOURCE`] if that is the reason of an error.
pub(crate) fn lacking_resource(error: &io::Error) -> Option<ErrorCode> {
    let lacks = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOSPC,
        Errno::DQUOT,
    ];
    lacks
        .contains(&Errno::from_io_error(error)?)
        .then_some(HOST_LACKS_RESOURCE)
}

/// Returns the error of a trap if this code is one.
pub(crate) fn trap_of(code: ErrorCode) -> Option<wasmtime::Error> {
    let error = || io::Error::other("the host lacks a resource for a file of the session");
    (code == HOST_LACKS_RESOURCE).then(|| error().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_lacks_is_a_trap_and_no_error_of_the_file() {
        for (errno, lacks) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOMEM, true),
            (Errno::NOSPC, true),
            (Errno::DQUOT, true),
            (Errno::NOENT, false),
            (Errno::IO, false),
        ] {
            let code = lacking_resource(&errno.into());
            assert_eq!(code.is_some(), lacks, "{errno:?}");
        }
        let trap = trap_of(HOST_LACKS_RESOURCE).unwrap();
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
