//! What the kernel keeps from this process, should a guest ever get out.
//!
//! WebAssembly is the wall between a guest and the host. If it had a hole,
//! whoever came through would be the host: its files, its network, its user's
//! other programs. So the process gives up, for good and before it lets a guest
//! run, all that it does not need from then on: privileges, core dumps, files
//! ([`Needs`] lists those that it keeps), networks beyond the socket it
//! already has, signals to others, new programs, new executable memory, and all
//! system calls but those of a list.
//!
//! Nothing of this is needed for the host to work, so a kernel that lacks a part
//! makes the rest stand alone, and [`Walls`] says what is missing; it is for the
//! caller to decide whether that will do.
//!
//! Rules on files hold for a thread and those that it starts. They must be put
//! up while there is one thread alone; kernels from Landlock 8 on take all.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
mod needs;
#[cfg(target_os = "linux")]
mod privileges;

use std::fmt;
use std::path::PathBuf;

pub use needs::{Access, Needs, Work};

/// What stands around this process, and what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walls {
    standing: Vec<String>,
    missing: Vec<Missing>,
}

/// A wall that this kernel does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    what: &'static str,
    why: String,
}

/// Why no walls are put up.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used: {reason}", path.display())]
pub struct WallsError {
    path: PathBuf,
    reason: String,
}

/// Gives up, for the rest of this process's life, all that these needs do not
/// name. What this kernel has no wall for is told by the result.
///
/// # Errors
///
/// A place that is needed is not there. Then some walls may stand and others
/// not, and the process should end.
#[cfg(target_os = "linux")]
pub fn raise(needs: &Needs) -> Result<Walls, WallsError> {
    let mut walls = Walls::default();
    walls.note("privileges", privileges::give_up());
    walls.note("core dumps", privileges::leave_no_dump());
    for (what, outcome) in files::restrict(needs)? {
        walls.note(what, outcome);
    }
    // The last, since the others take calls that it does not let through.
    walls.note("system calls", calls::restrict(needs.work()));
    Ok(walls)
}

/// There are no walls here.
#[cfg(not(target_os = "linux"))]
pub fn raise(_: &Needs) -> Result<Walls, WallsError> {
    let mut walls = Walls::default();
    walls.note(
        "system calls and files",
        Err("this is not Linux".to_owned()),
    );
    Ok(walls)
}

impl Walls {
    fn note(&mut self, what: &'static str, outcome: Result<String, String>) {
        match outcome {
            Ok(how) => self.standing.push(format!("{what}: {how}")),
            Err(why) => self.missing.push(Missing { what, why }),
        }
    }

    /// What is missing; nothing on a recent Linux.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }
}

impl Missing {
    /// The wall that it is, such as `files` or `system calls`.
    pub fn what(&self) -> &'static str {
        self.what
    }
}

/// What stands, for the log.
impl fmt::Display for Walls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.standing.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.standing.join("; "))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}
