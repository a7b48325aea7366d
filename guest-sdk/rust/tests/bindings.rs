//! The committed bindings are those of `wit/`.
//!
//! Users build without WIT tooling, so what the generator makes is in the
//! repository; this test is what keeps it true. After a change to `wit/`:
//!
//! ```text
//! ORWD_REGENERATE=1 cargo test -p orwd-sdk --test bindings
//! ```

#![allow(clippy::expect_used, reason = "what fails is the test")]

use std::{env, fs, path::Path};

use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};

fn generate(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).expect("wit/ parses");
    let world = resolve
        .select_world(&[package], Some("environment"))
        .expect("the world `environment` exists");
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
    options
        .build()
        .generate(&mut resolve, world, &mut files)
        .expect("bindings can be made");
    let (_, text) = files.iter().next().expect("one file of bindings");
    String::from_utf8(text.to_vec()).expect("bindings are text")
}

#[test]
fn committed_bindings_are_those_of_the_wit_package() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = here.join("src/bindings.rs");
    let fresh = generate(&here.join("../../wit"));
    if env::var_os("ORWD_REGENERATE").is_some() {
        fs::write(&committed, &fresh).expect("src/bindings.rs can be written");
    }
    let old = fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        old == fresh,
        "src/bindings.rs is not what wit/ gives; make it anew with\n  \
         ORWD_REGENERATE=1 cargo test -p orwd-sdk --test bindings"
    );
}
