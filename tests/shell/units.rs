//! The unit tests of `guest-sdk/shell` that need no evaluator. That crate is outside the
//! workspace, and building it natively, with its 150 dependencies, takes minutes; these
//! files take a second.

#![allow(dead_code, reason = "the evaluator uses the rest")]

#[path = "../../guest-sdk/shell/src/error.rs"]
mod error;
#[path = "../../guest-sdk/shell/src/guard/expressions.rs"]
mod expressions;
#[path = "../../guest-sdk/shell/src/jq/lexer.rs"]
mod lexer;
#[path = "../../guest-sdk/shell/src/output.rs"]
mod output;
#[path = "../../guest-sdk/shell/src/paths.rs"]
mod paths;
#[path = "../../guest-sdk/shell/src/jq/text/surrogates.rs"]
mod surrogates;
