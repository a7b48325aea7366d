//! No new privileges, and no core dumps.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior,
    setrlimit,
};
use rustix::thread::{no_new_privs, set_no_new_privs};

/// Sets `no_new_privs`: a started program gets no more rights than this one.
/// Landlock and seccomp require it.
pub(super) fn drop_privileges() -> Result<String, String> {
    set_no_new_privs(true)
        .and_then(|()| no_new_privs())
        .map_err(|error| error.to_string())
        .and_then(|given_up| match given_up {
            true => Ok("no_new_privs".to_owned()),
            false => Err("no_new_privs is not in effect".to_owned()),
        })
}

/// Disables core dumps, since the memory holds clients' secrets.
///
/// A limit of zero stops the kernel from writing a file. Programs that collect
/// dumps ignore the limit but respect "not dumpable", which also stops other
/// processes of the same user from reading the memory.
pub(super) fn disable_core_dumps() -> Result<String, String> {
    let zero = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, zero)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .and_then(|()| dumpable_behavior())
        .map_err(|error| error.to_string())
        .and_then(|behavior| {
            let limit = getrlimit(Resource::Core);
            if behavior == DumpableBehavior::NotDumpable && limit == zero {
                Ok("off".to_owned())
            } else {
                Err("the process is still dumpable".to_owned())
            }
        })
}
