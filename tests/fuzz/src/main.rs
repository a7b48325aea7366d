//! The fuzz targets: `orwd-fuzz TARGET [libFuzzer arguments]`.
//!
//! One program, because linking the host takes long. A target panics on a
//! finding.

mod byte_reader;
mod driver;
mod events;
mod framing;
mod json;
mod manifest;
mod request;
mod results;
mod scan;

use std::process::ExitCode;

use driver::FuzzTarget;

/// Every target by its name, which is also the name of its seed directory.
const TARGETS: [(&str, FuzzTarget); 7] = [
    ("framing", framing::run),
    ("request", request::run),
    ("events", events::run),
    ("results", results::run),
    ("overlay", orwd_overlay::fuzzing::overlay),
    ("manifest", manifest::run),
    ("scan", scan::run),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let name = arguments.next().unwrap_or_default();
    match TARGETS.into_iter().find(|(target, _)| *target == name) {
        Some((_, target)) => driver::run(target, program, arguments),
        None => {
            let names = TARGETS.map(|(name, _)| name).join(", ");
            eprintln!("orwd-fuzz: unknown target; pass one of {names}");
            ExitCode::from(2)
        }
    }
}
