//! What an attacker would try on a compromised host.
//!
//! Attempts that would harm a machine without hardening pass arguments that the
//! kernel checks and refuses. After hardening, the kernel does not get that far.

#![allow(
    unsafe_code,
    reason = "an attacker on a compromised host is not limited to safe code"
)]

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::null;

use libc::{c_int, c_long};

use super::scene::{
    Ended,
    Protection::{self, Calls, Files},
    Scene,
};

pub(crate) type Attempt = (&'static str, Protection, fn(&Scene) -> Ended);

/// Makes a system call.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {{
        // SAFETY: each use below passes pointers that are null or valid for the
        // call, and none changes memory that Rust code looks at.
        let result = unsafe { libc::syscall($number $(, $argument)*) };
        of(result)
    }};
}

fn of(result: c_long) -> Ended {
    if result < 0 {
        Err(io::Error::last_os_error().raw_os_error().unwrap_or(-1))
    } else {
        Ok(())
    }
}

const NOTHING: *const u8 = null();
const NONE: c_int = -1;

pub(crate) const ALL: &[Attempt] = &[
    // Other programs.
    ("execve", Calls, |_| {
        call!(libc::SYS_execve, NOTHING, NOTHING, NOTHING)
    }),
    ("execveat", Calls, |_| {
        call!(
            libc::SYS_execveat,
            NONE,
            c"".as_ptr(),
            NOTHING,
            NOTHING,
            libc::AT_EMPTY_PATH
        )
    }),
    ("fork", Calls, |_| fork(libc::SIGCHLD)),
    ("fork that shares memory", Calls, |_| {
        call!(libc::SYS_clone3, NOTHING, 0)
    }),
    ("a thread in a network of its own", Calls, |_| {
        let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_NEWUSER;
        call!(libc::SYS_clone, flags, 0, 0, 0, 0)
    }),
    // Other processes.
    ("ptrace", Calls, |_| {
        call!(libc::SYS_ptrace, libc::PTRACE_ATTACH, NONE, 0, 0)
    }),
    ("process_vm_readv", Calls, |_| {
        call!(
            libc::SYS_process_vm_readv,
            parent(),
            NOTHING,
            0,
            NOTHING,
            0,
            0
        )
    }),
    ("process_vm_writev", Calls, |_| {
        call!(
            libc::SYS_process_vm_writev,
            parent(),
            NOTHING,
            0,
            NOTHING,
            0,
            0
        )
    }),
    ("pidfd_open", Calls, |_| {
        call!(libc::SYS_pidfd_open, parent(), 0)
    }),
    ("pidfd_getfd", Calls, |_| {
        call!(libc::SYS_pidfd_getfd, NONE, 0, 0)
    }),
    ("pidfd_send_signal", Calls, |_| {
        call!(libc::SYS_pidfd_send_signal, NONE, 0, NOTHING, 0)
    }),
    ("kill", Calls, |_| call!(libc::SYS_kill, parent(), 0)),
    ("tgkill another", Calls, |_| {
        call!(libc::SYS_tgkill, parent(), parent(), 0)
    }),
    ("kcmp", Calls, |_| {
        call!(libc::SYS_kcmp, parent(), parent(), 0, 0, 0)
    }),
    ("setpriority", Calls, |_| {
        call!(libc::SYS_setpriority, 0, 0, 0)
    }),
    ("sched_setaffinity", Calls, |_| {
        call!(libc::SYS_sched_setaffinity, 0, 0, NOTHING)
    }),
    ("prlimit of another", Calls, |_| {
        call!(
            libc::SYS_prlimit64,
            parent(),
            libc::RLIMIT_CORE,
            &limit(),
            NOTHING
        )
    }),
    // Hardening itself.
    ("be dumpable again", Calls, |_| {
        call!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)
    }),
    ("another limit", Calls, |_| {
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, &limit(), NOTHING)
    }),
    ("seccomp", Calls, |_| {
        call!(libc::SYS_seccomp, NONE, 0, NOTHING)
    }),
    ("personality", Calls, |_| {
        call!(libc::SYS_personality, 0xffff_ffff_u32)
    }),
    ("setuid", Calls, |_| {
        call!(libc::SYS_setuid, call_number(libc::SYS_getuid))
    }),
    ("setresgid", Calls, |_| {
        call!(libc::SYS_setresgid, NONE, NONE, NONE)
    }),
    ("setgroups", Calls, |_| {
        call!(libc::SYS_setgroups, NONE, NOTHING)
    }),
    ("capset", Calls, |_| {
        call!(libc::SYS_capset, NOTHING, NOTHING)
    }),
    // New code.
    ("map executable memory", Calls, |_| {
        map(libc::PROT_READ | libc::PROT_EXEC).map(|_| ())
    }),
    ("make memory executable", Calls, |_| {
        let page = map(libc::PROT_READ)?;
        call!(
            libc::SYS_mprotect,
            page,
            4096,
            libc::PROT_READ | libc::PROT_EXEC
        )
    }),
    ("make memory executable under a key", Calls, |_| {
        let page = map(libc::PROT_READ)?;
        call!(
            libc::SYS_pkey_mprotect,
            page,
            4096,
            libc::PROT_READ | libc::PROT_EXEC,
            NONE
        )
    }),
    ("attach shared memory", Calls, |_| {
        call!(libc::SYS_shmat, NONE, NOTHING, 0)
    }),
    ("remap_file_pages", Calls, |_| {
        let page = map(libc::PROT_READ)?;
        call!(libc::SYS_remap_file_pages, page, 4096, 1, 0, 0)
    }),
    // Networks.
    ("a TCP socket", Calls, |_| {
        make_socket(libc::AF_INET, libc::SOCK_STREAM)
    }),
    ("a UDP socket", Calls, |_| {
        make_socket(libc::AF_INET, libc::SOCK_DGRAM)
    }),
    ("a TCP socket of version 6", Calls, |_| {
        make_socket(libc::AF_INET6, libc::SOCK_STREAM)
    }),
    ("a Unix socket", Calls, |_| {
        make_socket(libc::AF_UNIX, libc::SOCK_STREAM)
    }),
    ("a netlink socket", Calls, |_| {
        make_socket(libc::AF_NETLINK, libc::SOCK_RAW)
    }),
    ("a packet socket", Calls, |_| {
        make_socket(libc::AF_PACKET, libc::SOCK_RAW)
    }),
    ("a socket to the hypervisor", Calls, |_| {
        make_socket(libc::AF_VSOCK, libc::SOCK_STREAM)
    }),
    ("a pair of network sockets", Calls, |_| {
        call!(
            libc::SYS_socketpair,
            libc::AF_INET,
            libc::SOCK_STREAM,
            0,
            NOTHING
        )
    }),
    ("connect a socket from before", Calls, |scene| {
        connect(scene)
    }),
    ("bind a socket from before", Calls, |scene| {
        let address = address(0);
        let size = size_of::<libc::sockaddr_in>();
        call!(
            libc::SYS_bind,
            scene.socket.as_raw_fd(),
            &raw const address,
            size
        )
    }),
    // The kernel.
    ("bpf", Calls, |_| call!(libc::SYS_bpf, NONE, NOTHING, 0)),
    ("perf_event_open", Calls, |_| {
        call!(libc::SYS_perf_event_open, NOTHING, 0, NONE, NONE, 0)
    }),
    ("io_uring_setup", Calls, |_| {
        call!(libc::SYS_io_uring_setup, 1, NOTHING)
    }),
    ("io_uring_enter", Calls, |_| {
        call!(libc::SYS_io_uring_enter, NONE, 0, 0, 0, NOTHING, 0)
    }),
    ("io_uring_register", Calls, |_| {
        call!(libc::SYS_io_uring_register, NONE, 0, NOTHING, 0)
    }),
    ("io_setup", Calls, |_| call!(libc::SYS_io_setup, 0, NOTHING)),
    ("userfaultfd", Calls, |_| call!(libc::SYS_userfaultfd, NONE)),
    ("keyctl", Calls, |_| {
        call!(libc::SYS_keyctl, NONE, 0, 0, 0, 0)
    }),
    ("add_key", Calls, |_| {
        call!(libc::SYS_add_key, NOTHING, NOTHING, NOTHING, 0, 0)
    }),
    ("request_key", Calls, |_| {
        call!(libc::SYS_request_key, NOTHING, NOTHING, NOTHING, 0)
    }),
    ("init_module", Calls, |_| {
        call!(libc::SYS_init_module, NOTHING, 0, NOTHING)
    }),
    ("finit_module", Calls, |_| {
        call!(libc::SYS_finit_module, NONE, NOTHING, 0)
    }),
    ("delete_module", Calls, |_| {
        call!(libc::SYS_delete_module, NOTHING, 0)
    }),
    ("kexec_load", Calls, |_| {
        call!(libc::SYS_kexec_load, 0, 1000, NOTHING, 0)
    }),
    ("reboot", Calls, |_| {
        call!(libc::SYS_reboot, 0, 0, 0, NOTHING)
    }),
    ("swapon", Calls, |_| call!(libc::SYS_swapon, NOTHING, 0)),
    ("sethostname", Calls, |_| {
        call!(libc::SYS_sethostname, NOTHING, NONE)
    }),
    ("clock_settime", Calls, |_| {
        call!(libc::SYS_clock_settime, 99, NOTHING)
    }),
    ("read the kernel's log", Calls, |_| {
        call!(libc::SYS_syslog, 10, NOTHING, 0)
    }),
    ("move memory between nodes", Calls, |_| {
        call!(libc::SYS_move_pages, 0, 0, NOTHING, NOTHING, NOTHING, 0)
    }),
    // The machine's configuration.
    ("mount", Calls, |_| {
        call!(libc::SYS_mount, NOTHING, NOTHING, NOTHING, 0, NOTHING)
    }),
    ("umount", Calls, |_| call!(libc::SYS_umount2, NOTHING, 0)),
    ("open_tree", Calls, |_| {
        call!(libc::SYS_open_tree, NONE, NOTHING, 0)
    }),
    ("move_mount", Calls, |_| {
        call!(libc::SYS_move_mount, NONE, NOTHING, NONE, NOTHING, 0)
    }),
    ("fsopen", Calls, |_| call!(libc::SYS_fsopen, NOTHING, 0)),
    ("pivot_root", Calls, |_| {
        call!(libc::SYS_pivot_root, NOTHING, NOTHING)
    }),
    ("chroot", Calls, |_| call!(libc::SYS_chroot, NOTHING)),
    ("unshare", Calls, |_| call!(libc::SYS_unshare, 0)),
    ("setns", Calls, |scene| {
        call!(libc::SYS_setns, scene.namespace.as_raw_fd(), 0)
    }),
    ("open a file by its handle", Calls, |_| {
        call!(libc::SYS_open_by_handle_at, NONE, NOTHING, 0)
    }),
    ("make a device", Calls, |_| {
        call!(libc::SYS_mknodat, NONE, NOTHING, 0, 0)
    }),
    ("watch files", Calls, |_| call!(libc::SYS_inotify_init1, 0)),
    ("watch all files", Calls, |_| {
        call!(libc::SYS_fanotify_init, NONE, 0)
    }),
    ("change an owner", Calls, |_| {
        call!(libc::SYS_fchownat, NONE, NOTHING, 0, 0, 0)
    }),
    ("put words into the terminal's mouth", Calls, |_| {
        call!(libc::SYS_ioctl, NONE, libc::TIOCSTI, NOTHING)
    }),
    // Files.
    ("read the users", Files, |_| read(Path::new("/etc/passwd"))),
    ("read a secret", Files, |scene| {
        read(&scene.at("outside/secret"))
    }),
    ("read it below a descriptor from before", Files, |scene| {
        let name = c"secret".as_ptr();
        call!(
            libc::SYS_openat,
            scene.outside.as_raw_fd(),
            name,
            libc::O_RDONLY
        )
    }),
    ("climb out of the data", Files, |scene| {
        let name = c"../outside/secret".as_ptr();
        call!(
            libc::SYS_openat,
            scene.data.as_raw_fd(),
            name,
            libc::O_RDONLY
        )
    }),
    ("follow a link out of the data", Files, |scene| {
        read(&scene.at("data/link"))
    }),
    ("list what is outside", Files, |scene| {
        list(&scene.at("outside"))
    }),
    ("list what lies beside the keys", Files, |scene| {
        list(&scene.at("keys"))
    }),
    ("list the temporary directory", Files, |scene| {
        list(&scene.at("tmp"))
    }),
    ("read this process's own memory", Files, |_| {
        read(Path::new("/proc/self/mem"))
    }),
    ("read its parent's environment", Files, |_| {
        read(Path::new(&format!("/proc/{}/environ", parent())))
    }),
    ("write to the data", Files, |scene| {
        write(&scene.at("data/file"), 0)
    }),
    ("truncate the data", Files, |scene| {
        write(&scene.at("data/file"), libc::O_TRUNC)
    }),
    ("make a file among the data", Files, |scene| {
        write(&scene.at("data/new"), libc::O_CREAT)
    }),
    ("make a directory among the data", Files, |scene| {
        done(fs::create_dir(scene.at("data/made")))
    }),
    ("remove a directory of the data", Files, |scene| {
        done(fs::remove_dir(scene.at("data/folder")))
    }),
    ("write to the keys", Files, |scene| {
        write(&scene.at("keys/keys.toml"), 0)
    }),
    ("make another file of keys", Files, |scene| {
        write(&scene.at("keys/more.toml"), libc::O_CREAT)
    }),
    ("make a file outside", Files, |scene| {
        write(&scene.at("outside/new"), libc::O_CREAT)
    }),
    ("make a file without a name outside", Files, |scene| {
        write(&scene.at("outside"), libc::O_TMPFILE)
    }),
    ("make a directory outside", Files, |scene| {
        done(fs::create_dir(scene.at("outside/made")))
    }),
    ("remove a secret", Files, |scene| {
        done(fs::remove_file(scene.at("outside/secret")))
    }),
    ("remove a file of the data", Files, |scene| {
        done(fs::remove_file(scene.at("data/file")))
    }),
];

/// Opens a socket, as before hardening.
pub(crate) fn socket() -> OwnedFd {
    // SAFETY: the descriptor is new and nobody else's.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        assert!(socket >= 0);
        OwnedFd::from_raw_fd(socket)
    }
}

fn make_socket(family: c_int, kind: c_int) -> Ended {
    call!(libc::SYS_socket, family, kind, 0)
}

fn parent() -> c_int {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::getppid() }
}

fn call_number(number: c_long) -> c_long {
    // SAFETY: the numbers that are passed have no arguments.
    unsafe { libc::syscall(number) }
}

/// Starts a process that exits at once.
fn fork(flags: c_int) -> Ended {
    // SAFETY: the new process does nothing but to end.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if child == 0 {
        // SAFETY: it does not return.
        unsafe { libc::_exit(0) };
    }
    of(child)?;
    // SAFETY: the status pointer is null.
    unsafe { libc::syscall(libc::SYS_wait4, child, NOTHING, 0, NOTHING) };
    Ok(())
}

/// Maps an unused page.
fn map(protection: c_int) -> Result<c_long, i32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping changes no existing memory.
    let page = unsafe { libc::syscall(libc::SYS_mmap, NOTHING, 4096, protection, flags, NONE, 0) };
    of(page).map(|()| page)
}

fn limit() -> libc::rlimit64 {
    libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    }
}

fn address(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap(),
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    }
}

/// Connects to the test, which listens.
fn connect(scene: &Scene) -> Ended {
    let port = scene.elsewhere.rsplit(':').next().unwrap();
    let address = address(port.parse().unwrap());
    let size = size_of::<libc::sockaddr_in>();
    let socket = scene.socket.as_raw_fd();
    call!(libc::SYS_connect, socket, &raw const address, size)
}

fn read(path: &Path) -> Ended {
    done(fs::File::open(path))
}

fn list(path: &Path) -> Ended {
    done(fs::read_dir(path))
}

fn write(path: &Path, flags: c_int) -> Ended {
    if flags & libc::O_TRUNC == 0 {
        return done(
            OpenOptions::new()
                .write(true)
                .custom_flags(flags)
                .mode(0o600)
                .open(path),
        );
    }
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    call!(
        libc::SYS_openat,
        libc::AT_FDCWD,
        path.as_ptr(),
        libc::O_WRONLY | flags,
        0o600
    )
}

fn done<T>(result: io::Result<T>) -> Ended {
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(error.raw_os_error().unwrap_or(-1)),
    }
}
