//! Applies a policy to the process.

use crate::policy::Policy;
use crate::report::{HardeningError, HardeningReport, SYSTEM_CALLS};

/// Gives up, for the rest of the process's life, everything that the policy
/// does not name. The report names what this kernel cannot enforce.
///
/// # Errors
///
/// A directory of the policy cannot be opened. Some protections may then be
/// active and others not, and the process should exit.
#[cfg(target_os = "linux")]
pub fn apply(policy: &Policy) -> Result<HardeningReport, HardeningError> {
    use crate::{landlock, privileges, seccomp};

    let mut report = HardeningReport::default();
    report.record("privileges", privileges::drop_privileges());
    report.record("core dumps", privileges::disable_core_dumps());
    for (protection, outcome) in landlock::restrict(policy)? {
        report.record(protection, outcome);
    }
    // After the paths are opened, which may need them.
    report.record("capabilities", privileges::drop_capabilities(policy)?);
    // Last, since the others need system calls that the filter denies.
    report.record(SYSTEM_CALLS, seccomp::restrict(policy.workload()));
    Ok(report)
}

/// Reports that hardening needs Linux.
#[cfg(not(target_os = "linux"))]
pub fn apply(_: &Policy) -> Result<HardeningReport, HardeningError> {
    let mut report = HardeningReport::default();
    for protection in [crate::report::FILES, SYSTEM_CALLS] {
        report.record(protection, Err("this is not Linux".to_owned()));
    }
    Ok(report)
}
