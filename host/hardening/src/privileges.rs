//! No new privileges, no capabilities, and no core dumps.

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior,
    setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, no_new_privs,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use crate::policy::{PathAccess, Policy};
use crate::report::HardeningError;

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

/// Drops all capabilities, which a process of root has. Even root then reaches
/// only files that it owns or that everyone may use, so a path of the policy
/// that it could use as root only is an error.
///
/// # Errors
///
/// A path of the policy cannot be used without capabilities.
pub(super) fn drop_capabilities(policy: &Policy) -> Result<Result<String, String>, HardeningError> {
    let outcome = drop_all_capabilities();
    if outcome == Ok(Dropped::Some) {
        for (path, access) in policy.paths() {
            let wanted = match access {
                PathAccess::Read => Access::READ_OK | Access::EXEC_OK,
                PathAccess::ReadFiles => Access::EXEC_OK,
                PathAccess::Write | PathAccess::TempFiles | PathAccess::RemoveDirs => {
                    Access::WRITE_OK | Access::EXEC_OK
                }
            };
            if accessat(CWD, path, wanted, AtFlags::EACCESS) == Err(Errno::ACCESS) {
                return Err(HardeningError::new(
                    path.to_owned(),
                    "root cannot use it once its capabilities are dropped; run orwd as the user \
                     who owns it, or change its owner or mode"
                        .to_owned(),
                ));
            }
        }
    }
    Ok(outcome
        .map(|_| "none".to_owned())
        .map_err(|error| error.to_string()))
}

/// Whether there were capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    Some,
    None,
}

fn drop_all_capabilities() -> Result<Dropped, Errno> {
    let before = capabilities(None)?;
    // Without this one, the bounding set cannot change; with `no_new_privs` it
    // has no effect anyway.
    if before.effective.contains(CapabilitySet::SETPCAP) {
        for bit in 0..u64::BITS {
            let capability = CapabilitySet::from_bits_retain(1 << bit);
            match remove_capability_from_bounding_set(capability) {
                // The kernel does not know it.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
    }
    match clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none)?;
    if capabilities(None)? != none {
        return Err(Errno::PERM);
    }
    let had = !before.effective.is_empty() || !before.permitted.is_empty();
    Ok(if had { Dropped::Some } else { Dropped::None })
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
