//! The arrows between the rooms of the host point one way.
//!
//! `ARCHITECTURE.md` promises it; this reads every source file and holds what
//! it names against the promise. Tests inside a room are held to it too.

#![allow(clippy::unwrap_used, reason = "what fails is the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// A room, and what it may not name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "model",
        &[
            "crate::journal",
            "crate::cli",
            "crate::config",
            "crate::ors",
            "crate::session",
            "crate::catalog",
            "crate::engine",
            "crate::sandbox",
            "wasmtime",
            "hyper",
            "tokio",
            "axum",
        ],
    ),
    // It is put up by whoever runs, and knows nothing of what is run.
    (
        "walls",
        &[
            "crate::cli",
            "crate::config",
            "crate::ors",
            "crate::session",
            "crate::catalog",
            "crate::engine",
            "crate::sandbox",
            "crate::model",
            "wasmtime",
            "hyper",
            "tokio",
        ],
    ),
    (
        "sandbox",
        &[
            "crate::journal",
            "crate::cli",
            "crate::config",
            "crate::ors",
            "crate::session",
            "crate::catalog",
            "crate::engine",
            "hyper",
        ],
    ),
    (
        "engine",
        &[
            "crate::journal",
            "crate::cli",
            "crate::config",
            "crate::ors",
            "crate::session",
            "crate::catalog",
            "hyper",
            "http::",
        ],
    ),
    (
        "catalog",
        &[
            "crate::journal",
            "crate::cli",
            "crate::ors",
            "crate::session",
            "hyper",
            "wasmtime::",
        ],
    ),
    (
        "journal",
        &[
            "crate::cli",
            "crate::config",
            "crate::ors",
            "crate::session",
            "crate::catalog",
            "crate::engine",
            "crate::sandbox",
            "hyper",
            "wasmtime",
        ],
    ),
    (
        "session",
        &[
            "crate::cli",
            "crate::config",
            "crate::ors",
            "hyper",
            "wasmtime",
        ],
    ),
    (
        "ors",
        &[
            "crate::cli",
            "crate::config",
            "crate::engine",
            "crate::sandbox",
            "crate::catalog",
            "wasmtime",
        ],
    ),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines that are code: comments may name what they like.
fn code(path: &Path) -> impl Iterator<Item = (usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<(usize, String)> = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim().to_owned()))
        .filter(|(_, line)| !line.starts_with("//"))
        .collect();
    lines.into_iter()
}

#[test]
fn arrows_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (room, forbidden) in FORBIDDEN {
        let mut files = Vec::new();
        sources(&src.join(room), &mut files);
        assert!(!files.is_empty(), "the room {room} is gone");
        for file in files {
            for (number, line) in code(&file) {
                for name in *forbidden {
                    if line.contains(name) {
                        wrong.push(format!("{}:{number} names {name}", file.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stands_in_one_place() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let with: Vec<_> = files
        .into_iter()
        .filter(|file| code(file).any(|(_, line)| line.contains("unsafe {")))
        .map(|file| file.strip_prefix(&src).unwrap().to_owned())
        .collect();
    assert_eq!(with, [Path::new("engine/component.rs")]);
}
