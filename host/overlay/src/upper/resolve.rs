//! Path resolution, component by component.
//!
//! There is no outside: a path starts at a directory of the overlay, and `..`
//! undoes one step; with none left it is refused, as are absolute paths.
//! Symbolic links follow the same rules, so one that points outside cannot be
//! followed. Names, paths, depth and the number of links are bounded.

use crate::error::{ErrorCode, Result};
use crate::lower::FileKind;
use crate::upper::layer::{MAX_DEPTH, UpperLayer};
use crate::upper::location::{DirStep, LastComponent, Location, MAX_PATH, ResolvedPath};
use crate::upper::node::{Body, NodeId};

/// Bytes of a name.
const MAX_NAME: usize = 255;

/// Symbolic links followed for one path.
const MAX_LINKS: usize = 40;

/// Components looked up for one path, those of its links included. Each may be
/// a system call, and forty links of 4096 bytes have thousands.
const MAX_STEPS: usize = 512;

/// The remaining components of a path, the next one last.
struct Remaining {
    components: Vec<String>,
    is_dir: bool,
}

impl Remaining {
    fn of(path: &str) -> Result<Remaining> {
        if path.is_empty() {
            return Err(ErrorCode::NoEntry);
        }
        if path.len() > MAX_PATH {
            return Err(ErrorCode::NameTooLong);
        }
        if path.contains('\0') {
            return Err(ErrorCode::IllegalByteSequence);
        }
        if path.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        let mut rest = Remaining {
            components: Vec::new(),
            is_dir: false,
        };
        rest.push(path)?;
        Ok(rest)
    }

    /// Prepends a path to the rest.
    fn push(&mut self, path: &str) -> Result<()> {
        if self.components.is_empty() {
            let end = path.rsplit('/').next();
            self.is_dir |= matches!(end, Some("" | "." | ".."));
        }
        let components = path.rsplit('/');
        self.components.extend(
            components
                .filter(|component| !matches!(*component, "" | "."))
                .map(str::to_owned),
        );
        if self.components.len() > MAX_STEPS {
            return Err(ErrorCode::NameTooLong);
        }
        Ok(())
    }
}

impl UpperLayer {
    /// Resolves a path from a directory. If the last component is a symbolic
    /// link, it is followed if `follow` is set. The guest sees what the path
    /// leads to, and not on which way.
    pub(crate) fn resolve(&self, from: NodeId, path: &str, follow: bool) -> Result<ResolvedPath> {
        let resolved = self.walk(from, path, follow)?;
        self.observed.kind(match &resolved.last {
            LastComponent::Dot => Some(FileKind::Dir),
            LastComponent::Named(_, found) => found.as_ref().map(|found| found.kind),
        });
        Ok(resolved)
    }

    fn walk(&self, from: NodeId, path: &str, follow: bool) -> Result<ResolvedPath> {
        self.directory(from)?;
        let mut rest = Remaining::of(path)?;
        let mut dirs = vec![DirStep {
            location: Location::Upper(from),
            name: String::new(),
        }];
        let depth = self.depth(from);
        let (mut links, mut steps) = (0, 0);
        while let Some(name) = rest.components.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return Err(ErrorCode::NameTooLong);
            }
            if name == ".." {
                // The first step is the start of the path.
                if dirs.len() == 1 {
                    return Err(ErrorCode::NotPermitted);
                }
                dirs.pop();
                continue;
            }
            if name.len() > MAX_NAME || depth + dirs.len() > MAX_DEPTH {
                return Err(ErrorCode::NameTooLong);
            }
            let top = dirs.last().ok_or(ErrorCode::BadDescriptor)?;
            let child = self.lookup(&top.location, &name)?;
            let is_last = rest.components.is_empty();
            match child {
                Some(child)
                    if child.kind == FileKind::Link && (!is_last || follow || rest.is_dir) =>
                {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ErrorCode::Loop);
                    }
                    let target = self.target(&child.location)?;
                    if target.starts_with('/') {
                        return Err(ErrorCode::NotPermitted);
                    }
                    rest.push(&target)?;
                }
                child if is_last => {
                    return Ok(ResolvedPath {
                        dirs,
                        last: LastComponent::Named(name, child),
                        is_dir: rest.is_dir,
                    });
                }
                Some(child) if child.kind == FileKind::Dir => dirs.push(DirStep {
                    location: child.location,
                    name,
                }),
                Some(_) => return Err(ErrorCode::NotDirectory),
                None => return Err(ErrorCode::NoEntry),
            }
        }
        Ok(ResolvedPath {
            dirs,
            last: LastComponent::Dot,
            is_dir: true,
        })
    }

    /// Returns the target of a symbolic link, as written.
    pub(crate) fn target(&self, at: &Location) -> Result<String> {
        match at {
            Location::Lower(path) => self.lower()?.target(path),
            Location::Upper(id) => match &self.node(*id)?.body {
                Body::Link(target) => Ok(target.clone()),
                _ => Err(ErrorCode::Invalid),
            },
        }
    }
}
