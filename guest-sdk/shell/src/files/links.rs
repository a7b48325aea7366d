//! Symbolic links.

use std::io;
use std::path::Path;

/// Creates a link. The target is relative.
#[cfg(target_arch = "wasm32")]
pub(crate) fn create(target: &Path, link: &Path) -> io::Result<()> {
    use std::io::{Error, ErrorKind};
    use wasip2::filesystem::{preopens, types::ErrorCode};

    let directories = preopens::get_directories();
    let below = directories.iter().filter_map(|(directory, name)| {
        let rest = link.strip_prefix(name).ok()?;
        Some((directory, name.len(), rest))
    });
    let Some((directory, _, rest)) = below.max_by_key(|(_, length, _)| *length) else {
        return Err(Error::from(ErrorKind::NotFound));
    };
    let (Some(target), Some(rest)) = (target.to_str(), rest.to_str()) else {
        return Err(Error::from(ErrorKind::InvalidFilename));
    };
    directory
        .symlink_at(target, rest)
        .map_err(|code| match code {
            ErrorCode::Exist => Error::from(ErrorKind::AlreadyExists),
            ErrorCode::NoEntry => Error::from(ErrorKind::NotFound),
            ErrorCode::NotDirectory => Error::from(ErrorKind::NotADirectory),
            ErrorCode::ReadOnly => Error::from(ErrorKind::ReadOnlyFilesystem),
            ErrorCode::InsufficientSpace => Error::from(ErrorKind::StorageFull),
            ErrorCode::NameTooLong => Error::from(ErrorKind::InvalidFilename),
            _ => Error::from(ErrorKind::PermissionDenied),
        })
}

/// Creates a link. The target is relative.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn create(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}
