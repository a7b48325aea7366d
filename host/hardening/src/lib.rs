//! Process hardening: what the kernel denies this process, should a guest
//! escape its sandbox.
//!
//! WebAssembly is the boundary between a guest and the host. A guest that
//! escaped it would be the host: its files, its network, its user's other
//! programs. So the process gives up, irrevocably and before a guest runs,
//! everything that it no longer needs: privileges, capabilities, core dumps,
//! files (the [`Policy`] lists those that it keeps), networks other than its open sockets,
//! signals to other processes, new programs, new executable memory, and all
//! system calls that are not on a list.
//!
//! The host works without any of this. On a kernel that lacks a part, the other
//! parts still apply, and the [`HardeningReport`] names what is missing. The
//! caller decides whether that is enough.
//!
//! File rules apply to a thread and to those that it starts. They must be
//! applied while there is only one thread; since Landlock 8 they can cover all.

mod apply;
#[cfg(target_os = "linux")]
mod landlock;
mod policy;
#[cfg(target_os = "linux")]
mod privileges;
mod report;
#[cfg(target_os = "linux")]
mod seccomp;

pub use apply::apply;
pub use policy::{PathAccess, Policy, Workload};
pub use report::{HardeningError, HardeningReport, MissingProtection};
