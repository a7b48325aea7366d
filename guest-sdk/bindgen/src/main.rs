//! Generates the bindings in `guest-sdk/rust/src/component` from `wit/`:
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
    fs::write(
        source.join("bindings.rs"),
        generate(&wit, "environment", "bindings")?,
    )?;
    fs::copy(wit.join("world.wit"), source.join("bindings.wit"))?;
    let network = wit.join("network");
    fs::write(
        source.join("network.rs"),
        generate(&network, "client", "network_bindings")?,
    )?;
    fs::copy(network.join("http.wit"), source.join("network.wit"))?;
    Ok(())
}

/// Generates the bindings of a world, which the SDK names `module`.
fn generate(wit: &Path, world: &str, module: &str) -> anyhow::Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        export_macro_name: Some("__export_component".to_owned()),
        default_bindings_module: Some(format!("::orwd_sdk::__private::{module}")),
        runtime_path: Some("::orwd_sdk::__private::rt".to_owned()),
        bitflags_path: Some("::orwd_sdk::__private::bitflags".to_owned()),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let (_, text) = files.iter().next().context("one file of bindings")?;
    Ok(String::from_utf8(text.to_vec())?)
}
