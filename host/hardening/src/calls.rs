//! System calls, by seccomp: those of a list, and for the process no others
//! exist.
//!
//! A list of what is allowed and not of what is forbidden, because a kernel has
//! some four hundred calls and every year more, and under another numbering
//! (x32) all of them once again. What is not on it fails with `ENOSYS`, as on a
//! kernel that is older: libraries then take the calls that there always were,
//! where any other error would be the end (the C library starts threads by
//! `clone3`, whose arguments no filter can see, and without it by `clone`).
//!
//! Some calls are allowed for a part of what they do: memory, but none that is
//! executable; threads, but no processes; limits, to look at them. New sockets
//! are not on the list at all but for pairs within the process, and neither is
//! anything that starts a program, traces, mounts, changes a user or loads code
//! into the kernel.

use std::collections::BTreeMap;

use libc::{c_int, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::Work;

/// Computing: memory, threads, clocks, and descriptors that are open.
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

/// Serving: files, which Landlock keeps to their places, and connections that
/// come in at sockets that are there.
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
    // The contents of linear memories, shared until they are written.
    libc::SYS_memfd_create,
    // Several ranges of one's own at once; there is no way to another process's
    // descriptor.
    libc::SYS_process_madvise,
    // What the runtime holds back of secrets from the swap.
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getppid,
];

/// The older forms of the above, which this machine still has and its C library
/// uses.
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

/// What `clone` must have of these for a thread: all of the first, and none of
/// the others, which would give it a view of its own on the machine.
const THREAD: c_int = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
const VIEWS: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PTRACE;

/// Of `linux/prctl.h`; the C library's headers do not have it yet.
const PR_GET_AUXV: c_int = 0x4155_5856;

/// Puts the list up for all threads of this process.
pub(super) fn restrict(work: Work) -> Result<String, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_| format!("there is no list for {}", std::env::consts::ARCH))?;
    let (program, count) =
        program(work, arch).map_err(|error| format!("the list is no filter: {error}"))?;
    apply_filter_all_threads(&program).map_err(|error| format!("seccomp: {error}"))?;
    Ok(format!("{count} of them, by seccomp"))
}

fn program(work: Work, arch: TargetArch) -> Result<(BpfProgram, usize), BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let whole: &[&[c_long]] = match work {
        Work::Compute => &[COMPUTE],
        Work::Serve => &[COMPUTE, SERVE, OLDER],
    };
    for call in whole.iter().copied().flatten() {
        rules.insert(*call, Vec::new());
    }
    for (call, alternatives) in in_part(work)? {
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

/// Calls of which a part is allowed, with what their arguments must be: one of
/// the alternatives.
fn in_part(work: Work) -> Result<Vec<(c_long, Vec<SeccompRule>)>, BackendError> {
    // All compiled code is there before the walls are.
    let not_executable = || any([masked(2, libc::PROT_EXEC, 0)]);
    let mut calls = vec![
        (libc::SYS_mmap, not_executable()?),
        (libc::SYS_mprotect, not_executable()?),
        (libc::SYS_clone, any([masked(0, THREAD | VIEWS, THREAD)])?),
        // The names of threads and of memory, for people who look; and what the
        // kernel said at the start about the machine, which libraries read late.
        (
            libc::SYS_prctl,
            any([
                equal(0, libc::PR_SET_NAME),
                equal(0, libc::PR_SET_VMA),
                equal(0, PR_GET_AUXV),
            ])?,
        ),
        // To abort is to send oneself a signal.
        (libc::SYS_tgkill, any([equal(0, own_pid())])?),
        // The new limits must be none: to look is all.
        (libc::SYS_prlimit64, any([null(2)])?),
    ];
    if work == Work::Serve {
        calls.extend([
            // The runtime tells itself of signals through such a pair.
            (libc::SYS_socketpair, any([equal(0, libc::AF_UNIX)])?),
            // Whether a socket waits, how much there is, whether and how wide a
            // terminal is. Others put words into the terminal's mouth.
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

/// One of these.
fn any<const N: usize>(conditions: [Condition; N]) -> Result<Vec<SeccompRule>, BackendError> {
    conditions
        .into_iter()
        .map(|condition| SeccompRule::new(vec![condition?]))
        .collect()
}

/// The kernel looks at 32 bits of such an argument, and so does this.
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
    fn the_lists_make_filters_and_name_no_call_twice() {
        let mut all: Vec<c_long> = [COMPUTE, SERVE, OLDER].concat();
        let partly = in_part(Work::Serve).unwrap();
        all.extend(partly.iter().map(|(call, _)| *call));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (work, expected) in [
            (Work::Serve, count),
            (Work::Compute, COMPUTE.len() + partly.len() - 2),
        ] {
            let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
            let (program, count) = program(work, arch).unwrap();
            assert_eq!(count, expected);
            // The kernel takes no longer ones.
            assert!(program.len() < 4096, "{}", program.len());
        }
    }
}
