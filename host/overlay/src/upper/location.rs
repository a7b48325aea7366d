//! Locations of files in the two layers, and resolved paths.

use crate::error::{ErrorCode, Result};
use crate::lower::FileKind;
use crate::upper::node::NodeId;

/// Bytes of a path, and of a symbolic link's target.
pub(crate) const MAX_PATH: usize = 4096;

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// In the upper layer.
    Upper(NodeId),
    /// In the lower layer, unmodified.
    Lower(String),
}

/// A file that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) location: Location,
    pub(crate) kind: FileKind,
}

/// A directory on the path.
#[derive(Clone, Debug)]
pub(crate) struct DirStep {
    pub(crate) location: Location,
    pub(crate) name: String,
}

/// A resolved path.
#[derive(Debug)]
pub(crate) struct ResolvedPath {
    /// The directories on the path, each in the previous one.
    pub(crate) dirs: Vec<DirStep>,
    pub(crate) last: LastComponent,
    /// Whether the path ends in a slash or a dot, and so names a directory.
    pub(crate) is_dir: bool,
}

/// The last component of a path.
#[derive(Debug)]
pub(crate) enum LastComponent {
    /// The last of the directories itself.
    Dot,
    /// A name in it, and the file under that name.
    Named(String, Option<Found>),
}

impl ResolvedPath {
    /// Returns the target of the path, if it exists and has the kind that the
    /// path implies.
    pub(crate) fn found(&self) -> Result<Found> {
        match &self.last {
            LastComponent::Dot => {
                let step = self.dirs.last().ok_or(ErrorCode::BadDescriptor)?;
                Ok(Found {
                    location: step.location.clone(),
                    kind: FileKind::Dir,
                })
            }
            LastComponent::Named(_, None) => Err(ErrorCode::NoEntry),
            LastComponent::Named(_, Some(child)) if self.is_dir && child.kind != FileKind::Dir => {
                Err(ErrorCode::NotDirectory)
            }
            LastComponent::Named(_, Some(child)) => Ok(child.clone()),
        }
    }
}
