//! The files of the pages, which are part of the program.

use std::sync::LazyLock;

const STYLE: &str = include_str!("../assets/app.css");
const SCRIPT: &str = include_str!("../assets/app.js");
const ICON: &str = include_str!("../assets/icon.svg");

/// A file of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The content.
    pub content: &'static str,
    /// The type of the content.
    pub media_type: &'static str,
}

/// The version of the files, which is in their addresses, so that browsers keep
/// them until they change.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for content in [STYLE, SCRIPT, ICON] {
        hasher.update(content.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(12).collect()
});

/// Returns a file by its name, if there is one.
pub fn asset(name: &str) -> Option<Asset> {
    let (content, media_type) = match name {
        "app.css" => (STYLE, "text/css; charset=utf-8"),
        "app.js" => (SCRIPT, "text/javascript; charset=utf-8"),
        "icon.svg" => (ICON, "image/svg+xml"),
        _ => return None,
    };
    Some(Asset {
        content,
        media_type,
    })
}
