//! Generates `guest-sdk/rust/src/component/bindings.rs` from `wit/`:
//!
//! ```text
//! cargo run --manifest-path guest-sdk/bindgen/Cargo.toml
//! ```
//!
//! It also copies the WIT text beside the bindings. A test of the SDK compares
//! the copy with `wit/` to detect outdated bindings.

use std::fs;
use std::path::Path;

use anyhow::Context;
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let wit = root.join("wit");
    let source = root.join("guest-sdk/rust/src/component");
    fs::write(source.join("bindings.rs"), generate(&wit)?)?;
    fs::copy(wit.join("world.wit"), source.join("bindings.wit"))?;
    Ok(())
}

fn generate(wit: &Path) -> anyhow::Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some("environment"))?;
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        export_macro_name: Some("__export_component".to_owned()),
        default_bindings_module: Some("::orwd_sdk::__private::bindings".to_owned()),
        runtime_path: Some("::orwd_sdk::__private::rt".to_owned()),
        bitflags_path: Some("::orwd_sdk::__private::bitflags".to_owned()),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let (_, text) = files.iter().next().context("one file of bindings")?;
    Ok(String::from_utf8(text.to_vec())?)
}
