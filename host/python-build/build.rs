//! Embeds the Python package that builds components, the interface that they
//! implement, and the wheels for WASI with the recipes of further ones, so that the program needs no source tree.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let root = root.canonicalize()?;
    let python = root.join("guest-sdk/python");
    let mut files = Vec::new();
    add(&python.join("src/orwd_build"), "src/orwd_build", &mut files)?;
    let wheels = python.join("wheels");
    for folder in ["dist", "recipes", "support", "wasi_wheels"] {
        add(
            &wheels.join(folder),
            &format!("wheels/{folder}"),
            &mut files,
        )?;
    }
    for file in ["build.py", "digests.txt", "tools.toml"] {
        files.push((format!("wheels/{file}"), wheels.join(file)));
    }
    files.push(("world.wit".to_owned(), root.join("wit/world.wit")));
    files.push(("http.wit".to_owned(), root.join("wit/network/http.wit")));
    files.sort();
    let mut code = String::from("pub(crate) const FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in &files {
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),")?;
        println!("cargo::rerun-if-changed={}", path.display());
    }
    code.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("files.rs"), code)?;
    Ok(())
}

/// Adds the files below a folder, and has the script run again when a file
/// appears.
fn add(
    folder: &Path,
    name: &str,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with('.') || file == "__pycache__" || file == "target" {
            continue;
        }
        let name = format!("{name}/{file}");
        if entry.file_type()?.is_dir() {
            add(&entry.path(), &name, files)?;
        } else {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}
