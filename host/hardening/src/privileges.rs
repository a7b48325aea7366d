//! No privileges to gain, and no memory left behind.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior,
    setrlimit,
};
use rustix::thread::{no_new_privs, set_no_new_privs};

/// A program that is started gets no more rights than this one has, whatever
/// its file says. Landlock and seccomp ask for it as well.
pub(super) fn give_up() -> Result<String, String> {
    set_no_new_privs(true)
        .and_then(|()| no_new_privs())
        .map_err(|error| error.to_string())
        .and_then(|given_up| match given_up {
            true => Ok("none to gain".to_owned()),
            false => Err("they can still be gained".to_owned()),
        })
}

/// The memory of this process holds secrets of clients. A limit of zero keeps
/// the kernel from writing it to a file; where a program collects dumps, that
/// limit does not hold, and "not dumpable" does. The latter also keeps other
/// processes of the same user from reading the memory.
pub(super) fn leave_no_dump() -> Result<String, String> {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, nothing)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .and_then(|()| dumpable_behavior())
        .map_err(|error| error.to_string())
        .and_then(|behavior| {
            let limit = getrlimit(Resource::Core);
            if behavior == DumpableBehavior::NotDumpable && limit == nothing {
                Ok("off".to_owned())
            } else {
                Err("they are still written".to_owned())
            }
        })
}
