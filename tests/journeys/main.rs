//! Stories of an operator at the command line: what `orwd` says and does when
//! it is started, used up, attacked and stopped.
//!
//! Each story starts its own server, with the flags that it is about. Times
//! are generous, since the machine may be busy: a limit is shown to bite, and
//! not how fast.

mod admission;
mod authoring;
mod beyond;
mod data;
mod determinism;
mod door;
mod durable;
mod faults;
mod flood;
mod hostile;
mod inspecting;
mod limits;
mod logs;
mod manifest;
mod once;
mod playing;
mod recipes;
mod refusals;
mod secrets;
mod smuggling;
mod stopping;
mod storage;
mod waiting;
mod walls;

use std::path::Path;
use std::time::Duration;

use orwd_tests::artifacts::{component, components};
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;

/// Longer than anything takes that is going to happen at all.
const SOON: Duration = Duration::from_secs(30);

/// A file as a string in TOML.
fn quoted(path: &Path) -> String {
    serde_json::to_string(path.to_str().expect("a UTF-8 path")).expect("a string")
}

/// The folder of an environment with this manifest, whose component is that
/// of a fixture. The manifest's tables come after its plain keys.
fn folder(scratch: &Scratch, name: &str, fixture: &str, keys: &str, tables: &str) -> String {
    let component = quoted(component(fixture));
    let manifest =
        format!("name = \"{name}\"\n{keys}\n[build]\ncomponent = {component}\n{tables}\n");
    scratch.write(&format!("{name}/orwd.toml"), manifest);
    scratch.at(name)
}

/// Serves a path of the test's own making.
fn serve(path: impl Into<std::ffi::OsString>) -> Serve {
    components();
    Serve::path(path)
}
