//! What is built.

use crate::files::AuthorFolder;
use crate::manifest::Manifest;

/// Target that components are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// A folder to build.
#[derive(Clone, Copy, Debug)]
pub struct BuildJob<'a> {
    /// The folder.
    pub folder: &'a AuthorFolder,
    /// Its manifest.
    pub manifest: &'a Manifest,
}

/// Reports progress to a person.
pub type Progress<'a> = &'a dyn Fn(&str);
