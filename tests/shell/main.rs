//! The shell inside an environment: bash and file tools of `examples/workbench`,
//! as clients use them.
//!
//! `commands.jsonl` is a table of command lines with what bash 5.2 prints. To
//! record it again with the `bash` of this machine, set `ORWD_SHELL_RECORD`.

mod commands;
mod durability;
mod file_tools;
mod jq;
mod support;
mod tool;
mod toolsets;
mod workbench;
