//! Transcripts: scripted episodes as JSON lines.
//!
//! The first line says what is played; each further line calls a tool:
//!
//! ```text
//! {"split": "train", "index": 0, "seed": 7}
//! {"tool": "add", "input": {"by": 2}, "expect": {"text": "2", "finished": false}}
//! ```
//!
//! `orwd play --script` plays a transcript on a server, and the examples play
//! theirs natively in a unit test. Both read it with this crate. Fields that
//! `expect` omits are not compared. One rule always holds: a call that is
//! refused or fails must be expected by `error`.

mod expectation;
mod script;

pub use expectation::{CallResult, Expectation, Mismatch};
pub use script::{Call, Script, ScriptError, ScriptStart, ScriptStep};
