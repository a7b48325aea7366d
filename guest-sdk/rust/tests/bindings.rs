//! The committed bindings match `wit/`.
//!
//! Users build without WIT tooling, so the generated bindings are committed,
//! with a copy of the WIT text that they were generated from.

#![allow(clippy::unwrap_used, reason = "what fails is the test")]

use std::fs;
use std::path::Path;

#[test]
fn the_bindings_match_the_wit_package() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(here.join(path)).unwrap();
    for (copy, original) in [
        ("bindings.wit", "world.wit"),
        ("network.wit", "network/http.wit"),
    ] {
        assert!(
            read(&format!("src/component/{copy}")) == read(&format!("../../wit/{original}")),
            "the bindings in src/component are not what wit/{original} gives; make them anew with\n  \
             cargo run --manifest-path guest-sdk/bindgen/Cargo.toml"
        );
    }
}
