//! Errors of files as the evaluator expects them: commands print the text that
//! bash prints for each kind.

use std::io::{Error, ErrorKind};

pub(crate) fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "not found")
}

pub(crate) fn read_only() -> Error {
    Error::new(ErrorKind::ReadOnlyFilesystem, "Read-only file system")
}

pub(crate) fn is_a_directory() -> Error {
    // The text that the evaluator translates.
    Error::other("is a directory")
}

pub(crate) fn not_a_directory() -> Error {
    Error::new(ErrorKind::NotADirectory, "not a directory")
}

pub(crate) fn exists() -> Error {
    Error::new(ErrorKind::AlreadyExists, "File exists")
}

pub(crate) fn not_empty() -> Error {
    Error::other("Directory not empty")
}

pub(crate) fn too_large() -> Error {
    Error::new(ErrorKind::FileTooLarge, "File too large")
}

pub(crate) fn busy() -> Error {
    Error::other("Device or resource busy")
}

pub(crate) fn cross_device() -> Error {
    Error::other("Invalid cross-device link")
}

pub(crate) fn too_many_digits() -> Error {
    Error::other("a number in braces has too many digits")
}

/// Replaces the text of the system, which ends in a number, by the kind's.
pub(crate) fn named(error: Error) -> Error {
    let text = match error.kind() {
        ErrorKind::NotFound => return not_found(),
        ErrorKind::AlreadyExists => return exists(),
        ErrorKind::IsADirectory => return is_a_directory(),
        ErrorKind::NotADirectory => return not_a_directory(),
        ErrorKind::DirectoryNotEmpty => return not_empty(),
        ErrorKind::ReadOnlyFilesystem => return read_only(),
        ErrorKind::FileTooLarge => return too_large(),
        ErrorKind::StorageFull => "No space left on device",
        ErrorKind::QuotaExceeded => "Disk quota exceeded",
        ErrorKind::InvalidFilename => "File name too long",
        ErrorKind::InvalidInput => "Invalid argument",
        // A path that leaves the folder.
        ErrorKind::PermissionDenied => "Permission denied",
        _ => return error,
    };
    Error::new(error.kind(), text)
}
