//! System calls, filtered by seccomp.
//!
//! The list names what is allowed: a kernel has about four hundred calls, gains
//! more every year, and has them all again under another numbering (x32). A
//! call that is not on the list fails with `ENOSYS`, as on an older kernel.
//! Libraries then fall back to older calls, where another error would be fatal:
//! the C library starts threads by `clone3`, whose arguments no filter can see,
//! and falls back to `clone`.
//!
//! Some calls are allowed in part: memory, unless it is executable; threads, not
//! processes; reading limits, not setting them. Sockets are allowed only as
//! pairs within the process. Nothing is allowed that starts a program, traces,
//! mounts, changes the user or loads code into the kernel.

use std::collections::BTreeMap;

use libc::{c_int, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use crate::policy::Workload;

/// Calls for computing: memory, threads, clocks, and open descriptors.
const COMPUTE: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_get_mempolicy,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Calls for serving: files, which Landlock restricts to the policy's paths, and
/// connections on open sockets.
const SERVE: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getdents64,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_copy_file_range,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fstatfs,
    libc::SYS_sync_file_range,
    libc::SYS_flock,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_linkat,
    libc::SYS_renameat2,
    libc::SYS_fchmod,
    libc::SYS_utimensat,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    // Copy-on-write images of linear memories.
    libc::SYS_memfd_create,
    // Advice on several ranges of the process's own memory. A descriptor of
    // another process cannot be obtained.
    libc::SYS_process_madvise,
    // The runtime locks secrets in memory.
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getppid,
];

/// Calls for connections to other machines, and for none from them. Sockets are
/// allowed in part.
const CONNECT: &[c_long] = &[
    libc::SYS_connect,
    // UDP only, since `listen` is not allowed.
    libc::SYS_bind,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_fcntl,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
];

/// Older forms of the calls above, which the C library uses on x86-64.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_link,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_dup2,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// Flags of `clone`: a thread has all of `THREAD` and none of `NAMESPACES`.
const THREAD: c_int = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
const NAMESPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PTRACE;

/// From `linux/prctl.h`; the C library's headers lack it.
const PR_GET_AUXV: c_int = 0x4155_5856;

/// Applies the filter to all threads of this process.
pub(super) fn restrict(workload: Workload) -> Result<String, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| {
        format!(
            "there is no list of system calls for {}",
            std::env::consts::ARCH
        )
    })?;
    let (program, count) =
        program(workload, arch).map_err(|error| format!("invalid filter: {error}"))?;
    apply_filter_all_threads(&program).map_err(|error| format!("seccomp: {error}"))?;
    Ok(format!("{count} allowed by seccomp"))
}

fn program(workload: Workload, arch: TargetArch) -> Result<(BpfProgram, usize), BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let whole: &[&[c_long]] = match workload {
        Workload::Compute => &[COMPUTE],
        Workload::Serve => &[COMPUTE, SERVE, OLDER],
        Workload::Connect => &[COMPUTE, CONNECT],
    };
    for call in whole.iter().copied().flatten() {
        rules.insert(*call, Vec::new());
    }
    for (call, alternatives) in partial(workload)? {
        rules.insert(call, alternatives);
    }
    let count = rules.len();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        SeccompAction::Allow,
        arch,
    )?;
    Ok((filter.try_into()?, count))
}

/// Returns the calls that are allowed in part, each with alternative conditions
/// on its arguments.
fn partial(workload: Workload) -> Result<Vec<(c_long, Vec<SeccompRule>)>, BackendError> {
    // All code is compiled and loaded before hardening.
    let not_executable = || any([masked(2, libc::PROT_EXEC, 0)]);
    let mut calls = vec![
        (libc::SYS_mmap, not_executable()?),
        (libc::SYS_mprotect, not_executable()?),
        (
            libc::SYS_clone,
            any([masked(0, THREAD | NAMESPACES, THREAD)])?,
        ),
        // Names of threads and of memory, for debugging; and the auxiliary
        // vector, which libraries read late.
        (
            libc::SYS_prctl,
            any([
                equal(0, libc::PR_SET_NAME),
                equal(0, libc::PR_SET_VMA),
                equal(0, PR_GET_AUXV),
            ])?,
        ),
        // `abort` sends a signal to the process itself.
        (libc::SYS_tgkill, any([equal(0, own_pid())])?),
        // Without new limits, the call only reads them.
        (libc::SYS_prlimit64, any([null(2)])?),
    ];
    if workload == Workload::Connect {
        calls.extend([
            (
                libc::SYS_socket,
                any([equal(0, libc::AF_INET), equal(0, libc::AF_INET6)])?,
            ),
            (libc::SYS_ioctl, any([request(libc::FIONBIO)])?),
        ]);
    }
    if workload == Workload::Serve {
        calls.extend([
            // tokio's signal handler writes to such a pair.
            (libc::SYS_socketpair, any([equal(0, libc::AF_UNIX)])?),
            // Blocking mode, available bytes, and the terminal's width. Other
            // requests can inject input into the terminal.
            (
                libc::SYS_ioctl,
                any([
                    request(libc::FIONBIO),
                    request(libc::FIOCLEX),
                    request(libc::FIONREAD),
                    request(libc::TCGETS),
                    request(libc::TIOCGWINSZ),
                ])?,
            ),
        ]);
    }
    Ok(calls)
}

fn own_pid() -> c_int {
    rustix::process::getpid().as_raw_nonzero().get()
}

type Condition = Result<SeccompCondition, BackendError>;

/// Returns rules that match if one of the conditions holds.
fn any<const N: usize>(conditions: [Condition; N]) -> Result<Vec<SeccompRule>, BackendError> {
    conditions
        .into_iter()
        .map(|condition| SeccompRule::new(vec![condition?]))
        .collect()
}

/// Compares 32 bits, as the kernel does for such arguments.
fn equal(argument: u8, value: c_int) -> Condition {
    let value = u64::from(value.cast_unsigned());
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn request(value: libc::Ioctl) -> Condition {
    SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: c_int, value: c_int) -> Condition {
    let [mask, value] = [mask, value].map(|bits| u64::from(bits.cast_unsigned()));
    SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(mask),
        value,
    )
}

fn null(argument: u8) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_valid_filters_without_duplicates() {
        let mut all: Vec<c_long> = [COMPUTE, SERVE, OLDER].concat();
        let partly = partial(Workload::Serve).unwrap();
        all.extend(partly.iter().map(|(call, _)| *call));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (workload, expected) in [
            (Workload::Serve, count),
            (Workload::Compute, COMPUTE.len() + partly.len() - 2),
            (
                Workload::Connect,
                COMPUTE.len() + CONNECT.len() + partly.len(),
            ),
        ] {
            let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
            let (program, count) = program(workload, arch).unwrap();
            assert_eq!(count, expected);
            // The kernel's limit for the length of a filter.
            assert!(program.len() < 4096, "{}", program.len());
        }
    }
}
