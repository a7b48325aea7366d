//! The committed bindings are those of `wit/`.
//!
//! Users build without WIT tooling, so what the generator makes is in the
//! repository, with a copy of the text that it was made from.

#![allow(clippy::unwrap_used, reason = "what fails is the test")]

use std::fs;
use std::path::Path;

#[test]
fn the_bindings_were_made_from_the_wit_package_as_it_is() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(here.join(path)).unwrap();
    assert!(
        read("src/bindings.wit") == read("../../wit/world.wit"),
        "src/bindings.rs is not what wit/ gives; make it anew with\n  \
         cargo run --manifest-path guest-sdk/bindgen/Cargo.toml"
    );
}
