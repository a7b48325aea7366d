//! A bash for agents: an evaluator on the files of the session, without processes.
//!
//! ```ignore
//! use orwd_sdk::files::FileTools;
//! use orwd_sdk::prelude::*;
//! use orwd_sdk::shell::{BashTool, SharedShell};
//!
//! struct Desk {
//!     bash: BashTool,
//!     files: FileTools,
//! }
//!
//! // in `open`
//! let work = data_dir().join("work");
//! let shell = SharedShell::at(&work);
//! Ok(Self { bash: BashTool::new(&shell), files: FileTools::at(&work) })
//!
//! #[tools(toolsets(bash: BashTool, files: FileTools))]
//! impl Desk {}
//! ```
//!
//! The build script of the environment must enlarge the stack of the component,
//! since the evaluator is recursive:
//!
//! ```ignore
//! // build.rs
//! fn main() {
//!     println!("cargo::rustc-link-arg-cdylib=-zstack-size=8388608");
//! }
//! ```

mod bash;
mod shared;
mod toolsets;

pub use bash::BashTool;
pub use orwd_sdk_shell::{MAX_FILE, Shell, ShellLimits, ShellOutput};
pub use shared::SharedShell;
pub use toolsets::{ClaudeCode, Codex, GeminiCli, Hermes, OpenClaw};
