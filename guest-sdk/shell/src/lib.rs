//! A bash evaluator on the files of a session.
//!
//! A guest has no processes. [`Shell`] interprets bash inside the guest instead:
//! about 150 commands (`grep`, `sed`, `awk`, `jq`, `find`, `tar`, `diff` and
//! others) run on the real files of the session, so that tools, graders and the
//! shell see the same tree. Clocks, random numbers and sleeps are those of the
//! session, so a replay repeats each command.
//!
//! Environments use it as `orwd_sdk::shell`, with the feature `shell`.

mod compressed;
mod data_tools;
mod fenced;
mod files;
mod guard;
mod jq;
mod limits;
mod ls;
mod missing;
mod output;
mod shell;
mod yaml;

pub use limits::{MAX_FILE, ShellLimits};
pub use shell::{Shell, ShellOutput};
