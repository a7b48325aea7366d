//! What is built, and the result.

use std::path::{Path, PathBuf};

use orwd_model::Digest;

use crate::manifest::Manifest;

/// Target that components are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// A component file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltComponent {
    /// The file.
    pub component: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Digest of the bytes.
    pub digest: Digest,
}

/// A folder to build.
#[derive(Clone, Copy, Debug)]
pub struct BuildJob<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Its manifest.
    pub manifest: &'a Manifest,
}

/// Reports progress to a person.
pub type Progress<'a> = &'a dyn Fn(&str);
