//! The fuzz targets: `orwd-fuzz TARGET [libFuzzer's arguments]`.
//!
//! One program, since what takes long is linking the host. A target panics on
//! a finding; what the fuzzer makes of that is its affair.

mod driver;
mod events;
mod input;
mod json;
mod manifest;
mod request;
mod results;
mod scan;
mod wire;

use std::process::ExitCode;

use driver::Target;

/// Every target by its name, which is also that of its folder of seeds.
const TARGETS: [(&str, Target); 7] = [
    ("wire", wire::run),
    ("request", request::run),
    ("events", events::run),
    ("results", results::run),
    ("tree", orwd_overlay::fuzzing::tree),
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
            eprintln!("orwd-fuzz: name a target: {names}");
            ExitCode::from(2)
        }
    }
}
