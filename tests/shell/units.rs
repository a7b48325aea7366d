//! The unit tests of `guest-sdk/shell` that need no evaluator. That crate is outside the
//! workspace, and building it natively, with its 150 dependencies, takes minutes; these
//! files take a second.

#![allow(dead_code, reason = "the evaluator uses the rest")]

#[path = "../../guest-sdk/shell/src/guard/arguments.rs"]
mod arguments;
#[path = "../../guest-sdk/shell/src/guard/backtracking.rs"]
mod backtracking;
#[path = "../../guest-sdk/shell/src/guard/digits.rs"]
mod digits;
#[path = "../../guest-sdk/shell/src/files/error.rs"]
mod error;
#[path = "../../guest-sdk/shell/src/jq/lexer.rs"]
mod lexer;
#[path = "../../guest-sdk/shell/src/ls/options.rs"]
mod options;
#[path = "../../guest-sdk/shell/src/output.rs"]
mod output;
#[path = "../../guest-sdk/shell/src/files/paths.rs"]
mod paths;
#[path = "../../guest-sdk/shell/src/guard/scripts.rs"]
mod scripts;
#[path = "../../guest-sdk/shell/src/guard/sums.rs"]
mod sums;
#[path = "../../guest-sdk/shell/src/jq/text/surrogates.rs"]
mod surrogates;
#[path = "../../guest-sdk/shell/src/ls/table.rs"]
mod table;
