//! Attributes of files.
//!
//! Nothing of the host shows: files are identified by a hash of their origin.
//! The timestamp of lower files is a constant, and files that the session wrote
//! carry the session's time. So two sessions that do the same at the same times
//! see the same.

use std::sync::Arc;

use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use crate::error::{ErrorCode, Result};
use crate::lower::FileKind;
use crate::upper::layer::UpperLayer;
use crate::upper::location::{Found, Location};
use crate::upper::node::{Body, LOWER_TIME, NodeId, Origin};

/// The attributes that `stat` returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileStat {
    pub(crate) kind: FileKind,
    pub(crate) size: u64,
    pub(crate) links: u64,
    pub(crate) accessed: Datetime,
    pub(crate) modified: Datetime,
}

/// How to set a timestamp.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SetTime {
    Keep,
    /// The session's time.
    Now,
    To(Datetime),
}

impl SetTime {
    fn apply(self, to: &mut Datetime, now: Datetime) {
        match self {
            SetTime::Keep => {}
            SetTime::Now => *to = now,
            SetTime::To(time) => *to = time,
        }
    }

    fn check(self) -> Result<()> {
        match self {
            SetTime::To(time) if time.nanoseconds >= 1_000_000_000 => Err(ErrorCode::Invalid),
            _ => Ok(()),
        }
    }
}

impl UpperLayer {
    pub(crate) fn stat(&self, at: &Location) -> Result<FileStat> {
        let stat = self.attributes(at)?;
        self.observed.size(stat.size);
        Ok(stat)
    }

    fn attributes(&self, at: &Location) -> Result<FileStat> {
        match at {
            Location::Upper(id) => {
                let node = self.node(*id)?;
                Ok(FileStat {
                    kind: node.kind(),
                    size: match &node.body {
                        Body::File(content) => content.size(),
                        Body::Link(target) => target.len() as u64,
                        Body::Dir(_) => 0,
                    },
                    links: node.links,
                    accessed: node.accessed,
                    modified: node.modified,
                })
            }
            Location::Lower(path) => {
                let entry = self.lower()?.entry(path)?.ok_or(ErrorCode::NoEntry)?;
                Ok(FileStat {
                    kind: entry.kind,
                    size: match entry.kind {
                        FileKind::Dir => 0,
                        FileKind::File | FileKind::Link => entry.size,
                    },
                    links: 1,
                    accessed: LOWER_TIME,
                    modified: LOWER_TIME,
                })
            }
        }
    }

    /// Returns a hash that identifies the file at a location for as long as it
    /// exists.
    pub(crate) fn hash(&self, at: &Location) -> Result<(u64, u64)> {
        let origin = match at {
            Location::Upper(id) => self.node(*id)?.origin.clone(),
            Location::Lower(path) => Origin::Lower(Arc::from(path.as_str())),
        };
        let mut hasher = blake3::Hasher::new();
        match &origin {
            Origin::Lower(path) => hasher.update(b"base").update(path.as_bytes()),
            Origin::Created(count) => hasher.update(b"made").update(&count.to_le_bytes()),
        };
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        let both = u128::from_le_bytes(bytes);
        Ok((both as u64, (both >> 64) as u64))
    }

    pub(crate) fn set_times(
        &mut self,
        id: NodeId,
        accessed: SetTime,
        modified: SetTime,
    ) -> Result<()> {
        accessed.check()?;
        modified.check()?;
        self.copy_up_for_times(id)?;
        let now = self.now();
        let node = self.node_mut(id)?;
        accessed.apply(&mut node.accessed, now);
        modified.apply(&mut node.modified, now);
        Ok(())
    }

    /// Finds the target of a path.
    pub(crate) fn find(&self, from: NodeId, path: &str, follow: bool) -> Result<Found> {
        self.resolve(from, path, follow)?.found()
    }
}
